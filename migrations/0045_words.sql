-- The words of customers' names and addresses get a table of their own: a tag, a purchase or
-- another tenth of a course no longer writes the trigrams of the words again.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS customer_words (
	customer_id bigint PRIMARY KEY,
	store_id    text NOT NULL,
	words       text NOT NULL
);
COMMENT ON TABLE  customer_words        IS 'what customers are found by: kept beside customers by triggers';
COMMENT ON COLUMN customer_words.words  IS 'name and address, as fold makes them';
COMMENT ON COLUMN customer_index.words  IS 'as customer_words.words, for programs of the version before; to be dropped in the next';

-- +goose StatementBegin
LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE; -- who writes has ended, or writes words too
CREATE OR REPLACE FUNCTION customers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WITH n AS MATERIALIZED (
		SELECT id, store_id, email, fold(concat_ws(' ', name, email)) AS words, customer_has(course_ids, courses, product_ids) AS has
		FROM new_rows
	), worded AS (
		INSERT INTO customer_words (customer_id, store_id, words)
		SELECT id, store_id, words
		FROM n
	)
	INSERT INTO customer_index (customer_id, store_id, words, has, tags)
	SELECT id, store_id, words, has, tags_of(store_id, email)
	FROM n;
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT store_id, facet, f.figure, sum(f.amount)
	FROM new_rows
	CROSS JOIN LATERAL figures_of(first_seen_at, spent, courses) f
	GROUP BY store_id, facet, f.figure;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION customers_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WITH n AS MATERIALIZED (
		SELECT id, store_id, fold(concat_ws(' ', name, email)) AS words, customer_has(course_ids, courses, product_ids) AS has
		FROM new_rows
	), worded AS (
		INSERT INTO customer_words (customer_id, store_id, words)
		SELECT n.id, n.store_id, n.words
		FROM n
		WHERE NOT EXISTS (SELECT FROM customer_words w WHERE w.customer_id = n.id AND (w.store_id, w.words) = (n.store_id, n.words))
		ON CONFLICT (customer_id) DO UPDATE SET
			store_id = EXCLUDED.store_id,
			words = EXCLUDED.words
	)
	INSERT INTO customer_index AS i (customer_id, store_id, words, has)
	SELECT n.id, n.store_id, n.words, n.has
	FROM n
	WHERE NOT EXISTS (SELECT FROM customer_index i WHERE i.customer_id = n.id AND (i.store_id, i.words, i.has) = (n.store_id, n.words, n.has))
	ON CONFLICT (customer_id) DO UPDATE SET
		store_id = EXCLUDED.store_id,
		words = EXCLUDED.words,
		has = EXCLUDED.has;
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT c.store_id, c.facet, f.figure, sum(c.sign * f.amount)
	FROM (
		SELECT store_id, facet, first_seen_at, spent, courses, 1 AS sign FROM new_rows
		UNION ALL
		SELECT store_id, facet, first_seen_at, spent, courses, -1 FROM old_rows
	) c
	CROSS JOIN LATERAL figures_of(c.first_seen_at, c.spent, c.courses) f
	GROUP BY c.store_id, c.facet, f.figure
	HAVING sum(c.sign * f.amount) <> 0;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION customers_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM customer_index i WHERE i.customer_id IN (SELECT id FROM old_rows);
	DELETE FROM customer_words w WHERE w.customer_id IN (SELECT id FROM old_rows);
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT store_id, facet, f.figure, -sum(f.amount)
	FROM old_rows
	CROSS JOIN LATERAL figures_of(first_seen_at, spent, courses) f
	GROUP BY store_id, facet, f.figure;
	RETURN NULL;
END $$;
-- +goose StatementEnd

-- Of those who are there already, some at a time.
-- +goose StatementBegin
DO $$
DECLARE
	last bigint := 0;
BEGIN
	LOOP
		WITH chunk AS (
			SELECT id, store_id, name, email
			FROM customers
			WHERE id > last
			ORDER BY id
			LIMIT 5000
			FOR NO KEY UPDATE -- so that no name is older than what a trigger wrote
		), worded AS (
			INSERT INTO customer_words (customer_id, store_id, words)
			SELECT id, store_id, fold(concat_ws(' ', name, email))
			FROM chunk
			ON CONFLICT (customer_id) DO NOTHING -- as a trigger wrote it
		)
		SELECT max(id) INTO last FROM chunk;
		EXIT WHEN last IS NULL;
		COMMIT;
	END LOOP;
END $$;
-- +goose StatementEnd

CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_words_all ON customer_words USING gin (store_id, words gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_words_beyond_ascii ON customer_words (store_id) WHERE octet_length(words) - length(words) > 0;
CREATE STATISTICS IF NOT EXISTS customer_words_beyond_ascii ON (octet_length(words) - length(words)) FROM customer_words;
ANALYZE customer_words;

-- Programs of the version before find words without an index until they are replaced: it takes a
-- second or two in a list of a million.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_index_has ON customer_index USING gin (store_id, has, tags) WITH (gin_pending_list_limit = 1024);
-- +goose StatementBegin
DROP INDEX customer_index_all;
ALTER INDEX customer_index_has RENAME TO customer_index_all;
DROP INDEX IF EXISTS customer_index_beyond_ascii;
DROP STATISTICS IF EXISTS customer_index_beyond_ascii;
-- +goose StatementEnd

-- +goose Down
DROP INDEX customer_index_all;
CREATE INDEX customer_index_all ON customer_index USING gin (store_id, has, tags, words gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
CREATE INDEX IF NOT EXISTS customer_index_beyond_ascii ON customer_index (store_id) WHERE octet_length(words) - length(words) > 0;
CREATE STATISTICS IF NOT EXISTS customer_index_beyond_ascii ON (octet_length(words) - length(words)) FROM customer_index;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION customers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO customer_index (customer_id, store_id, words, has, tags)
	SELECT id, store_id, fold(concat_ws(' ', name, email)), customer_has(course_ids, courses, product_ids), tags_of(store_id, email)
	FROM new_rows;
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT store_id, facet, f.figure, sum(f.amount)
	FROM new_rows
	CROSS JOIN LATERAL figures_of(first_seen_at, spent, courses) f
	GROUP BY store_id, facet, f.figure;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION customers_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO customer_index AS i (customer_id, store_id, words, has)
	SELECT n.id, n.store_id, n.words, n.has
	FROM (
		SELECT id, store_id, fold(concat_ws(' ', name, email)) AS words, customer_has(course_ids, courses, product_ids) AS has
		FROM new_rows
	) n
	WHERE NOT EXISTS (SELECT FROM customer_index i WHERE i.customer_id = n.id AND (i.store_id, i.words, i.has) = (n.store_id, n.words, n.has))
	ON CONFLICT (customer_id) DO UPDATE SET
		store_id = EXCLUDED.store_id,
		words = EXCLUDED.words,
		has = EXCLUDED.has;
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT c.store_id, c.facet, f.figure, sum(c.sign * f.amount)
	FROM (
		SELECT store_id, facet, first_seen_at, spent, courses, 1 AS sign FROM new_rows
		UNION ALL
		SELECT store_id, facet, first_seen_at, spent, courses, -1 FROM old_rows
	) c
	CROSS JOIN LATERAL figures_of(c.first_seen_at, c.spent, c.courses) f
	GROUP BY c.store_id, c.facet, f.figure
	HAVING sum(c.sign * f.amount) <> 0;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION customers_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM customer_index i WHERE i.customer_id IN (SELECT id FROM old_rows);
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT store_id, facet, f.figure, -sum(f.amount)
	FROM old_rows
	CROSS JOIN LATERAL figures_of(first_seen_at, spent, courses) f
	GROUP BY store_id, facet, f.figure;
	RETURN NULL;
END $$;
-- +goose StatementEnd
DROP TABLE customer_words;
