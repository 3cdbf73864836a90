package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Stores and products are leaned on by very many rows, which need attaching
// anew only when something that resolution or derivation reads has changed: a
// new title is shown at once, without touching a row.

// catalogueState maps each store and product of a set to what resolution and
// derivation read of it, as text.
func (w *work) catalogueState(ctx context.Context, set facts.Set) (_ map[string]string, err error) {
	if len(set.Stores) == 0 && len(set.Products) == 0 {
		return nil, nil
	}
	defer wrap(&err, "store.catalogueState")
	var stores, products []string
	for _, f := range set.Stores {
		stores = append(stores, f.ID)
	}
	for _, f := range set.Products {
		products = append(products, f.ID)
	}
	rows, err := w.tx.Query(ctx, `
		SELECT 'store:' || id, concat_ws(E'\n', id, owner_user_id, '|', stripe_account_id)
		FROM stores
		WHERE id = ANY($1)
		UNION ALL
		SELECT 'product:' || id, concat_ws(E'\n', store_ref, '|', store_id, '|', kind, '|', items, '|', stripe_product_ids, '|', stripe_price_ids)
		FROM products
		WHERE id = ANY($2)`, stores, products)
	if err != nil {
		return nil, err
	}
	state := map[string]string{}
	var key, value string
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		state[key] = value
		return nil
	})
	return state, err
}

// catalogueChanges returns the keys that rows lean on of the stores and
// products that are no longer what they were before the set was said.
func (w *work) catalogueChanges(ctx context.Context, set facts.Set, before map[string]string) (keys []string, err error) {
	if before == nil {
		return nil, nil
	}
	defer wrap(&err, "store.catalogueChanges")
	after, err := w.catalogueState(ctx, set)
	if err != nil {
		return nil, err
	}
	changed := func(key string) bool { return w.everyone || before[key] != after[key] }
	var stores, products []string
	for _, f := range set.Stores {
		if changed("store:" + f.ID) {
			stores = append(stores, f.ID)
		}
	}
	for _, f := range set.Products {
		if changed("product:" + f.ID) {
			products = append(products, f.ID)
		}
	}
	return w.cascade(ctx, stores, products, before)
}

// cascade settles which store the products belong to, and returns the keys of
// changed stores, of products that changed with them, and of bundles around
// those. Stores provide what they were and what they are: both may be leaned on.
func (w *work) cascade(ctx context.Context, stores, products []string, before map[string]string) ([]string, error) {
	if len(stores) == 0 && len(products) == 0 {
		return nil, nil
	}
	rows, err := w.tx.Query(ctx, `
		WITH changed_stores AS (
			SELECT * FROM stores WHERE id = ANY($1)
		),
		settled AS (
			UPDATE products p
			SET store_id = coalesce(
				(SELECT s.id FROM stores s WHERE s.id = p.store_ref),
				(SELECT min(s.id) FROM stores s WHERE s.owner_user_id = p.store_ref HAVING count(*) = 1),
				-- A store that was named but not told yet is taken at its word.
				CASE WHEN p.store_ref NOT LIKE 'user\_%'
					AND NOT EXISTS (SELECT FROM stores s WHERE s.owner_user_id = p.store_ref) THEN p.store_ref END)
			WHERE p.id = ANY($2)
			   OR p.store_ref = ANY($1)
			   OR p.store_ref IN (SELECT owner_user_id FROM changed_stores)
			RETURNING p.id, p.stripe_product_ids || p.stripe_price_ids AS catalogue
		)
		SELECT 'store:' || id FROM changed_stores
		UNION
		SELECT 'store:' || owner_user_id FROM changed_stores WHERE owner_user_id IS NOT NULL
		UNION
		SELECT 'account:' || stripe_account_id FROM changed_stores WHERE stripe_account_id IS NOT NULL
		UNION
		SELECT 'product:' || id FROM settled
		UNION
		SELECT unnest(catalogue) FROM settled
		UNION
		SELECT 'product:' || b.id FROM products b WHERE b.items && (SELECT coalesce(array_agg(id), '{}') FROM settled)`,
		stores, products)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
