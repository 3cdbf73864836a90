package customers

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
	"rollcall/store"
)

// All that the page of a customer reads, it looks up.
func TestCustomersPageLooksUp(t *testing.T) {
	s := storetest.Open(t, plans.Many...)
	ids, stores, emails, keys := []int64{1}, []string{"s"}, []string{"a@x.example"}, []string{"user:1"}
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"facts":                   {factsSQL, []any{ids, stores, emails}},
		"refunds and disputes":    {backSQL, []any{keys, keys}},
		"why of payments":         {whySQL(store.KindOf(store.Payment)), []any{keys, keys, keys}},
		"why of enrollments":      {whySQL(store.KindOf(store.Enrollment)), []any{keys, keys, keys}},
		"why of subscriptions":    {whySQL(store.KindOf(store.Subscription)), []any{keys, keys, keys}},
		"uncounted payments":      {uncountedPaymentsSQL, []any{"s", keys, 1, keys}},
		"uncounted subscriptions": {uncountedSubscriptionsSQL, []any{"s", keys}},
		"uncounted enrollments":   {uncountedEnrollmentsSQL, []any{"s", keys, 1, "a@x.example"}},
		"merges":                  {mergedOf("$1", "$2"), []any{"s", 1}},
		"events":                  {store.EventsOfSQL, []any{stores, stores}},
		"timeline":                {timelineSQL, []any{ids, stores, emails, nil, 50, nil}},
		"notes":                   {notesSQL, []any{"s", 1, 0, 50}},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Snapshot(t.Context(), func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), `SET LOCAL enable_hashjoin = on`) // as for the derivation
				for _, scan := range plans.Explain(t, tx, q.sql, q.args...).Scans() {
					t.Error(scan)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
