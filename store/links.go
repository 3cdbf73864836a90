package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Links lead from the ids of a fact to its store and buyer: the owner of a store,
// the store of an account or product, a product's Stripe ids, the user of an
// address. Each link is stored with its version. A fact is resolved by the link in
// force at its own time, else by the first one after it. So a later link does not
// move earlier facts, and a message without a link does not end one.

// Objects of a product that has withdrawn its Stripe prices, or Stripe products.
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
	n.relations, n.subjects, n.objects = append(n.relations, relation), append(n.subjects, subject),
		append(n.objects, object)
	n.since, n.hearsay = append(n.since, since), append(n.hearsay, hearsay)
}

// name adds the link from subject to object, if any, or its withdrawal.
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

// link is a link that changed, so that facts may resolve differently.
type link struct{ relation, subject, object string }

// saveLinks stores the links of a set, and returns those that change resolutions:
// the subject had another object before, or the object another subject. With
// w.allDependents it returns all.
func (w *work) saveLinks(ctx context.Context, set facts.Set) (changed []link, err error) {
	defer pg.Wrap(&err, "store.saveLinks")
	n := linksOf(set)
	if len(n.relations) == 0 {
		return nil, nil
	}
	rows := pg.Query(ctx, w.tx, saveLinksSQL, n.relations, n.subjects, n.objects, n.since, n.hearsay, w.allDependents)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l link, err error) {
		return l, row.Scan(&l.relation, &l.subject, &l.object)
	})
}

// saveLinksSQL compares each new link with the one before it, of its subject or
// (account, stripe) of its object. If both name the same, nothing changes. Links
// saved together do not see each other, but the one that makes a change is returned.
const saveLinksSQL = `
	WITH given AS (
		SELECT DISTINCT *
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[] COLLATE "C", $5::bool[]) AS l(relation, subject,
			object, since, hearsay)
	), saved AS (
		INSERT INTO links (relation, subject, object, since, hearsay)
		SELECT relation, subject, object, since, hearsay FROM given ORDER BY relation, subject, since, object
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
			WHERE l.relation = n.relation AND l.subject = n.subject AND l.object IN ('', '` + noPrices + `', '` + noProducts +
	`')
	   )
	   OR n.relation = 'address' AND EXISTS ( -- a user who was deleted proves it anew
			SELECT FROM users u WHERE u.id = n.subject AND u.deleted_version <> ''
	   )
	   OR n.relation = 'owner' AND EXISTS ( -- two owners at one time cancel each other
			SELECT FROM links l
			WHERE l.relation = n.relation AND l.subject = n.subject AND l.object <> n.object
			  AND l.since BETWEEN left(n.since, 27) AND left(n.since, 27) || '~'
	   )
	UNION
	SELECT relation, subject, object FROM given WHERE $6`

// linkedKeys are the keys of all objects that the subjects of changed links ever
// named, and of products among the subjects: facts depend on these keys.
func (w *work) linkedKeys(ctx context.Context, changed []link) (keys, refs, products []string, err error) {
	defer pg.Wrap(&err, "store.linkedKeys(%d)", len(changed))
	var relations, subjects []string
	for _, l := range changed {
		relations, subjects = append(relations, l.relation), append(subjects, l.subject)
		switch l.relation {
		case StoreLink: // all Stripe ids of the product lead to its store
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
	rows := pg.Query(ctx, w.tx, `
		SELECT DISTINCT l.relation, l.object
		FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS c(relation, subject)) c
		JOIN links l ON l.relation = c.relation AND l.subject = c.subject`, relations, subjects)
	var l link
	err = pg.Each(rows, []any{&l.relation, &l.object}, func() {
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
	})
	for _, id := range products {
		keys = append(keys, "product:"+id)
	}
	return keys, refs, products, err
}
