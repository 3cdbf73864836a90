-- A store with as many customers as bench.size says, each in a course that half of them have begun, and who
-- agreed to mail. What triggers keep for the lists of customers is left out.

SET session_replication_role = replica;

INSERT INTO stores (id, name, owner_user_id, version) VALUES ('store_0', 'Store 0', 'user_owner_0', '1');
INSERT INTO products (id, store_ref, store_id, store_ids, kind, title, version, deleted_version)
VALUES ('course_0_1', 'store_0', 'store_0', '{store_0}', 'course', 'Guitar for Beginners', '1', '');

INSERT INTO customers (store_id, email, name, first_seen_at, last_activity_at)
SELECT 'store_0', 'p' || n || '@mail.example', 'Ann Li', seen, seen
FROM (
	SELECT n, date_trunc('hour', now()) - interval '1000 days' * (n / current_setting('bench.size')::float8) AS seen
	FROM generate_series(1, current_setting('bench.size')::bigint) n
) p;

INSERT INTO enrollments (
	course_id, person, email_version, store_version, name_version, version, progress_version, enrolled_at,
	enrolled_version, completed_version, deleted_version, first_said_at, said_at, progress, peak_progress, progressed_at,
	store_id, customer_email, customer_id, unattached
)
SELECT
	'course_0_1', 'email:' || email, '', '', '', '2', '', first_seen_at,
	'', '', '', first_seen_at, first_seen_at, 50 * (id % 2), 50 * (id % 2), CASE WHEN id % 2 = 1 THEN first_seen_at END,
	store_id, email, id, NULL
FROM customers;

INSERT INTO customer_figures (store_id, facet, figure, amount)
SELECT store_id, facet, 'people', count(*) FROM customers GROUP BY 1, 2;
