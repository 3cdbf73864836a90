-- Two letters are too few for trigrams, unless the character before them is known: that
-- is one of ASCII, or the words are not all ASCII. Few are, where that is worth knowing.

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_index_beyond_ascii ON customer_index (store_id) WHERE octet_length(words) - length(words) > 0;
CREATE STATISTICS IF NOT EXISTS customer_index_beyond_ascii ON (octet_length(words) - length(words)) FROM customer_index;

-- +goose Down
DROP STATISTICS customer_index_beyond_ascii;
DROP INDEX customer_index_beyond_ascii;
