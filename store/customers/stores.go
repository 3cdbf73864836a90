package customers

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// StoreInfo is the name of a store and its products.
type StoreInfo struct {
	ID       string
	Name     string // its id until the platform reports its name
	Products []ProductInfo
	Tags     []Tag // by name
}

// ProductInfo is a product of a store.
type ProductInfo struct {
	ID    string
	Title string // its id if it has none
	Kind  string
}

// maxOffer is the maximum number of products of a StoreInfo.
const maxOffer = 1000

// Store returns a store with its products by title; only the id if it is unknown.
func (s *Reader) Store(ctx context.Context, id string) (info StoreInfo, err error) {
	defer pg.Wrap(&err, "customers.Store(%q)", id)
	info.ID = id
	if !pg.Storable(id) {
		info.Name = printable(id)
		return info, nil
	}
	if err := s.Pool.QueryRow(ctx, `SELECT coalesce((SELECT nullif(name, '') FROM stores WHERE id = $1), $1)`, id).Scan(
		&info.Name); err != nil {
		return info, err
	}
	rows, err := s.Pool.Query(ctx, `
		SELECT
			id,
			coalesce(nullif(title, ''), id) AS title,
			coalesce(kind, 'other')
		FROM products
		WHERE store_id = $1
		ORDER BY lower(title), id
		LIMIT $2`, id, maxOffer)
	if err != nil {
		return info, err
	}
	if info.Products, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ProductInfo]); err != nil {
		return info, err
	}
	info.Tags, err = tagsOf(ctx, s.Pool, id)
	return info, err
}

// printable is an id that no store can have, as pages may write it.
func printable(id string) string { return strings.ToValidUTF8(id, "\ufffd") }
