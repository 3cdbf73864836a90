package store

import "strings"

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
	{"account", LinkTo(LinkSubject, AccountLink, "c.account", "c.at"), "c.account", jsonList(LinkTo(LinkJSON, AccountLink, "c.account", "c.at"))},
}

// StoreWays are for facts of the platform's own account, or of none.
var StoreWays = []Way{
	{"named", StoreNamed("c.store_ref", "c.at"), "c.store_ref", jsonList(ownedLink("c.store_ref", "c.at"))},
	{"product", fromProductStore("s.id"), fromProductStore("s.product"), fromProductStore(jsonList(priceLink, homeLink, ownedLink("s.ref", "c.at")))},
	{"destination", LinkTo(LinkSubject, AccountLink, "c.destination", "c.at"), "c.destination", jsonList(LinkTo(LinkJSON, AccountLink, "c.destination", "c.at"))},
	{"creator", StoreOwned(LinkSubject, "c.creator_ref", "c.at"), "c.creator_ref", jsonList(StoreOwned(LinkJSON, "c.creator_ref", "c.at"))},
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
					CROSS JOIN LATERAL (SELECT min(l.since) AS since FROM links l WHERE l.relation = 'account' AND l.object = c.account AND l.subject = named.id AND ` + notWithdrawn("c.at") + `) held
					WHERE held.since <= c.at
					   OR held.since IS NOT NULL AND NOT EXISTS (SELECT FROM links l WHERE l.relation = 'account' AND l.object = c.account AND l.since <= c.at)
					ORDER BY named.nth
					LIMIT 1
				)`
}

// heldLink is the link by which such a store first had the account.
const heldLink = `(SELECT to_jsonb(l) FROM links l WHERE l.relation = 'account' AND l.object = c.account AND l.subject = named.id AND l.since = held.since)`

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
