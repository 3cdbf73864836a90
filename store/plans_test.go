package store

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/testdb"
)

// plan is a node of what EXPLAIN says.
type plan struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Rows     float64 `json:"Plan Rows"`
	Plans    []plan
}

// scans lists the nodes that read a whole table, or a whole index.
func (p plan) scans() (all []string) {
	table := p.Relation != "" && p.Type != "Bitmap Heap Scan" || p.Index != ""
	if table && p.Cond == "" {
		all = append(all, fmt.Sprintf("%s on %s %s", p.Type, p.Relation, p.Index))
	}
	for _, sub := range p.Plans {
		all = append(all, sub.scans()...)
	}
	return all
}

// manySQL makes tables so large that to read one whole for a few rows costs more
// than to look these up, and yet may look cheaper.
var manySQL = []string{
	`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload)
		SELECT 'stripe', 'evt_' || i, 'x', now(), '{}' FROM generate_series(1, 5000) i`,
	`INSERT INTO users (id, email, version, deleted_version)
		SELECT 'user_' || i, 'p' || i || '@x.example', 'v', '' FROM generate_series(1, 5000) i`,
	`INSERT INTO stripe_customers (account, id, email, version, deleted_version)
		SELECT '', 'cus_' || i, 'p' || i || '@x.example', 'v', '' FROM generate_series(1, 5000) i`,
	`INSERT INTO products (id, store_ref, store_id, store_ids, kind, title, version, deleted_version)
		SELECT 'p' || i, 's' || i % 3, 's' || i % 3, ARRAY['s' || i % 3], 'course', 'T', 'v', '' FROM generate_series(1, 5000) i`,
	`INSERT INTO customers (store_id, email)
		SELECT 's' || i % 3, 'p' || i || '@x.example' FROM generate_series(1, 5000) i`,
	`INSERT INTO customer_notes (store_id, email, body, author)
		SELECT 's' || i % 3, 'p' || i || '@x.example', 'B', 'admin' FROM generate_series(1, 5000) i`,
	`INSERT INTO customer_merges (store_id, from_id, from_email, into_id, into_email)
		SELECT 's' || i % 3, i, 'x', i + 1, 'y' FROM generate_series(1, 5000) i`,
	`INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version, kind, claim_paid, claim_amount, claim_currency, paid_at, user_ref, stripe_customer, store_id, invoice, subscription, customer_id, unattached)
		SELECT '', 'pi_' || i, 'v', '', '', '', 'checkout', true, 1, 'usd', now(), 'user_' || i, 'cus_' || i, 's' || i % 3, 'in_' || i, 'sub_' || i,
			nullif(i % 5, 0) + i, CASE WHEN i % 5 = 0 THEN 'unpaid' END FROM generate_series(1, 5000) i`,
	`INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version, enrolled_version, completed_version, deleted_version, store_id, customer_id, unattached)
		SELECT 'p' || i % 9, 'user:user_' || i, 'v', '', '', '', '', '', '', '', 's' || i % 3, nullif(i % 5, 0) + i, CASE WHEN i % 5 = 0 THEN 'never_enrolled' END FROM generate_series(1, 5000) i`,
	`INSERT INTO subscriptions (account, id, version, checkout_version, ever_active, user_ref, store_id, customer_id, unattached)
		SELECT '', 'sub_' || i, 'v', '', true, 'user_' || i, 's' || i % 3, nullif(i % 5, 0) + i, CASE WHEN i % 5 = 0 THEN 'not_started' END FROM generate_series(1, 5000) i`,
	`INSERT INTO refunds (account, id, charge, payment_intent, cumulative, amount, said_at, version)
		SELECT '', 're_' || i, 'ch_' || i, 'pi_' || i, false, 1, now(), 'v' FROM generate_series(1, 5000) i`,
	`INSERT INTO disputes (account, id, charge, payment_intent, amount, withdrawn, version)
		SELECT '', 'dp_' || i, 'ch_' || i, 'pi_' || i, 1, true, 'v' FROM generate_series(1, 5000) i`,
	`ANALYZE`,
}

// All that the page of a customer reads, it looks up.
func TestCustomersPageLooksUp(t *testing.T) {
	s, err := Open(t.Context(), testdb.Postgres(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, sql := range manySQL {
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	ids, stores, emails, keys := []int64{1}, []string{"s"}, []string{"a@x.example"}, []string{"user:1"}
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"facts":                   {factsSQL, []any{ids, stores, emails}},
		"refunds and disputes":    {backSQL, []any{keys, keys}},
		"why of payments":         {whySQL(kindOf(payment)), []any{keys, keys, keys}},
		"why of enrollments":      {whySQL(kindOf(enrollment)), []any{keys, keys, keys}},
		"why of subscriptions":    {whySQL(kindOf(subscription)), []any{keys, keys, keys}},
		"uncounted payments":      {uncountedPaymentsSQL, []any{"s", keys, 1, keys}},
		"uncounted subscriptions": {uncountedSubscriptionsSQL, []any{"s", keys}},
		"uncounted enrollments":   {uncountedEnrollmentsSQL, []any{"s", keys, 1, "a@x.example"}},
		"merges":                  {mergedOf("$1", "$2"), []any{"s", 1}},
		"events":                  {eventsOfSQL, []any{stores, stores}},
		"timeline":                {timelineSQL, []any{ids, stores, emails, nil, 50}},
		"notes":                   {notesSQL, []any{"s", 1, 0, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			var text []byte
			err := s.look(t.Context(), func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), `SET LOCAL enable_hashjoin = on`); err != nil { // as for the derivation
					return err
				}
				return tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+q.sql, q.args...).Scan(&text)
			})
			var plans []struct{ Plan plan }
			if err == nil {
				err = json.Unmarshal(text, &plans)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, scan := range plans[0].Plan.scans() {
				t.Error(scan)
			}
		})
	}
}
