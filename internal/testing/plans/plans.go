// Package plans looks at how Postgres would answer a query.
package plans

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Plan is a node of what EXPLAIN says.
type Plan struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Rows     float64 `json:"Plan Rows"`
	Plans    []Plan
}

// Scans lists the nodes that read a whole table, or a whole index.
func (p Plan) Scans() (all []string) {
	table := p.Relation != "" && p.Type != "Bitmap Heap Scan" || p.Index != ""
	if table && p.Cond == "" {
		all = append(all, fmt.Sprintf("%s on %s %s", p.Type, p.Relation, p.Index))
	}
	for _, sub := range p.Plans {
		all = append(all, sub.Scans()...)
	}
	return all
}

// Uses tells whether a node reads an index.
func (p Plan) Uses(index string) bool {
	return p.Index == index || slices.ContainsFunc(p.Plans, func(sub Plan) bool { return sub.Uses(index) })
}

// Sorts lists the nodes that sort, but for those of a page.
func (p Plan) Sorts(most float64) (all []string) {
	if strings.Contains(p.Type, "Sort") && p.Rows > most {
		all = append(all, fmt.Sprintf("%s of %.0f rows", p.Type, p.Rows))
	}
	for _, sub := range p.Plans {
		all = append(all, sub.Sorts(most)...)
	}
	return all
}

// Querier is a pool or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Explain is the plan of a query.
func Explain(t testing.TB, q Querier, sql string, args ...any) Plan {
	t.Helper()
	var text []byte
	if err := q.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+sql, args...).Scan(&text); err != nil {
		t.Fatalf("%v: %s", err, sql)
	}
	var plans []struct{ Plan Plan }
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan
}

// Many makes tables so large that to read one whole for a few rows costs more
// than to look these up, and yet may look cheaper.
var Many = []string{
	`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload)
		SELECT 'stripe', 'evt_' || i, 'x', now(), '{}' FROM generate_series(1, 5000) i`,
	`INSERT INTO users (id, email, version, deleted_version)
		SELECT 'user_' || i, 'p' || i || '@x.example', 'v', '' FROM generate_series(1, 5000) i`,
	`INSERT INTO stripe_customers (account, id, email, version, deleted_version)
		SELECT '', 'cus_' || i, 'p' || i || '@x.example', 'v', '' FROM generate_series(1, 5000) i`,
	`INSERT INTO products (id, store_ref, store_id, store_ids, kind, title, version, deleted_version)
		SELECT 'p' || i, 's' || i % 3, 's' || i % 3, ARRAY['s' || i % 3], 'course', 'T', 'v', ''
			FROM generate_series(1, 5000) i`,
	`INSERT INTO customers (store_id, email)
		SELECT 's' || i % 3, 'p' || i || '@x.example' FROM generate_series(1, 5000) i`,
	`INSERT INTO customer_notes (store_id, email, body, author)
		SELECT 's' || i % 3, 'p' || i || '@x.example', 'B', 'admin' FROM generate_series(1, 5000) i`,
	`INSERT INTO customer_merges (store_id, from_id, from_email, into_id, into_email)
		SELECT 's' || i % 3, i, 'x', i + 1, 'y' FROM generate_series(1, 5000) i`,
	`INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version, kind,
		claim_paid, claim_amount, claim_currency, paid_at, user_ref, stripe_customer, store_id, invoice, subscription,
		customer_id, unattached)
		SELECT '', 'pi_' || i, 'v', '', '', '', 'checkout', true, 1, 'usd', now(), 'user_' || i, 'cus_' || i, 's' || i % 3,
			'in_' || i, 'sub_' || i,
			nullif(i % 5, 0) + i, CASE WHEN i % 5 = 0 THEN 'unpaid' END FROM generate_series(1, 5000) i`,
	`INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version,
		enrolled_version, completed_version, deleted_version, store_id, customer_id, unattached)
		SELECT 'p' || i % 9, 'user:user_' || i, 'v', '', '', '', '', '', '', '', 's' || i % 3, nullif(i % 5, 0) + i,
			CASE WHEN i % 5 = 0 THEN 'never_enrolled' END FROM generate_series(1, 5000) i`,
	`INSERT INTO subscriptions (account, id, version, checkout_version, ever_active, user_ref, store_id, customer_id,
		unattached)
		SELECT '', 'sub_' || i, 'v', '', true, 'user_' || i, 's' || i % 3, nullif(i % 5, 0) + i,
			CASE WHEN i % 5 = 0 THEN 'not_started' END FROM generate_series(1, 5000) i`,
	`INSERT INTO refunds (account, id, charge, payment_intent, cumulative, amount, said_at, version)
		SELECT '', 're_' || i, 'ch_' || i, 'pi_' || i, false, 1, now(), 'v' FROM generate_series(1, 5000) i`,
	`INSERT INTO disputes (account, id, charge, payment_intent, amount, withdrawn, version)
		SELECT '', 'dp_' || i, 'ch_' || i, 'pi_' || i, 1, true, 'v' FROM generate_series(1, 5000) i`,
	`ANALYZE`,
}
