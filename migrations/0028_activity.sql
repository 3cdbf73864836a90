-- A row of the list says in one sentence what a customer did last: what that was about is
-- kept beside it. And a store's figures say how far its customers are in their courses.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE customers ADD COLUMN IF NOT EXISTS last_activity_of text;
COMMENT ON COLUMN customers.last_activity_of IS 'the course or product that last_activity was about; NULL: none, or not derived yet';
COMMENT ON COLUMN customer_figures.figure IS 'people; day:2026-01-31 (people first seen on it, UTC); spent:usd (minor units, net); payers:usd (people with money in it); enrolled (people in a course, each course counts), finished (of those), progress (of those, thousandths of a percent)';

-- +goose StatementBegin
LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE; -- who writes waits for the new triggers
CREATE OR REPLACE FUNCTION figures_of(first_seen_at timestamptz, spent jsonb, courses jsonb) RETURNS TABLE (figure text, amount numeric) LANGUAGE sql STABLE AS $$
	SELECT 'people', 1::numeric
	UNION ALL
	SELECT 'day:' || to_char(first_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 1
	WHERE isfinite(first_seen_at)
	UNION ALL
	SELECT f.figure, f.amount
	FROM jsonb_to_recordset(spent) AS m(amount numeric, currency text)
	CROSS JOIN LATERAL (VALUES ('spent:' || m.currency, m.amount), ('payers:' || m.currency, 1)) f(figure, amount)
	UNION ALL
	SELECT f.figure, f.amount
	FROM jsonb_to_recordset(courses) AS c(progress numeric, completed_at text)
	CROSS JOIN LATERAL (VALUES
		('enrolled', 1::numeric),
		('progress', 1000 * c.progress),
		('finished', (c.completed_at IS NOT NULL OR c.progress >= 100)::int)
	) f(figure, amount)
	WHERE f.amount <> 0
$$;

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
DROP FUNCTION IF EXISTS figures_of(timestamptz, jsonb);
-- +goose StatementEnd

-- Of those who are there already: what the figures lack is what is true in this
-- statement's snapshot, less what the triggers have written until then.
INSERT INTO customer_figures AS was (store_id, facet, figure, amount)
SELECT store_id, facet, figure, sum(amount)
FROM (
	SELECT c.store_id, c.facet, f.figure, f.amount
	FROM customers c
	CROSS JOIN LATERAL figures_of(c.first_seen_at, c.spent, c.courses) f
	UNION ALL
	SELECT store_id, facet, figure, -amount FROM customer_figures
	UNION ALL
	SELECT store_id, facet, figure, -amount FROM customer_figure_changes
) f
WHERE figure IN ('enrolled', 'finished', 'progress')
GROUP BY store_id, facet, figure
HAVING sum(amount) <> 0
ON CONFLICT (store_id, figure, facet) DO UPDATE SET amount = was.amount + EXCLUDED.amount;

UPDATE derivation SET rules = 3
WHERE NOT EXISTS (SELECT FROM facts)
  AND NOT EXISTS (SELECT FROM customers);

-- +goose Down
UPDATE derivation SET rules = 2 WHERE rules = 3;
-- +goose StatementBegin
LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE;
CREATE FUNCTION figures_of(first_seen_at timestamptz, spent jsonb) RETURNS TABLE (figure text, amount numeric) LANGUAGE sql STABLE AS $$
	SELECT 'people', 1::numeric
	UNION ALL
	SELECT 'day:' || to_char(first_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 1
	WHERE isfinite(first_seen_at)
	UNION ALL
	SELECT f.figure, f.amount
	FROM jsonb_to_recordset(spent) AS m(amount numeric, currency text)
	CROSS JOIN LATERAL (VALUES ('spent:' || m.currency, m.amount), ('payers:' || m.currency, 1)) f(figure, amount)
$$;

CREATE OR REPLACE FUNCTION customers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO customer_index (customer_id, store_id, words, has, tags)
	SELECT id, store_id, fold(concat_ws(' ', name, email)), customer_has(course_ids, courses, product_ids), tags_of(store_id, email)
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
-- +goose StatementEnd
DROP FUNCTION figures_of(timestamptz, jsonb, jsonb);
DELETE FROM customer_figures WHERE figure IN ('enrolled', 'finished', 'progress');
DELETE FROM customer_figure_changes WHERE figure IN ('enrolled', 'finished', 'progress');
COMMENT ON COLUMN customer_figures.figure IS 'people; day:2026-01-31 (people first seen on it, UTC); spent:usd (minor units, net); payers:usd (people with money in it)';
ALTER TABLE customers DROP COLUMN last_activity_of;
