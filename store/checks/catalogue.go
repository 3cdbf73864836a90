package checks

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/pg"
)

// HomelessProduct is a product without a known store.
type HomelessProduct struct {
	ID       string
	Title    string // its id if it has none
	StoreRef string // the store that it names; empty: none
	Owned    int64  // how many stores StoreRef owns, if it is a user
}

// HomelessProducts lists and counts the products without a store, deleted ones too if
// facts depend on them. With a store, only those that name it or its owner.
func (c *Checkup) HomelessProducts(ctx context.Context) (all []HomelessProduct, count int64, err error) {
	defer pg.Wrap(&err, "store.Checkup.HomelessProducts")
	type row struct {
		HomelessProduct
		Count int64
	}
	rows, err := collect(ctx, c, pgx.RowToStructByPos[row], homelessSQL, c.only, c.examples)
	for _, r := range rows {
		all, count = append(all, r.HomelessProduct), r.Count
	}
	return all, count, err
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

// NamedByOwner is a user id that products or payments name instead of a store's id.
type NamedByOwner struct {
	Owner    string
	Products int64
	Facts    int64
	Store    string   // the store in use now: the first that the user owned; empty: unknown
	Stores   []string // all stores of the user
}

// NamedByOwner lists these users, those with most facts first.
func (c *Checkup) NamedByOwner(ctx context.Context) (_ []NamedByOwner, err error) {
	defer pg.Wrap(&err, "store.Checkup.NamedByOwner")
	return collect(ctx, c, pgx.RowToStructByPos[NamedByOwner], `
		SELECT
			n.ref,
			sum(n.products)::bigint,
			sum(n.facts)::bigint AS facts,
			coalesce(`+store.StoreOwned(store.LinkSubject, "n.ref", store.Forever)+`, ''),
			ARRAY(SELECT id FROM stores WHERE owner_user_id = n.ref ORDER BY id LIMIT 5)
		FROM (
			SELECT store_ref AS ref, 1 AS products, 0 AS facts FROM products WHERE store_ref LIKE 'user\_%' AND deleted_version = ''
			UNION ALL
			SELECT store_ref, 0, 1 FROM facts WHERE store_ref LIKE 'user\_%'
		) n
		WHERE $1 = '' OR n.ref IN (SELECT owner_user_id FROM stores WHERE id = $1)
		GROUP BY n.ref
		ORDER BY facts DESC, n.ref
		LIMIT 1000`, c.only)
}

// OnlyStore is the id of the only known store; empty if there are several, or none.
func (s *Reader) OnlyStore(ctx context.Context) (id string, err error) {
	defer pg.Wrap(&err, "store.OnlyStore")
	err = s.Pool.QueryRow(ctx, `SELECT coalesce((SELECT min(id) FROM (SELECT id FROM stores LIMIT 2) s HAVING count(*) = 1), '')`).Scan(&id)
	return id, err
}

// ToldStore is the latest version of a store; ErrNotFound if none was reported.
func (s *Reader) ToldStore(ctx context.Context, id string) (_ facts.Store, err error) {
	defer pg.Wrap(&err, "store.ToldStore(%q)", id)
	return told[facts.Store](ctx, s, "stores", id)
}

// ToldProduct is the latest version of a product; ErrNotFound if none was reported.
func (s *Reader) ToldProduct(ctx context.Context, id string) (_ facts.Product, err error) {
	defer pg.Wrap(&err, "store.ToldProduct(%q)", id)
	return told[facts.Product](ctx, s, "products", id)
}

func told[T any](ctx context.Context, s *Reader, table, id string) (f T, err error) {
	if !pg.Storable(id) {
		return f, pg.ErrNotFound
	}
	err = s.Pool.QueryRow(ctx, `SELECT to_jsonb(t) FROM `+table+` t WHERE id = $1 AND version <> ''`, id).Scan(&f)
	if errors.Is(err, pgx.ErrNoRows) {
		err = pg.ErrNotFound
	}
	return f, err
}
