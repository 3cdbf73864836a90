package customers

import (
	"fmt"

	"rollcall/store"
)

// SQL of Explain and Timeline. Both begin with the derivation that makes the
// customers, so that their figures cannot differ from the list's.

// The kinds, whose rows go by their aliases here.
var (
	payment      = store.KindOf(store.Payment)
	enrollment   = store.KindOf(store.Enrollment)
	subscription = store.KindOf(store.Subscription)
)

// unlocks lists the courses that a payment unlocks. See bought in the derivation,
// which drops the payment.
const unlocks = `ARRAY(
				SELECT l.product
				FROM line l
				WHERE l.account = pay.account AND l.payment = pay.id AND (l.kind = 'course' OR l.named_course)
					AND l.product IS NOT NULL
				UNION
				SELECT item.id
				FROM line l
				CROSS JOIN LATERAL unnest(l.items) AS i(id)
				CROSS JOIN LATERAL (SELECT id FROM products WHERE id = i.id AND kind = 'course' OFFSET 0) item
				WHERE l.account = pay.account AND l.payment = pay.id
				ORDER BY 1
			)`

// factsSQL reads the facts of one customer, a JSON list of each kind; the source's
// title and time; and the keys of other facts of the same people and payments.
var factsSQL = store.DerivationSQL + `
SELECT
	(
		SELECT coalesce(jsonb_agg(f ORDER BY f.paid_at, f.id, f.account), '[]')
		FROM (
			SELECT
				` + payment.RefSQL() + ` AS ref,
				p.account,
				p.id,
				p.kind,
				p.claimed_by,
				pay.product_id,
				sale.kind AS product_kind,
				` + store.TitleOf("pay.product_id", "t.store_id") + ` AS title,
				` + store.MoneyOf("p.amount", "p.currency") + ` AS gross,
				` + store.MoneyOf("p.refunded", "p.currency") + ` AS refunded,
				` + store.MoneyOf("p.disputed", "p.currency") + ` AS disputed,
				` + store.MoneyOf("pay.net", "p.currency") + ` AS net,
				pay.at AS paid_at,
				` + store.RefOf("subscription", "p.account", "p.subscription") + ` AS subscription,
				` + unlocks + ` AS courses,
				NOT pay.recurring AND sale.other AND (pay.amount = 0 OR pay.net > 0) AS active,
				` + payment.Source + ` AS source,
				` + payment.Versions + ` AS said
			FROM pay
			JOIN sale ON sale.account = pay.account AND sale.payment = pay.id
			CROSS JOIN LATERAL (SELECT * FROM payments WHERE account = pay.account AND id = pay.id OFFSET 0) p
		) f
	) AS payments,
	(
		SELECT coalesce(jsonb_agg(f ORDER BY f.enrolled_at, f.ref), '[]')
		FROM (
			SELECT
				` + enrollment.RefSQL() + ` AS ref,
				e.course_id,
				` + store.TitleOf("e.course_id", "t.store_id") + ` AS title,
				e.person,
				e.progress,
				e.enrolled_at,
				e.completed_at,
				coalesce((SELECT live FROM course WHERE id = e.course_id), false) AS active,
				` + enrollment.Versions + ` AS said
			FROM enrolled e
		) f
	) AS enrollments,
	(
		SELECT coalesce(jsonb_agg(f ORDER BY f.started_at, f.id, f.account), '[]')
		FROM (
			SELECT
				` + subscription.RefSQL() + ` AS ref,
				s.account,
				s.id,
				s.product_id,
				coalesce(s.plan_name, s.plan, s.checkout ->> 'plan', ` + store.TitleOf("s.product_id", "t.store_id") + `) AS plan,
				s.state AS status,
				` + store.MoneyOf("s.amount", "s.currency") + ` AS price,
				s.at AS started_at,
				s.current_period_end,
				coalesce(s.cancel_at_period_end, false) AS cancel_at_period_end,
				s.ended_at,
				s.state NOT IN ('canceled', 'incomplete_expired') AS active,
				` + subscription.Versions + ` AS said
			FROM subs s
		) f
	) AS subscriptions,
	(
		SELECT coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'title', ` + store.TitleOf("c.id", "t.store_id") + `)
			ORDER BY c.enrolled_at, c.id), '[]')
		FROM course c
		WHERE c.live
	) AS courses,
	(SELECT jsonb_build_object('at', at, 'title', ` + store.TitleOf("product_id", "t.store_id") + `)
		FROM source) AS source,
	ARRAY(SELECT 'user:' || id FROM users WHERE email = t.email)
		|| ARRAY(
			SELECT DISTINCT l.key
			FROM (SELECT leans FROM payments WHERE customer_id = t.id
			UNION ALL SELECT leans FROM subscriptions WHERE customer_id = t.id) f
			CROSS JOIN LATERAL unnest(f.leans) AS l(key)
			WHERE l.key LIKE 'cus:%'
		) AS people,
	ARRAY(SELECT 'pay:' || account || '/' || id FROM payments WHERE customer_id = t.id AND kind = 'invoice') AS invoices
FROM target t`

// backSQL reads the refunds and disputes of the payments with keys $1 and $2.
var backSQL = `
SELECT
	` + payment.RefSQL() + ` AS payment,
	(
		SELECT coalesce(jsonb_agg(f ORDER BY f.at, f.ref), '[]')
		FROM (
			SELECT
				` + store.RefOf("refund", "r.account", "r.id") + ` AS ref,
				r.id,
				r.cumulative AS total,
				jsonb_build_object('amount', r.amount, 'currency', coalesce(r.currency, p.currency)) AS amount,
				r.status,
				CASE WHEN r.cumulative THEN r.said_at ELSE coalesce(r.created_at, r.said_at) END AS at,
				jsonb_build_object('refund', r.version) AS said
			FROM refunds r
			WHERE ` + store.OwnRefunds + `
		) f
	) AS refunds,
	(
		SELECT coalesce(jsonb_agg(f ORDER BY f.ref), '[]')
		FROM (
			SELECT
				` + store.RefOf("dispute", "d.account", "d.id") + ` AS ref,
				d.id,
				jsonb_build_object('amount', d.amount, 'currency', coalesce(d.currency, p.currency)) AS amount,
				coalesce(d.status, '') AS status,
				d.withdrawn,
				jsonb_build_object('dispute', d.version) AS said
			FROM disputes d
			WHERE ` + store.OwnDisputes + `
		) f
	) AS disputes
FROM unnest($1::text[], $2::text[]) AS k(a, b)
JOIN payments p ON p.account = k.a AND p.id = k.b` + store.OwnIntents

// whySQL reads, for facts of a kind with keys $1 and $2, the links to their store and
// where their address is from. It resolves them as usual ($3 as there), and also
// returns the way and the links.
func whySQL(kind store.FactKind) string {
	return kind.Context + `
SELECT
	` + store.RefOf(kind.Name, "c.a", "c.b") + ` AS fact,
	buyer.email,
	CASE
		WHEN u.email IS NOT NULL THEN jsonb_build_object('ref', 'user:' || u.id, 'kind', 'user', 'account', '',
			'id', u.id, 'email', u.email,
			'name', u.name, 'deleted', u.deleted_version <> '', 'last_verified', ` + store.LastVerified("u") +
		`, 'said', jsonb_build_object('user', u.version, 'address', u.earlier ->> 'email', 'end', u.deleted_version))
		WHEN s.email IS NOT NULL THEN jsonb_build_object('ref', ` + store.RefOf("stripe_customer", "s.account", "s.id") +
		`, 'kind', 'stripe_customer', 'account', s.account, 'id', s.id, 'email', s.email,
			'name', s.name, 'deleted', s.deleted_version <> '', 'last_verified', false, 'said',
			jsonb_build_object('stripe_customer', s.version, 'end', s.deleted_version))
	END AS person,
	CASE WHEN buyer.proved THEN buyer.typed END AS typed,
	CASE WHEN buyer.proved THEN ` + store.AddressOwner(store.LinkJSON, "buyer.typed", "c.at") + ` END AS proof,
	version_time(c.at) AS at,
	store.id AS store,
	CASE WHEN c.account <> '' THEN ` + firstWay(store.AccountWays) + ` ELSE ` + firstWay(store.StoreWays) + ` END AS way` +
		store.Resolved + `
LEFT JOIN users u ON u.id = buyer.user_id
LEFT JOIN stripe_customers s ON s.account = c.account AND s.id = c.stripe_customer
ORDER BY 1`
}

// firstWay is SQL for the first way that leads to a store, as a wayTaken.
func firstWay(ways []store.Way) string {
	text := "CASE"
	for _, w := range ways {
		text += fmt.Sprintf(`
		WHEN %s IS NOT NULL THEN jsonb_build_object('via', '%s', 'key', %s, 'links', %s)`, w.Store, w.Via, w.Key, w.Links)
	}
	return text + " END"
}

// Facts of store $1 that depend on the people $2 and belong to no customer, though
// they would be customer $3's.
var (
	// Payments of the invoices $4 are the same money, whatever store they name.
	uncountedPaymentsSQL = `
SELECT
	` + payment.RefSQL() + ` AS ref,
	` + store.TitleOf("coalesce(p.product_id, p.product_ref)", "$1") + ` AS title,
	` + payment.Amount + ` AS amount,
	p.paid_at AS at,
	p.unattached AS reason,
	` + payment.Counted + ` AS counted,
	` + payment.Source + ` AS source,
	` + payment.Versions + ` AS said
FROM (
	SELECT account, id FROM payments WHERE leans && $2::text[] AND store_id = $1 AND ` + theirs("payments") + `
	UNION
	SELECT account, id FROM payments WHERE leans && $4::text[]
	UNION
	SELECT account, invoice FROM payments WHERE customer_id = $3 AND invoice IS NOT NULL
) k
CROSS JOIN LATERAL (SELECT * FROM payments WHERE account = k.account AND id = k.id OFFSET 0) p
WHERE p.unattached IS NOT NULL
ORDER BY 1`

	uncountedSubscriptionsSQL = `
SELECT
	` + subscription.RefSQL() + ` AS ref,
	coalesce(s.plan_name, s.plan, s.checkout ->> 'plan', ` + store.TitleOf("s.product_id", "$1") + `) AS title,
	` + store.MoneyOf("s.amount", "s.currency") + ` AS amount,
	coalesce(s.started_at, s.checkout_at) AS at,
	s.unattached AS reason,
	NULL AS counted,
	'stripe' AS source,
	` + subscription.Versions + ` AS said
FROM (SELECT * FROM subscriptions WHERE leans && $2::text[] AND ` + theirs("subscriptions") + ` OFFSET 0) s
WHERE s.store_id = $1
  AND s.unattached IS NOT NULL
ORDER BY 1`

	// An enrollment of address $4 or its users, in one of the customer's courses, may be
	// its end. Other stores' enrollments are left out.
	uncountedEnrollmentsSQL = `
SELECT
	` + enrollment.RefSQL() + ` AS ref,
	` + store.TitleOf("e.course_id", "$1") + ` AS title,
	NULL::jsonb AS amount,
	e.enrolled_at AS at,
	e.unattached AS reason,
	NULL AS counted,
	'platform' AS source,
	` + enrollment.Versions + ` AS said
FROM (
	SELECT course_id, person FROM enrollments WHERE leans && $2::text[]
	UNION
	SELECT own.course_id, p.person
	FROM (
		SELECT course_id FROM enrollments WHERE customer_id = $3
		UNION
		SELECT product_id FROM payments WHERE customer_id = $3
	) own
	CROSS JOIN (SELECT 'email:' || $4 UNION ALL SELECT unnest($2::text[])) AS p(person)
) k
CROSS JOIN LATERAL (SELECT * FROM enrollments WHERE course_id = k.course_id AND person = k.person OFFSET 0) e
WHERE (e.store_id = $1 OR e.store_id IS NULL AND EXISTS (SELECT FROM enrollments own WHERE own.customer_id = $3
	AND own.course_id = e.course_id))
  AND e.unattached IS NOT NULL
ORDER BY 1`
)

// theirs is SQL for whether a row really belongs to the people $2 of store $1. On a
// connected account a user's id counts only if the platform reported that user there:
// otherwise the account's owner would learn the user's address.
func theirs(table string) string {
	return `(` + table + `.account = '' OR ` + table + `.leans && ARRAY(
		SELECT key FROM unnest($2::text[]) key WHERE key NOT LIKE 'user:%' OR reported_in(substr(key, 6), $1)
	))`
}

// mergedOf is SQL for the customers that were merged into a customer, directly or not.
func mergedOf(store, id string) string {
	return `
WITH RECURSIVE merged AS (
	SELECT id, from_id, from_email, merged_at
	FROM customer_merges
	WHERE store_id = ` + store + ` AND into_id = ` + id + `
	UNION
	SELECT m.id, m.from_id, m.from_email, m.merged_at
	FROM merged
	JOIN customer_merges m ON m.store_id = ` + store + ` AND m.into_id = merged.from_id
)
SELECT id, from_email, merged_at
FROM merged
ORDER BY id`
}
