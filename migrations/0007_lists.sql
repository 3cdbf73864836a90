-- What makes long lists quick: an order to each way of sorting within each kind
-- of customer, an index to search by, and figures that are kept up as customers
-- change. All of it follows from customers, by triggers, so that whatever writes
-- a customer keeps it true.

-- +goose NO TRANSACTION
-- +goose Up
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- Who is sought as "jose" is José too: no case, no accents, no ligatures.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION fold(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
	RETURN translate(replace(replace(replace(
		regexp_replace(lower(normalize(t, NFKD)), '[\u0300-\u036f]', '', 'g'),
		'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'øłđıð', 'oldid');
-- +goose StatementEnd

-- A facet is what a customer is, in one word. Lists are read facet by facet and
-- merged, so that those that are rare, or all at the far end of an order, are
-- found without passing the others.
-- +goose StatementBegin
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'facet') THEN
		RETURN;
	END IF;
	DROP INDEX customers_last_activity, customers_first_seen, customers_spent; -- or they are written again with the rows
	ALTER TABLE customers
		ADD COLUMN last_activity text
			CHECK (last_activity IN ('enrollment', 'progress', 'completion', 'course_purchase', 'purchase', 'subscription', 'payment', 'sign_in')),
		ADD COLUMN facet text COLLATE "C" NOT NULL
			GENERATED ALWAYS AS (type || '/' || status || '/' || coalesce(source_kind, '')) STORED;
END $$;
-- +goose StatementEnd
COMMENT ON COLUMN customers.last_activity IS 'what they did at last_activity_at; NULL until it is derived';
-- Each knows what the other orders sort by: who was first seen long ago can be
-- found in one and sorted for another without a look at a row. Those values are in
-- some index anyway, so a change of one costs no more.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_last_activity ON customers (store_id, facet, last_activity_at, id) INCLUDE (first_seen_at, spent_rank);
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_first_seen    ON customers (store_id, facet, first_seen_at, id)    INCLUDE (last_activity_at, spent_rank);
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_spent         ON customers (store_id, facet, spent_rank, id)       INCLUDE (first_seen_at, last_activity_at);
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS customers_pkey_wide ON customers (id) INCLUDE (store_id, facet, first_seen_at, last_activity_at, spent_rank);
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_currencies    ON customers (store_id) WHERE jsonb_array_length(spent) > 1;

-- Apart from customers, which change with every lesson: these change with a
-- name, an address, a course or a purchase, and their index is dear to write.
CREATE TABLE IF NOT EXISTS customer_index (
	customer_id bigint NOT NULL PRIMARY KEY,
	store_id    text   NOT NULL,
	words       text   NOT NULL,
	has         text[] NOT NULL
);
COMMENT ON COLUMN customer_index.words IS 'name and address, folded';
COMMENT ON COLUMN customer_index.has   IS 'course:ID, completed:ID (a course), product:ID (bought, or of a subscription)';

CREATE TABLE IF NOT EXISTS customer_figures (
	store_id text    NOT NULL,
	facet    text    COLLATE "C" NOT NULL,
	figure   text    COLLATE "C" NOT NULL,
	amount   numeric NOT NULL,
	PRIMARY KEY (store_id, figure, facet)
);
COMMENT ON TABLE  customer_figures        IS 'how many customers of each facet a store has, and what they spent';
COMMENT ON COLUMN customer_figures.figure IS 'people; day:2026-01-31 (people first seen on it, UTC); spent:usd (minor units, net); payers:usd (people with money in it)';

-- Two transactions that change customers of one store must not wait for each
-- other: each writes down what it adds, and a worker folds it into the figures.
CREATE TABLE IF NOT EXISTS customer_figure_changes (
	store_id text    NOT NULL,
	facet    text    COLLATE "C" NOT NULL,
	figure   text    COLLATE "C" NOT NULL,
	amount   numeric NOT NULL
);
CREATE INDEX IF NOT EXISTS customer_figure_changes_store ON customer_figure_changes (store_id);
COMMENT ON TABLE customer_figure_changes IS 'not yet folded into customer_figures: a figure is the sum of both';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION figures_of(first_seen_at timestamptz, spent jsonb) RETURNS TABLE (figure text, amount numeric) LANGUAGE sql STABLE AS $$
	SELECT 'people', 1::numeric
	UNION ALL
	SELECT 'day:' || to_char(first_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 1
	WHERE isfinite(first_seen_at)
	UNION ALL
	SELECT f.figure, f.amount
	FROM jsonb_to_recordset(spent) AS m(amount numeric, currency text)
	CROSS JOIN LATERAL (VALUES ('spent:' || m.currency, m.amount), ('payers:' || m.currency, 1)) f(figure, amount)
$$;

-- Who has finished a course has its end, or all of it.
CREATE OR REPLACE FUNCTION customer_has(course_ids text[], courses jsonb, product_ids text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array(
		SELECT 'course:' || c FROM unnest(course_ids) c
		UNION ALL
		SELECT 'completed:' || (c ->> 'id') FROM jsonb_array_elements(courses) c
		WHERE c ->> 'completed_at' IS NOT NULL OR (c ->> 'progress')::float8 >= 100
		UNION ALL
		SELECT 'product:' || p FROM unnest(product_ids) p)
$$;

CREATE OR REPLACE FUNCTION customers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO customer_index (customer_id, store_id, words, has)
	SELECT id, store_id, fold(concat_ws(' ', name, email)), customer_has(course_ids, courses, product_ids)
	FROM new_rows;
	INSERT INTO customer_figure_changes (store_id, facet, figure, amount)
	SELECT store_id, facet, f.figure, sum(f.amount)
	FROM new_rows
	CROSS JOIN LATERAL figures_of(first_seen_at, spent) f
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
		SELECT store_id, facet, first_seen_at, spent, 1 AS sign FROM new_rows
		UNION ALL
		SELECT store_id, facet, first_seen_at, spent, -1 FROM old_rows
	) c
	CROSS JOIN LATERAL figures_of(c.first_seen_at, c.spent) f
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
	CROSS JOIN LATERAL figures_of(first_seen_at, spent) f
	GROUP BY store_id, facet, f.figure;
	RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION customers_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE customer_index, customer_figures, customer_figure_changes;
	RETURN NULL;
END $$;
-- +goose StatementEnd

-- All at once: a row that one had written and the next did not change would stay as it is.
-- +goose StatementBegin
CREATE OR REPLACE TRIGGER customers_inserted AFTER INSERT ON customers REFERENCING NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION customers_inserted();
CREATE OR REPLACE TRIGGER customers_updated AFTER UPDATE ON customers REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
	FOR EACH STATEMENT EXECUTE FUNCTION customers_updated();
CREATE OR REPLACE TRIGGER customers_deleted AFTER DELETE ON customers REFERENCING OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION customers_deleted();
CREATE OR REPLACE TRIGGER customers_truncated AFTER TRUNCATE ON customers
	FOR EACH STATEMENT EXECUTE FUNCTION customers_truncated();
-- +goose StatementEnd

-- Those who are there already, some at a time: no one waits longer than for these. The
-- triggers write the others.
-- +goose StatementBegin
DO $$
DECLARE
	last bigint := 0;
BEGIN
	LOOP
		WITH chunk AS (
			SELECT id, store_id, name, email, course_ids, courses, product_ids
			FROM customers
			WHERE id > last
			ORDER BY id
			LIMIT 5000
			FOR NO KEY UPDATE -- so that no name is older than what a trigger wrote
		), written AS (
			INSERT INTO customer_index (customer_id, store_id, words, has)
			SELECT id, store_id, fold(concat_ws(' ', name, email)), customer_has(course_ids, courses, product_ids)
			FROM chunk
			ON CONFLICT DO NOTHING
		)
		SELECT max(id) INTO last FROM chunk;
		EXIT WHEN last IS NULL;
		COMMIT;
	END LOOP;
END $$;
-- +goose StatementEnd
CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_index_all ON customer_index USING gin (store_id, has, words gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
-- What the figures lack is what is true in this statement's snapshot, less what the
-- triggers have written until then.
INSERT INTO customer_figures AS was (store_id, facet, figure, amount)
SELECT store_id, facet, figure, sum(amount)
FROM (
	SELECT c.store_id, c.facet, f.figure, f.amount
	FROM customers c
	CROSS JOIN LATERAL figures_of(c.first_seen_at, c.spent) f
	UNION ALL
	SELECT store_id, facet, figure, -amount FROM customer_figures
	UNION ALL
	SELECT store_id, facet, figure, -amount FROM customer_figure_changes
) f
GROUP BY store_id, facet, figure
HAVING sum(amount) <> 0
ON CONFLICT (store_id, figure, facet) DO UPDATE SET amount = was.amount + EXCLUDED.amount;
-- Last: a migration that goes on after this would build the index again.
ALTER TABLE customers
	DROP CONSTRAINT customers_pkey,
	ADD CONSTRAINT customers_pkey PRIMARY KEY USING INDEX customers_pkey_wide;

-- +goose Down
DROP TRIGGER customers_truncated ON customers;
DROP TRIGGER customers_deleted ON customers;
DROP TRIGGER customers_updated ON customers;
DROP TRIGGER customers_inserted ON customers;
DROP FUNCTION customers_truncated, customers_deleted, customers_updated, customers_inserted, customer_has, figures_of;
DROP TABLE customer_figure_changes, customer_figures, customer_index;
DROP INDEX customers_currencies;
DROP INDEX customers_spent;
DROP INDEX customers_first_seen;
DROP INDEX customers_last_activity;
ALTER TABLE customers DROP CONSTRAINT customers_pkey, ADD PRIMARY KEY (id);
ALTER TABLE customers DROP COLUMN facet, DROP COLUMN last_activity;
CREATE INDEX customers_last_activity ON customers (store_id, last_activity_at, id);
CREATE INDEX customers_first_seen    ON customers (store_id, first_seen_at, id);
CREATE INDEX customers_spent         ON customers (store_id, spent_rank, id);
DROP FUNCTION fold;
