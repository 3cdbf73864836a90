package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/finding"
	"rollcall/store/pg"
)

// customers looks at every customer, or those of the store.
func (a *Auditor) customers(ctx context.Context) error {
	for last := int64(0); ; {
		ids, err := pg.Column[int64](ctx, a.Pool, `
			SELECT id
			FROM customers
			WHERE id > $1 AND ($2 = '' OR store_id = $2)
			ORDER BY id
			LIMIT $3`, last, a.AuditOptions.Store, deriveChunk)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := a.derived(ctx, ids); err != nil {
			return err
		}
		last = ids[len(ids)-1]
		a.audit.Customers += int64(len(ids))
		a.reportProgress()
	}
}

// derived compares customers with what their facts come to. If Postgres cannot
// compute some, those are found by halving.
func (a *Auditor) derived(ctx context.Context, ids []int64) error {
	err := a.Snapshot(ctx, func(tx pgx.Tx) error { return a.compare(ctx, tx, ids) })
	switch {
	case !pg.Permanent(err):
		return err
	case len(ids) == 1:
		a.found.add("customer_cannot_be_derived", 1,
			finding.Example{Place: fmt.Sprintf("customer %d", ids[0]), What: "its facts", Why: err.Error()})
		return nil
	}
	for half := range slices.Chunk(ids, (len(ids)+1)/2) {
		if err := a.derived(ctx, half); err != nil {
			return err
		}
	}
	return nil
}

// compare does it on one snapshot.
func (a *Auditor) compare(ctx context.Context, tx pgx.Tx, ids []int64) error {
	all, err := customersByID(ctx, tx, ids)
	if err != nil {
		return err
	}
	ids, stores, emails := make([]int64, len(all)), make([]string, len(all)), make([]string, len(all))
	byID := map[int64]customer{}
	for i, c := range all {
		ids[i], stores[i], emails[i], byID[c.id] = c.id, c.store, c.email, c
	}
	if _, err := tx.Exec(ctx, `SET LOCAL enable_hashjoin = on`); err != nil { // as when they are derived
		return err
	}
	differing, err := pg.Structs[differing](ctx, tx, customersDifferSQL, ids, stores, emails)
	for _, d := range differing {
		a.differs(byID[d.ID], d)
	}
	return err
}

func customersByID(ctx context.Context, tx pgx.Tx, ids []int64) ([]customer, error) {
	rows := pg.Query(ctx, tx, `SELECT id, store_id, email FROM customers WHERE id = ANY($1)`, ids)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c customer, err error) {
		return c, row.Scan(&c.id, &c.store, &c.email)
	})
}

// differing is a customer that is not what its facts come to; should is nil if
// it has none.
type differing struct {
	ID     int64
	Is     json.RawMessage
	Should *json.RawMessage
}

// differs names what is wrong with a customer.
func (a *Auditor) differs(c customer, d differing) {
	at := address{c.store, c.email}
	kind, why := "customer_without_facts", "no fact mentions them"
	if d.Should != nil {
		kind, why = "customer_differs", explain(d.Is, *d.Should)
	}
	if _, touched := a.touched[at.hash()]; touched {
		kind, why = "customer_of_misplaced_facts", "their facts are misplaced, and fixed with them"
	}
	a.found.add(kind, 1, finding.Example{Place: "store " + c.store, What: c.email, Why: why})
}

// explain tells in which fields two rows differ.
func explain(is, should json.RawMessage) string {
	var old, now fields
	if json.Unmarshal(is, &old) != nil || json.Unmarshal(should, &now) != nil {
		return "it is not what its facts come to"
	}
	return unlike(old, now)
}
