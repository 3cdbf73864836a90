package store

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/testdb"
)

// What is looked at every minute, and what a doctor asks of indexes, is looked
// up, however large the inbox and the tables are. The newest of the inbox are
// read by its key, up to a limit.
func TestWatchesLookUp(t *testing.T) {
	s, err := Open(t.Context(), testdb.Postgres(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	few := []string{`UPDATE webhook_events SET status = 'processed', processed_at = now() WHERE id % 100 > 0`, `ANALYZE webhook_events`} // are open
	for _, sql := range slices.Concat(manySQL, few) {
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	now := time.Now()
	for name, q := range map[string]struct {
		sql     string
		args    []any
		allowed []string // table or index
	}{
		"deliveries": {deliveriesSQL, []any{now, Accepted, newestEvents}, []string{"webhook_deliveries", "webhook_events_pkey"}},
		"failing":    {failingSQL, []any{someEvents, seldomFails, someTypes}, nil},
		"overdue":    {overdueSQL, []any{now, someEvents}, nil},
		"homeless":   {homelessSQL, []any{"", 5}, nil},
		"unheard":    {unheardSQL, []any{sources}, nil},
		"due alerts": {`SELECT watch FROM watch_changes WHERE alert = 'due' AND coalesce(held_until, made_at) < $1 ORDER BY made_at`, []any{now}, []string{"watch_changes_due"}},
	} {
		var text []byte
		err := s.look(t.Context(), func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+q.sql, q.args...).Scan(&text)
		})
		var plans []struct{ Plan plan }
		if err == nil {
			err = json.Unmarshal(text, &plans)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, scan := range plans[0].Plan.scans() {
			if !slices.ContainsFunc(q.allowed, func(of string) bool { return strings.Contains(scan, of) }) {
				t.Errorf("%s: %s", name, scan)
			}
		}
	}
}
