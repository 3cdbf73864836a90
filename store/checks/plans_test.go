package checks

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
	"rollcall/store"
)

// What a doctor asks of indexes is looked up, however large the inbox and the tables are. The newest of the inbox are
// read by its key, up to a limit.
func TestChecksLookUp(t *testing.T) {
	// are open
	few := []string{`UPDATE webhook_events SET status = 'processed', processed_at = now() WHERE id % 100 > 0`,
		`ANALYZE webhook_events`}
	s := storetest.Open(t, slices.Concat(plans.Many, few)...)
	for name, q := range map[string]struct {
		sql     string
		args    []any
		allowed []string // table or index
	}{
		"homeless": {homelessSQL, []any{"", 5}, nil},
		"unheard":  {unheardSQL, []any{store.Sources}, nil},
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
