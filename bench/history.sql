-- The history that the backfill's measurement attaches: bench.size enrollments, each
-- in one of 10 courses of one of 100 stores, of 0.7 times as many people. They are
-- written as if reported, and not attached.

INSERT INTO stores (id, name, version)
SELECT 'store_' || s, 'Store ' || s, '1'
FROM generate_series(0, 99) s;

INSERT INTO products (id, store_ref, store_id, kind, title, version, deleted_version)
SELECT 'course_' || s || '_' || c, 'store_' || s, 'store_' || s, 'course', 'Course ' || c, '1', ''
FROM generate_series(0, 99) s, generate_series(0, 9) c;

INSERT INTO users (id, email, name, version, deleted_version)
SELECT 'user_' || i, 'person' || i || '@example.com', 'Person ' || i, '1', ''
FROM generate_series(0, current_setting('bench.size')::int * 7 / 10 - 1) i;

INSERT INTO links (relation, subject, object, since, hearsay)
SELECT 'store', id, store_ref, version, false FROM products
UNION ALL
SELECT 'address', id, email, version, false FROM users;

-- Each person's enrollments are in courses of one store, spread as a multiplication
-- by a large prime spreads them.
INSERT INTO enrollments (
	course_id, person, email_version, store_version, name_version, completed_version, deleted_version, version,
	progress, progress_version, enrolled_at, enrolled_version, said_at, first_said_at
)
SELECT
	'course_' || p % 100 || '_' || (i / people + p / 100) % 10,
	'user:user_' || p,
	'', '', '', '', '',
	v,
	i % 100,
	v,
	at,
	v,
	at,
	at
FROM (SELECT current_setting('bench.size')::bigint AS size, '2026-01-01T00:00:00.000000Z 20 ' AS v) s
CROSS JOIN LATERAL (SELECT size * 7 / 10 AS people) p
CROSS JOIN LATERAL generate_series(0, size - 1) i
CROSS JOIN LATERAL (SELECT i * 7919 % people AS p, '2026-01-01'::timestamptz + i * interval '1 s' AS at) e;
