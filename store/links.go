package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Links lead from what a fact names to the store and the person it belongs to:
// whose a store or an account is, which store sells a product, what Stripe calls
// it, and whose an address is. Each naming is kept with its version. A fact is
// resolved by the link in force at its own time, else by the first after it: what
// is told later moves nothing that happened before, and what is left out ends
// nothing.

// Relations of links.
const (
	OwnerLink   = "owner"   // store → user
	AccountLink = "account" // store → Stripe account
	StoreLink   = "store"   // product → store, or its owner
	StripeLink  = "stripe"  // product → Stripe price or product
	AddressLink = "address" // user → verified address
)

// What a subject names when it names no price, or no product of Stripe's, any more.
const (
	noPrices   = "-price"
	noProducts = "-prod"
)

// namings are rows of links, column by column.
type namings struct {
	relations, subjects, objects, since []string
	hearsay                             []bool
}

func (n *namings) add(relation, subject, object string, v facts.Version) {
	since, hearsay := strings.CutPrefix(string(v), "-")
	n.relations, n.subjects, n.objects = append(n.relations, relation), append(n.subjects, subject), append(n.objects, object)
	n.since, n.hearsay = append(n.since, since), append(n.hearsay, hearsay)
}

// name adds what a subject names as object, if anything, or that it withdrew it.
func (n *namings) name(relation, subject, object string, withdrawn bool, v facts.Version) {
	switch {
	case object != "":
		n.add(relation, subject, object, v)
	case withdrawn:
		n.add(relation, subject, "", v.Withdrawal())
	}
}

// linksOf are the links that a set names.
func linksOf(set facts.Set) (n namings) {
	for _, f := range set.Stores {
		if f.Version != "" {
			n.name(OwnerLink, f.ID, f.OwnerUserID, slices.Contains(f.Withdrawn, "owner_user_id"), f.Version)
			n.name(AccountLink, f.ID, f.StripeAccountID, slices.Contains(f.Withdrawn, "stripe_account_id"), f.Version)
		}
	}
	for _, f := range set.Products {
		if f.Version == "" {
			continue
		}
		n.name(StoreLink, f.ID, f.StoreRef, slices.Contains(f.Withdrawn, "store_id"), f.Version)
		for _, id := range append(slices.Clone(f.StripePriceIDs), f.StripeProductIDs...) {
			n.name(StripeLink, f.ID, id, false, f.Version)
		}
		if slices.Contains(f.Withdrawn, "stripe_price_ids") {
			n.add(StripeLink, f.ID, noPrices, f.Version.Withdrawal())
		}
		if slices.Contains(f.Withdrawn, "stripe_product_ids") {
			n.add(StripeLink, f.ID, noProducts, f.Version.Withdrawal())
		}
	}
	for _, f := range set.Users {
		if f.Version != "" {
			n.name(AddressLink, f.ID, f.Email, false, f.Version)
		}
	}
	return n
}

// link is a link that changed: who or what may be resolved otherwise now.
type link struct{ relation, subject, object string }

// saveLinks keeps the links that a set names, and returns those that change where
// facts lead: the subject named another object before, or the object belonged to
// another subject. With w.everyone all are returned.
func (w *work) saveLinks(ctx context.Context, set facts.Set) (changed []link, err error) {
	defer pg.Wrap(&err, "store.saveLinks")
	n := linksOf(set)
	if len(n.relations) == 0 {
		return nil, nil
	}
	rows, err := w.tx.Query(ctx, saveLinksSQL, n.relations, n.subjects, n.objects, n.since, n.hearsay, w.allDependents)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l link, err error) {
		return l, row.Scan(&l.relation, &l.subject, &l.object)
	})
}

// saveLinksSQL compares each new link with the one before it, of its subject or
// (account, stripe) of its object: if both name the same, nothing changes. Links
// saved together are not seen by each other, so what one of them changes the others
// may not tell; that one does.
const saveLinksSQL = `
	WITH told AS (
		SELECT DISTINCT *
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[] COLLATE "C", $5::bool[]) AS l(relation, subject, object, since, hearsay)
	), saved AS (
		INSERT INTO links (relation, subject, object, since, hearsay)
		SELECT relation, subject, object, since, hearsay FROM told ORDER BY relation, subject, since, object
		ON CONFLICT DO NOTHING
		RETURNING relation, subject, object, since, hearsay
	)
	SELECT n.relation, n.subject, n.object
	FROM saved n
	LEFT JOIN LATERAL (
		SELECT CASE WHEN n.relation IN ('account', 'stripe') THEN (
			SELECT l.subject FROM links l
			WHERE l.relation = n.relation AND l.object = n.object AND NOT l.hearsay AND l.since < n.since
			ORDER BY l.since DESC, l.subject DESC LIMIT 1
		) ELSE (
			SELECT l.object FROM links l
			WHERE l.relation = n.relation AND l.subject = n.subject AND l.since < n.since AND NOT l.hearsay
			ORDER BY l.since DESC, l.object DESC LIMIT 1
		) END AS named
	) before ON true
	WHERE $6
	   OR n.hearsay
	   OR n.object IN ('', '` + noPrices + `', '` + noProducts + `')
	   OR before.named IS DISTINCT FROM CASE WHEN n.relation IN ('account', 'stripe') THEN n.subject ELSE n.object END
	   OR n.relation IN ('account', 'stripe') AND EXISTS (
			SELECT FROM links l
			WHERE l.relation = n.relation AND l.subject = n.subject AND l.object IN ('', '` + noPrices + `', '` + noProducts + `')
	   )
	   OR n.relation = 'owner' AND EXISTS ( -- of two owners named at one time neither is one
			SELECT FROM links l
			WHERE l.relation = n.relation AND l.subject = n.subject AND l.object <> n.object
			  AND l.since BETWEEN left(n.since, 27) AND left(n.since, 27) || '~'
	   )
	UNION
	SELECT relation, subject, object FROM told WHERE $6`

// linkedKeys are the keys that facts lean on of all that a subject of a changed
// link ever named; of products theirs too. Addresses lead on to the customers of
// Stripe who have them.
func (w *work) linkedKeys(ctx context.Context, changed []link) (keys, refs, products []string, err error) {
	defer pg.Wrap(&err, "store.linkedKeys(%d)", len(changed))
	var relations, subjects []string
	for _, l := range changed {
		relations, subjects = append(relations, l.relation), append(subjects, l.subject)
		switch l.relation {
		case StoreLink: // every name of the product's leads to its store
			relations, subjects = append(relations, StripeLink), append(subjects, l.subject)
			products = append(products, l.subject)
		case StripeLink:
			products = append(products, l.subject)
		case OwnerLink:
			refs = append(refs, l.subject)
		}
	}
	if len(changed) == 0 {
		return nil, nil, nil, nil
	}
	rows, err := w.tx.Query(ctx, `
		SELECT DISTINCT l.relation, l.object
		FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS c(relation, subject)) c
		JOIN links l ON l.relation = c.relation AND l.subject = c.subject`, relations, subjects)
	if err != nil {
		return nil, nil, nil, err
	}
	var l link
	_, err = pgx.ForEachRow(rows, []any{&l.relation, &l.object}, func() error {
		switch l.relation {
		case OwnerLink:
			keys, refs = append(keys, "store:"+l.object), append(refs, l.object)
		case AccountLink:
			keys = append(keys, "account:"+l.object)
		case StripeLink:
			keys = append(keys, l.object)
		case AddressLink:
			keys = append(keys, "mail:"+l.object)
		}
		return nil
	})
	for _, id := range products {
		keys = append(keys, "product:"+id)
	}
	return keys, refs, products, err
}

// The links in force, as SQL: calls of the functions that the schema has for them.
// Arguments are SQL; at is a version as moment makes it.

// pick is what is read of a link that leads somewhere: where it leads, or the whole
// of it.
type linkPart func(link string) string

func LinkSubject(link string) string { return "(" + link + ").subject" }
func linkObject(link string) string  { return "(" + link + ").object" }

// AllOfIt is a link as linkRow reads it; NULL if there is none.
func LinkJSON(link string) string {
	return "CASE WHEN " + LinkSubject(link) + " IS NOT NULL THEN to_jsonb(" + link + ") END"
}

// linkOf is the object that a subject names at a time, or else the first after;
// NULL if none, or if it was withdrawn.
func linkOf(relation, subject, at string) string {
	return linkObject("link_of('" + relation + "', " + subject + ", " + at + ")")
}

// LinkTo picks from the link by which an object is named at a time, or else the
// first after: by the subject that named it last.
func LinkTo(picked linkPart, relation, object, at string) string { //nolint:unparam // as its siblings take a time
	return picked("link_to('" + relation + "', " + object + ", " + at + ")")
}

// notWithdrawn leaves out links l that their subject took back before a time.
func notWithdrawn(at string) string { return "NOT link_withdrawn(l, " + at + ")" }

// StoreOwned picks from the link of the store that a user owned at a time.
func StoreOwned(picked linkPart, user, at string) string {
	return picked("store_owned(" + user + ", " + at + ")")
}

// StoreNamed is the store that ref names at a time: by its id, which most do, or its
// owner's.
func StoreNamed(ref, at string) string {
	return "coalesce((SELECT s.id FROM stores s WHERE s.id = " + ref + "), store_named(" + ref + ", " + at + "))"
}

// productHome reads the store that a product was in at a time, id, and the name
// that it had for it, ref.
func productHome(product, at string) string {
	return "SELECT home.id, home.ref FROM product_home(" + product + ", " + at + ") home"
}

// ownedLink is the link by which ref names a store, if it is its owner's.
func ownedLink(ref, at string) string {
	return `CASE WHEN (SELECT known.id FROM stores known WHERE known.id = ` + ref + `) IS NULL THEN ` + StoreOwned(LinkJSON, ref, at) + ` END`
}

// AddressOwner picks from the link of the user to whom what happened at an address
// at a time belongs.
func AddressOwner(picked linkPart, email, at string) string {
	return picked("address_owner(" + email + ", " + at + ")")
}
