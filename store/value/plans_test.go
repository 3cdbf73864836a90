package value

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
)

// All that the page, the API and the search for stores that are due read, they look up.
func TestValueLooksUp(t *testing.T) {
	s := storetest.Open(t, append(plans.Many,
		`INSERT INTO value_stores (store_id, due_at)
			SELECT 'v' || i, now() + i * interval '1 min' FROM generate_series(-10, 5000) i`,
		`INSERT INTO value_reports SELECT 'v' || i, 'usd', i, '{}' FROM generate_series(1, 5000) i`,
		`INSERT INTO value_people SELECT store_id, 'usd', id, 0.5, id FROM customers`,
		`ANALYZE`)...)
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"the figures":         {readSQL, []any{"s", nil}},
		"those in a currency": {readSQL, []any{"s", ""}},
		"who needs help":      {keptHelpSQL, []any{"s"}},
		"most expected":       {expectedSQL, []any{"s", "usd", nil, nil, 10}},
		"behind a cursor":     {expectedSQL, []any{"s", "usd", 5, 7, 10}},
		"stores that are due": {dueSQL, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.Snapshot(t.Context(), func(tx pgx.Tx) error {
				for _, scan := range plans.Explain(t, tx, q.sql, q.args...).Scans() {
					t.Error(scan)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
