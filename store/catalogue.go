package store

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Very many rows depend on stores and products. They are attached again only if
// something changed that resolution or derivation reads. A new title needs no change
// of rows.

// entry is a snapshot of a store or product: state, as resolution and derivation read
// it; keys, by which rows depend on it; and the keys that it depends on itself. Those are
// of all stores that it was ever in: a fact of then is resolved by them.
type entry struct {
	state     string
	keys      []string
	dependsOn []string
}

// catalogue reads the entries of the stores and products in a set.
func (w *work) catalogue(ctx context.Context, set facts.Set) (_ map[string]entry, err error) {
	if len(set.Stores) == 0 && len(set.Products) == 0 {
		return nil, nil
	}
	defer pg.Wrap(&err, "store.catalogue")
	var stores, products []string
	for _, f := range set.Stores {
		stores = append(stores, f.ID)
	}
	for _, f := range set.Products {
		products = append(products, f.ID)
	}
	rows := pg.Query(ctx, w.tx, `
		SELECT
			'store:' || id,
			'told',
			array_remove(ARRAY['store:' || id, 'store:' || owner_user_id, 'account:' || stripe_account_id], NULL),
			NULL::text[]
		FROM stores
		WHERE id = ANY($1)
		UNION ALL
		SELECT
			'product:' || id,
			concat_ws('|', 'told', kind, '/', items),
			`+productKeys("id")+`,
			ARRAY(
				SELECT 'store:' || l.object FROM links l WHERE l.relation = 'store' AND l.subject = id AND l.object <> ''
				UNION
				SELECT 'product:' || i FROM unnest(items) i
			)
		FROM products
		WHERE id = ANY($2)`, stores, products)
	entries := map[string]entry{}
	var key string
	var e entry
	err = pg.Each(rows, []any{&key, &e.state, &e.keys, &e.dependsOn}, func() {
		entries[key] = e
	})
	return entries, err
}

// productKeys is SQL for the keys by which rows depend on a product. Of Stripe's prices and products
// they are all that it ever named: those of today need not be those that a fact was sold by.
func productKeys(id string) string {
	return `('product:' || ` + id + ` || ARRAY(
				SELECT DISTINCT l.object
				FROM links l
				WHERE l.relation = 'stripe' AND l.subject = ` + id + `
				  AND l.object NOT IN ('` + noPrices + `', '` + noProducts + `')
			))`
}

// catalogueChanges returns the keys, old and new, of all stores, products and links
// that the set changed, and of products that changed with them. Rows that depend on
// an old key must be attached again too.
func (w *work) catalogueChanges(ctx context.Context, set facts.Set, before map[string]entry) (
	keys []string, err error) {
	defer pg.Wrap(&err, "store.catalogueChanges")
	links, err := w.saveLinks(ctx, set)
	if err != nil {
		return nil, err
	}
	for _, f := range set.Users {
		if f.DeletedVersion != "" { // who is gone leaves their addresses
			links = append(links, link{relation: AddressLink, subject: f.ID})
		}
	}
	linked, refs, linkedProducts, err := w.linkedKeys(ctx, links)
	if err != nil {
		return nil, err
	}
	if linked, err = w.withAddressees(ctx, linked); err != nil {
		return nil, err
	}
	if len(set.Stores) == 0 && len(set.Products) == 0 {
		return linked, nil
	}
	if err := w.nameCurrent(ctx, set); err != nil {
		return nil, err
	}
	after, err := w.catalogue(ctx, set)
	if err != nil {
		return nil, err
	}
	more, products := locks{}, linkedProducts
	keys = linked
	for key, now := range after {
		was := before[key]
		more.add(false, append(was.dependsOn, now.dependsOn...)...)
		if !w.allDependents && was.state == now.state {
			continue
		}
		keys = append(append(keys, was.keys...), now.keys...)
		if id, ok := strings.CutPrefix(key, "product:"); ok {
			products = append(products, id)
			continue
		}
		for _, k := range append(was.keys, now.keys...) {
			if ref, ok := strings.CutPrefix(k, "store:"); ok {
				refs = append(refs, ref)
			}
		}
	}
	more.add(true, keys...)
	if err := w.extend(ctx, more); err != nil { // before reading, so that no other transaction adds dependents after it
		return nil, err
	}
	if len(keys) == 0 {
		return nil, nil
	}
	settled, err := w.settle(ctx, refs, products)
	if err != nil {
		return nil, err
	}
	bundles, err := w.bundlesOf(ctx, products)
	return append(append(keys, settled...), bundles...), err
}

// withAddressees adds, for keys of addresses, the keys of Stripe customers with that
// address: their purchases depend on it.
func (w *work) withAddressees(ctx context.Context, keys []string) ([]string, error) {
	var emails []string
	for _, k := range keys {
		if email, ok := strings.CutPrefix(k, "mail:"); ok {
			emails = append(emails, email)
		}
	}
	if len(emails) == 0 {
		return keys, nil
	}
	more := locks{}
	more.add(true, keys...)
	if err := w.extend(ctx, more); err != nil { // before the search, so that no other transaction adds dependents after it
		return nil, err
	}
	customers, err := pg.Column[string](ctx, w.tx,
		`SELECT 'cus:' || account || '/' || id FROM stripe_customers WHERE email = ANY($1)`,
		emails)
	return append(keys, customers...), err
}

// nameCurrent writes down what the last links of the stores and products of a
// set are, for all who ask what is so now.
func (w *work) nameCurrent(ctx context.Context, set facts.Set) error {
	var stores, products []string
	for _, f := range set.Stores {
		stores = append(stores, f.ID)
	}
	for _, f := range set.Products {
		products = append(products, f.ID)
	}
	var batch pgx.Batch
	if len(stores) > 0 {
		batch.Queue(currentStoresSQL, stores)
	}
	if len(products) > 0 {
		batch.Queue(currentProductsSQL, products)
	}
	return w.tx.SendBatch(ctx, &batch).Close()
}

var (
	currentStoresSQL = `
		UPDATE stores s
		SET owner_user_id = now.owner, stripe_account_id = now.account
		FROM (
			SELECT id, ` + linkOf(OwnerLink, "id", Forever) + ` AS owner, ` + linkOf(AccountLink, "id", Forever) + ` AS account
			FROM unnest($1::text[]) AS s(id)
		) now
		WHERE s.id = now.id
		  AND (s.owner_user_id, s.stripe_account_id) IS DISTINCT FROM (now.owner, now.account)`

	currentProductsSQL = `
		UPDATE products p
		SET store_ref = now.store, stripe_price_ids = now.prices, stripe_product_ids = now.products
		FROM (
			SELECT
				id,
				` + linkOf(StoreLink, "id", Forever) + ` AS store,
				(SELECT array_agg(DISTINCT l.object ORDER BY l.object) FROM links l WHERE l.relation = 'stripe' AND l.subject = id
					AND l.object NOT LIKE 'prod\_%' AND l.object NOT LIKE '-%' AND ` + notWithdrawn(Forever) + `) AS prices,
				(SELECT array_agg(DISTINCT l.object ORDER BY l.object) FROM links l WHERE l.relation = 'stripe' AND l.subject = id
					AND l.object LIKE 'prod\_%' AND ` + notWithdrawn(Forever) + `) AS products
			FROM unnest($1::text[]) AS p(id)
		) now
		WHERE p.id = now.id
		  AND (p.store_ref, p.stripe_price_ids, p.stripe_product_ids) IS DISTINCT FROM (now.store, now.prices, now.products)`
)

// Forever is later than all times, as SQL: what is in force then is so now.
const Forever = `'~'`

// homesOf is SQL for the store that product c is in now, id, and all in which it
// ever was, ids.
var homesOf = `
			SELECT
				(SELECT now.id FROM (` + productHome("c.id", Forever) + `
				) now) AS id,
				ARRAY(
					SELECT DISTINCT home.id
					FROM (SELECT DISTINCT l.object FROM links l WHERE l.relation = 'store' AND l.subject = c.id
						AND l.object <> '') named
					CROSS JOIN LATERAL (
						SELECT ` + StoreNamed("named.object", Forever) + ` AS id
						UNION ALL
						SELECT o.subject FROM links o WHERE o.relation = 'owner' AND o.object = named.object
					) home
					WHERE home.id IS NOT NULL
					ORDER BY 1
				) AS ids`

// settle resolves which stores products belong to and did, of the given ones and
// of those that ever named a store by one of refs; and returns the keys of the
// latter, and of those that changed.
func (w *work) settle(ctx context.Context, refs, products []string) (keys []string, err error) {
	defer pg.Wrap(&err, "store.settle")
	return pg.Column[string](ctx, w.tx, `
		WITH looked AS (
			SELECT unnest($2::text[]) AS id, false AS renamed
			UNION
			SELECT l.subject, true FROM links l WHERE l.relation = 'store' AND l.object = ANY($1)
		), settled AS (
			UPDATE products p
			SET store_id = home.id, store_ids = home.ids
			FROM products c
			CROSS JOIN LATERAL (`+homesOf+`) home
			WHERE p.id = c.id
			  AND c.id IN (SELECT id FROM looked)
			  AND (p.store_id, p.store_ids) IS DISTINCT FROM (home.id, home.ids)
			RETURNING p.id
		)
		SELECT DISTINCT unnest(`+productKeys("keyed.id")+`)
		FROM (
			SELECT id FROM settled
			UNION
			SELECT id FROM looked WHERE renamed
		) keyed`, refs, products)
}

// bundlesOf returns the keys of all bundles around products of which something changed.
func (w *work) bundlesOf(ctx context.Context, products []string) ([]string, error) {
	return pg.Column[string](ctx, w.tx, `
		SELECT unnest(`+productKeys("id")+`)
		FROM products
		WHERE items && $1::text[]`, products)
}
