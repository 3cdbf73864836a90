package status

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
	"rollcall/store"
)

// What is looked at every minute, and what a doctor asks of indexes, is looked
// up, however large the inbox and the tables are. The newest of the inbox are
// read by its key, up to a limit.
func TestWatchesLookUp(t *testing.T) {
	// are open
	few := []string{`UPDATE webhook_events SET status = 'processed', processed_at = now() WHERE id % 100 > 0`,
		`ANALYZE webhook_events`}
	s := storetest.Open(t, slices.Concat(plans.Many, few)...)
	now := time.Now()
	for name, q := range map[string]struct {
		sql     string
		args    []any
		allowed []string // table or index
	}{
		"deliveries": {store.DeliveriesSQL, []any{now, store.Accepted, store.NewestEvents},
			[]string{"webhook_deliveries", "webhook_events_pkey"}},
		"minutes":  {Span{Step: time.Minute}.deliveriesSQL(), []any{now, now, time.Minute}, nil},
		"hours":    {Span{Step: time.Hour}.deliveriesSQL(), []any{now, now, time.Hour}, []string{"webhook_deliveries"}},
		"work":     {workSQL, []any{now, now, time.Minute, "minute"}, nil},
		"waiting":  {waitingSQL, []any{now, now, time.Minute, "minute"}, nil},
		"senders":  {sendersSQL, []any{store.Sources, now, []string{store.Accepted}}, nil},
		"networks": {networksSQL, []any{now, []string{store.Accepted}, "", "", MostRejected}, nil},
		"failing":  {failingSQL, []any{store.SomeEvents, seldomFails, someTypes}, nil},
		"overdue":  {overdueSQL, []any{now, store.SomeEvents}, nil},
		"due alerts": {`SELECT watch FROM watch_changes WHERE alert = 'due' AND coalesce(held_until, made_at) < $1
			ORDER BY made_at`, []any{now}, []string{"watch_changes_due"}},
	} {
		err := s.Snapshot(t.Context(), func(tx pgx.Tx) error {
			for _, scan := range plans.Explain(t, tx, q.sql, q.args...).Scans() {
				if !slices.ContainsFunc(q.allowed, func(of string) bool { return strings.Contains(scan, of) }) {
					t.Errorf("%s: %s", name, scan)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Of one store only its own figures are read, however many stores there are.
func TestStoreLineLooksUp(t *testing.T) {
	s := storetest.Open(t, `INSERT INTO customers (store_id, email) SELECT 's' || i, 'p' || i || '@x.example'
		FROM generate_series(1, 20000) i`, `INSERT INTO stores (id, name, version) SELECT 's' || i, 'x', 'v' FROM
		generate_series(1, 20000) i`, `INSERT INTO customer_figures SELECT * FROM customer_figure_changes`,
		`ANALYZE stores, customer_figures, customer_figure_changes`)
	err := s.Snapshot(t.Context(), func(tx pgx.Tx) error {
		sql, args := StoreFilter{ID: "s7", Sort: "id", Limit: 1}.sql(nil)
		for _, scan := range plans.Explain(t, tx, sql, args...).Scans() {
			t.Error(scan)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
