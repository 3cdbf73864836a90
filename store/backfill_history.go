package store

import (
	"context"
	"encoding/json"
	"fmt"

	"rollcall/store/reasons"
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

// place names the row for people.
func (k RowKey) place() string {
	label := KindOf(k.Kind).Label
	switch {
	case label != "":
		return fmt.Sprintf(label, k.A, k.B)
	case k.A != "":
		return fmt.Sprintf("%s %s of account %s", k.Kind, k.B, k.A)
	}
	return k.Kind + " " + k.B
}

// planSQL finds the rows of a backfill of facts and inserts a chunk for each $2 rows.
// The list is made once, so the total is exact. It is sorted by person, so that most
// customers are derived once. $3 is a store or empty.
func planSQL(history string) string {
	return `
	WITH courses AS (
		SELECT unnest(ARRAY['product:' || id] || stripe_product_ids || stripe_price_ids) AS key
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

// The rest of planSQL per kind: the person of rows f, and the condition.
var (
	enrollmentPlan = `, f.person
		FROM enrollments f
		WHERE f.version <> '' AND ` + ofStore("f")
	paymentPlan = `, coalesce('user:' || f.user_ref, 'email:' || f.email, f.stripe_customer)
		FROM payments f
		LEFT JOIN subscriptions s ON s.account = f.account AND s.id = f.subscription
		WHERE f.paid AND f.claim_version <> '' AND ` + ofStore("f") + `
		  AND (f.lines @> '[{"kind": "course"}]'
			OR coalesce(f.named, f.intent -> 'named') @> '[{"kind": "course"}]'
			OR coalesce(f.product_kind, f.intent ->> 'product_kind') IN ('course', 'bundle')
			OR EXISTS (SELECT FROM unnest(f.leans || s.leans) l(key) WHERE l.key IN (SELECT key FROM courses)))`
	subscriptionPlan = `, coalesce('user:' || f.user_ref, 'email:' || f.email, f.stripe_customer)
		FROM subscriptions f
		WHERE f.status IN ('trialing', 'active', 'past_due') AND ` + ofStore("f")
)

const planTail = `, numbered AS (
		SELECT kind, a, b, (row_number() OVER (ORDER BY who COLLATE "C", kind, a COLLATE "C", b COLLATE "C") - 1) / $2::int AS chunk
		FROM found
	), written AS (
		INSERT INTO backfill_chunks (backfill_id, number, stream, cursor)
		SELECT $1, chunk + 1, 'facts', json_build_object('rows', json_agg(json_build_array(kind, a, b)))
		FROM numbered
		GROUP BY chunk
	)
	SELECT count(*), coalesce(max(chunk) + 1, 0)::int FROM numbered`

// ofStore narrows rows of a table down to those of the store $3: attached to
// it, or unattached and dependent on it or on one of its products.
func ofStore(table string) string {
	return `($3 = '' OR ` + table + `.store_id = $3 OR ` + table + `.store_id IS NULL AND ` + dependsOnStore(table, "$3") + `)`
}

// dependsOnStore is SQL for whether a row of a table depends on a store, or on one of
// its products.
func dependsOnStore(table, store string) string {
	return table + `.leans && (
			SELECT array_agg(key)
			FROM (
				SELECT 'store:' || ` + store + ` AS key
				UNION
				SELECT CASE relation WHEN 'owner' THEN 'store:' ELSE 'account:' END || object FROM links WHERE relation IN ('owner', 'account') AND subject = ` + store + `
				UNION
				SELECT unnest(ARRAY['product:' || id] || ARRAY(SELECT object FROM links WHERE relation = 'stripe' AND subject = products.id)) FROM products WHERE store_ids @> ARRAY[` + store + `]
			) k)`
}

// fanOut writes the chunks of a backfill of facts, and closes the plan.
func (w *work) fanOut(ctx context.Context, c Chunk, plan string, out *Applied) error {
	// This statement reads whole tables.
	if _, err := w.tx.Exec(ctx, `SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL work_mem = '64MB'`); err != nil {
		return err
	}
	var expected int64
	var chunks int
	if err := w.tx.QueryRow(ctx, plan, c.Backfill, c.Run.ChunkSize, c.Run.Options.Store).Scan(&expected, &chunks); err != nil {
		return err
	}
	for i := range chunks {
		out.Next = append(out.Next, i+1)
	}
	if _, err := w.tx.Exec(ctx, `
		UPDATE backfills SET chunks = 1 + $2, expected = $3, moved_at = now()
		WHERE id = $1`, c.Backfill, chunks, expected); err != nil {
		return err
	}
	if err := w.markDone(ctx, c, 0); err != nil {
		return err
	}
	status, err := w.finish(ctx, c.Backfill)
	out.Status = status
	return err
}

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

// bringNew records the new customers of an attachment.
func (t *tally) bringNew(a attached) {
	for at, id := range a.at {
		if a.customers[id] {
			t.customers++
			t.brought = append(t.brought, at)
		}
	}
}

// unresolved counts a row that belongs to no customer: as an error if a
// customer may be missing because of it.
func (t *tally) unresolved(place, unattached string) {
	reason, _ := reasons.Find(unattached)
	if reason.Right {
		t.count(unchanged)
		return
	}
	t.fail(Finding{Place: place, What: unattached, Why: reason.Text()})
}
