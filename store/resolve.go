package store

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

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
	return r.Kind == Enrollment && r.attachable() && r.OldEmail != nil && *r.OldEmail == *r.Email &&
		*r.OldStore == *r.Store &&
		r.Was != nil && *r.Was == *r.Email // NULL: not derived yet
}

// resolve finds the store and buyer of rows, from facts alone. Sales of the
// platformTypes (product types, plans, Stripe prices and products) are the
// platform's own.
func resolve(ctx context.Context, tx pgx.Tx, keys []RowKey, platformTypes []string) (_ []resolution, err error) {
	defer pg.Wrap(&err, "store.resolve(%d)", len(keys))
	var out []resolution
	for kind, columns := range byKind(keys) {
		rows := pg.Query(ctx, tx, kind.resolveSQL(), columns[0], columns[1], platformTypes)
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
const resolvedColumns = `a, b, store_id, customer_email, product_id, sold, unattached, refunded, disputed, ` +
	`customer_id, old_store, old_email, was, was_end, buyer`

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
				jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', p.id, 'kind', p.kind, 'amount', p.amount))
					ORDER BY p.nth) AS list
			FROM (
				SELECT s.id, min(s.nth) AS nth, max(s.kind) AS kind, minor_units(sum(s.amount)) AS amount
				FROM (
					SELECT l.id, l.nth, l.kind, l.amount, bool_or(l.priced) OVER () AS priced
					FROM (
						SELECT c.product_ref AS id, 0 AS nth, c.product_kind AS kind, NULL::bigint AS amount, false AS priced
						WHERE c.product_ref IS NOT NULL
						UNION ALL
						SELECT coalesce(priced.id, line.value ->> 'ref'), line.nth, line.value ->> 'kind',
							(line.value ->> 'amount')::bigint, coalesce(priced.known, false)
						FROM jsonb_array_elements(c.lines) WITH ORDINALITY AS line(value, nth)
						LEFT JOIN LATERAL (
							SELECT found.id, EXISTS (SELECT FROM links l WHERE l.relation = 'stripe' AND l.object = x.id
								AND l.since <= c.at) AS known
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
		LEFT JOIN LATERAL (SELECT c.account = ''
			OR coalesce(reported_in(c.user_ref, store.id), false) AS counts) named ON true
		LEFT JOIN LATERAL (
			SELECT coalesce(own.email, owner.email, typed.email) AS email, coalesce(own.version, '') <> '' AS known,
				CASE WHEN own.email IS NOT NULL THEN own.id ELSE owner.id END AS user_id, owner.email IS NOT NULL AS proved,
					typed.email AS typed
			FROM (SELECT) one
			LEFT JOIN users own ON own.id = c.user_ref AND named.counts
			LEFT JOIN stripe_customers s ON s.account = c.account AND s.id = c.stripe_customer
			CROSS JOIN LATERAL (SELECT CASE WHEN own.email IS NULL THEN coalesce(s.email, c.email) END AS email) typed
			-- The owner of a connected account can write any address on its objects. This
			-- must not disclose the present address of its user.
			LEFT JOIN users owner ON c.account = ''
				AND owner.id = CASE WHEN EXISTS (SELECT FROM links l WHERE l.relation = 'address' AND l.object = typed.email)
				THEN ` + AddressOwner(LinkSubject, "typed.email", "c.at") + ` END
		) buyer ON true
		LEFT JOIN LATERAL (SELECT store_id, email FROM customers WHERE id = c.customer_id OFFSET 0) old ON true`

// A Way leads from what a fact names to a store. The first Way with a result is
// used. Resolution and explanation both use these lists.
type Way struct {
	Via   string
	Store string // SQL for the store's id; NULL: no result
	Key   string // SQL for what the fact names
	Links string // SQL for the links that lead from there to the store, a JSON list
}

// AccountWays are for facts of a connected account. They belong to a store of the
// account. Metadata, which the account's owner writes, only chooses among these.
var AccountWays = []Way{
	{"account", fromAccountStore("named.id"), "c.account", jsonList(fromAccountStore(heldLink))},
	{"account", LinkTo(LinkSubject, AccountLink, "c.account", "c.at"), "c.account",
		jsonList(LinkTo(LinkJSON, AccountLink, "c.account", "c.at"))},
}

// StoreWays are for facts of the platform's own account, or of none.
var StoreWays = []Way{
	{"named", StoreNamed("c.store_ref", "c.at"), "c.store_ref", jsonList(ownedLink("c.store_ref", "c.at"))},
	{"product", fromProductStore("s.id"), fromProductStore("s.product"),
		fromProductStore(jsonList(priceLink, homeLink, ownedLink("s.ref", "c.at")))},
	{"destination", LinkTo(LinkSubject, AccountLink, "c.destination", "c.at"), "c.destination",
		jsonList(LinkTo(LinkJSON, AccountLink, "c.destination", "c.at"))},
	{"creator", StoreOwned(LinkSubject, "c.creator_ref", "c.at"), "c.creator_ref",
		jsonList(StoreOwned(LinkJSON, "c.creator_ref", "c.at"))},
}

// firstStore is SQL for the store that the first of the ways leads to.
func firstStore(ways []Way) string {
	var stores []string
	for _, w := range ways {
		stores = append(stores, w.Store)
	}
	return "coalesce(" + strings.Join(stores, ", ") + ")"
}

// fromAccountStore selects from the account's store that the fact or its products
// name.
func fromAccountStore(what string) string {
	return `(
					SELECT ` + what + `
					FROM (
						SELECT ` + StoreNamed("c.store_ref", "c.at") + ` AS id, 0 AS nth
						UNION ALL
						SELECT s.id, s.nth FROM (` + storeOfProducts + `) s
					) named
					CROSS JOIN LATERAL (SELECT min(l.since) AS since FROM links l WHERE l.relation = 'account' AND l.object = c.account
						AND l.subject = named.id AND ` + notWithdrawn("c.at") + `) held
					WHERE held.since <= c.at
					   OR held.since IS NOT NULL AND NOT EXISTS (SELECT FROM links l WHERE l.relation = 'account'
						AND l.object = c.account AND l.since <= c.at)
					ORDER BY named.nth
					LIMIT 1
				)`
}

// heldLink is the link by which such a store first had the account.
const heldLink = `(SELECT to_jsonb(l) FROM links l WHERE l.relation = 'account' AND l.object = c.account
	AND l.subject = named.id AND l.since = held.since)`

// fromProductStore selects from the first product that has a store.
func fromProductStore(what string) string {
	return `(SELECT ` + what + ` FROM (` + storeOfProducts + `) s WHERE s.id IS NOT NULL ORDER BY s.nth LIMIT 1)`
}

// homeLink is the link from product s to its store.
const homeLink = `(
						SELECT to_jsonb(l)
						FROM links l
						WHERE l.relation = 'store' AND l.subject = s.product AND l.object = s.ref
						ORDER BY l.since <= c.at DESC, l.hearsay, CASE WHEN l.since <= c.at THEN l.since END DESC, l.since
						LIMIT 1
					)`

// priceLink is the link from a line's Stripe price or product to product s.
var priceLink = `(
						SELECT ` + LinkTo(LinkJSON, StripeLink, "x.id", "c.at") + `
						FROM jsonb_array_elements(c.lines) line
						CROSS JOIN LATERAL jsonb_array_elements_text(line.value -> 'stripe') x(id)
						WHERE s.product IS DISTINCT FROM c.product_ref
						  AND ` + LinkTo(LinkSubject, StripeLink, "x.id", "c.at") + ` = s.product
						LIMIT 1
					)`

// jsonList is SQL for a JSON list of the values that are not NULL.
func jsonList(values ...string) string {
	return "to_jsonb(array_remove(ARRAY[" + strings.Join(values, ", ") + "]::jsonb[], NULL))"
}

// storeOfProducts are the stores of the products sold, in their order.
var storeOfProducts = `
					SELECT home.id, p.nth, p.id AS product, home.ref
					FROM unnest(sold.products) WITH ORDINALITY AS p(id, nth)
					CROSS JOIN LATERAL (` + productHome("p.id", "c.at") + `
					) home`

// ofAccountsStore is SQL for whether a product was ever in a store that ever had the
// connected account: the account's owner can name any price, and would learn its store.
func ofAccountsStore(product string) string {
	return `EXISTS (
								SELECT FROM products pr
								JOIN links l ON l.relation = 'account' AND l.object = c.account AND l.subject = ANY(pr.store_ids)
								WHERE pr.id = ` + product + `
							  )`
}
