package customers

import (
	"rollcall/store"
	"rollcall/store/mail"
)

// readLate is SQL for whether a version came from no event: its time is that of the
// reading, and the fact happened before.
func readLate(version string) string { return version + ` ~ '^-| $'` }

// timelineSQL lists the timeline of a customer ($1 to $3 as in the derivation), the
// newest first: up to $5 entries of kinds $6 with keys before $4. The key is the time as text, the
// rank of the kind at one moment, and the ref.
var timelineSQL = store.DerivationSQL + `,
titled AS (
	SELECT p.*, ` + store.TitleOf("p.product_id", "t.store_id") + ` AS title,
		row_number() OVER (PARTITION BY p.account, p.subscription ORDER BY p.paid_at, p.id) AS nth
	FROM pay
	JOIN sale ON sale.account = pay.account AND sale.payment = pay.id
	CROSS JOIN LATERAL (SELECT * FROM payments WHERE account = pay.account AND id = pay.id OFFSET 0) p
	CROSS JOIN target t
	WHERE pay.amount > 0 OR NOT pay.recurring AND sale.other
),
plans AS (
	SELECT s.*, coalesce(s.plan_name, s.plan, s.checkout ->> 'plan', ` + store.TitleOf("s.product_id", "t.store_id") +
	`) AS title
	FROM subs s
	CROSS JOIN target t
),
given_back AS (
	SELECT r.*, p.title, p.product_id, coalesce(r.currency, p.currency) AS coin,
		coalesce(r.status IN ('failed', 'canceled'), false) AS failed,
		-- Of a charge's total only what no refund tells: see paymentContext.
		minor_units(CASE WHEN r.cumulative THEN r.amount - coalesce((
			SELECT sum(x.amount)
			FROM refunds x
			WHERE x.account = r.account
			  AND x.charge = r.charge
			  AND NOT x.cumulative
			  AND coalesce(x.created_at, x.said_at) <= r.said_at
			  AND (coalesce(x.status IN ('failed', 'canceled'), false) IS FALSE OR x.said_at > r.said_at)
		), 0) ELSE r.amount END) AS part
	FROM titled p` + store.OwnIntents + `
	CROSS JOIN LATERAL (SELECT * FROM refunds r WHERE ` + store.OwnRefunds + ` OFFSET 0) r
),
disputed AS (
	SELECT d.*, p.title, p.product_id, coalesce(d.currency, p.currency) AS coin
	FROM titled p` + store.OwnIntents + `
	CROSS JOIN LATERAL (SELECT * FROM disputes d WHERE ` + store.OwnDisputes + ` OFFSET 0) d
),
ended_courses AS (
	SELECT c.id, max(e.version) AS version
	FROM course c
	JOIN ends e ON e.course = c.id
	WHERE NOT c.live
	GROUP BY c.id
),
entries AS (
	SELECT c.first_seen_at AS at, false AS late, 0 AS rank, 'first_seen' AS kind, 'customer:' || c.id AS ref,
		NULL AS title, NULL AS product_id, NULL::bigint AS amount, NULL AS currency, NULL AS text, '' AS source,
		'{}'::jsonb AS said
	FROM target t
	CROSS JOIN LATERAL (SELECT id, first_seen_at FROM customers WHERE id = t.id OFFSET 0) c
	UNION ALL
	SELECT coalesce(s.started_at, s.checkout_at), false, 1, 'subscription_started', ` + subscription.RefSQL() + `,
		s.title, s.product_id, s.amount, s.currency, NULL, 'stripe', ` + subscription.Versions + `
	FROM plans s
	UNION ALL
	SELECT ` + store.PaidAt + `, false, 2,
		CASE WHEN p.subscription IS NULL THEN 'bought' WHEN p.nth = 1 THEN 'subscription_paid'
			ELSE 'subscription_renewed' END,
		` + payment.RefSQL() + `,
		coalesce((SELECT s.title FROM plans s WHERE s.account = p.account AND s.id = p.subscription), p.title), p.product_id,
		p.amount, p.currency, NULL,
		` + payment.Source + `, jsonb_build_object('payment', p.claim_version)
	FROM titled p
	UNION ALL
	SELECT c.enrolled_at, false, 3, 'enrolled', 'course:' || c.id,
		` + store.TitleOf("c.id", "t.store_id") + `, c.id, NULL, NULL, NULL, coalesce(buy.source, 'platform'),
			coalesce(buy.said, told.said)
	FROM course c
	CROSS JOIN target t
	LEFT JOIN LATERAL (
		SELECT ` + payment.Source + ` AS source, jsonb_build_object('payment', p.claim_version) AS said
		FROM pay
		CROSS JOIN LATERAL (SELECT * FROM payments WHERE account = pay.account AND id = pay.id OFFSET 0) p
		WHERE c.enrolled_at = c.bought_at
		  AND pay.at = c.bought_at
		  AND c.id = ANY(` + unlocks + `)
		ORDER BY p.claim_version
		LIMIT 1
	) buy ON true
	LEFT JOIN LATERAL (
		SELECT jsonb_build_object('enrolled_at', max(e.enrolled_version),
			'enrollment', max(e.version) FILTER (WHERE e.said_at = c.enrolled_at)) AS said
		FROM enrolled e
		WHERE e.course_id = c.id
	) told ON true
	UNION ALL
	SELECT c.completed_at, false, 4, 'completed', 'course:' || c.id,
		` + store.TitleOf("c.id", "t.store_id") + `, c.id, NULL, NULL, NULL, 'platform',
		(SELECT jsonb_build_object('completed_at', max(e.completed_version)) FROM enrolled e WHERE e.course_id = c.id)
	FROM course c
	CROSS JOIN target t
	UNION ALL
	SELECT version_time(e.version), ` + readLate("e.version") + `, 4, 'progressed', 'course:' || c.id,
		` + store.TitleOf("c.id", "t.store_id") + `, c.id, NULL, NULL, floor(e.progress)::text, 'platform',
		jsonb_build_object('progress', e.version)
	FROM course c
	CROSS JOIN target t
	CROSS JOIN LATERAL (
		SELECT e.progress_version AS version, e.progress
		FROM enrolled e
		WHERE e.course_id = c.id AND e.progress_version <> ''
		ORDER BY e.progress_version DESC
		LIMIT 1
	) e
	WHERE e.progress > 0 AND (e.progress < 100 OR c.completed_at IS NULL)
	UNION ALL
	SELECT version_time(e.version), ` + readLate("e.version") + `, 5, 'enrollment_ended', 'course:' || e.id,
		` + store.TitleOf("e.id", "t.store_id") + `, e.id, NULL, NULL, NULL, 'platform', jsonb_build_object('end', e.version)
	FROM ended_courses e
	CROSS JOIN target t
	UNION ALL
	SELECT version_time(s.version), true, 5,
		CASE WHEN s.state = 'paused' THEN 'subscription_paused' ELSE 'subscription_past_due' END, ` + subscription.RefSQL() +
	`,
		s.title, s.product_id, s.amount, s.currency, NULL, 'stripe', jsonb_build_object('subscription', s.version)
	FROM plans s
	WHERE s.state IN ('past_due', 'unpaid', 'paused')
	UNION ALL
	SELECT version_time(s.version), true, 6, 'subscription_canceled', ` + subscription.RefSQL() + `,
		s.title, s.product_id, NULL, NULL, NULL, 'stripe', jsonb_build_object('subscription', s.version)
	FROM plans s
	WHERE s.cancel_at_period_end AND s.status NOT IN ('canceled', 'incomplete_expired')
	UNION ALL
	SELECT coalesce(s.ended_at, version_time(s.version)), s.ended_at IS NULL, 7, 'subscription_ended', ` +
	subscription.RefSQL() + `,
		s.title, s.product_id, NULL, NULL, NULL, 'stripe', jsonb_build_object('subscription', s.version)
	FROM plans s
	WHERE s.status IN ('canceled', 'incomplete_expired')
	UNION ALL
	SELECT CASE WHEN r.cumulative THEN r.said_at ELSE coalesce(r.created_at, r.said_at) END,
		(r.cumulative OR r.created_at IS NULL) AND ` + readLate("r.version") + `, 6, 'refunded', ` +
	store.RefOf("refund", "r.account", "r.id") + `,
		r.title, r.product_id, r.part, r.coin, NULL, 'stripe', jsonb_build_object('refund', r.version)
	FROM given_back r
	WHERE r.part > 0
	UNION ALL
	SELECT r.said_at, ` + readLate("r.version") + `, 7, 'refund_failed', ` + store.RefOf("refund", "r.account", "r.id") +
	`,
		r.title, r.product_id, r.amount, r.coin, NULL, 'stripe', jsonb_build_object('refund', r.version)
	FROM given_back r
	WHERE r.failed
	UNION ALL
	SELECT version_time(d.version), ` + readLate("d.version") + `, 6,
		CASE
			WHEN d.status IN ('won', 'lost') THEN 'dispute_' || d.status
			WHEN d.status IN ('warning_closed', 'prevented') THEN 'dispute_closed'
			ELSE 'dispute_opened'
		END, ` + store.RefOf("dispute", "d.account", "d.id") + `,
		d.title, d.product_id, d.amount, d.coin, NULL, 'stripe', jsonb_build_object('dispute', d.version)
	FROM disputed d
	UNION ALL
	SELECT m.merged_at, false, 8, 'merged', 'merge:' || m.id, NULL, NULL, NULL, NULL, m.from_email, '', '{}'
	FROM (` + mergedOf("(SELECT store_id FROM target)", "(SELECT id FROM target)") + `) m
	UNION ALL
	SELECT n.created_at, false, 8, 'note', 'note:' || n.id, NULL, NULL, NULL, NULL, n.body, '', '{}'
	FROM target t
	CROSS JOIN LATERAL (SELECT id, body, created_at FROM customer_notes WHERE store_id = t.store_id
		AND email = t.email OFFSET 0) n
	UNION ALL
	SELECT m.at, false, 8, 'mail_' || m.was, 'mail:' || m.mail_id, k.name, NULL, NULL, NULL, m.text, '', '{}'
	FROM target t
	CROSS JOIN LATERAL (SELECT * FROM ` + mail.Story("sent", "clicked", "came_back", "bounced", "complained") + ` r
		WHERE r.store_id = t.store_id AND r.email = t.email OFFSET 0) m
	LEFT JOIN campaigns k ON k.id = m.campaign_id
	UNION ALL
	SELECT s.since, false, 9, 'mail_left', 'customer:' || t.id, k.name, NULL, NULL, NULL, NULL, '', '{}'
	FROM target t
	JOIN mail_stops s ON s.hash = ` + store.AddressHash("t.email") + ` AND s.store_id IN ('', t.store_id)
		AND s.reason = 'unsubscribed'
	LEFT JOIN LATERAL (
		SELECT name FROM campaigns WHERE store_id = t.store_id AND s.campaign_id IN (id, nullif(recipe, ''))
		ORDER BY created_at DESC LIMIT 1
	) k ON true
	WHERE s.campaign_id = '' OR k.name IS NOT NULL
	UNION ALL
	SELECT w.last_seen_at, false, 9, 'signed_in', 'user:' || w.id, NULL, NULL, NULL, NULL, NULL, '', '{}'
	FROM who w
)
-- A refund that hangs on two payments is one entry.
SELECT DISTINCT ON (e.key) e.key, e.at, e.late, e.kind, e.ref, e.title, e.product_id, ` +
	store.MoneyOf("e.amount", "e.currency") + `, e.text, e.source, e.said
FROM (
	SELECT *, (` + exactTime("at") + ` || ' ' || rank || ' ' || kind || ' ' || ref) COLLATE "C" AS key
	FROM entries
	WHERE at IS NOT NULL
) e
WHERE ($4::text IS NULL OR e.key < $4)
  AND ($6::text[] IS NULL OR e.kind = ANY($6))
ORDER BY e.key DESC, e.title NULLS FIRST
LIMIT $5`
