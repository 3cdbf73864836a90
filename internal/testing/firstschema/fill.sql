-- A market in the first schema that had customers (0005): upgrade.size of them in ten stores,
-- each with an enrollment, four of ten with a payment, and the events that told of both, with
-- bodies of a kilobyte. Facts, customers and figures belong together; times are fixed.

INSERT INTO stores (id, name, owner_user_id, stripe_account_id, version)
SELECT 'store_' || s, 'Store ' || s, 'user_owner_' || s, 'acct_' || s, '2025-01-01T00:00:00.000000Z 20 msg'
FROM generate_series(0, 9) s;

INSERT INTO products (id, store_ref, store_id, kind, title, price_amount, price_currency, stripe_price_ids, version,
	deleted_version)
SELECT kind || '_' || s || '_' || n, 'store_' || s, 'store_' || s, kind, 'Title ' || n, 4900, 'usd',
	ARRAY['price_' || kind || s || n], '2025-01-01T00:00:00.000000Z 20 msg', ''
FROM generate_series(0, 9) s
CROSS JOIN generate_series(1, 5) n
CROSS JOIN unnest(ARRAY['course', 'digital']) kind;

CREATE TEMP TABLE person AS
SELECT n, n % 10 AS store, n % 5 + 1 AS thing, (n % 101)::float8 AS progress, n % 10 < 4 AS pays,
	CASE n % 20 WHEN 0 THEN 'Zoë O’Neill ' || n WHEN 1 THEN NULL ELSE 'Name ' || n END AS name,
	'person.' || n || '@mail.example' AS email,
	timestamptz '2025-01-02 00:00:00Z' + n % 500 * interval '1 day' + n % 86400 * interval '1 second' AS came
FROM generate_series(1, current_setting('upgrade.size')::int) n;

INSERT INTO users (id, email, name, version, deleted_version)
SELECT 'user_' || n, email, name, to_char(came AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' 20 msg', ''
FROM person;

INSERT INTO stripe_customers (account, id, email, version, deleted_version)
SELECT '', 'cus_' || n, email, to_char(came AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' 20 evt', ''
FROM person
WHERE pays;

INSERT INTO customers (id, store_id, email, name, type, source_kind, source_product_id, first_seen_at, last_activity_at,
	spent, spent_rank, courses, purchases, course_ids, product_ids, created_at)
OVERRIDING SYSTEM VALUE
SELECT n, 'store_' || store, email, name, CASE WHEN pays THEN 'paying' ELSE 'lead' END, 'free_course',
	'course_' || store || '_' || thing, came, came + interval '3 days',
	CASE WHEN pays THEN jsonb_build_array(jsonb_build_object('amount', 4900, 'currency', 'usd')) ELSE '[]' END,
	CASE WHEN pays THEN 49 ELSE 0 END,
	jsonb_build_array(jsonb_build_object('id', 'course_' || store || '_' || thing, 'progress', progress,
		'enrolled_at', rfc3339(came), 'completed_at', CASE WHEN progress >= 100 THEN rfc3339(came) END)),
	CASE WHEN pays THEN jsonb_build_array(jsonb_build_object('id', 'digital_' || store || '_' || thing)) ELSE '[]' END,
	ARRAY['course_' || store || '_' || thing],
	CASE WHEN pays THEN ARRAY['digital_' || store || '_' || thing] ELSE '{}' END, came
FROM person;
SELECT setval(pg_get_serial_sequence('customers', 'id'), max(n)) FROM person;

INSERT INTO enrollments (course_id, person, email_version, store_ref, store_version, version, name_version, progress,
	progress_version, enrolled_at, enrolled_version, completed_version, said_at, first_said_at, deleted_version,
	store_id, customer_email, customer_id, unattached)
SELECT 'course_' || store || '_' || thing, 'user:user_' || n, '', 'store_' || store, said, said, '', progress, said, came,
	said, '', came, came, '', 'store_' || store, email, n, NULL
FROM person
CROSS JOIN LATERAL (SELECT to_char(came AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' 20 msg' AS said) v;

INSERT INTO payments (account, id, claim_version, claimed_by, kind, paid, amount, currency, store_ref, product_ref,
	product_kind, user_ref, stripe_customer, email, courses, catalogue, paid_at, intent, intent_version, invoice_version,
	destination_version, store_id, customer_email, product_id, customer_id, unattached)
SELECT '', 'pi_' || n, '4 ' || said, 'cs_' || n, 'checkout', true, 4900, 'usd', 'store_' || store,
	'digital_' || store || '_' || thing, 'digital', 'user_' || n, 'cus_' || n, email, NULL,
	CASE WHEN n % 3 = 0 THEN ARRAY['price_digital' || store || thing] END, came + interval '1 day',
	jsonb_build_object('user_ref', 'user_' || n), said, '', '', 'store_' || store, email,
	'digital_' || store || '_' || thing, n, NULL
FROM person
CROSS JOIN LATERAL (SELECT to_char(came AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' 40 evt' AS said) v
WHERE pays;

INSERT INTO webhook_events (source, event_id, type, occurred_at, received_at, payload, status, attempts, processed_at)
SELECT source, source || '_' || n, type, came, came, json_build_object('type', type, 'data', json_build_object('email', email,
	'store_id', 'store_' || store, 'user_id', 'user_' || n), 'more', repeat(md5(n::text), 28)), 'processed', 1, came
FROM person
CROSS JOIN (VALUES ('platform', 'enrollment.upserted'), ('stripe', 'checkout.session.completed')) AS e(source, type)
WHERE pays OR source = 'platform';
