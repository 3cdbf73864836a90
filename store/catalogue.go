package store

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Stores and products are leaned on by very many rows, which need attaching
// anew only when something that resolution or derivation reads has changed: a
// new title is shown at once, without touching a row.

// entry is a store or product of the catalogue at one moment: what resolution
// and derivation read of it, as text; the keys that rows lean on it by; and the
// keys that it leans on itself.
type entry struct {
	state string
	keys  []string
	leans []string
}

// catalogue reads the entries of the stores and products that a set speaks of.
func (w *work) catalogue(ctx context.Context, set facts.Set) (_ map[string]entry, err error) {
	if len(set.Stores) == 0 && len(set.Products) == 0 {
		return nil, nil
	}
	defer wrap(&err, "store.catalogue")
	var stores, products []string
	for _, f := range set.Stores {
		stores = append(stores, f.ID)
	}
	for _, f := range set.Products {
		products = append(products, f.ID)
	}
	rows, err := w.tx.Query(ctx, `
		SELECT
			'store:' || id,
			concat_ws('|', 'told', owner_user_id, '/', stripe_account_id),
			array_remove(ARRAY['store:' || id, 'store:' || owner_user_id, 'account:' || stripe_account_id], NULL),
			NULL::text[]
		FROM stores
		WHERE id = ANY($1)
		UNION ALL
		SELECT
			'product:' || id,
			concat_ws('|', 'told', store_ref, '/', store_id, '/', kind, '/', items, '/', stripe_product_ids, '/', stripe_price_ids),
			ARRAY['product:' || id] || stripe_product_ids || stripe_price_ids,
			array_remove(ARRAY['store:' || store_ref], NULL) || ARRAY(SELECT 'product:' || i FROM unnest(items) i)
		FROM products
		WHERE id = ANY($2)`, stores, products)
	if err != nil {
		return nil, err
	}
	entries := map[string]entry{}
	var key string
	var e entry
	_, err = pgx.ForEachRow(rows, []any{&key, &e.state, &e.keys, &e.leans}, func() error {
		entries[key] = e
		return nil
	})
	return entries, err
}

// catalogueChanges returns the keys that rows lean on of the stores and
// products that are no longer what they were before the set was said, and of
// other products that changed with them. Keys of before count too: what a
// store no longer is has to be let go of.
func (w *work) catalogueChanges(ctx context.Context, set facts.Set, before map[string]entry) (keys []string, err error) {
	if len(set.Stores) == 0 && len(set.Products) == 0 {
		return nil, nil
	}
	defer wrap(&err, "store.catalogueChanges")
	after, err := w.catalogue(ctx, set)
	if err != nil {
		return nil, err
	}
	more := locks{}
	var refs, products []string
	for key, now := range after {
		was := before[key]
		more.add(false, append(was.leans, now.leans...)...)
		if !w.everyone && was.state == now.state {
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
	if err := w.extend(ctx, more); err != nil { // before settling: nobody may slip in behind it
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

// settle resolves which store products belong to, of the given ones and of
// those that name a store by one of refs; and returns the keys of those that
// changed.
func (w *work) settle(ctx context.Context, refs, products []string) (keys []string, err error) {
	defer wrap(&err, "store.settle")
	rows, err := w.tx.Query(ctx, `
		WITH settled AS (
			UPDATE products p
			SET store_id = named.id
			FROM products c
			CROSS JOIN LATERAL (SELECT `+storeNamed+` AS id) named
			WHERE p.id = c.id
			  AND p.store_id IS DISTINCT FROM named.id
			  AND (c.id = ANY($2) OR c.store_ref = ANY($1))
			RETURNING p.id, p.stripe_product_ids, p.stripe_price_ids
		)
		SELECT 'product:' || id FROM settled
		UNION
		SELECT unnest(stripe_product_ids || stripe_price_ids) FROM settled`, refs, products)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// bundlesOf returns the keys of all bundles around products of which something changed.
func (w *work) bundlesOf(ctx context.Context, products []string) ([]string, error) {
	rows, err := w.tx.Query(ctx, `
		SELECT unnest(ARRAY['product:' || id] || stripe_product_ids || stripe_price_ids)
		FROM products
		WHERE items && $1::text[]`, products)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
