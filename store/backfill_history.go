package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// The backfills of stored facts: each course enrollment and course purchase, or each
// active subscription, is attached again and its customer derived.

// FactsHistory is the source of the kinds courses and subscriptions.
type FactsHistory struct {
	Kind  string
	Store string // only facts of this store; "" is all
}

// rowList is the cursor of a chunk: the keys of its rows.
type rowList struct {
	Rows [][3]string `json:"rows"` // kind and key of each
}

// Read returns the rows of a chunk or, for the plan, the SQL that finds all.
func (h FactsHistory) Read(_ context.Context, at Position, _ int) (Page, error) {
	if at.Stream == "" {
		return Page{plan: planSQL(h.Kind)}, nil
	}
	var list rowList
	if err := json.Unmarshal(at.Cursor, &list); err != nil {
		return Page{}, fmt.Errorf("cursor of stream %s: %w", at.Stream, err)
	}
	items := make([]Item, len(list.Rows))
	for i, r := range list.Rows {
		k := RowKey{r[0], r[1], r[2]}
		items[i] = Item{Place: k.place(), row: &k}
	}
	return Page{Items: items}, nil
}

// planSQL finds the rows of a backfill of facts and inserts a chunk for each $2 rows.
// The list is made once, so the total is exact. It is sorted by person, so that most
// customers are derived once. $3 is a store or empty.
func planSQL(history string) string {
	return `
	WITH courses AS (
		SELECT unnest(` + productKeys("id") + `) AS key
		FROM products
		WHERE kind IN ('course', 'bundle')
	), found (kind, a, b, who) AS (` + UnionAll(func(k FactKind) string {
		if k.History != history {
			return ""
		}
		return `
		SELECT '` + k.Name + `', ` + k.KeySQL("f") + k.Plan
	}) + `
	)` + planTail
}

const planTail = `, numbered AS (
		SELECT kind, a, b,
			(row_number() OVER (ORDER BY who COLLATE "C", kind, a COLLATE "C", b COLLATE "C") - 1) / $2::int AS chunk
		FROM found
	), written AS (
		INSERT INTO backfill_chunks (backfill_id, number, stream, cursor)
		SELECT $1, chunk + 1, 'facts', json_build_object('rows', json_agg(json_build_array(kind, a, b)))
		FROM numbered
		GROUP BY chunk
	)
	SELECT count(*), coalesce(max(chunk) + 1, 0)::int FROM numbered`

// attachRows attaches stored rows. A row counts as created if its customer is new,
// as updated if it or its customer changed.
func (w *work) attachRows(ctx context.Context, items []Item, t *tally) error {
	if len(items) == 0 {
		return nil
	}
	keys, own := make([]RowKey, len(items)), locks{}
	for i, item := range items {
		keys[i] = *item.row
		own.add(true, item.row.lock())
	}
	if err := w.lock(ctx, own); err != nil {
		return err
	}
	rows, err := w.withDependents(ctx, keys, nil)
	if err != nil {
		return err
	}
	if paid := paymentKeysOf(rows); len(paid) > 0 { // an invoice's payment intents may not be attached either
		if rows, err = w.withDependents(ctx, rows, paid); err != nil {
			return err
		}
	}
	w.recheck, w.attached = true, attached{}
	defer func() { w.recheck = false }()
	if _, err := w.attach(ctx, rows); err != nil {
		return err
	}
	w.countRows(items, t)
	t.bringNew(w.attached)
	return nil
}

// paymentKeysOf lists the keys of payments that other rows depend on.
func paymentKeysOf(rows []RowKey) (keys []string) {
	for _, k := range rows {
		if k.Kind == Payment {
			keys = append(keys, k.lock())
		}
	}
	return keys
}

// countRows counts the result of each item's row.
func (w *work) countRows(items []Item, t *tally) {
	byKey := make(map[RowKey]resolution, len(w.attached.rows))
	for _, r := range w.attached.rows {
		byKey[r.RowKey] = r
	}
	claimed := map[int64]bool{}
	for _, item := range items {
		r, there := byKey[*item.row]
		switch {
		case !there:
			t.count(unchanged) // in its place, or gone: nothing to attach
		case !r.attachable():
			t.unresolved(item.Place, *r.Unattached)
		default:
			id := w.attached.at[address{*r.Store, *r.Email}]
			isNew, written := w.attached.customers[id]
			switch {
			case isNew && !claimed[id]:
				t.count(created)
				t.claimed[address{*r.Store, *r.Email}], claimed[id] = true, true
			case written || r.OldID == nil || *r.OldID != id:
				t.count(updated)
				w.sample(item, updated, t)
			default:
				t.count(unchanged)
			}
		}
	}
}
