-- Who is in some part of a course is looked up: those of a rare course are spread over the
-- whole table, and each had to be read.

-- +goose NO TRANSACTION
-- +goose Up
-- +goose StatementBegin
LOCK TABLE customers IN SHARE ROW EXCLUSIVE MODE; -- who writes has ended, or writes what is below
CREATE OR REPLACE FUNCTION customer_has(course_ids text[], courses jsonb, product_ids text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array(
		SELECT 'course:' || c FROM unnest(course_ids) c
		UNION ALL
		SELECT 'completed:' || (c ->> 'id') FROM jsonb_array_elements(courses) c
		WHERE c ->> 'completed_at' IS NOT NULL OR (c ->> 'progress')::float8 >= 100
		UNION ALL
		SELECT 'progress' || floor((c ->> 'progress')::float8 / 10) || ':' || (c ->> 'id') FROM jsonb_array_elements(courses) c
		WHERE c ->> 'progress' IS NOT NULL
		UNION ALL
		SELECT 'product:' || p FROM unnest(product_ids) p)
$$;
-- +goose StatementEnd
COMMENT ON COLUMN customer_index.has IS 'course:ID, completed:ID (a course), progress4:ID (of a course: 40 to less than 50 percent; progress10: all of it), product:ID (bought, or of a subscription)';

-- Of those who are there already, some at a time.
-- +goose StatementBegin
DO $$
DECLARE
	last bigint := 0;
BEGIN
	LOOP
		WITH chunk AS (
			SELECT id, course_ids, courses, product_ids
			FROM customers
			WHERE id > last
			ORDER BY id
			LIMIT 5000
			FOR NO KEY UPDATE -- so that nothing is older than what a trigger wrote
		), again AS (
			UPDATE customer_index i
			SET has = customer_has(c.course_ids, c.courses, c.product_ids)
			FROM chunk c
			WHERE c.id = i.customer_id
			  AND i.has <> customer_has(c.course_ids, c.courses, c.product_ids)
		)
		SELECT max(id) INTO last FROM chunk;
		EXIT WHEN last IS NULL;
		COMMIT;
	END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION customer_has(course_ids text[], courses jsonb, product_ids text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT array(
		SELECT 'course:' || c FROM unnest(course_ids) c
		UNION ALL
		SELECT 'completed:' || (c ->> 'id') FROM jsonb_array_elements(courses) c
		WHERE c ->> 'completed_at' IS NOT NULL OR (c ->> 'progress')::float8 >= 100
		UNION ALL
		SELECT 'product:' || p FROM unnest(product_ids) p)
$$;
-- +goose StatementEnd
COMMENT ON COLUMN customer_index.has IS 'course:ID, completed:ID (a course), product:ID (bought, or of a subscription)';
UPDATE customer_index i
SET has = customer_has(c.course_ids, c.courses, c.product_ids)
FROM customers c
WHERE c.id = i.customer_id
  AND c.courses <> '[]';
