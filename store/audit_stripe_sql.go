package store

// Comparisons of what Stripe says (t) with what we hold (h). $1 is a store or empty.
// Only differences that mean something count: of what we have heard since Stripe was
// read, Stripe's word is old.
//
// What we hold and Stripe does not list is of the accounts $2: only what was made before
// the audit began, at $3, and was not spoken of since, $4 being that time as versions
// have it. What has no id of Stripe's is none of its business.

// placed is the end of a comparison: only what concerns the store.
const placed = ` AND ($1 = '' OR $1 IN (coalesce(t.store_id, ''), coalesce(h.store_id, '')))`

// ofSale finds the sale that a refund or dispute x is of, for its store.
const ofSale = `
	LEFT JOIN LATERAL (
		SELECT coalesce(s.store_id, i.store_id) AS store_id
		FROM payments s
		LEFT JOIN payments i ON i.account = s.account AND i.id = s.invoice
		WHERE s.account = t.account AND s.id = t.payment_intent
	) sale ON true
	WHERE ($1 = '' OR sale.store_id = $1) AND `

// StripeDifferences are the kinds that a StripeAudit finds, in the order in which they
// are shown.
var StripeDifferences = kindsOf(stripeComparisons, unreadable)

var stripeComparisons = []comparison{
	{kind: "payment_missing", means: "sales that Stripe has and Rollcall does not", sql: `
	SELECT btrim(t.id || ' ' || t.account),
		concat_ws(' ', t.amount, t.currency, 'by ' || t.customer_email, 'in store ' || t.store_id),
		CASE WHEN h.id IS NULL THEN 'nothing is known of it here' ELSE 'only its id is known here' END
	FROM payments t
	LEFT JOIN @kept.payments h USING (account, id)
	WHERE t.claim_version <> '' AND t.paid AND t.unattached IS DISTINCT FROM 'counted_elsewhere'
	  AND (h.id IS NULL OR h.claim_version = '')` + placed},

	{kind: "payment_differs",
		means: "sales of another amount, or not paid, than Stripe has them (amounts in minor units)", sql: `
	SELECT btrim(t.id || ' ' || t.account), concat_ws(' ', 'by ' || t.customer_email, 'in store ' || t.store_id),
		format('it is %s %s%s here, and %s %s%s at Stripe', h.amount, h.currency, CASE WHEN NOT h.paid THEN ' (unpaid)' END,
			t.amount, t.currency, CASE WHEN NOT t.paid THEN ' (unpaid)' END)
	FROM payments t
	JOIN @kept.payments h USING (account, id)
	WHERE t.claim_version <> '' AND h.claim_version <> ''
	  AND (t.amount, t.currency, t.paid) IS DISTINCT FROM (h.amount, h.currency, h.paid)
	  AND (t.paid OR left(h.claim_version, 1) <= left(t.claim_version, 1))
	  AND t.unattached IS DISTINCT FROM 'counted_elsewhere'
	  AND substr(h.claim_version, 3) <= substr(t.claim_version, 3)` + placed},

	{kind: "refunded_differs", means: "sales of which another amount was refunded (minor units)",
		sql: givenBack("refunded")},

	{kind: "disputed_differs", means: "sales of which another amount is disputed (minor units)",
		sql: givenBack("disputed")},

	{kind: "payment_not_listed", unlisted: true,
		means: "sales here that Stripe does not list: deleted test data, or of another Stripe account; " +
			"a backfill does not remove them", sql: `
	SELECT btrim(h.id || ' ' || h.account),
		concat_ws(' ', h.amount, h.currency, 'by ' || h.customer_email, 'in store ' || h.store_id),
		'Stripe does not list it, or not as paid'
	FROM @kept.payments h
	LEFT JOIN payments t USING (account, id)
	WHERE h.claim_version <> '' AND h.paid AND h.account = ANY($2) AND h.id ~ '^(pi|in|cs|py)_'
	  AND h.paid_at < $3 AND substr(h.claim_version, 3) < $4
	  AND (t.id IS NULL OR t.claim_version = '' AND t.intent_version = '')` + placed},

	// A refund that only the charge's total tells of is not missing.
	{kind: "refund_missing", means: "refunds that Stripe has and Rollcall does not", sql: `
	SELECT btrim(t.id || ' ' || t.account),
		concat_ws(' ', t.amount, t.currency, 'of ' || t.payment_intent),
		'nothing is known of it here'
	FROM refunds t
	LEFT JOIN @kept.refunds h USING (account, id)` + ofSale + `
	  h.id IS NULL AND t.status IS DISTINCT FROM 'failed' AND t.status IS DISTINCT FROM 'canceled'
	  AND NOT EXISTS (
		SELECT FROM @kept.refunds c
		WHERE c.account = t.account AND c.charge = t.charge AND c.cumulative AND c.said_at >= t.created_at
	  )`},

	{kind: "refund_differs",
		means: "refunds of another amount or status than Stripe has them (amounts in minor units)", sql: `
	SELECT btrim(t.id || ' ' || t.account), concat_ws(' ', 'of ' || t.payment_intent),
		format('it is %s %s (%s) here, and %s %s (%s) at Stripe', h.amount, h.currency, h.status, t.amount,
			t.currency, t.status)
	FROM refunds t
	JOIN @kept.refunds h USING (account, id)` + ofSale + `
	  (t.amount, t.currency, t.status) IS DISTINCT FROM (h.amount, h.currency, h.status) AND h.version <= t.version`},

	{kind: "refund_not_listed", unlisted: true,
		means: "refunds here that Stripe does not list; a backfill does not remove them", sql: `
	SELECT btrim(h.id || ' ' || h.account),
		concat_ws(' ', h.amount, h.currency, 'of ' || h.payment_intent),
		'Stripe does not list it'
	FROM @kept.refunds h
	LEFT JOIN refunds t USING (account, id)
	LEFT JOIN @kept.payments sale ON sale.account = h.account AND sale.id = h.payment_intent
	WHERE t.id IS NULL AND NOT h.cumulative AND h.account = ANY($2) AND h.id ~ '^(re|pyr)_'
	  AND h.said_at < $3 AND h.version < $4 AND ($1 = '' OR sale.store_id = $1)`},

	{kind: "dispute_missing", means: "disputes that Stripe has and Rollcall does not", sql: `
	SELECT btrim(t.id || ' ' || t.account),
		concat_ws(' ', t.amount, t.currency, t.status, 'of ' || t.payment_intent),
		'nothing is known of it here'
	FROM disputes t
	LEFT JOIN @kept.disputes h USING (account, id)` + ofSale + `
	  h.id IS NULL`},

	{kind: "dispute_differs",
		means: "disputes of another amount or status than Stripe has them (amounts in minor units)", sql: `
	SELECT btrim(t.id || ' ' || t.account), concat_ws(' ', 'of ' || t.payment_intent),
		format('it is %s %s (%s%s) here, and %s %s (%s%s) at Stripe', h.amount, h.currency, h.status,
			CASE WHEN h.withdrawn THEN ', the money is gone' END,
			t.amount, t.currency, t.status, CASE WHEN t.withdrawn THEN ', the money is gone' END)
	FROM disputes t
	JOIN @kept.disputes h USING (account, id)` + ofSale + `
	  (t.amount, t.currency, t.status, t.withdrawn) IS DISTINCT FROM (h.amount, h.currency, h.status, h.withdrawn)
		AND h.version <= t.version`},

	{kind: "dispute_not_listed", unlisted: true,
		means: "disputes here that Stripe does not list; a backfill does not remove them", sql: `
	SELECT btrim(h.id || ' ' || h.account),
		concat_ws(' ', h.amount, h.currency, 'of ' || h.payment_intent),
		'Stripe does not list it'
	FROM @kept.disputes h
	LEFT JOIN disputes t USING (account, id)
	LEFT JOIN @kept.payments sale ON sale.account = h.account AND sale.id = h.payment_intent
	WHERE t.id IS NULL AND h.account = ANY($2) AND h.id ~ '^(dp|du|pdp)_'
	  AND $3::timestamptz IS NOT NULL AND h.version < $4 AND ($1 = '' OR sale.store_id = $1)`},

	{kind: "subscription_missing", means: "subscriptions that Stripe has and Rollcall does not", sql: `
	SELECT btrim(t.id || ' ' || t.account),
		concat_ws(' ', t.status, t.amount, t.currency, 'by ' || t.customer_email, 'in store ' || t.store_id),
		'nothing is known of it here'
	FROM subscriptions t
	LEFT JOIN @kept.subscriptions h USING (account, id)
	WHERE t.version <> '' AND (h.id IS NULL OR h.version = '')` + placed},

	{kind: "subscription_differs",
		means: "subscriptions of another status or price than Stripe has them (amounts in minor units)", sql: `
	SELECT btrim(t.id || ' ' || t.account), concat_ws(' ', 'by ' || t.customer_email, 'in store ' || t.store_id),
		format('it is %s, %s %s here, and %s, %s %s at Stripe', h.status, h.amount, h.currency, t.status,
			t.amount, t.currency)
	FROM subscriptions t
	JOIN @kept.subscriptions h USING (account, id)
	WHERE t.version <> '' AND h.version <> '' AND h.version <= t.version
	  AND (t.status, t.amount, t.currency) IS DISTINCT FROM (h.status, h.amount, h.currency)` + placed},

	{kind: "subscription_not_listed", unlisted: true,
		means: "subscriptions here that Stripe does not list; a backfill does not remove them", sql: `
	SELECT btrim(h.id || ' ' || h.account),
		concat_ws(' ', h.status, 'by ' || h.customer_email, 'in store ' || h.store_id),
		'Stripe does not list it'
	FROM @kept.subscriptions h
	LEFT JOIN subscriptions t USING (account, id)
	WHERE (t.id IS NULL OR t.version = '') AND h.version <> '' AND h.account = ANY($2) AND h.id ~ '^sub_'
	  AND $3::timestamptz IS NOT NULL AND h.version < $4` + placed},

	{kind: "checkout_missing",
		means: "subscriptions whose Checkout session, which says whose they are, is not known here", sql: `
	SELECT btrim(t.id || ' ' || t.account),
		concat_ws(' ', 'by ' || t.customer_email, 'in store ' || t.store_id),
		'its Checkout session was never told here'
	FROM subscriptions t
	LEFT JOIN @kept.subscriptions h USING (account, id)
	WHERE t.checkout_version <> '' AND coalesce(h.checkout_version, '') = ''` + placed},
}

// givenBack compares what was refunded or disputed of sales that agree.
func givenBack(column string) string {
	return `
	SELECT btrim(t.id || ' ' || t.account),
		concat_ws(' ', t.amount, t.currency, 'by ' || t.customer_email, 'in store ' || t.store_id),
		format('` + column + ` is %s here, and %s at Stripe', h.` + column + `, t.` + column + `)
	FROM payments t
	JOIN @kept.payments h USING (account, id)
	WHERE t.claim_version <> '' AND h.claim_version <> '' AND t.paid AND h.paid
	  AND (t.amount, t.currency) = (h.amount, h.currency)
	  AND t.unattached IS DISTINCT FROM 'counted_elsewhere' AND h.unattached IS DISTINCT FROM 'counted_elsewhere'
	  AND t.` + column + ` <> h.` + column + placed
}
