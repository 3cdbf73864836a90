package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"

	"rollcall/store/pg"
)

// deriveChunk is how many customers one statement derives. The planner assumes few
// rows in a parameter: beyond some hundreds the time would grow quadratically.
const deriveChunk = 256

// derive computes customers from all rows that point at them, and writes those that
// changed. A customer without rows is deleted.
func (w *work) derive(ctx context.Context, customers []customer) (changes Changes, err error) {
	defer pg.Wrap(&err, "store.derive(%d)", len(customers))
	if len(customers) == 0 {
		return changes, nil
	}
	ctx, end := pg.Traced(ctx, "derive", attribute.Int("rollcall.customers", len(customers)))
	defer end(&err)
	all := make([]int64, len(customers))
	for i, c := range customers {
		all[i] = c.id
	}
	var batch pgx.Batch
	batch.Queue(`SET LOCAL enable_hashjoin = on`) // for joins among rows already found by key
	batch.Queue(deleteSQL, all).Exec(func(tag pgconn.CommandTag) error {
		changes.Deleted = tag.RowsAffected()
		return nil
	})
	for chunk := range slices.Chunk(customers, deriveChunk) {
		ids, stores, emails := make([]int64, len(chunk)), make([]string, len(chunk)), make([]string, len(chunk))
		for i, c := range chunk {
			ids[i], stores[i], emails[i] = c.id, c.store, c.email
		}
		batch.Queue(deriveSQL, ids, stores, emails).Query(func(rows pgx.Rows) error { return w.countDerived(rows, &changes) })
	}
	batch.Queue(`SET LOCAL enable_hashjoin = off`)
	return changes, w.tx.SendBatch(ctx, &batch).Close()
}

// countDerived counts the rows that deriveSQL returns.
func (w *work) countDerived(rows pgx.Rows, c *Changes) error {
	var id int64
	var created bool
	return pg.Each(rows, []any{&id, &created}, func() {
		if w.attached.customers != nil {
			w.attached.customers[id] = created
		}
		if created {
			c.Created++
		} else {
			c.Updated++
		}
	})
}

// deleteSQL deletes the customers among $1 without rows. It runs before the others
// are written: one of those may take over an address.
const deleteSQL = `
DELETE FROM customers c
WHERE c.id = ANY($1)
  AND NOT EXISTS (SELECT FROM facts WHERE customer_id = c.id)`
