-- The country that Stripe names with a payment is kept with it, and customers are found by theirs: it is one more entry of
-- what they are looked up by.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE payments ADD COLUMN IF NOT EXISTS country text;
ALTER TABLE subscriptions ADD COLUMN IF NOT EXISTS country text;
ALTER TABLE checkouts ADD COLUMN IF NOT EXISTS country text;
COMMENT ON COLUMN payments.country IS 'of the billing address, ISO 3166-1 alpha-2; NULL: not said with the claim';
COMMENT ON COLUMN customer_index.has IS 'course:ID, completed:ID (a course), progress4:ID (of a course: 40 to less than 50 percent; progress10: all of it), product:ID (bought, or of a subscription), country:NO';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION customer_has(course_ids text[], courses jsonb, product_ids text[], country text) RETURNS text[] LANGUAGE sql IMMUTABLE
	RETURN customer_has(course_ids, courses, product_ids) || CASE WHEN country IS NOT NULL THEN ARRAY['country:' || country] END;

CREATE OR REPLACE FUNCTION customers_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WITH n AS MATERIALIZED (
		SELECT id, store_id, email, fold(concat_ws(' ', name, email)) AS words, customer_has(course_ids, courses, product_ids, country) AS has
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
		SELECT id, store_id, fold(concat_ws(' ', name, email)) AS words, customer_has(course_ids, courses, product_ids, country) AS has
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
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
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
-- +goose StatementEnd
DROP FUNCTION customer_has(text[], jsonb, text[], text);
UPDATE customer_index SET has = ARRAY(SELECT h FROM unnest(has) WITH ORDINALITY AS x(h, n) WHERE h NOT LIKE 'country:%' ORDER BY n)
WHERE EXISTS (SELECT FROM unnest(has) h WHERE h LIKE 'country:%');
COMMENT ON COLUMN customer_index.has IS 'course:ID, completed:ID (a course), progress4:ID (of a course: 40 to less than 50 percent; progress10: all of it), product:ID (bought, or of a subscription)';
ALTER TABLE checkouts DROP COLUMN IF EXISTS country;
ALTER TABLE subscriptions DROP COLUMN IF EXISTS country;
ALTER TABLE payments DROP COLUMN IF EXISTS country;
