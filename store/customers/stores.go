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
	// Campaigns that were switched on, by name.
	Campaigns []Named
	// Pinned are segments that stand beside the tabs of the list: those that are ready-made, then others by name.
	Pinned []Named
	// Countries are the codes of those that customers live in.
	Countries []string
}

// Named is something of a store with a name.
type Named struct{ ID, Name string }

// ProductInfo is a product of a store.
type ProductInfo struct {
	ID    string
	Title string // its id if it has none
	Kind  string
}

// maxOffer is the maximum number of products of a StoreInfo.
const maxOffer = 1000

// mostPinned is how many pinned segments a StoreInfo has at most.
const mostPinned = 6

// Store returns a store with its products by title; only the id if it is unknown.
func (s *Reader) Store(ctx context.Context, id string) (info StoreInfo, err error) {
	defer pg.Wrap(&err, "customers.Store(%q)", id)
	info.ID = id
	if !pg.Storable(id) {
		info.Name = printable(id)
		return info, nil
	}
	all := &pgx.Batch{} // one way there and back
	all.Queue(`SELECT coalesce((SELECT nullif(name, '') FROM stores WHERE id = $1), $1)`, id).QueryRow(
		func(row pgx.Row) error { return row.Scan(&info.Name) })
	all.Queue(`
		SELECT
			id,
			coalesce(nullif(title, ''), id) AS title,
			coalesce(kind, 'other')
		FROM products
		WHERE store_id = $1
		ORDER BY lower(title), id
		LIMIT $2`, id, maxOffer).Query(func(rows pgx.Rows) (err error) {
		info.Products, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ProductInfo])
		return err
	})
	all.Queue(selectTags, id).Query(func(rows pgx.Rows) (err error) {
		info.Tags, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Tag])
		return err
	})
	all.Queue(`
		SELECT
			id,
			name
		FROM campaigns
		WHERE store_id = $1 AND state <> 'draft'
		ORDER BY lower(name), id
		LIMIT $2`, id, maxOffer).Query(func(rows pgx.Rows) (err error) {
		info.Campaigns, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Named])
		return err
	})
	// Skips through the index, one look-up for each country.
	all.Queue(`
		WITH RECURSIVE countries AS (
			(SELECT country FROM customers WHERE store_id = $1 AND country IS NOT NULL ORDER BY country LIMIT 1)
			UNION ALL
			SELECT (SELECT c.country FROM customers c WHERE c.store_id = $1 AND c.country > l.country ORDER BY c.country LIMIT 1)
			FROM countries l
			WHERE l.country IS NOT NULL
		)
		SELECT country
		FROM countries
		WHERE country IS NOT NULL`, id).Query(func(rows pgx.Rows) (err error) {
		info.Countries, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	all.Queue(`SELECT coalesce(ready, id), name FROM segments WHERE store_id = $1 AND pinned ORDER BY folded LIMIT $2`,
		id, mostPinned).Query(func(rows pgx.Rows) (err error) {
		info.Pinned, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Named])
		return err
	})
	err = s.Pool.SendBatch(ctx, all).Close()
	return info, err
}

// printable is an id that no store can have, as pages may write it.
func printable(id string) string { return strings.ToValidUTF8(id, "\ufffd") }
