package store

// The SQL that differs from kind to kind: how to resolve a row, which rows a backfill
// attaches again, and how a row is described.

// Each kind of row has its own context: the ids it names (its own, then its
// subscription's, then those of the subscription's checkout), when it happened,
// and why it is unattached, if so. The rest of the resolution is the same for all.
var (
	enrollmentContext = `
		WITH context AS (
			SELECT f.course_id AS a, f.person AS b, f.customer_id,
				moment(CASE WHEN f.version = '' THEN version_time(f.deleted_version) ELSE ` + enrolledAt + ` END) AS at,
				'' AS account, f.store_ref, f.course_id AS product_ref, NULL::text AS product_kind, NULL::jsonb AS lines,
				false AS billed,
				f.user_ref, NULL::text AS creator_ref, NULL::text AS destination, NULL::text AS stripe_customer,
				coalesce(f.email, CASE WHEN f.person LIKE 'email:%' THEN substr(f.person, 7) END) AS email,
				CASE WHEN f.version = '' THEN 'never_enrolled' END AS blocked,
				f.customer_email AS was, f.unattached IS NOT DISTINCT FROM 'never_enrolled' AS was_end,
				0::bigint AS amount, 0::bigint AS refunded, 0::bigint AS disputed
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN enrollments f ON f.course_id = k.a AND f.person = k.b
			WHERE $3::text[] IS NOT NULL
		)`

	subscriptionContext = `
		WITH context AS (
			SELECT f.account AS a, f.id AS b, f.customer_id,
				moment(` + subscribedAt + `) AS at,
				f.account,
				coalesce(f.store_ref, f.checkout ->> 'store_ref') AS store_ref,
				coalesce(f.product_ref, f.checkout ->> 'product_ref') AS product_ref,
				coalesce(f.product_kind, f.checkout ->> 'product_kind') AS product_kind,
				coalesce(f.named, f.checkout -> 'named', '[]')
					|| ` + courseLine("f.product_kind", "f.product_ref", "f.checkout ->> 'product_kind'",
		"f.checkout ->> 'product_ref'") + `
					|| coalesce(f.lines, f.checkout -> 'lines', '[]') AS lines,
				true AS billed,
				coalesce(f.user_ref, ` + userOfSameCustomer("f.stripe_customer", "f.checkout ->> 'stripe_customer'",
		"f.checkout ->> 'user_ref'") + `) AS user_ref,
				coalesce(f.creator_ref, f.checkout ->> 'creator_ref') AS creator_ref,
				f.destination,
				coalesce(f.stripe_customer, f.checkout ->> 'stripe_customer') AS stripe_customer,
				coalesce(f.email, f.checkout ->> 'email') AS email,
				CASE
					WHEN ` + platformSubscription + ` THEN 'platform_sale'
					WHEN NOT f.ever_active AND EXISTS (
						SELECT FROM payments x
						WHERE x.leans && ARRAY['sub:' || f.account || '/' || f.id] AND x.subscription = f.id AND x.paid AND x.amount > 0
					) THEN 'paid_not_started'
					WHEN NOT f.ever_active THEN 'not_started'
				END AS blocked,
				NULL::text AS was, false AS was_end, 0::bigint AS amount, 0::bigint AS refunded, 0::bigint AS disputed
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN subscriptions f ON f.account = k.a AND f.id = k.b
		)`

	paymentContext = `
		WITH context AS (
			SELECT p.account AS a, p.id AS b, p.customer_id,
				moment(p.paid_at) AS at, -- as reported, so a repeated report resolves the same
				p.account,
				coalesce(p.store_ref, p.intent ->> 'store_ref', p.charge ->> 'store_ref', f.store_ref,
					f.checkout ->> 'store_ref') AS store_ref,
				coalesce(p.product_ref, p.intent ->> 'product_ref', p.charge ->> 'product_ref', f.product_ref,
					f.checkout ->> 'product_ref') AS product_ref,
				coalesce(p.product_kind, p.intent ->> 'product_kind', p.charge ->> 'product_kind', f.product_kind,
					f.checkout ->> 'product_kind') AS product_kind,
				CASE WHEN coalesce(p.product_ref, p.intent ->> 'product_ref', p.charge ->> 'product_ref') IS NULL
					THEN coalesce(p.named, p.intent -> 'named', f.named, f.checkout -> 'named', '[]')
						|| ` + courseLine("f.product_kind", "f.product_ref", "f.checkout ->> 'product_kind'",
		"f.checkout ->> 'product_ref'") + `
						|| coalesce(p.lines, f.lines, f.checkout -> 'lines', '[]')
					ELSE coalesce(p.named, p.intent -> 'named', '[]')
						|| ` + courseLine("p.product_kind", "p.product_ref", "p.intent ->> 'product_kind'",
		"p.intent ->> 'product_ref'") + `
						|| coalesce(p.lines, '[]')
				END AS lines,
				p.subscription IS NOT NULL AS billed,
				coalesce(p.user_ref, p.intent ->> 'user_ref', p.charge ->> 'user_ref',
					` + userOfSameCustomer(ownCustomer, "f.stripe_customer", "f.user_ref") + `,
					` + userOfSameCustomer(ownCustomer, "f.checkout ->> 'stripe_customer'", "f.checkout ->> 'user_ref'") +
		`) AS user_ref,
				coalesce(p.creator_ref, p.intent ->> 'creator_ref', p.charge ->> 'creator_ref', f.creator_ref,
					f.checkout ->> 'creator_ref') AS creator_ref,
				coalesce(p.destination, linked.destination, f.destination) AS destination,
				coalesce(p.stripe_customer, p.intent ->> 'stripe_customer', p.charge ->> 'stripe_customer', f.stripe_customer,
					f.checkout ->> 'stripe_customer') AS stripe_customer,
				coalesce(p.email, p.charge ->> 'email', p.intent ->> 'email', f.email, f.checkout ->> 'email') AS email,
				CASE
					WHEN p.claim_version = '' AND coalesce((p.intent ->> 'received')::bigint, 0) <= 0 THEN 'bare_payment'
					WHEN p.claim_version <> '' AND NOT p.paid THEN 'unpaid'
					-- An invoice and its payment intent are the same money. A checkout
					-- (invoice_creation) has the most detail; without one the invoice counts.
					WHEN p.kind = 'invoice' AND linked.checkout THEN 'counted_elsewhere'
					WHEN (p.kind IN ('intent', 'purchase') OR p.claim_version = '') AND EXISTS (
						SELECT FROM payments i
						WHERE i.account = p.account AND i.id = p.invoice AND i.kind = 'invoice'
					) THEN 'counted_elsewhere'
					-- An export may know only a sale's session. Then Stripe's own report of
					-- its payment intent counts.
					WHEN p.kind = 'purchase' AND p.id LIKE 'cs\_%' AND EXISTS (
						SELECT FROM payments i
						WHERE i.account = p.account AND i.claimed_by = p.id AND i.kind = 'checkout' AND i.id <> i.claimed_by
					) THEN 'counted_elsewhere'
					WHEN p.product_type = ANY($3) OR p.plan = ANY($3) OR coalesce(p.catalogue && $3, false)
						OR coalesce(p.charge ->> 'product_type' = ANY($3) OR p.charge ->> 'plan' = ANY($3), false)
						OR p.intent ->> 'product_type' = ANY($3) OR p.intent ->> 'plan' = ANY($3)
						OR ` + platformSubscription + ` THEN 'platform_sale'
					-- It brought money, and no checkout claims it. Connected accounts have sales
					-- of their own: such a payment matters only if it names an id of ours.
					WHEN p.claim_version = '' AND p.account <> '' AND NOT ` + namesOurs + ` THEN 'foreign_payment'
					WHEN p.claim_version = '' THEN 'unclaimed_payment'
				END AS blocked,
				LEAST(coalesce(back.amount, 0), p.amount) AS refunded,
				coalesce(lost.amount, 0) AS disputed,
				NULL::text AS was, false AS was_end, p.amount
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN payments p ON p.account = k.a AND p.id = k.b
			LEFT JOIN subscriptions f ON f.account = p.account AND f.id = p.subscription` + OwnIntents + `
			-- Per charge: its reported running total, corrected by the refund objects that
			-- changed later, and at least the sum of these. A charge in another currency
			-- than the sale refunds its share of the sale. An amount that was authorized
			-- and never captured was never paid. Yet Stripe counts its release as refunded,
			-- in the total and (since 2024) as a refund object.
			LEFT JOIN LATERAL (
				SELECT minor_units(sum(CASE
					WHEN c.uncaptured > 0 AND c.total IS NOT NULL THEN GREATEST(0, c.total - c.uncaptured)
					WHEN c.uncaptured > 0 AND c.released THEN GREATEST(0, c.known - c.uncaptured)
					ELSE GREATEST(c.total, c.known) END)) AS amount
				FROM (
					SELECT
						max(r.share) FILTER (WHERE r.cumulative)
							- coalesce(sum(r.share) FILTER (WHERE NOT r.cumulative AND r.failed AND r.made_at <= r.told_at
								AND r.said_at > r.told_at), 0)
							+ coalesce(sum(r.share) FILTER (WHERE NOT r.cumulative AND NOT r.failed AND r.made_at > r.told_at), 0) AS total,
						sum(r.share) FILTER (WHERE NOT r.cumulative AND NOT r.failed) AS known,
						max(r.uncaptured) AS uncaptured,
						bool_or(NOT r.cumulative AND NOT r.failed AND r.amount = r.uncaptured) AS released
					FROM (
						SELECT r.of_charge, r.cumulative, r.made_at, r.said_at, r.failed, r.told_at, r.amount,
							coalesce(r.charged::numeric - r.taken, (p.intent ->> 'uncaptured')::bigint, 0) AS uncaptured,
							CASE WHEN r.currency = p.currency THEN r.amount
								ELSE round(p.amount::numeric * r.amount / nullif(r.charged, 0)) END AS share
						FROM (
							SELECT r.*, coalesce(r.charge, r.id) AS of_charge,
								coalesce(r.created_at, r.said_at) AS made_at,
								coalesce(r.status IN ('failed', 'canceled'), false) AS failed,
								max(r.said_at) FILTER (WHERE r.cumulative) OVER (PARTITION BY coalesce(r.charge, r.id)) AS told_at,
								max(r.charge_amount) OVER (PARTITION BY coalesce(r.charge, r.id)) AS charged,
								max(r.captured) OVER (PARTITION BY coalesce(r.charge, r.id)) AS taken
							FROM refunds r
							WHERE ` + OwnRefunds + `
						) r
					) r
					GROUP BY r.of_charge
				) c
			) back ON true
			LEFT JOIN LATERAL (
				SELECT minor_units(sum(CASE WHEN d.currency = p.currency THEN d.amount ELSE p.amount END)) AS amount
				FROM disputes d
				WHERE d.withdrawn AND ` + OwnDisputes + `
			) lost ON true
		)`
)

// When a fact happened: the links in force at that time resolve it. What the
// platform reports happened no later than its report.
const (
	enrolledAt = `LEAST(f.enrolled_at, f.first_said_at,
		CASE WHEN f.first_said_at IS NULL THEN version_time(f.version) END)`
	subscribedAt = `coalesce(f.started_at, f.checkout_at)`
	PaidAt       = `LEAST(p.paid_at, CASE WHEN p.kind = 'purchase' THEN version_time(p.claim_version) END)`
)

// courseLine is SQL for the course that metadata names as the product, as a list of
// lines: of the object itself, else of the other. It counts even if another object
// names another product, or prices say what a period is for.
func courseLine(kind, ref, otherKind, otherRef string) string {
	return `CASE
							WHEN ` + kind + ` = 'course' THEN jsonb_build_array(jsonb_build_object('ref', ` + ref + `, 'kind', 'course'))
							WHEN ` + otherKind + ` = 'course' THEN jsonb_build_array(jsonb_build_object('ref', ` + otherRef +
		`, 'kind', 'course'))
							ELSE '[]'
						END`
}

// namesOurs is SQL for whether the intent or charge of payment p names a store, a
// creator or a Clerk user.
const namesOurs = `coalesce(p.intent ->> 'store_ref', p.intent ->> 'creator_ref', p.charge ->> 'store_ref',
	p.charge ->> 'creator_ref',
						CASE WHEN p.intent ->> 'user_ref' LIKE 'user\_%' THEN p.intent ->> 'user_ref' END,
						CASE WHEN p.charge ->> 'user_ref' LIKE 'user\_%' THEN p.charge ->> 'user_ref' END) IS NOT NULL`

// ownCustomer is the Stripe customer that payment p itself names.
const ownCustomer = `coalesce(p.stripe_customer, p.intent ->> 'stripe_customer', p.charge ->> 'stripe_customer')`

// userOfSameCustomer is SQL for the user that another object names, unless just one
// of the two customers is erased. An erased person who returns is a new customer,
// even if both objects are of one subscription.
func userOfSameCustomer(customer, others, user string) string {
	return `CASE WHEN coalesce((` + customer + ` LIKE '` + anonymousPrefix + `%') = (` + others +
		` LIKE '` + anonymousPrefix + `%'), true) THEN ` + user + ` END`
}

// OwnIntents are the payment intents whose refunds and disputes are those of
// payment p: itself, or those that paid this invoice; and their charges.
const OwnIntents = `
			LEFT JOIN LATERAL (
				SELECT array_agg(x.id) AS ids, min(x.destination) AS destination,
					bool_or(x.kind = 'checkout' AND x.paid) AS checkout
				FROM payments x
				WHERE x.account = p.account AND x.invoice = p.id AND p.kind = 'invoice'
			) linked ON true
			LEFT JOIN LATERAL (
				SELECT array_append(linked.ids, p.id) AS ids,
					ARRAY(
						SELECT c.charge
						FROM refunds c
						WHERE c.account = p.account AND c.payment_intent = ANY(array_append(linked.ids, p.id))
						UNION
						SELECT d.charge
						FROM disputes d
						WHERE d.account = p.account AND d.payment_intent = ANY(array_append(linked.ids, p.id))
					) AS charges
			) own ON true`

// OwnRefunds and OwnDisputes find those of payment p by OwnIntents. Refunds from an
// export do not add to those that Stripe reports.
const (
	OwnRefunds = `r.account = p.account
							  AND (r.payment_intent = ANY(own.ids) OR r.charge = ANY(own.charges))
							  AND (r.version > '0' OR p.claim_version < '3')`
	OwnDisputes = `d.account = p.account AND (d.payment_intent = ANY(own.ids) OR d.charge = ANY(own.charges))`
)

// platformSubscription is SQL for whether subscription f is a sale of the platform
// itself, by its own metadata, its session's, or its Stripe price or product.
const platformSubscription = `
					coalesce(f.product_type = ANY($3) OR f.plan = ANY($3), false)
					OR coalesce(f.checkout ->> 'product_type' = ANY($3) OR f.checkout ->> 'plan' = ANY($3), false)
					OR coalesce(f.catalogue && $3, false)`

// The rest of planSQL per kind: the person of rows f, and the condition.
var (
	enrollmentPlan = `, f.person
		FROM enrollments f
		WHERE f.version <> '' AND ` + ofStore("f")
	paymentPlan = `, coalesce('user:' || f.user_ref, 'email:' || f.email, f.stripe_customer)
		FROM payments f
		LEFT JOIN subscriptions s ON s.account = f.account AND s.id = f.subscription
		WHERE f.paid AND f.claim_version <> '' AND ` + ofStore("f") + `
		  AND (f.lines @> '[{"kind": "course"}]'
			OR coalesce(f.named, f.intent -> 'named') @> '[{"kind": "course"}]'
			OR coalesce(f.product_kind, f.intent ->> 'product_kind') IN ('course', 'bundle')
			OR EXISTS (SELECT FROM unnest(f.leans || s.leans) l(key) WHERE l.key IN (SELECT key FROM courses)))`
	subscriptionPlan = `, coalesce('user:' || f.user_ref, 'email:' || f.email, f.stripe_customer)
		FROM subscriptions f
		WHERE f.status IN ('trialing', 'active', 'past_due') AND ` + ofStore("f")
)

// ofStore narrows rows of a table down to those of the store $3: attached to
// it, or unattached and dependent on it or on one of its products.
func ofStore(table string) string {
	return `($3 = '' OR ` + table + `.store_id = $3 OR ` + table + `.store_id IS NULL AND ` + dependsOnStore(table, "$3") +
		`)`
}

// dependsOnStore is SQL for whether a row of a table depends on a store, or on one of
// its products.
func dependsOnStore(table, store string) string {
	return table + `.leans && (
			SELECT array_agg(key)
			FROM (
				SELECT 'store:' || ` + store + ` AS key
				UNION
				SELECT CASE relation WHEN 'owner' THEN 'store:' ELSE 'account:' END || object FROM links
					WHERE relation IN ('owner', 'account') AND subject = ` + store + `
				UNION
				SELECT unnest(ARRAY['product:' || id] || ARRAY(SELECT object FROM links WHERE relation = 'stripe'
					AND subject = products.id)) FROM products WHERE store_ids @> ARRAY[` + store + `]
			) k)`
}

// Description is how the rows of a kind are described to people: SQL about a row, by
// the kind's alias.
type Description struct {
	In       string // no SQL: begins its name, before the title of what it is of
	Product  string // what it is of
	Title    string // of that; empty: the product's
	Amount   string // a Money as JSON, or null
	At       string
	Who      string // the buyer as it names them: user:<id>, an address or a Stripe customer
	User     string // the user that it names
	Address  string // the address that it names
	Counted  string // ref of the payment that counts its money instead; null: none does
	Source   string // who reports it
	Versions string
}

// What each kind says of itself.
var (
	enrollmentDescription = Description{
		In:       "Enrollment in",
		Product:  "e.course_id",
		Amount:   "NULL::jsonb",
		At:       "coalesce(e.enrolled_at, e.first_said_at)",
		Who:      "e.person",
		User:     "e.user_ref",
		Address:  "coalesce(e.email, CASE WHEN e.person LIKE 'email:%' THEN substr(e.person, 7) END)",
		Counted:  "NULL::text",
		Source:   "'platform'",
		Versions: enrollmentVersions,
	}
	paymentDescription = Description{
		In:       "Payment for",
		Product:  "coalesce(p.product_id, p.product_ref, p.intent ->> 'product_ref')",
		Amount:   moneyReceived,
		At:       "p.paid_at",
		Who:      "coalesce('user:' || p.user_ref, p.email, p.stripe_customer, 'nobody')",
		User:     "coalesce(p.user_ref, p.intent ->> 'user_ref')",
		Address:  "coalesce(p.email, p.charge ->> 'email', p.intent ->> 'email')",
		Counted:  "CASE WHEN p.unattached = 'counted_elsewhere' THEN " + countedAs + " END",
		Source:   paymentSource,
		Versions: paymentVersions,
	}
	subscriptionDescription = Description{
		In:       "Subscription to",
		Product:  "coalesce(s.product_id, s.product_ref, s.checkout ->> 'product_ref')",
		Title:    "coalesce(s.plan_name, s.plan, s.checkout ->> 'plan', " + TitleOf("s.product_id", "s.store_id") + ")",
		Amount:   MoneyOf("s.amount", "s.currency"),
		At:       "coalesce(s.started_at, s.checkout_at)",
		Who:      "coalesce('user:' || s.user_ref, s.email, s.stripe_customer, 'nobody')",
		User:     "coalesce(s.user_ref, s.checkout ->> 'user_ref')",
		Address:  "coalesce(s.email, s.checkout ->> 'email')",
		Counted:  "NULL::text",
		Source:   "'stripe'",
		Versions: subscriptionVersions,
	}
)
