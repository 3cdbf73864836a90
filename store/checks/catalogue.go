package checks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

// maxFixes is how many commands a finding gives for as many things of its kind.
const maxFixes = 5

// catalogue finds products without a store, stores named by a user id, and stores
// without a known owner.
func (c *Checkup) catalogue(ctx context.Context) (all []finding.Finding, err error) {
	if all, err = c.homeless(ctx); err != nil {
		return nil, err
	}
	named, err := c.namedByOwner(ctx)
	if err != nil {
		return all, err
	}
	if all = append(all, named...); len(all) == 0 {
		all = append(all, finding.Finding{Severity: finding.OK, What: "every course and product has a store"})
	}
	untold, err := c.untoldStores(ctx)
	return append(all, untold...), err
}

// StoreUnheard finds that no event has mentioned the store that is checked.
func (c *Checkup) StoreUnheard(ctx context.Context) ([]finding.Finding, error) {
	if c.Store == "" {
		return nil, nil
	}
	_, err := c.store.StoreAccounts(ctx, c.Store)
	if !errors.Is(err, pg.ErrNotFound) {
		return nil, err
	}
	fix := sendStore(facts.Store{ID: c.Store, Name: "<NAME>", OwnerUserID: "<CLERK USER>"})
	return []finding.Finding{{Kind: "store_unheard", Subject: c.Store, Fix: []string{fix},
		What: "store " + c.Store + " does not exist: no event has mentioned it"}}, nil
}

// homeless finds products without a store, deleted ones too if facts depend on them.
// With a store, only those that name it or its owner.
func (c *Checkup) homeless(ctx context.Context) ([]finding.Finding, error) {
	type product struct {
		ID, Title, StoreRef string // StoreRef: the store that it names; empty: none
		Owned               int64  // how many stores StoreRef owns, if it is a user
		Count               int64  // of all such products
	}
	found, err := collect(ctx, c, pgx.RowToStructByPos[product], homelessSQL, c.Store, c.Examples)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	f := finding.Finding{Kind: "products_homeless", Count: found[0].Count, What: "1 course or product"}
	if f.Count > 1 {
		f.What = show.Number(f.Count) + " courses or products"
	}
	f.What += " without a store: people who enroll or buy are missing, unless the event names the store"
	for _, p := range found {
		why, key := "it names none", "product:"+p.ID
		if p.StoreRef != "" {
			why = fmt.Sprintf("it names user %s, who owns no store that we know", p.StoreRef)
			if p.Owned == 0 {
				key = "store:" + p.StoreRef
			}
		}
		f.Examples = append(f.Examples, finding.Example{What: fmt.Sprintf("%s (%s): %s", p.ID, p.Title, why)})
		fix, err := c.homeFor(ctx, key)
		if err != nil {
			return nil, err
		}
		if len(f.Fix) < maxFixes && !slices.Contains(f.Fix, fix) {
			f.Fix = append(f.Fix, fix)
		}
	}
	return []finding.Finding{f}, nil
}

const homelessSQL = `
	SELECT
		p.id,
		coalesce(nullif(p.title, ''), p.id),
		coalesce(p.store_ref, ''),
		(SELECT count(*) FROM stores WHERE owner_user_id = p.store_ref),
		count(*) OVER ()
	FROM products p
	WHERE p.store_id IS NULL
	  AND p.version <> ''
	  AND p.deleted_version = ''
	  AND ($1 = '' OR p.store_ref = $1 OR p.store_ref IN (SELECT owner_user_id FROM stores WHERE id = $1))
	ORDER BY p.id
	LIMIT greatest($2, 1)`

// owner is a user id that products or facts name instead of a store's id.
type owner struct {
	ID       string
	Products int64
	Facts    int64
	Store    string   // the store in use now: the first that the user owned; empty: unknown
	Stores   []string // all stores of the user
}

// namedByOwner finds stores named by a user id, and apart from these, users who own no
// store. Of several stores the one owned first counts.
func (c *Checkup) namedByOwner(ctx context.Context) (all []finding.Finding, err error) {
	owners, err := collect(ctx, c, pgx.RowToStructByPos[owner], namedByOwnerSQL, c.Store)
	if err != nil {
		return nil, err
	}
	likely, err := c.likelyStore(ctx)
	known := finding.Finding{Kind: "stores_named_by_owner", Subject: "known"}
	unknown := finding.Finding{Kind: "stores_named_by_owner", Subject: "unknown", Severity: finding.Warning}
	for _, o := range owners {
		f, which := &known, "owns "+o.Store
		switch {
		case len(o.Stores) > 1:
			which = "owns " + strings.Join(o.Stores, ", ") + "; " + o.Store + " is meant, owned first"
		case o.Store == "":
			f, which = &unknown, "owns no store that we know"
			if len(f.Fix) < maxFixes {
				f.Fix = append(f.Fix, send("store.upserted", object{"id", likely}, object{"owner_user_id", o.ID}))
			}
		}
		f.Count++
		if len(f.Examples) < c.Examples {
			f.Examples = append(f.Examples, finding.Example{What: fmt.Sprintf("%s, by %s and %s: %s",
				o.ID, show.Count(o.Products, "product"), show.Count(o.Facts, "fact"), which)})
		}
	}
	if unknown.Count > 0 {
		unknown.What = are(unknown.Count, "store") + " named by a user's id, and that user owns none that we know"
		all = append(all, unknown)
	}
	if known.Count > 0 {
		known.What = are(known.Count, "store") + " named by their owner's user id: " +
			"it stands for the store that they own, of several for the one owned first"
		all = append(all, known)
	}
	return all, err
}

var namedByOwnerSQL = `
	SELECT
		n.ref,
		sum(n.products)::bigint,
		sum(n.facts)::bigint AS facts,
		coalesce(` + store.StoreOwned(store.LinkSubject, "n.ref", store.Forever) + `, ''),
		ARRAY(SELECT id FROM stores WHERE owner_user_id = n.ref ORDER BY id LIMIT 5)
	FROM (
		SELECT store_ref AS ref, 1 AS products, 0 AS facts
		FROM products
		WHERE store_ref LIKE 'user\_%' AND deleted_version = ''
		UNION ALL
		SELECT store_ref, 0, 1 FROM facts WHERE store_ref LIKE 'user\_%'
	) n
	WHERE $1 = '' OR n.ref IN (SELECT owner_user_id FROM stores WHERE id = $1)
	GROUP BY n.ref
	ORDER BY facts DESC, n.ref
	LIMIT 1000`

// untoldStores finds stores with customers that the platform has not reported, or whose
// owner is unknown: only operators can see the list. Those with most customers first.
func (c *Checkup) untoldStores(ctx context.Context) ([]finding.Finding, error) {
	type untold struct {
		ID        string
		Customers int64
	}
	stores, err := collect(ctx, c, pgx.RowToStructByPos[untold], untoldSQL, c.Store)
	if err != nil || len(stores) == 0 {
		return nil, err
	}
	n := int64(len(stores))
	f := finding.Finding{Kind: "stores_untold", Count: n,
		What: show.Count(n, "store") + " with customers and no known owner: only operators can see the list"}
	for i, s := range stores {
		if i < c.Examples {
			f.Examples = append(f.Examples,
				finding.Example{What: fmt.Sprintf("%s, with %s", s.ID, show.Count(s.Customers, "customer"))})
		}
		if i < maxFixes {
			told, err := told(ctx, c, "stores", s.ID, facts.Store{ID: s.ID, Name: "<NAME>"})
			if err != nil {
				return nil, err
			}
			told.OwnerUserID = "<CLERK USER>"
			f.Fix = append(f.Fix, sendStore(told))
		}
	}
	return []finding.Finding{f}, nil
}

// untoldSQL takes one look-up in the index for each store, not for each customer.
const untoldSQL = `
	WITH RECURSIVE listed(id) AS (
		(SELECT store_id FROM customers ORDER BY store_id LIMIT 1)
		UNION ALL
		SELECT (SELECT store_id FROM customers WHERE store_id > l.id ORDER BY store_id LIMIT 1)
		FROM listed l
		WHERE l.id IS NOT NULL
	)
	SELECT
		l.id,
		(
			SELECT coalesce(sum(amount), 0)::bigint
			FROM (SELECT * FROM customer_figures UNION ALL SELECT * FROM customer_figure_changes) f
			WHERE f.store_id = l.id AND f.figure = 'people'
		) AS people
	FROM listed l
	LEFT JOIN stores s ON s.id = l.id
	WHERE l.id IS NOT NULL
	  AND ($1 = '' OR l.id = $1)
	  AND s.owner_user_id IS NULL
	ORDER BY people DESC, l.id
	LIMIT 1000`
