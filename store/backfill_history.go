package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// The backfills of facts that we hold already: each course enrollment and
// course purchase, or each active subscription, is attached and its customer
// derived, whatever is there now.

// FactsHistory is the source of the kinds courses and subscriptions.
type FactsHistory struct {
	Kind  string
	Store string // only facts of this store; "" is all
}

// rowList is the cursor of a chunk: the very rows it is about.
type rowList struct {
	Rows [][3]string `json:"rows"` // kind and key of each
}

// Read returns the rows of a chunk; of the plan, how to find them all.
func (h FactsHistory) Read(_ context.Context, at Position, _ int) (Page, error) {
	if at.Stream == "" {
		return Page{plan: planSQL[h.Kind]}, nil
	}
	var list rowList
	if err := json.Unmarshal(at.Cursor, &list); err != nil {
		return Page{}, fmt.Errorf("cursor of stream %s: %w", at.Stream, err)
	}
	items := make([]Item, len(list.Rows))
	for i, r := range list.Rows {
		k := rowKey{r[0], r[1], r[2]}
		items[i] = Item{Place: k.place(), row: &k}
	}
	return Page{Items: items}, nil
}

// place says to a person which row it is.
func (k rowKey) place() string {
	switch {
	case k.kind == enrollment:
		return fmt.Sprintf("enrollment of %s in course %s", k.b, k.a)
	case k.a != "":
		return fmt.Sprintf("%s %s of account %s", k.kind, k.b, k.a)
	}
	return k.kind + " " + k.b
}

// planSQL finds what a backfill of facts is about and writes a chunk for each
// $2 rows. The list is made once, so what is seen is what was counted; sorted by
// person, so that most customers are derived once. $3 is a store or empty.
var planSQL = map[string]string{
	"courses": `
	WITH courses AS (
		SELECT unnest(ARRAY['product:' || id] || stripe_product_ids || stripe_price_ids) AS key
		FROM products
		WHERE kind IN ('course', 'bundle')
	), found AS (
		SELECT 'enrollment' AS kind, course_id AS a, person AS b, person AS who
		FROM enrollments
		WHERE version <> '' AND ` + ofStore("enrollments") + `
		UNION ALL
		SELECT 'payment', p.account, p.id, coalesce('user:' || p.user_ref, 'email:' || p.email, p.stripe_customer)
		FROM payments p
		LEFT JOIN subscriptions s ON s.account = p.account AND s.id = p.subscription
		WHERE p.paid AND p.claim_version <> '' AND ` + ofStore("p") + `
		  AND (p.lines @> '[{"kind": "course"}]'
			OR coalesce(p.named, p.intent -> 'named') @> '[{"kind": "course"}]'
			OR coalesce(p.product_kind, p.intent ->> 'product_kind') IN ('course', 'bundle')
			OR EXISTS (SELECT FROM unnest(p.leans || s.leans) l(key) WHERE l.key IN (SELECT key FROM courses)))
	)` + planTail,
	"subscriptions": `
	WITH found AS (
		SELECT 'subscription' AS kind, account AS a, id AS b, coalesce('user:' || user_ref, 'email:' || email, stripe_customer) AS who
		FROM subscriptions
		WHERE status IN ('trialing', 'active', 'past_due') AND ` + ofStore("subscriptions") + `
	)` + planTail,
}

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
// it, or attached nowhere yet and leaning on it or on one of its products.
func ofStore(table string) string {
	return `($3 = '' OR ` + table + `.store_id = $3 OR ` + table + `.store_id IS NULL AND ` + table + `.leans && (
			SELECT array_agg(key)
			FROM (
				SELECT 'store:' || $3 AS key
				UNION
				SELECT CASE relation WHEN 'owner' THEN 'store:' ELSE 'account:' END || object FROM links WHERE relation IN ('owner', 'account') AND subject = $3
				UNION
				SELECT unnest(ARRAY['product:' || id] || ARRAY(SELECT object FROM links WHERE relation = 'stripe' AND subject = products.id)) FROM products WHERE store_ids @> ARRAY[$3]
			) k))`
}

// fanOut writes the chunks of a backfill of facts, and closes the plan.
func (w *work) fanOut(ctx context.Context, c Chunk, plan string, out *Applied) error {
	// This one does read whole tables.
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

// attachRows attaches rows that are there already. One counts as created if it
// brought a new customer, as updated if it or its customer came out different.
func (w *work) attachRows(ctx context.Context, items []Item, t *tally) error {
	if len(items) == 0 {
		return nil
	}
	keys, own := make([]rowKey, len(items)), locks{}
	for i, item := range items {
		keys[i] = *item.row
		own.add(true, item.row.lock())
	}
	if err := w.lock(ctx, own); err != nil {
		return err
	}
	rows, err := w.neighbours(ctx, keys, nil)
	if err != nil {
		return err
	}
	if paid := paymentKeysOf(rows); len(paid) > 0 { // an invoice's payment intents may not be attached either
		if rows, err = w.neighbours(ctx, rows, paid); err != nil {
			return err
		}
	}
	w.settled, w.attached = true, attached{}
	defer func() { w.settled = false }()
	if _, err := w.attach(ctx, rows); err != nil {
		return err
	}
	w.countRows(items, t)
	t.bringNew(w.attached)
	return nil
}

// paymentKeysOf lists the keys that other rows lean on payments by.
func paymentKeysOf(rows []rowKey) (keys []string) {
	for _, k := range rows {
		if k.kind == payment {
			keys = append(keys, k.lock())
		}
	}
	return keys
}

// countRows counts what became of each item's row.
func (w *work) countRows(items []Item, t *tally) {
	byKey := make(map[rowKey]resolution, len(w.attached.rows))
	for _, r := range w.attached.rows {
		byKey[r.rowKey] = r
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

// bringNew takes note of the new customers of an attachment.
func (t *tally) bringNew(a attached) {
	for at, id := range a.at {
		if a.customers[id] {
			t.customers++
			t.brought = append(t.brought, at)
		}
	}
}

// notDerived is why a row is on no list that was written and never attached.
const notDerived = "not_derived"

// advice says what is missing where a row cannot be attached, and what to do.
// Reasons that are not here are as they should be: the row makes no customer.
var advice = map[string]string{
	notDerived:              "nobody has attached it yet: start the backfills courses and subscriptions, or rebuild",
	"no_store":              "no store is known for it: the platform has to say whose the product is (product.upserted), or which stores there are (store.upserted)",
	"account_without_store": "its Stripe account belongs to no store: the platform has to say so (store.upserted with stripe_account_id)",
	"user_unknown":          "its user was never heard of: start a backfill of kind clerk",
	"user_unconfirmed":      "it names a user on a connected account, whose owner can write any user's id there, and has no address of its own: it counts once the platform reports that user in the store, or a backfill of kind stripe finds the buyer's address",
	"email_unverified":      "its user has no address, or none that is verified: when Clerk tells of one, it is attached by itself",
	"no_email":              "nobody said the buyer's address: a backfill of kind stripe or clerk may",
	"unclaimed_payment":     "it was paid, but nothing says for what: the session or invoice that sold it may have been missed, so start a backfill of kind stripe; or let the payment's metadata name the product",
	"paid_not_started":      "an invoice of it was paid, but Stripe never reported it active: start a backfill of kind stripe",
}

// unresolved counts a row that belongs to no customer.
func (t *tally) unresolved(place, reason string) {
	if why, ok := advice[reason]; ok {
		t.fail(Finding{Place: place, What: reason, Why: why})
		return
	}
	t.count(unchanged)
}
