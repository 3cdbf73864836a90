package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
)

// deriveChunk is how many customers one statement derives. Planners guess that
// a parameter holds few rows and join accordingly: beyond some hundreds the time
// would grow with the square.
const deriveChunk = 256

// derive computes customers anew from all rows that point at them, and writes
// those that come out different. A customer that nothing points at is deleted.
func (w *work) derive(ctx context.Context, customers []customer) (changes Changes, err error) {
	defer wrap(&err, "store.derive(%d)", len(customers))
	if len(customers) == 0 {
		return changes, nil
	}
	ctx, end := traced(ctx, "derive", attribute.Int("rollcall.customers", len(customers)))
	defer end(&err)
	all := make([]int64, len(customers))
	for i, c := range customers {
		all[i] = c.id
	}
	var batch pgx.Batch
	batch.Queue(`SET LOCAL enable_hashjoin = on`) // for joins among what was looked up
	batch.Queue(deleteSQL, all).Exec(func(tag pgconn.CommandTag) error {
		changes.Deleted = tag.RowsAffected()
		return nil
	})
	for chunk := range slices.Chunk(customers, deriveChunk) {
		ids, stores, emails := make([]int64, len(chunk)), make([]string, len(chunk)), make([]string, len(chunk))
		for i, c := range chunk {
			ids[i], stores[i], emails[i] = c.id, c.store, c.email
		}
		batch.Queue(deriveSQL, ids, stores, emails).Query(func(rows pgx.Rows) error { return w.countDerived(rows, &changes) })
	}
	batch.Queue(`SET LOCAL enable_hashjoin = off`)
	return changes, w.tx.SendBatch(ctx, &batch).Close()
}

// countDerived counts the rows that deriveSQL returns.
func (w *work) countDerived(rows pgx.Rows, c *Changes) error {
	var id int64
	var created bool
	_, err := pgx.ForEachRow(rows, []any{&id, &created}, func() error {
		if w.attached.customers != nil {
			w.attached.customers[id] = created
		}
		if created {
			c.Created++
		} else {
			c.Updated++
		}
		return nil
	})
	return err
}

// deleteSQL removes the customers among $1 that nothing points at. It comes
// before the others are written: one of those may take over an address.
const deleteSQL = `
DELETE FROM customers c
WHERE c.id = ANY($1)
  AND NOT EXISTS (SELECT FROM payments      WHERE customer_id = c.id)
  AND NOT EXISTS (SELECT FROM enrollments   WHERE customer_id = c.id)
  AND NOT EXISTS (SELECT FROM subscriptions WHERE customer_id = c.id)`

// deriveSQL is what a customer is: a function of its facts. $1 ids, $2 stores,
// $3 addresses; returns each
// customer written, and whether it is new.
const deriveSQL = `
WITH target AS (
	SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) AS t(id, store_id, email)
),
pay AS MATERIALIZED (
	SELECT t.id AS customer, p.id, p.amount, p.currency, p.refunded, p.amount - p.refunded - p.disputed AS net,
		p.paid_at AS at, p.subscription IS NOT NULL AS recurring, p.product_id, p.name,
		coalesce(p.user_ref, p.intent ->> 'user_ref') AS user_ref,
		coalesce(p.stripe_customer, p.intent ->> 'stripe_customer') AS stripe_customer,
		named.courses, p.account, product.items,
		CASE
			WHEN product.kind IS NOT NULL THEN product.kind
			WHEN p.product_id = ANY(named.courses) THEN 'course'
			ELSE coalesce(p.product_kind, p.intent ->> 'product_kind', 'other')
		END AS kind
	FROM payments p
	JOIN target t ON t.id = p.customer_id
	CROSS JOIN LATERAL (
		SELECT coalesce(p.courses, CASE WHEN p.intent ? 'courses' THEN ARRAY(SELECT jsonb_array_elements_text(p.intent -> 'courses')) END) AS courses
	) named
	LEFT JOIN LATERAL (
		SELECT kind, items FROM products WHERE id = p.product_id AND store_id = t.store_id OFFSET 0
	) product ON true
	WHERE p.customer_id = ANY($1)
),
enrolled AS MATERIALIZED (
	SELECT e.customer_id AS customer, e.*
	FROM enrollments e
	WHERE e.customer_id = ANY($1)
),
subs AS MATERIALIZED (
	SELECT s.customer_id AS customer, s.*, coalesce(s.user_ref, s.checkout ->> 'user_ref') AS person,
		coalesce(s.started_at, s.checkout_at) AS at
	FROM subscriptions s
	WHERE s.customer_id = ANY($1)
),
-- The users among the facts whose address this really is.
who AS (
	SELECT t.id AS customer, u.*
	FROM (
		SELECT customer, user_ref FROM pay
		UNION
		SELECT customer, user_ref FROM enrolled
		UNION
		SELECT customer, person FROM subs
	) f
	CROSS JOIN LATERAL (SELECT * FROM users WHERE id = f.user_ref OFFSET 0) u
	JOIN target t ON t.id = f.customer AND t.email = u.email
),
-- What everybody called this person, best first: Clerk, Stripe, the fact itself.
names AS (
	SELECT DISTINCT ON (customer) customer, name
	FROM (
		SELECT customer, name, 0 AS rank, version AS said FROM who
		UNION ALL
		-- Of several the one last used: their own versions may be of when they were read.
		SELECT f.customer, s.name, 1, to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
		FROM (
			SELECT customer, account, stripe_customer, at FROM pay
			UNION
			SELECT customer, account, coalesce(stripe_customer, checkout ->> 'stripe_customer'), at FROM subs
		) f
		CROSS JOIN LATERAL (
			SELECT name FROM stripe_customers WHERE account = f.account AND id = f.stripe_customer OFFSET 0
		) s
		UNION ALL
		SELECT customer, name, 2, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') FROM pay
		UNION ALL
		SELECT customer, name, 2, name_version FROM enrolled
		UNION ALL
		SELECT customer, coalesce(checkout ->> 'name', name), 2, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') FROM subs
	) n
	WHERE name IS NOT NULL
	ORDER BY customer, rank, said COLLATE "C" DESC, name
),
-- Courses that payments unlock: named outright, bought, or in a bundle bought.
bought AS (
	SELECT customer, course, min(at) AS first_at, max(at) AS last_at
	FROM (
		SELECT customer, product_id AS course, at FROM pay WHERE kind = 'course' AND product_id IS NOT NULL
		UNION ALL
		SELECT customer, unnest(courses), at FROM pay
		UNION ALL
		SELECT pay.customer, item.id, pay.at
		FROM pay
		CROSS JOIN LATERAL unnest(pay.items) AS i(id)
		CROSS JOIN LATERAL (SELECT id FROM products WHERE id = i.id AND kind = 'course' OFFSET 0) item
	) b
	GROUP BY customer, course
),
-- What the platform says of each course: each figure by its newest version.
told AS (
	SELECT customer, course_id AS course, max(version) AS version, min(first_said_at) AS first_said_at, max(said_at) AS said_at,
		(array_agg(progress     ORDER BY progress_version  DESC))[1] AS progress,     max(progress_version)  AS progress_version,
		(array_agg(enrolled_at  ORDER BY enrolled_version  DESC))[1] AS enrolled_at,
		(array_agg(completed_at ORDER BY completed_version DESC))[1] AS completed_at, max(completed_version) AS completed_version,
		max(deleted_version) AS deleted_version
	FROM enrolled
	GROUP BY customer, course_id
),
-- A course is live if the last that was said of it is not its end, whoever the
-- end was said of: the user, or the address.
course AS MATERIALIZED (
	SELECT c.customer, c.course AS id, b.first_at AS bought_at,
		coalesce(t.enrolled_at, LEAST(t.first_said_at, b.first_at)) AS enrolled_at, t.first_said_at, t.said_at,
		CASE WHEN t.progress_version  > coalesce(ended.version, '') THEN t.progress END AS progress,
		CASE WHEN t.completed_version > coalesce(ended.version, '') THEN t.completed_at END AS completed_at,
		GREATEST(t.version, to_char(b.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z 99"') COLLATE "C") > coalesce(ended.version, '') AS live
	FROM (SELECT customer, course FROM told UNION SELECT customer, course FROM bought) c
	JOIN target ON target.id = c.customer
	LEFT JOIN told t ON t.customer = c.customer AND t.course = c.course
	LEFT JOIN bought b ON b.customer = c.customer AND b.course = c.course
	LEFT JOIN LATERAL (
		SELECT max(d.deleted_version) AS version
		FROM (
			SELECT t.deleted_version
			UNION ALL
			SELECT e.deleted_version FROM enrollments e WHERE e.course_id = c.course AND e.person = 'email:' || target.email
			UNION ALL
			SELECT e.deleted_version
			FROM users u
			JOIN enrollments e ON e.course_id = c.course AND e.person = 'user:' || u.id
			WHERE u.email = target.email
		) d
	) ended ON true
),
-- Everything that happened, for the first of it and the last.
happened AS (
	SELECT customer, at, 1 AS rank, product_id,
		CASE WHEN recurring THEN 'subscription'
			WHEN kind <> 'course' THEN 'product_purchase'
			WHEN amount > 0 THEN 'course_purchase'
			ELSE 'free_course' END AS source_kind,
		CASE WHEN recurring THEN 'payment'
			WHEN kind <> 'course' THEN 'purchase'
			WHEN amount > 0 THEN 'course_purchase'
			ELSE 'enrollment' END AS activity
	FROM pay
	UNION ALL
	SELECT customer, at, 0, product_id, 'subscription', 'subscription' FROM subs
	UNION ALL
	-- Who was enrolled well before buying came for free.
	SELECT customer, enrolled_at, 2, id, 'free_course', 'enrollment' FROM course WHERE bought_at IS NULL OR enrolled_at < bought_at - interval '1 day'
),
source AS (
	SELECT DISTINCT ON (customer) customer, at, source_kind, product_id
	FROM happened
	ORDER BY customer, at, rank, product_id, source_kind
),
activity AS (
	SELECT DISTINCT ON (customer) customer, at, activity
	FROM (
		SELECT customer, at, activity, 3 AS rank FROM happened
		UNION ALL
		SELECT customer, enrolled_at, 'enrollment', 2 FROM course
		UNION ALL
		SELECT customer, said_at, CASE WHEN said_at > first_said_at THEN 'progress' ELSE 'enrollment' END, 1 FROM course
		UNION ALL
		SELECT customer, completed_at, 'completion', 4 FROM course
		UNION ALL
		SELECT customer, last_seen_at, 'sign_in', 0 FROM who
	) a
	ORDER BY customer, at DESC NULLS LAST, rank DESC, activity
),
money AS (
	SELECT customer,
		jsonb_agg(jsonb_build_object('amount', net, 'currency', currency) ORDER BY currency) AS spent,
		coalesce(jsonb_agg(jsonb_build_object('amount', refunded, 'currency', currency) ORDER BY currency) FILTER (WHERE refunded > 0), '[]') AS refunded,
		max(net / CASE
			WHEN currency IN (` + zeroDecimal + `) THEN 1.0
			WHEN currency IN (` + threeDecimal + `) THEN 1000.0
			ELSE 100.0 END) AS rank
	FROM (
		SELECT customer, currency, sum(net) AS net, sum(refunded) AS refunded
		FROM pay
		WHERE amount > 0
		GROUP BY customer, currency
	) m
	GROUP BY customer
),
courses AS (
	SELECT customer, bool_or(live) AS live, min(enrolled_at) AS first_at,
		coalesce(array_agg(id ORDER BY id) FILTER (WHERE live), '{}') AS ids,
		coalesce(jsonb_agg(jsonb_build_object('id', id, 'progress', coalesce(progress, 0), 'enrolled_at', rfc3339(enrolled_at), 'completed_at', rfc3339(completed_at))
			ORDER BY enrolled_at, id) FILTER (WHERE live), '[]') AS list
	FROM course
	GROUP BY customer
),
purchases AS (
	SELECT customer, bool_or(kind <> 'course' AND (amount = 0 OR net > 0)) AS live,
		jsonb_agg(jsonb_build_object('id', id, 'product_id', product_id, 'kind', kind, 'amount', amount, 'currency', currency, 'refunded', refunded, 'purchased_at', rfc3339(at))
			ORDER BY at, id, account) FILTER (WHERE amount > 0 OR kind <> 'course') AS list
	FROM pay
	WHERE NOT recurring
	GROUP BY customer
),
subscribed AS (
	SELECT customer, bool_or(coalesce(status, 'active') NOT IN ('canceled', 'incomplete_expired')) AS live,
		jsonb_agg(jsonb_build_object('id', id, 'status', coalesce(status, 'active'), 'product_id', product_id, 'plan', coalesce(plan_name, plan, checkout ->> 'plan'),
			'amount', amount, 'currency', currency, 'current_period_end', rfc3339(current_period_end), 'cancel_at_period_end', coalesce(cancel_at_period_end, false))
			ORDER BY at, id, account) AS list
	FROM subs
	GROUP BY customer
),
bought_products AS (
	SELECT customer, array_agg(DISTINCT product_id ORDER BY product_id) AS ids
	FROM (SELECT customer, product_id FROM pay UNION SELECT customer, product_id FROM subs) p
	WHERE product_id IS NOT NULL
	GROUP BY customer
),
faces AS (
	SELECT DISTINCT ON (customer) customer, image_url
	FROM who
	WHERE image_url IS NOT NULL
	ORDER BY customer, version DESC, image_url
)
INSERT INTO customers AS c (
	id, store_id, email, name, image_url, type, status,
	source_kind, source_product_id, first_seen_at, last_activity_at, last_activity,
	spent, refunded, spent_rank, courses, purchases, subscriptions, course_ids, product_ids
) OVERRIDING SYSTEM VALUE
SELECT
	t.id,
	t.store_id,
	t.email,
	CASE WHEN t.email NOT LIKE '%` + nowhere + `' THEN names.name END,
	CASE WHEN t.email NOT LIKE '%` + nowhere + `' THEN faces.image_url END,
	CASE
		WHEN subscribed.customer IS NOT NULL THEN 'subscription'
		WHEN money.customer IS NOT NULL THEN 'paying'
		ELSE 'lead'
	END,
	CASE WHEN courses.live OR purchases.live OR subscribed.live THEN 'active' ELSE 'inactive' END,
	source.source_kind,
	source.product_id,
	LEAST(source.at, courses.first_at),
	activity.at,
	CASE WHEN activity.at IS NOT NULL THEN activity.activity END,
	coalesce(money.spent, '[]'),
	coalesce(money.refunded, '[]'),
	coalesce(money.rank, 0),
	coalesce(courses.list, '[]'),
	coalesce(purchases.list, '[]'),
	coalesce(subscribed.list, '[]'),
	coalesce(courses.ids, '{}'),
	coalesce(bought_products.ids, '{}')
FROM target t
JOIN source          ON source.customer = t.id
JOIN activity        ON activity.customer = t.id
LEFT JOIN names      ON names.customer = t.id
LEFT JOIN faces      ON faces.customer = t.id
LEFT JOIN money      ON money.customer = t.id
LEFT JOIN courses    ON courses.customer = t.id
LEFT JOIN purchases  ON purchases.customer = t.id
LEFT JOIN subscribed ON subscribed.customer = t.id
LEFT JOIN bought_products ON bought_products.customer = t.id
ORDER BY t.id
ON CONFLICT (id) DO UPDATE SET
	email = EXCLUDED.email,
	name = EXCLUDED.name,
	image_url = EXCLUDED.image_url,
	type = EXCLUDED.type,
	status = EXCLUDED.status,
	source_kind = EXCLUDED.source_kind,
	source_product_id = EXCLUDED.source_product_id,
	first_seen_at = EXCLUDED.first_seen_at,
	last_activity_at = EXCLUDED.last_activity_at,
	last_activity = EXCLUDED.last_activity,
	spent = EXCLUDED.spent,
	refunded = EXCLUDED.refunded,
	spent_rank = EXCLUDED.spent_rank,
	courses = EXCLUDED.courses,
	purchases = EXCLUDED.purchases,
	subscriptions = EXCLUDED.subscriptions,
	course_ids = EXCLUDED.course_ids,
	product_ids = EXCLUDED.product_ids
WHERE (c.email, c.name, c.image_url, c.type, c.status, c.source_kind, c.source_product_id, c.first_seen_at, c.last_activity_at, c.last_activity,
		c.spent, c.refunded, c.spent_rank, c.courses, c.purchases, c.subscriptions, c.course_ids, c.product_ids)
	IS DISTINCT FROM
	(EXCLUDED.email, EXCLUDED.name, EXCLUDED.image_url, EXCLUDED.type, EXCLUDED.status, EXCLUDED.source_kind, EXCLUDED.source_product_id, EXCLUDED.first_seen_at, EXCLUDED.last_activity_at, EXCLUDED.last_activity,
		EXCLUDED.spent, EXCLUDED.refunded, EXCLUDED.spent_rank, EXCLUDED.courses, EXCLUDED.purchases, EXCLUDED.subscriptions, EXCLUDED.course_ids, EXCLUDED.product_ids)
RETURNING c.id, xmax = 0`
