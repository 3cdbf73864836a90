-- The key under which ids are written on pages and in the API. Rows are numbered in
-- the order they come, over all stores: the numbers would tell a creator how many
-- customers all the others have.

-- +goose Up
CREATE TABLE id_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    key bytea NOT NULL CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE id_key IS 'made here at random; with another key all links to customers change';
INSERT INTO id_key (key) VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- +goose Down
DROP TABLE id_key;
