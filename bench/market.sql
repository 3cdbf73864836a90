-- A marketplace as it might be after 1,000 days: store_0, whose list is as long as
-- bench.size says, among 100 stores that share three tenths as many. Only facts are
-- written, and who they are of; Rollcall derives the customers. What is drawn is
-- drawn from a person's number, so that the same market comes out every time, up to
-- the hour in which it ends.

CREATE FUNCTION pg_temp.draw(person bigint, nth bigint) RETURNS float8 LANGUAGE sql IMMUTABLE
	RETURN (hashint8extended(person, nth) & 2147483647)::float8 / 2147483648;

-- One of a list, those in front more often.
CREATE FUNCTION pg_temp.pick(list text[], draw float8) RETURNS text LANGUAGE sql IMMUTABLE
	RETURN list[1 + floor(cardinality(list) * draw * draw)::int];

-- The number of one of 40 courses: 40 % of the people are in the first, 0.5 % in the last.
CREATE FUNCTION pg_temp.course(draw float8) RETURNS int LANGUAGE sql IMMUTABLE
	RETURN floor(40.6 ^ (draw ^ 1.3))::int;

CREATE FUNCTION pg_temp.stamp(t timestamptz) RETURNS text LANGUAGE sql STABLE
	RETURN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

INSERT INTO stores (id, name, owner_user_id, version)
SELECT 'store_' || s, 'Store ' || s, 'user_owner_' || s, '1'
FROM generate_series(0, 100) s;

INSERT INTO products (
	id, store_ref, store_id, store_ids, kind, title, price_amount, price_currency, version, deleted_version
)
SELECT
	kind || '_' || s || '_' || nth, 'store_' || s, 'store_' || s, ARRAY['store_' || s], kind, title, price,
	'usd', '1', ''
FROM generate_series(0, 100) s
CROSS JOIN (
	SELECT
		'course' AS kind,
		5 * f.i + t.i - 5 AS nth,
		topic || ' ' || form AS title,
		(ARRAY[4900, 9900, 19900, 2900, 49900, 14900])[1 + (3 * f.i + t.i) % 6] AS price
	FROM unnest(ARRAY['for Beginners', 'Basics', 'Masterclass', 'in 30 Days', 'Deep Dive', 'Live', 'for Teachers',
		'on Stage']) WITH ORDINALITY f(form, i)
	CROSS JOIN unnest(ARRAY['Songwriting', 'Guitar', 'Mixing', 'Sourdough', 'Watercolour']) WITH ORDINALITY t(topic, i)
	UNION ALL
	SELECT 'digital', 4 * t.i + f.i - 4, topic || ' ' || form, (ARRAY[900, 1900, 2900, 500])[f.i]
	FROM unnest(ARRAY['Sample Pack', 'Preset Pack', 'Workbook', 'Templates']) WITH ORDINALITY f(form, i)
	CROSS JOIN unnest(ARRAY['Lo-fi', 'House', 'Ambient', 'Strings', 'Drums']) WITH ORDINALITY t(topic, i)
	UNION ALL
	SELECT 'membership', 1, 'All Access', 1500
) p;

CREATE TEMP TABLE given AS
SELECT i, name, fold(name) AS folded
FROM regexp_split_to_table(
	'Maria James Anna David Sofia Michael Laura Daniel Emma Thomas Julia Robert Sarah José Lena John Clara Peter Zoë
	Mohammed Aisha Lukas Nina Carlos Fatima Andrew Priya Søren Chloé Kenji Yuki Omar Ines Łukasz Björn Elif Mateusz
	Ngozi Amélie Tariq Ivana Paulo Siobhan Jürgen Mei Olga Rahul Beatriz Viktor Noor',
	'\s+'
) WITH ORDINALITY n(name, i);

CREATE TEMP TABLE family AS
SELECT i, name, fold(name) AS folded
FROM regexp_split_to_table(
	'Smith Müller García Johnson Silva Williams Kowalski Brown Nguyễn Jones Rossi Martin Kumar Miller Dubois Davis
	Schmidt Lopez Wilson Santos Anderson Ivanov Taylor Tanaka Moore Jensen Jackson Yılmaz White Novák Harris Okafor
	Clark Haddad Lewis Fernández Walker Bergström Hall Chen Young Kim King Wright Weiß Scott Hill Green Adams Baker
	Nelson Ødegård Carter Mitchell Roberts Turner Phillips Campbell Parker Evans Edwards Collins Stewart Morris
	Murphy Cook Rogers Peterson Cooper Reed Bailey Bell Kelly Howard Ward Cox Diaz Wood Watson Brooks Bennett Gray
	Hughes Price Myers Long Foster Ross Powell Jenkins Perry Russell Sullivan Fisher Henderson Cole Jordan Reynolds
	Zając Castro',
	'\s+'
) WITH ORDINALITY n(name, i);

-- Everyone in the order in which they came. The older, the more likely gone, and
-- those who are gone did not stay long.
CREATE TEMP TABLE people AS
SELECT
	p.*,
	CASE WHEN pg_temp.draw(n, 1) > 0.06 THEN g.name || ' ' || f.name END AS name,
	g.folded || '.' || f.folded || n || '@' || pg_temp.pick(ARRAY['mail', 'inbox', 'post', 'studio', 'school'],
		pg_temp.draw(n, 2)) || '.example' AS email,
	pg_temp.pick(ARRAY['usd', 'usd', 'eur', 'gbp', 'jpy'], pg_temp.draw(n, 3)) AS currency,
	pg_temp.draw(n, 4) AS eager,
	came + (today - came) * CASE WHEN gone THEN 0.3 * pg_temp.draw(n, 5) ELSE sqrt(pg_temp.draw(n, 5)) END AS last
FROM (
	SELECT
		n,
		CASE WHEN n % 13 < 10 THEN 0 ELSE 1 + (n / 13 * 3 + n % 13 - 10) % 100 END AS store,
		CASE WHEN kind < 0.55 THEN 'lead' WHEN kind < 0.95 THEN 'paying' ELSE 'subscription' END AS type,
		pg_temp.draw(n, 7) < 0.2 * (1 - n::float8 / many) AS gone,
		today,
		today - interval '1000 days' * (1 - (n + pg_temp.draw(n, 8)) / many) AS came
	FROM (SELECT current_setting('bench.size')::bigint / 10 * 13 AS many) m
	CROSS JOIN (SELECT date_trunc('hour', now()) - interval '2 hours' AS today) t
	CROSS JOIN generate_series(1, many) n
	CROSS JOIN LATERAL (SELECT pg_temp.draw(n, 6) AS kind) k
) p
JOIN given g ON g.i = 1 + floor(50 * pg_temp.draw(n, 9) ^ 2)
JOIN family f ON f.i = 1 + floor(100 * pg_temp.draw(n, 10) ^ 1.5)
ORDER BY n;

INSERT INTO users (id, email, name, last_seen_at, version, deleted_version)
SELECT
	'user_' || n,
	email,
	name,
	CASE WHEN pg_temp.draw(n, 12) < 0.5 THEN came + (last - came) * pg_temp.draw(n, 13) END,
	pg_temp.stamp(came) || ' 20 ',
	''
FROM people
ORDER BY n;

INSERT INTO links (relation, subject, object, since, hearsay)
SELECT 'owner', id, owner_user_id, version, false FROM stores
UNION ALL
SELECT 'store', id, store_ref, version, false FROM products
UNION ALL
SELECT 'address', id, email, version, false FROM users;

INSERT INTO customers (id, store_id, email) OVERRIDING SYSTEM VALUE
SELECT n, 'store_' || store, email
FROM people
ORDER BY n;

-- Of those who pay, some only ever buy things; half of these take a course too.
INSERT INTO enrollments (
	course_id, person, email_version, store_version, name_version, progress, version, progress_version,
	enrolled_at, enrolled_version, completed_at, completed_version, said_at, first_said_at, deleted_version,
	store_id, customer_email, customer_id, unattached, peak_progress, progressed_at
)
SELECT
	'course_' || store || '_' || pg_temp.course(pg_temp.draw(n, 20 + nth)),
	'user:user_' || n,
	'', '', '',
	progress,
	said_version,
	said_version,
	began,
	pg_temp.stamp(began) || ' 20 ',
	CASE WHEN progress = 100 THEN said END,
	CASE WHEN progress = 100 THEN said_version ELSE '' END,
	said,
	began,
	CASE WHEN gone THEN pg_temp.stamp(last + interval '1 hour') || ' 30 ' ELSE '' END,
	'store_' || store,
	email,
	n,
	NULL,
	progress,
	CASE WHEN progress > 0 THEN said END
FROM people p
CROSS JOIN generate_series(0, 4) AS nth
CROSS JOIN LATERAL (
	SELECT
		CASE WHEN nth = 0 THEN came ELSE came + (last - came) * pg_temp.draw(n, 30 + nth) END AS began,
		CASE
			WHEN pg_temp.draw(n, 50 + nth) < 0.2 THEN 0
			WHEN pg_temp.draw(n, 50 + nth) > 0.82 THEN 100
			ELSE floor(100 * pg_temp.draw(n, 60 + nth))
		END AS progress
) a
CROSS JOIN LATERAL (
	SELECT CASE WHEN progress > 0 THEN began + (last - began) * pg_temp.draw(n, 40 + nth) ELSE began END AS said
) b
CROSS JOIN LATERAL (SELECT pg_temp.stamp(said) || ' 20 ' AS said_version) c
WHERE nth < CASE
	WHEN type = 'paying' AND eager < 0.3 THEN (eager < 0.15)::int
	WHEN eager < 0.6 THEN 1
	WHEN eager < 0.8 THEN 2
	WHEN eager < 0.93 THEN 4
	ELSE 5 END
ORDER BY n, nth
ON CONFLICT DO NOTHING;

-- Of a course the first is paid for, the others now and then. Things by those
-- who take no courses, and by some others.
INSERT INTO payments (
	account, intent_version, invoice_version, destination_version,
	id, kind, claim_version, claim_paid, claim_amount, claim_currency,
	store_ref, store_id, product_ref, product_id, product_kind, sold,
	user_ref, email, customer_email, customer_id, unattached, name,
	paid_at, refunded
)
SELECT
	'', '', '', '',
	'pi_' || lpad(n::text, 10, '0') || '_' || x.id,
	'checkout',
	'4 ' || pg_temp.stamp(at) || ' 50 ',
	true,
	x.price_amount,
	CASE WHEN pg_temp.draw(n, 70 + nth) < 0.02 THEN 'eur' ELSE currency END,
	x.store_id, x.store_id, x.id, x.id, x.kind, jsonb_build_array(jsonb_build_object('id', x.id, 'kind', x.kind)),
	'user_' || n, email, email, n, NULL, name,
	at,
	CASE
		WHEN gone AND x.kind = 'digital' THEN x.price_amount
		WHEN pg_temp.draw(n, 80 + nth) < 0.02 THEN x.price_amount / 2
		ELSE 0
	END
FROM (
	SELECT p.*, 9 AS nth, course_id AS product, enrolled_at AS at
	FROM people p
	JOIN enrollments e ON e.customer_id = n
	WHERE type = 'paying' AND eager >= 0.3 AND (enrolled_at = came OR pg_temp.draw(n, 90) < 0.3)
	UNION ALL
	SELECT
		p.*,
		nth,
		'digital_' || store || '_' || 1 + floor(20 * pg_temp.draw(n, 91 + nth) ^ 2)::int,
		CASE WHEN nth = 0 AND eager < 0.15 THEN came ELSE came + (last - came) * pg_temp.draw(n, 94 + nth) END
	FROM people p
	CROSS JOIN generate_series(0, 1) AS nth
	WHERE type = 'paying'
	  AND nth < CASE WHEN eager < 0.3 THEN 1 + (pg_temp.draw(n, 97) < 0.3)::int ELSE (pg_temp.draw(n, 97) < 0.2)::int END
) p
JOIN products x ON x.id = p.product
ORDER BY n
ON CONFLICT DO NOTHING;

INSERT INTO refunds (
	account, id, charge, payment_intent, cumulative, amount, currency, status, created_at, said_at, version
)
SELECT
	'', 're_' || id, 'ch_' || id, id, false, refunded, currency, 'succeeded', paid_at, paid_at,
	pg_temp.stamp(paid_at) || ' 50 '
FROM payments
WHERE refunded > 0;

INSERT INTO subscriptions (
	account, checkout_version,
	id, version, status,
	store_ref, store_id, product_ref, product_id, product_kind, sold,
	user_ref, email, customer_email, customer_id, unattached, name,
	amount, currency, plan_name, started_at, current_period_end, cancel_at_period_end, ended_at, ever_active, lines
)
SELECT
	'', '',
	'sub_' || lpad(n::text, 10, '0'),
	pg_temp.stamp(last) || ' 50 ',
	CASE WHEN gone THEN 'canceled' ELSE 'active' END,
	x.store_id, x.store_id, x.id, x.id, x.kind, jsonb_build_array(jsonb_build_object('id', x.id, 'kind', x.kind)),
	'user_' || n, email, email, n, NULL, name,
	1500,
	currency,
	x.title,
	came,
	today + interval '30 days' * pg_temp.draw(n, 98),
	pg_temp.draw(n, 99) < 0.1,
	CASE WHEN gone THEN last END,
	true,
	jsonb_build_array(jsonb_build_object('amount', 1500, 'quantity', 1, 'interval', 'month', 'interval_count', 1))
FROM people
JOIN products x ON x.id = 'membership_' || store || '_1'
WHERE type = 'subscription'
ORDER BY n;

INSERT INTO payments (
	account, intent_version, invoice_version, destination_version,
	id, kind, claim_version, claim_paid, claim_amount, claim_currency,
	store_ref, store_id, product_ref, product_id, product_kind, sold,
	user_ref, email, customer_email, customer_id, unattached, name,
	paid_at, subscription
)
SELECT
	'', '', '', '',
	'in_' || id,
	'invoice',
	'4 ' || pg_temp.stamp(started_at) || ' 50 ',
	true,
	amount,
	currency,
	store_ref, store_id, product_ref, product_id, product_kind, sold,
	user_ref, email, customer_email, customer_id, NULL, name,
	started_at,
	id
FROM subscriptions
ORDER BY id;
