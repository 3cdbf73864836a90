package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Adrift are the facts of one store that are written down as on its list, and
// are on none, or on another's.
type Adrift struct {
	Store    string
	Facts    int64
	People   int64 // their addresses
	Examples []string
}

// Adrift compares facts with the customers they point at, store by store: who
// the facts say is there, and is not. The stores of most people come first.
func (c *Checkup) Adrift(ctx context.Context) (_ []Adrift, err error) {
	defer wrap(&err, "store.Checkup.Adrift")
	return collect(ctx, c, pgx.RowToStructByPos[Adrift], `
		SELECT
			coalesce(store_id, ''),
			count(*),
			count(DISTINCT customer_email) AS people,
			coalesce((array_agg(DISTINCT customer_email))[1:$2], '{}')
		FROM (
			SELECT f.store_id, f.customer_email
			FROM facts f
			LEFT JOIN customers c ON c.id = f.customer_id
			WHERE f.customer_id IS NOT NULL
			  AND ($1 = '' OR f.store_id = $1)
			  AND (c.id IS NULL OR (c.store_id, c.email) IS DISTINCT FROM (f.store_id, f.customer_email))
		) f
		GROUP BY store_id
		ORDER BY people DESC, 1
		LIMIT 100`, c.only, c.examples)
}

// Strays are the customers of a store of whom no fact speaks.
type Strays struct {
	Store    string
	Count    int64
	Examples []string
}

// Strays finds them, store by store.
func (c *Checkup) Strays(ctx context.Context) (_ []Strays, err error) {
	defer wrap(&err, "store.Checkup.Strays")
	return collect(ctx, c, pgx.RowToStructByPos[Strays], `
		SELECT
			store_id,
			count(*) AS customers,
			(array_agg(email ORDER BY id))[1:$2]
		FROM customers c
		WHERE ($1 = '' OR store_id = $1)
		  AND NOT EXISTS (SELECT FROM facts WHERE customer_id = c.id)
		GROUP BY store_id
		ORDER BY customers DESC, store_id
		LIMIT 100`, c.only, c.examples)
}

// KeptOff is what is kept beside the customers and is not what follows from them.
type KeptOff struct {
	Store    string
	Unfound  int64 // customers whom search and filters do not find as they should
	Figures  int64 // figures that are off
	Examples []string
}

// someEntries is how many of the newest customers are compared with their
// entries word by word; of the others only whether there is one.
const someEntries = 2000

// KeptOff compares what is kept beside the customers with them, store by store.
func (c *Checkup) KeptOff(ctx context.Context) (_ []KeptOff, err error) {
	defer wrap(&err, "store.Checkup.KeptOff")
	return collect(ctx, c, pgx.RowToStructByPos[KeptOff], fmt.Sprintf(`
		SELECT
			store_id,
			sum(entries)::bigint,
			sum(figures)::bigint,
			(array_agg(example))[1:$2]
		FROM (
			SELECT c.store_id, 1 AS entries, 0 AS figures, c.email || ' has no entry' AS example
			FROM customers c
			LEFT JOIN customer_index i ON i.customer_id = c.id
			WHERE i.customer_id IS NULL AND ($1 = '' OR c.store_id = $1)
			UNION ALL
			SELECT i.store_id, 1, 0, 'customer ' || i.customer_id || ' has an entry and is gone'`+indexedTooMuch+`
			UNION ALL
			SELECT x.store_id, 1, 0, 'the entry of customer ' || x.customer_id || ' differs'
			FROM (%s AND c.id > (SELECT coalesce(max(id), 0) - %d FROM customers) AND EXISTS (SELECT FROM customer_index WHERE customer_id = c.id)) x
			UNION ALL
			SELECT store_id, 0, 1, figure || ' of ' || facet || ' is ' || kept || ' and should be ' || should
			FROM (%s) f
		) off
		GROUP BY store_id
		ORDER BY sum(entries + figures) DESC, store_id
		LIMIT 100`, misindexed, someEntries, figuresOff), c.only, c.examples)
}

// UntoldStore is a store that has customers, and that the platform has not told
// of, or not whose it is: nobody but operators can look at its list.
type UntoldStore struct {
	ID        string
	Known     bool // it is told of, without an owner
	Customers int64
}

// UntoldStores finds them, those of most customers first.
func (c *Checkup) UntoldStores(ctx context.Context) (_ []UntoldStore, err error) {
	defer wrap(&err, "store.Checkup.UntoldStores")
	// One look into the index per store, not per customer.
	return collect(ctx, c, pgx.RowToStructByPos[UntoldStore], `
		WITH RECURSIVE listed(id) AS (
			(SELECT store_id FROM customers ORDER BY store_id LIMIT 1)
			UNION ALL
			SELECT (SELECT store_id FROM customers WHERE store_id > l.id ORDER BY store_id LIMIT 1)
			FROM listed l
			WHERE l.id IS NOT NULL
		)
		SELECT
			l.id,
			s.id IS NOT NULL,
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
		LIMIT 1000`, c.only)
}
