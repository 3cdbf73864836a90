package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Kinds of rows that belong to a customer.
const (
	payment      = "payment"
	enrollment   = "enrollment"
	subscription = "subscription"
)

// rowKey names such a row: (account, id) of a payment or subscription,
// (course, person) of an enrollment.
type rowKey struct{ kind, a, b string }

// resolution is what a row's facts come to: the store and address it belongs
// to, or why it belongs nowhere yet; and where it points now.
type resolution struct {
	rowKey
	Store      *string
	Email      *string
	Product    *string
	Unattached *string // reason
	Refunded   int64   // of a payment, minor units
	Disputed   int64
	OldID      *int64 // customer it points at now, which may be gone
	OldStore   *string
	OldEmail   *string
	Was        *string // of an enrollment: the address it was resolved to before
	Buyer      *string // whose it is, wherever it belongs
}

// attachable tells whether the row belongs to a customer.
func (r resolution) attachable() bool { return r.Unattached == nil }

// ends lists the addresses, now and before, at which a row that is nothing but
// the end of an enrollment ends it.
func (r resolution) ends() (addresses []string) {
	if r.kind != enrollment || r.Unattached == nil || *r.Unattached != "never_enrolled" {
		return nil
	}
	for _, a := range []*string{r.Email, r.Was} {
		if a != nil {
			addresses = append(addresses, *a)
		}
	}
	return addresses
}

// moved tells whether the row leaves the customer it points at for another
// address in the same store. Who is erased, or comes anew, does not move: the
// one is not the other.
func (r resolution) moved() bool {
	return r.OldEmail != nil && r.attachable() && *r.OldStore == *r.Store && *r.OldEmail != *r.Email &&
		!anonymous(*r.OldEmail) && !anonymous(*r.Email)
}

// inPlace tells whether an enrollment is where it belongs. It takes nothing else
// from its resolution, so then there is nothing to do about it.
func (r resolution) inPlace() bool {
	return r.kind == enrollment && r.attachable() && r.OldEmail != nil && *r.OldEmail == *r.Email && *r.OldStore == *r.Store &&
		r.Was != nil && *r.Was == *r.Email // else unsettled
}

// keysOfKind reads rows of two columns as keys of a kind.
func keysOfKind(kind string, rows pgx.Rows) ([]rowKey, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (rowKey, error) {
		k := rowKey{kind: kind}
		return k, row.Scan(&k.a, &k.b)
	})
}

// keyArrays splits row keys by kind into columns for unnest.
func keyArrays(keys []rowKey) (out map[string][2][]string) {
	out = map[string][2][]string{}
	for _, k := range keys {
		c := out[k.kind]
		c[0], c[1] = append(c[0], k.a), append(c[1], k.b)
		out[k.kind] = c
	}
	return out
}

// resolve works out where rows belong, from facts alone. platformTypes are the
// product types (and plans, Stripe prices and products) whose sales are the
// platform's own.
func resolve(ctx context.Context, tx pgx.Tx, keys []rowKey, platformTypes []string) (_ []resolution, err error) {
	defer wrap(&err, "store.resolve(%d)", len(keys))
	var out []resolution
	for kind, columns := range keyArrays(keys) {
		rows, err := tx.Query(ctx, resolveSQL[kind], columns[0], columns[1], platformTypes)
		if err != nil {
			return nil, err
		}
		some, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r resolution, err error) {
			r.kind = kind
			err = row.Scan(&r.a, &r.b, &r.Store, &r.Email, &r.Product, &r.Unattached, &r.Refunded, &r.Disputed, &r.OldID, &r.OldStore, &r.OldEmail, &r.Was, &r.Buyer)
			return r, err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// Each kind of row first states its context: the ids it names (its own, then
// its subscription's, then those of that one's checkout) and what keeps it off
// any list. The rest of the resolution is the same for all.
var resolveSQL = map[string]string{
	enrollment: `
		WITH context AS (
			SELECT f.course_id AS a, f.person AS b, f.customer_id,
				'' AS account, f.store_ref, f.course_id AS product_ref, NULL::text[] AS catalogue,
				f.user_ref, NULL::text AS creator_ref, NULL::text AS destination, NULL::text AS stripe_customer,
				coalesce(f.email, CASE WHEN f.person LIKE 'email:%' THEN substr(f.person, 7) END) AS email,
				CASE WHEN f.version = '' THEN 'never_enrolled' END AS blocked,
				f.customer_email AS was, 0::bigint AS amount, 0::bigint AS refunded, 0::bigint AS disputed
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN enrollments f ON f.course_id = k.a AND f.person = k.b
			WHERE $3::text[] IS NOT NULL
		)` + resolveTail,

	subscription: `
		WITH context AS (
			SELECT f.account AS a, f.id AS b, f.customer_id,
				f.account,
				coalesce(f.store_ref, f.checkout ->> 'store_ref') AS store_ref,
				coalesce(f.product_ref, f.checkout ->> 'product_ref') AS product_ref,
				f.catalogue,
				coalesce(f.user_ref, ` + sameHand("f.stripe_customer", "f.checkout ->> 'stripe_customer'", "f.checkout ->> 'user_ref'") + `) AS user_ref,
				coalesce(f.creator_ref, f.checkout ->> 'creator_ref') AS creator_ref,
				f.destination,
				coalesce(f.stripe_customer, f.checkout ->> 'stripe_customer') AS stripe_customer,
				coalesce(f.email, f.checkout ->> 'email') AS email,
				CASE
					WHEN ` + platformSubscription + ` THEN 'platform_sale'
					WHEN NOT f.ever_active THEN 'not_started'
				END AS blocked,
				NULL::text AS was, 0::bigint AS amount, 0::bigint AS refunded, 0::bigint AS disputed
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN subscriptions f ON f.account = k.a AND f.id = k.b
		)` + resolveTail,

	payment: `
		WITH context AS (
			SELECT p.account AS a, p.id AS b, p.customer_id,
				p.account,
				coalesce(p.store_ref, p.intent ->> 'store_ref', f.store_ref, f.checkout ->> 'store_ref') AS store_ref,
				coalesce(p.product_ref, p.intent ->> 'product_ref', f.product_ref, f.checkout ->> 'product_ref') AS product_ref,
				coalesce(p.catalogue, f.catalogue) AS catalogue,
				coalesce(p.user_ref, p.intent ->> 'user_ref',
					` + sameHand(ownCustomer, "f.stripe_customer", "f.user_ref") + `,
					` + sameHand(ownCustomer, "f.checkout ->> 'stripe_customer'", "f.checkout ->> 'user_ref'") + `) AS user_ref,
				coalesce(p.creator_ref, p.intent ->> 'creator_ref', f.creator_ref, f.checkout ->> 'creator_ref') AS creator_ref,
				coalesce(p.destination, linked.destination, f.destination) AS destination,
				coalesce(p.stripe_customer, p.intent ->> 'stripe_customer', f.stripe_customer, f.checkout ->> 'stripe_customer') AS stripe_customer,
				coalesce(p.email, p.intent ->> 'email', f.email, f.checkout ->> 'email') AS email,
				CASE
					WHEN p.claim_version = '' THEN 'bare_payment'
					WHEN NOT p.paid THEN 'unpaid'
					-- An invoice and its payment intent are the same money. A checkout
					-- (invoice_creation) tells most of it; else the invoice does.
					WHEN p.kind = 'invoice' AND linked.checkout THEN 'counted_elsewhere'
					WHEN p.kind IN ('intent', 'purchase') AND EXISTS (
						SELECT FROM payments i
						WHERE i.account = p.account AND i.id = p.invoice AND i.kind = 'invoice'
					) THEN 'counted_elsewhere'
					WHEN p.product_type = ANY($3) OR p.plan = ANY($3) OR coalesce(p.catalogue && $3, false)
						OR p.intent ->> 'product_type' = ANY($3) OR p.intent ->> 'plan' = ANY($3)
						OR ` + platformSubscription + ` THEN 'platform_sale'
				END AS blocked,
				LEAST(coalesce(back.amount, 0), p.amount) AS refunded,
				coalesce(lost.amount, 0)::bigint AS disputed,
				NULL::text AS was, p.amount
			FROM unnest($1::text[], $2::text[]) AS k(a, b)
			JOIN payments p ON p.account = k.a AND p.id = k.b
			LEFT JOIN subscriptions f ON f.account = p.account AND f.id = p.subscription` + ownIntents + `
			-- Per charge: its running total as of the time it was told, corrected by
			-- the refund objects that changed since; and at least what those say. A
			-- charge in another currency than the sale gives back its share of it.
			LEFT JOIN LATERAL (
				SELECT sum(GREATEST(c.total, c.known))::bigint AS amount
				FROM (
					SELECT
						max(r.share) FILTER (WHERE r.cumulative)
							- coalesce(sum(r.share) FILTER (WHERE NOT r.cumulative AND r.failed AND r.made_at <= r.told_at AND r.said_at > r.told_at), 0)
							+ coalesce(sum(r.share) FILTER (WHERE NOT r.cumulative AND NOT r.failed AND r.made_at > r.told_at), 0) AS total,
						sum(r.share) FILTER (WHERE NOT r.cumulative AND NOT r.failed) AS known
					FROM (
						SELECT r.of_charge, r.cumulative, r.made_at, r.said_at, r.failed, r.told_at,
							CASE WHEN r.currency = p.currency THEN r.amount
								ELSE round(p.amount::numeric * r.amount / nullif(r.charged, 0)) END AS share
						FROM (
							SELECT r.*, coalesce(r.charge, r.id) AS of_charge,
								coalesce(r.created_at, r.said_at) AS made_at,
								coalesce(r.status IN ('failed', 'canceled'), false) AS failed,
								max(r.said_at) FILTER (WHERE r.cumulative) OVER (PARTITION BY coalesce(r.charge, r.id)) AS told_at,
								max(r.charge_amount) OVER (PARTITION BY coalesce(r.charge, r.id)) AS charged
							FROM refunds r
							WHERE ` + ownRefunds + `
						) r
					) r
					GROUP BY r.of_charge
				) c
			) back ON true
			LEFT JOIN LATERAL (
				SELECT sum(CASE WHEN d.currency = p.currency THEN d.amount ELSE p.amount END)::bigint AS amount
				FROM disputes d
				WHERE d.withdrawn AND ` + ownDisputes + `
			) lost ON true
		)` + resolveTail,
}

// ownCustomer is the Stripe customer that payment p itself names.
const ownCustomer = `coalesce(p.stripe_customer, p.intent ->> 'stripe_customer')`

// sameHand is SQL for the user that another object names, if it may speak for
// one of that customer: what was paid before somebody was erased is not that of
// the same person come anew, though it be for one subscription.
func sameHand(customer, others, user string) string {
	return `CASE WHEN coalesce((` + customer + ` LIKE '` + nameless + `%') = (` + others + ` LIKE '` + nameless + `%'), true) THEN ` + user + ` END`
}

// ownIntents are the payment intents whose refunds and disputes are those of
// payment p: itself, or those that paid this invoice; and their charges.
const ownIntents = `
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

// ownRefunds and ownDisputes find those of payment p by its ownIntents. What an
// export tells of refunds does not add to what Stripe tells.
const (
	ownRefunds = `r.account = p.account
							  AND (r.payment_intent = ANY(own.ids) OR r.charge = ANY(own.charges))
							  AND (r.version > '0' OR p.claim_version < '3')`
	ownDisputes = `d.account = p.account AND (d.payment_intent = ANY(own.ids) OR d.charge = ANY(own.charges))`
)

// storeNamed is the store that c.store_ref names: by its id, or its owner's. One
// that was named but not told yet is taken at its word.
const storeNamed = `coalesce(
				(SELECT s.id FROM stores s WHERE s.id = c.store_ref),
				(SELECT min(s.id) FROM stores s WHERE s.owner_user_id = c.store_ref HAVING count(*) = 1),
				CASE WHEN c.store_ref NOT LIKE 'user\_%'
					AND NOT EXISTS (SELECT FROM stores s WHERE s.owner_user_id = c.store_ref) THEN c.store_ref END)`

// platformSubscription says whether subscription f is a sale of the platform
// itself: by its own metadata, its session's, or its Stripe price or product.
const platformSubscription = `
					coalesce(f.product_type = ANY($3) OR f.plan = ANY($3), false)
					OR coalesce(f.checkout ->> 'product_type' = ANY($3) OR f.checkout ->> 'plan' = ANY($3), false)
					OR coalesce(f.catalogue && $3, false)`

// resolveTail looks up the product, then the store, then the address, and says
// what is missing.
const resolveTail = `
		SELECT c.a, c.b, store.id,
			CASE WHEN c.blocked IS NULL OR c.blocked = 'never_enrolled' THEN buyer.email END,
			coalesce(product.id, c.product_ref),
			CASE
				WHEN c.blocked IS NOT NULL THEN c.blocked
				WHEN store.id IS NULL AND c.account <> '' THEN 'account_without_store'
				WHEN store.id IS NULL THEN 'no_store'
				WHEN buyer.email IS NOT NULL THEN NULL
				WHEN c.user_ref IS NOT NULL AND NOT buyer.known THEN 'user_unknown'
				WHEN c.user_ref IS NOT NULL THEN 'email_unverified'
				ELSE 'no_email'
			END,
			coalesce(c.refunded, 0), coalesce(LEAST(c.disputed, c.amount - c.refunded), 0),
			c.customer_id, old.store_id, old.email, c.was, buyer.email
		FROM context c
		LEFT JOIN LATERAL (
			SELECT p.id, p.store_id, 0 AS nth FROM products p WHERE p.id = c.product_ref
			UNION ALL
			SELECT p.id, p.store_id, 1 FROM products p WHERE (p.stripe_product_ids || p.stripe_price_ids) && c.catalogue
			ORDER BY nth, id
			LIMIT 1
		) product ON true
		-- A connected account's events belong to its store, whatever its owner
		-- wrote into metadata; that only chooses among stores of one account.
		LEFT JOIN LATERAL (
			SELECT CASE WHEN c.account <> '' THEN (
				SELECT s.id FROM stores s
				WHERE s.stripe_account_id = c.account
				ORDER BY (s.id = c.store_ref) IS TRUE DESC, (s.id = product.store_id) IS TRUE DESC, s.id
				LIMIT 1
			) ELSE coalesce(
				` + storeNamed + `,
				product.store_id,
				(SELECT min(s.id) FROM stores s WHERE s.stripe_account_id = c.destination HAVING count(*) = 1),
				(SELECT min(s.id) FROM stores s WHERE s.owner_user_id = c.creator_ref HAVING count(*) = 1)
			) END AS id
		) store ON true
		LEFT JOIN LATERAL (
			SELECT coalesce(u.email, s.email, c.email) AS email, coalesce(u.version, '') <> '' AS known
			FROM (SELECT) one
			LEFT JOIN users u ON u.id = c.user_ref
			LEFT JOIN stripe_customers s ON s.account = c.account AND s.id = c.stripe_customer
		) buyer ON true
		LEFT JOIN LATERAL (SELECT store_id, email FROM customers WHERE id = c.customer_id OFFSET 0) old ON true`
