package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Kinds of rows that belong to a customer.
const (
	Payment      = "payment"
	Enrollment   = "enrollment"
	Subscription = "subscription"
)

// RowKey identifies such a row: (account, id) of a payment or subscription,
// (course, person) of an enrollment.
type RowKey struct{ Kind, A, B string }

// resolution is the result of resolving a row: its store and address, or why it is
// unattached; and the customer that it points at now.
type resolution struct {
	RowKey
	Store      *string
	Email      *string
	Product    *string
	Sold       *string // all products, as JSON: column sold
	Unattached *string // reason
	Refunded   int64   // of a payment, minor units
	Disputed   int64
	OldID      *int64 // present customer, which may be deleted
	OldStore   *string
	OldEmail   *string
	Was        *string // of an enrollment: the address of the resolution before
	WasEnd     bool    // the enrollment held only its end before
	Buyer      *string // the buyer's address, also if the row is unattached
}

// attachable reports whether the row belongs to a customer.
func (r resolution) attachable() bool { return r.Unattached == nil }

// ends lists the addresses, new and old, at which a row that holds only the end of
// an enrollment ends it, or did so before.
func (r resolution) ends() (addresses []string) {
	if !r.WasEnd && (r.Kind != Enrollment || r.Unattached == nil || *r.Unattached != "never_enrolled") {
		return nil
	}
	for _, a := range []*string{r.Email, r.Was} {
		if a != nil {
			addresses = append(addresses, *a)
		}
	}
	return addresses
}

// moved reports whether the row leaves its customer for another address in the
// same store. An erased person who returns has not moved: the two stay unconnected.
func (r resolution) moved() bool {
	return r.OldEmail != nil && r.attachable() && *r.OldStore == *r.Store && *r.OldEmail != *r.Email &&
		!Anonymous(*r.OldEmail) && !Anonymous(*r.Email)
}

// inPlace reports whether an enrollment already has its customer. Nothing else of
// its resolution is stored, so there is nothing to write then.
func (r resolution) inPlace() bool {
	return r.Kind == Enrollment && r.attachable() && r.OldEmail != nil && *r.OldEmail == *r.Email && *r.OldStore == *r.Store &&
		r.Was != nil && *r.Was == *r.Email // NULL: not derived yet
}

// KeysOfKind reads rows of two columns as keys of a kind.
func KeysOfKind(kind string, rows pgx.Rows) ([]RowKey, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (RowKey, error) {
		k := RowKey{Kind: kind}
		return k, row.Scan(&k.A, &k.B)
	})
}

// KeyArrays splits row keys by kind into columns for unnest.
func KeyArrays(keys []RowKey) (out map[string][2][]string) {
	out = map[string][2][]string{}
	for _, k := range keys {
		c := out[k.Kind]
		c[0], c[1] = append(c[0], k.A), append(c[1], k.B)
		out[k.Kind] = c
	}
	return out
}

// resolve finds the store and buyer of rows, from facts alone. Sales of the
// platformTypes (product types, plans, Stripe prices and products) are the
// platform's own.
func resolve(ctx context.Context, tx pgx.Tx, keys []RowKey, platformTypes []string) (_ []resolution, err error) {
	defer pg.Wrap(&err, "store.resolve(%d)", len(keys))
	var out []resolution
	for kind, columns := range byKind(keys) {
		rows, err := tx.Query(ctx, kind.resolveSQL(), columns[0], columns[1], platformTypes)
		if err != nil {
			return nil, err
		}
		some, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r resolution, err error) {
			r.Kind = kind.Name
			err = row.Scan(&r.A, &r.B, &r.Store, &r.Email, &r.Product, &r.Sold, &r.Unattached, &r.Refunded, &r.Disputed,
				&r.OldID, &r.OldStore, &r.OldEmail, &r.Was, &r.WasEnd, &r.Buyer)
			return r, err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// resolveSQL resolves the rows with keys $1 and $2; $3 is as in resolve.
func (k FactKind) resolveSQL() string { return k.Context + resolveTail }

// resolvedColumns are those that resolveSQL returns.
const resolvedColumns = `a, b, store_id, customer_email, product_id, sold, unattached, refunded, disputed, customer_id, old_store, old_email, was, was_end, buyer`

// Each kind of row has its own context: the ids it names (its own, then its
// subscription's, then those of the subscription's checkout), when it happened,
// and why it is unattached, if so. The rest of the resolution is the same for all.
var (
	enrollmentContext = `
		WITH context AS (
			SELECT f.course_id AS a, f.person AS b, f.customer_id,
				moment(CASE WHEN f.version = '' THEN version_time(f.deleted_version) ELSE ` + enrolledAt + ` END) AS at,
				'' AS account, f.store_ref, f.course_id AS product_ref, NULL::text AS product_kind, NULL::jsonb AS lines, false AS billed,
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
					|| ` + courseLine("f.product_kind", "f.product_ref", "f.checkout ->> 'product_kind'", "f.checkout ->> 'product_ref'") + `
					|| coalesce(f.lines, f.checkout -> 'lines', '[]') AS lines,
				true AS billed,
				coalesce(f.user_ref, ` + userOfSameCustomer("f.stripe_customer", "f.checkout ->> 'stripe_customer'", "f.checkout ->> 'user_ref'") + `) AS user_ref,
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
				coalesce(p.store_ref, p.intent ->> 'store_ref', p.charge ->> 'store_ref', f.store_ref, f.checkout ->> 'store_ref') AS store_ref,
				coalesce(p.product_ref, p.intent ->> 'product_ref', p.charge ->> 'product_ref', f.product_ref, f.checkout ->> 'product_ref') AS product_ref,
				coalesce(p.product_kind, p.intent ->> 'product_kind', p.charge ->> 'product_kind', f.product_kind, f.checkout ->> 'product_kind') AS product_kind,
				CASE WHEN coalesce(p.product_ref, p.intent ->> 'product_ref', p.charge ->> 'product_ref') IS NULL
					THEN coalesce(p.named, p.intent -> 'named', f.named, f.checkout -> 'named', '[]')
						|| ` + courseLine("f.product_kind", "f.product_ref", "f.checkout ->> 'product_kind'", "f.checkout ->> 'product_ref'") + `
						|| coalesce(p.lines, f.lines, f.checkout -> 'lines', '[]')
					ELSE coalesce(p.named, p.intent -> 'named', '[]')
						|| ` + courseLine("p.product_kind", "p.product_ref", "p.intent ->> 'product_kind'", "p.intent ->> 'product_ref'") + `
						|| coalesce(p.lines, '[]')
				END AS lines,
				p.subscription IS NOT NULL AS billed,
				coalesce(p.user_ref, p.intent ->> 'user_ref', p.charge ->> 'user_ref',
					` + userOfSameCustomer(ownCustomer, "f.stripe_customer", "f.user_ref") + `,
					` + userOfSameCustomer(ownCustomer, "f.checkout ->> 'stripe_customer'", "f.checkout ->> 'user_ref'") + `) AS user_ref,
				coalesce(p.creator_ref, p.intent ->> 'creator_ref', p.charge ->> 'creator_ref', f.creator_ref, f.checkout ->> 'creator_ref') AS creator_ref,
				coalesce(p.destination, linked.destination, f.destination) AS destination,
				coalesce(p.stripe_customer, p.intent ->> 'stripe_customer', p.charge ->> 'stripe_customer', f.stripe_customer, f.checkout ->> 'stripe_customer') AS stripe_customer,
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
							- coalesce(sum(r.share) FILTER (WHERE NOT r.cumulative AND r.failed AND r.made_at <= r.told_at AND r.said_at > r.told_at), 0)
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
	enrolledAt   = `LEAST(f.enrolled_at, f.first_said_at, CASE WHEN f.first_said_at IS NULL THEN version_time(f.version) END)`
	subscribedAt = `coalesce(f.started_at, f.checkout_at)`
	PaidAt       = `LEAST(p.paid_at, CASE WHEN p.kind = 'purchase' THEN version_time(p.claim_version) END)`
)

// courseLine is SQL for the course that metadata names as the product, as a list of
// lines: of the object itself, else of the other. It counts even if another object
// names another product, or prices say what a period is for.
func courseLine(kind, ref, otherKind, otherRef string) string {
	return `CASE
							WHEN ` + kind + ` = 'course' THEN jsonb_build_array(jsonb_build_object('ref', ` + ref + `, 'kind', 'course'))
							WHEN ` + otherKind + ` = 'course' THEN jsonb_build_array(jsonb_build_object('ref', ` + otherRef + `, 'kind', 'course'))
							ELSE '[]'
						END`
}

// namesOurs is SQL for whether the intent or charge of payment p names a store, a
// creator or a Clerk user.
const namesOurs = `coalesce(p.intent ->> 'store_ref', p.intent ->> 'creator_ref', p.charge ->> 'store_ref', p.charge ->> 'creator_ref',
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

// resolveTail finds the products, the store and the address by the links in force
// at that time, and names what is missing. Rows billed by period use their prices
// if the catalogue has them, because metadata goes stale.
var resolveTail = `
		SELECT c.a, c.b, store.id,
			CASE WHEN c.blocked IS NULL OR c.blocked = 'never_enrolled' THEN buyer.email END,
			coalesce(sold.products[1], c.product_ref),
			sold.list,
			CASE
				WHEN c.blocked IS NOT NULL THEN c.blocked
				WHEN store.id IS NULL AND c.account <> '' THEN 'account_without_store'
				WHEN store.id IS NULL THEN 'no_store'
				WHEN buyer.email IS NOT NULL THEN NULL
				WHEN c.user_ref IS NOT NULL AND NOT named.counts THEN 'user_unconfirmed'
				WHEN c.user_ref IS NOT NULL AND NOT buyer.known THEN 'user_unknown'
				WHEN c.user_ref IS NOT NULL THEN 'email_unverified'
				ELSE 'no_email'
			END,
			coalesce(c.refunded, 0), coalesce(minor_units(LEAST(c.disputed, c.amount::numeric - c.refunded)), 0),
			c.customer_id, old.store_id, old.email, c.was, c.was_end, buyer.email` + Resolved

// Resolved joins each context c with its products (sold), store, buyer and present
// customer (old).
var Resolved = `
		FROM context c
		LEFT JOIN LATERAL (
			SELECT array_agg(p.id ORDER BY p.nth) AS products,
				jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', p.id, 'kind', p.kind, 'amount', p.amount)) ORDER BY p.nth) AS list
			FROM (
				SELECT s.id, min(s.nth) AS nth, max(s.kind) AS kind, minor_units(sum(s.amount)) AS amount
				FROM (
					SELECT l.id, l.nth, l.kind, l.amount, bool_or(l.priced) OVER () AS priced
					FROM (
						SELECT c.product_ref AS id, 0 AS nth, c.product_kind AS kind, NULL::bigint AS amount, false AS priced
						WHERE c.product_ref IS NOT NULL
						UNION ALL
						SELECT coalesce(priced.id, line.value ->> 'ref'), line.nth, line.value ->> 'kind', (line.value ->> 'amount')::bigint, coalesce(priced.known, false)
						FROM jsonb_array_elements(c.lines) WITH ORDINALITY AS line(value, nth)
						LEFT JOIN LATERAL (
							SELECT found.id, EXISTS (SELECT FROM links l WHERE l.relation = 'stripe' AND l.object = x.id AND l.since <= c.at) AS known
							FROM jsonb_array_elements_text(line.value -> 'stripe') WITH ORDINALITY AS x(id, nth)
							CROSS JOIN LATERAL (SELECT ` + LinkTo(LinkSubject, StripeLink, "x.id", "c.at") + ` AS id) found
							WHERE found.id IS NOT NULL
							  AND (c.account = '' OR ` + ofAccountsStore("found.id") + `)
							ORDER BY x.nth
							LIMIT 1
						) priced ON true
						WHERE coalesce((line.value ->> 'amount')::bigint, 0) >= 0
					) l
				) s
				WHERE s.id IS NOT NULL
				  AND NOT (c.billed AND s.priced AND s.nth = 0)
				GROUP BY s.id
			) p
		) sold ON true
		LEFT JOIN LATERAL (
			SELECT CASE WHEN c.account <> '' THEN ` + firstStore(AccountWays) + ` ELSE ` + firstStore(StoreWays) + ` END AS id
		) store ON true
		-- The owner of a connected account can write any user's id into metadata.
		LEFT JOIN LATERAL (SELECT c.account = '' OR coalesce(reported_in(c.user_ref, store.id), false) AS counts) named ON true
		LEFT JOIN LATERAL (
			SELECT coalesce(own.email, owner.email, typed.email) AS email, coalesce(own.version, '') <> '' AS known,
				CASE WHEN own.email IS NOT NULL THEN own.id ELSE owner.id END AS user_id, owner.email IS NOT NULL AS proved, typed.email AS typed
			FROM (SELECT) one
			LEFT JOIN users own ON own.id = c.user_ref AND named.counts
			LEFT JOIN stripe_customers s ON s.account = c.account AND s.id = c.stripe_customer
			CROSS JOIN LATERAL (SELECT CASE WHEN own.email IS NULL THEN coalesce(s.email, c.email) END AS email) typed
			-- The owner of a connected account can write any address on its objects. This
			-- must not disclose the present address of its user.
			LEFT JOIN users owner ON c.account = '' AND owner.id = CASE WHEN EXISTS (SELECT FROM links l WHERE l.relation = 'address' AND l.object = typed.email)
				THEN ` + AddressOwner(LinkSubject, "typed.email", "c.at") + ` END
		) buyer ON true
		LEFT JOIN LATERAL (SELECT store_id, email FROM customers WHERE id = c.customer_id OFFSET 0) old ON true`
