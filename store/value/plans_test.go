package value

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
)

type query struct {
	sql  string
	args []any
}

// All that the page, the API and the search for stores that are due read, they look up.
func TestValueLooksUp(t *testing.T) {
	s := storetest.Open(t, append(plans.Many,
		`INSERT INTO value_stores (store_id, due_at)
			SELECT 'v' || i, now() + i * interval '1 min' FROM generate_series(-10, 5000) i`,
		`INSERT INTO value_reports SELECT 'v' || i, 'usd', i, '{}' FROM generate_series(1, 5000) i`,
		`INSERT INTO value_people SELECT store_id, 'usd', id, 1.0 / (1 + id % 5), id FROM customers`,
		`ANALYZE`)...)
	asked := map[string]query{
		"the figures":         {readSQL, []any{"s", nil, []string{}}},
		"those in a currency": {readSQL, []any{"s", "", OnlyCohorts}},
		"who needs help":      {keptHelpSQL, []any{"s"}},
		"stores that are due": {dueSQL, nil},
	}
	for _, sort := range []string{"-expected", "expected", "-alive", "alive"} {
		for _, store := range []string{"s0", "v1", "none"} { // v1 has figures and nothing to expect
			f := PeopleFilter{Store: store, Currency: map[string]string{"s0": "usd"}[store], Sort: sort, Limit: 10}
			asked[sort+" in "+store] = query{f.sql(false), f.args()}
			asked[sort+" behind a cursor in "+store] = query{f.sql(true), append(f.args(), 1, 7)}
		}
	}
	for name, q := range asked {
		t.Run(name, func(t *testing.T) {
			if err := s.Snapshot(t.Context(), func(tx pgx.Tx) error {
				plan := plans.Explain(t, tx, q.sql, q.args...)
				for _, wrong := range slices.Concat(plan.Scans(), plan.Sorts(100)) {
					t.Error(wrong)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
