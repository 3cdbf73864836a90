package store

import "strings"

// derivedColumns are the columns of a customer's row, which follow from its facts,
// and the SQL of each in derivation. The first two never change.
var derivedColumns = []struct{ name, sql string }{
	{"id", "t.id"},
	{"store_id", "t.store_id"},
	{"email", "t.email"},
	{"name", "CASE WHEN t.email NOT LIKE '%" + anonymousDomain + "' THEN names.name END"},
	{"image_url", "CASE WHEN t.email NOT LIKE '%" + anonymousDomain + "' THEN faces.image_url END"},
	{"type", `CASE
		WHEN subscribed.customer IS NOT NULL THEN 'subscription'
		WHEN money.customer IS NOT NULL THEN 'paying'
		ELSE 'lead'
	END`},
	{"status", "CASE WHEN courses.live OR purchases.live OR subscribed.live THEN 'active' ELSE 'inactive' END"},
	{"source_kind", "source.source_kind"},
	{"source_product_id", "source.product_id"},
	{"first_seen_at", "LEAST(source.at, courses.first_at)"},
	{"last_activity_at", "activity.at"},
	{"last_activity", "CASE WHEN activity.at IS NOT NULL THEN activity.activity END"},
	{"last_activity_of", "CASE WHEN activity.at IS NOT NULL THEN activity.product_id END"},
	{"spent", "coalesce(money.spent, '[]')"},
	{"refunded", "coalesce(money.refunded, '[]')"},
	{"spent_rank", "coalesce(money.rank, 0)"},
	{"courses", "coalesce(courses.list, '[]')"},
	{"purchases", "coalesce(purchases.list, '[]')"},
	{"subscriptions", "coalesce(subscribed.list, '[]')"},
	{"course_ids", "coalesce(courses.ids, '{}')"},
	{"finished", "coalesce(courses.finished, false)"},
	{"stalled_since", "coalesce(courses.stalled_since, 'infinity')"},
	{"unstarted_since", "coalesce(courses.unstarted_since, 'infinity')"},
	{"product_ids", "coalesce(bought_products.ids, '{}')"},
	{"country", "CASE WHEN t.email NOT LIKE '%" + anonymousDomain + "' THEN home.country END"},
}

// deriveSQL writes the derived customers that differ from their rows, and returns
// each, and whether it is new.
var deriveSQL = DerivationSQL + `
INSERT INTO customers AS c (` + eachDerived(0, "@") + `) OVERRIDING SYSTEM VALUE` + derivedSQL + `
ORDER BY t.id
ON CONFLICT (id) DO UPDATE SET
	` + eachDerived(2, "@ = EXCLUDED.@") + `
WHERE ` + derivedDiffers("EXCLUDED") + `
RETURNING c.id, xmax = 0`

// customersDifferSQL returns the rows of customers that differ from what is
// derived, with both as JSON; without the second where facts give no customer.
var customersDifferSQL = DerivationSQL + `, derived (` + eachDerived(0, "@") + `) AS (` + derivedSQL + `
)
SELECT c.id, to_jsonb(c), to_jsonb(d)
FROM target t
JOIN customers c ON c.id = t.id
LEFT JOIN derived d ON d.id = t.id
WHERE CASE WHEN d.id IS NOT NULL
	THEN ` + derivedDiffers("d") + `
	ELSE NOT EXISTS (SELECT FROM facts WHERE customer_id = c.id)
	END
ORDER BY c.id`

// eachDerived writes a text for each derived column from the nth on: @ stands for
// its name, # for its SQL.
func eachDerived(first int, text string) string {
	var all []string
	for _, c := range derivedColumns[first:] {
		all = append(all, strings.NewReplacer("@", c.name, "#", c.sql).Replace(text))
	}
	return strings.Join(all, ",\n\t")
}

// derivedDiffers is SQL for whether row c differs from a derived row.
func derivedDiffers(row string) string {
	return "(" + eachDerived(2, "c.@") + ")\n\tIS DISTINCT FROM\n\t(" + eachDerived(2, row+".@") + ")"
}

// derivedSQL selects the derived customers.
var derivedSQL = `
SELECT
	` + eachDerived(0, "#") + `
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
LEFT JOIN home       ON home.customer = t.id`

// DerivationSQL names all that is worked out of the facts of customers: $1 ids, $2
// stores, $3 addresses. What writes, checks and explains customers begins with it.
var DerivationSQL = `
WITH target AS (
	SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) AS t(id, store_id, email)
),
pay AS MATERIALIZED (
	SELECT t.id AS customer, p.id, p.amount, p.currency, p.refunded, p.amount::numeric - p.refunded - p.disputed AS net,
		` + PaidAt + ` AS at, p.subscription IS NOT NULL AS recurring, p.product_id, p.sold,
		coalesce(p.name, p.charge ->> 'name') AS name, coalesce(p.country, p.charge ->> 'country') AS country,
		coalesce(p.user_ref, p.intent ->> 'user_ref', p.charge ->> 'user_ref') AS user_ref,
		coalesce(p.stripe_customer, p.intent ->> 'stripe_customer', p.charge ->> 'stripe_customer') AS stripe_customer,
		p.account, t.store_id
	FROM payments p
	JOIN target t ON t.id = p.customer_id
	WHERE p.customer_id = ANY($1)
),
-- Each product of each payment, in order; one row without a product if it has none.
line AS MATERIALIZED (
	SELECT pay.customer, pay.account, pay.id AS payment, pay.user_ref, pay.at, pay.amount AS paid, pay.net, pay.recurring,
		coalesce(l.nth, 1) AS nth, l.product, l.kind = 'course' AS named_course, l.amount, product.items,
		coalesce(product.kind, l.kind, 'other') AS kind
	FROM pay
	LEFT JOIN LATERAL (
		SELECT s.value ->> 'id' AS product, s.value ->> 'kind' AS kind, (s.value ->> 'amount')::bigint AS amount, s.nth
		FROM jsonb_array_elements(pay.sold) WITH ORDINALITY AS s(value, nth)
	) l ON true
	LEFT JOIN LATERAL (
		SELECT kind, items FROM products WHERE id = l.product AND pay.store_id = ANY(store_ids) OFFSET 0
	) product ON true
),
-- What each payment is for: other than courses if any of it is.
sale AS MATERIALIZED (
	SELECT customer, account, payment, bool_or(kind <> 'course') AS other,
		(array_agg(kind ORDER BY kind = 'course', nth))[1] AS kind,
		CASE WHEN count(*) > 1
			THEN jsonb_build_object('lines', jsonb_agg(jsonb_build_object('product_id', product, 'kind', kind, 'amount', amount)
				ORDER BY nth)) ELSE '{}' END AS lines
	FROM line
	GROUP BY customer, account, payment
),
enrolled AS MATERIALIZED (
	SELECT e.customer_id AS customer, e.*
	FROM enrollments e
	WHERE e.customer_id = ANY($1)
),
subs AS MATERIALIZED (
	SELECT s.customer_id AS customer, s.*, coalesce(s.user_ref, s.checkout ->> 'user_ref') AS person,
		coalesce(s.started_at, s.checkout_at) AS at,
		CASE WHEN s.paused AND s.status IN ('active', 'trialing', 'past_due') THEN 'paused'
			ELSE coalesce(s.status, 'active') END AS state,
		ARRAY(SELECT p.value ->> 'id' FROM jsonb_array_elements(s.sold) WITH ORDINALITY AS p(value, nth)
			ORDER BY p.nth) AS products
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
		SELECT customer, coalesce(checkout ->> 'name', name), 2, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
			FROM subs
	) n
	WHERE name IS NOT NULL
	ORDER BY customer, rank, said COLLATE "C" DESC, name
),
-- What ends courses: the end of an enrollment of theirs, and ends that were told
-- of their address under a name that has no enrollment of its own: in this store, or
-- in a course that they were enrolled in here, if nobody knows whose it is.
ends AS MATERIALIZED (
	SELECT customer, course_id AS course, person, user_ref, deleted_version AS version, false AS bare
	FROM enrolled
	WHERE deleted_version <> ''
	UNION ALL
	SELECT t.id, e.course_id, e.person, e.user_ref, e.deleted_version, true
	FROM target t
	CROSS JOIN LATERAL (SELECT * FROM enrollments WHERE customer_email = t.email AND version = '' OFFSET 0) e
	WHERE e.store_id = t.store_id
	   OR e.store_id IS NULL AND EXISTS (SELECT FROM enrolled own WHERE own.customer = t.id
		AND own.course_id = e.course_id)
),
-- Courses that payments unlock: named outright, bought, or in a bundle bought. One
-- is over by an end that names the buyer or their address.
bought AS (
	SELECT customer, course, min(at) AS first_at, bool_or(live) AS live
	FROM (
		SELECT b.customer, b.course, b.at,
			moment(b.at) COLLATE "C" > ALL(
				SELECT e.version
				FROM ends e
				WHERE e.customer = b.customer AND e.course = b.course
				  AND (e.bare OR b.user_ref IS NULL OR e.user_ref = b.user_ref OR e.person LIKE 'email:%')
			) AS live
		FROM (
			SELECT customer, product AS course, at, user_ref FROM line WHERE (kind = 'course' OR named_course)
				AND product IS NOT NULL
			UNION ALL
			SELECT line.customer, item.id, line.at, line.user_ref
			FROM line
			CROSS JOIN LATERAL unnest(line.items) AS i(id)
			CROSS JOIN LATERAL (SELECT id FROM products WHERE id = i.id AND kind = 'course' OFFSET 0) item
		) b
	) b
	GROUP BY customer, course
),
-- What the platform says of each enrollment, since its end if there was one.
told_once AS (
	SELECT e.customer, e.course_id AS course, e.version, e.first_said_at, e.said_at,
		e.version > ended.version AS live,
		e.progress, CASE WHEN e.progress_version > ended.version THEN e.progress_version ELSE '' END AS progress_version,
		CASE WHEN e.enrolled_at IS NOT NULL THEN LEAST(e.enrolled_at, version_time(e.enrolled_version)) END AS enrolled_at,
			e.enrolled_version,
		-- A lower progress than all of it, told later, takes a completion back that
		-- was told with its progress.
		CASE WHEN NOT (coalesce(e.completed_with_progress, false) AND e.progress < 100
			AND e.progress_version > e.completed_version)
			AND e.completed_at IS NOT NULL THEN LEAST(e.completed_at, version_time(e.completed_version)) END AS completed_at,
		CASE WHEN e.completed_version > ended.version THEN e.completed_version ELSE '' END AS completed_version,
		-- It rose before an end for the last time: since then only what it is now is known.
		CASE WHEN e.progress_version <= ended.version THEN NULL
			WHEN (e.progressed_at <= version_time(nullif(ended.version, ''))) IS NOT TRUE THEN e.progressed_at
			WHEN e.progress > 0 THEN version_time(e.progress_version) END AS progressed_at
	FROM enrolled e
	CROSS JOIN LATERAL (
		SELECT GREATEST(e.deleted_version, (SELECT max(version) FROM ends x WHERE x.customer = e.customer
			AND x.course = e.course_id AND x.bare)) COLLATE "C" AS version
	) ended
),
-- What it says of each course: each figure by its newest version.
told AS (
	SELECT customer, course, bool_or(live) AS live, min(first_said_at) AS first_said_at, max(said_at) AS said_at,
		(array_agg(progress     ORDER BY progress_version  DESC))[1] AS progress,
		max(progress_version)  AS progress_version,
		(array_agg(enrolled_at  ORDER BY enrolled_version  DESC))[1] AS enrolled_at,
		(array_agg(completed_at ORDER BY completed_version DESC))[1] AS completed_at,
		max(completed_version) AS completed_version,
		max(progressed_at) AS progressed_at
	FROM told_once
	GROUP BY customer, course
),
course AS MATERIALIZED (
	SELECT c.customer, c.course AS id, b.first_at AS bought_at,
		coalesce(t.enrolled_at, LEAST(t.first_said_at, b.first_at)) AS enrolled_at, t.first_said_at, t.said_at,
		CASE WHEN t.progress_version  > '' THEN t.progress END AS progress,
		CASE WHEN t.completed_version > '' THEN t.completed_at END AS completed_at,
		t.progressed_at,
		coalesce(t.live, false) OR coalesce(b.live, false) AS live
	FROM (SELECT customer, course FROM told UNION SELECT customer, course FROM bought) c
	LEFT JOIN told t ON t.customer = c.customer AND t.course = c.course
	LEFT JOIN bought b ON b.customer = c.customer AND b.course = c.course
),
-- Everything that happened, for the first of it and the last.
happened AS (
	SELECT customer, at, 1 AS rank, product AS product_id,
		CASE WHEN recurring THEN 'subscription'
			WHEN kind <> 'course' THEN 'product_purchase'
			WHEN paid > 0 THEN 'course_purchase'
			ELSE 'free_course' END AS source_kind,
		CASE WHEN recurring THEN 'payment'
			WHEN kind <> 'course' THEN 'purchase'
			WHEN paid > 0 THEN 'course_purchase'
			ELSE 'enrollment' END AS activity
	FROM line
	WHERE nth = 1
	UNION ALL
	SELECT customer, at, 0, product_id, 'subscription', 'subscription' FROM subs
	UNION ALL
	-- Who was enrolled well before buying came for free.
	SELECT customer, enrolled_at, 2, id, 'free_course', 'enrollment' FROM course WHERE bought_at IS NULL
		OR enrolled_at < bought_at - interval '1 day'
),
source AS (
	SELECT DISTINCT ON (customer) customer, at, source_kind, product_id
	FROM happened
	ORDER BY customer, at, rank, product_id, source_kind
),
activity AS (
	SELECT DISTINCT ON (customer) customer, at, activity, product_id
	FROM (
		SELECT customer, at, activity, product_id, 3 AS rank FROM happened
		UNION ALL
		SELECT customer, enrolled_at, 'enrollment', id, 2 FROM course
		UNION ALL
		SELECT customer, said_at, CASE WHEN said_at > first_said_at OR said_at > enrolled_at AND progress > 0
			THEN 'progress' ELSE 'enrollment' END, id, 1 FROM course
		UNION ALL
		SELECT customer, completed_at, 'completion', id, 4 FROM course
		UNION ALL
		SELECT customer, last_seen_at, 'sign_in', NULL, 0 FROM who
	) a
	ORDER BY customer, at DESC NULLS LAST, rank DESC, activity, product_id
),
money AS (
	SELECT customer,
		jsonb_agg(jsonb_build_object('amount', net, 'currency', currency) ORDER BY currency) AS spent,
		coalesce(jsonb_agg(jsonb_build_object('amount', refunded, 'currency', currency)
			ORDER BY currency) FILTER (WHERE refunded > 0), '[]') AS refunded,
		max(net / ` + UnitsSQL("currency") + `) AS rank
	FROM (
		SELECT customer, currency, minor_units(sum(net)) AS net, minor_units(sum(refunded)) AS refunded
		FROM pay
		WHERE amount > 0
		GROUP BY customer, currency
	) m
	GROUP BY customer
),
-- Their times are to the second, as in the list of courses.
courses AS (
	SELECT customer, bool_or(live) AS live, min(enrolled_at) AS first_at,
		bool_or(finished) FILTER (WHERE live) AS finished,
		date_trunc('second', min(progressed_at) FILTER (WHERE live AND NOT finished)) AS stalled_since,
		date_trunc('second', min(enrolled_at) FILTER (WHERE live AND NOT finished AND coalesce(progress, 0) <= 0))
			AS unstarted_since,
		coalesce(array_agg(id ORDER BY id) FILTER (WHERE live), '{}') AS ids,
		coalesce(jsonb_agg(jsonb_build_object('id', id, 'progress', coalesce(progress, 0),
			'enrolled_at', rfc3339(enrolled_at), 'progressed_at', rfc3339(progressed_at),
			'completed_at', rfc3339(completed_at))
			ORDER BY enrolled_at, id) FILTER (WHERE live), '[]') AS list
	FROM (SELECT *, completed_at IS NOT NULL OR coalesce(progress, 0) >= 100 AS finished FROM course) course
	GROUP BY customer
),
purchases AS (
	SELECT pay.customer, bool_or(sale.other AND (pay.amount = 0 OR pay.net > 0)) AS live,
		jsonb_agg(jsonb_build_object('id', pay.id, 'product_id', pay.product_id, 'kind', sale.kind, 'amount', pay.amount,
			'currency', pay.currency,
			'refunded', pay.refunded, 'purchased_at', rfc3339(pay.at)) || sale.lines
			ORDER BY pay.at, pay.id, pay.account) FILTER (WHERE pay.amount > 0 OR sale.other) AS list
	FROM pay
	JOIN sale ON sale.customer = pay.customer AND sale.account = pay.account AND sale.payment = pay.id
	WHERE NOT pay.recurring
	GROUP BY pay.customer
),
subscribed AS (
	SELECT customer, bool_or(state NOT IN ('canceled', 'incomplete_expired')) AS live,
		jsonb_agg(jsonb_build_object('id', id, 'status', state, 'product_id', product_id,
			'plan', coalesce(plan_name, plan, checkout ->> 'plan'),
			'amount', amount, 'currency', currency, 'current_period_end', rfc3339(current_period_end), 'cancel_at_period_end',
			coalesce(cancel_at_period_end, false))
			|| CASE WHEN cardinality(products) > 1 THEN jsonb_build_object('products', products) ELSE '{}' END
			ORDER BY at, id, account) AS list
	FROM subs
	GROUP BY customer
),
bought_products AS (
	SELECT customer, array_agg(DISTINCT product_id ORDER BY product_id) AS ids
	FROM (SELECT customer, product AS product_id FROM line UNION SELECT customer, unnest(products) FROM subs) p
	WHERE product_id IS NOT NULL
	GROUP BY customer
),
-- Where their newest payment or subscription that says so was billed to.
home AS (
	SELECT DISTINCT ON (customer) customer, country
	FROM (
		SELECT customer, at, country FROM pay
		UNION ALL
		SELECT customer, at, coalesce(checkout ->> 'country', country) FROM subs
	) said
	WHERE country IS NOT NULL
	ORDER BY customer, at DESC NULLS LAST, country
),
faces AS (
	SELECT DISTINCT ON (customer) customer, image_url
	FROM who
	WHERE image_url IS NOT NULL
	ORDER BY customer, version DESC, image_url
)`
