package checks

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
	"rollcall/store"
	"rollcall/store/pg"
)

// For any reason, the list of missing facts is read along an index in its order:
// never all rows, never sorted.
func TestUnattachedListWalksIndexes(t *testing.T) {
	s := storetest.Open(t)
	for _, sql := range slices.Concat([]string{
		`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at, last_error)
			SELECT (ARRAY['stripe', 'clerk', 'platform'])[1 + i % 3], 'e' || i, (ARRAY['a', 'b', 'c', 'd'])[1 + i / 3 % 4],
				now(), '{}', s, CASE WHEN s IN ('processed', 'ignored') THEN now() END,
				CASE WHEN s IN ('failed', 'ignored') THEN 'why' END
			FROM (SELECT i, (ARRAY['processed', 'ignored', 'processed', 'failed', 'pending'])[1 + i % 5] AS s
				FROM generate_series(1, 40000) i) e`,
		`INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version,
			enrolled_version, completed_version, deleted_version, store_id, unattached)
			SELECT 'p' || i % 9, 'user:' || i, 'v', '', '', '', '', '', '', '', 's' || i % 3,
				(ARRAY['user_unknown', 'derive_failed: x', 'email_unverified'])[1 + i % 3] FROM generate_series(10000, 40000) i`,
	}, plans.Many[len(plans.Many)-1:]) {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, f := range []store.OffFilter{{Reason: "user_unknown"}, {Reason: "derive_failed", Store: "s1"}} {
		f.Limit = pg.DefaultLimit
		w := f.Conditions(store.RowKey{Kind: store.Enrollment, A: "p3"})
		selecting, _ := readOffFact(store.KindOf(store.Enrollment))
		sql := selecting + " WHERE " + w.String() + " ORDER BY " + store.KindOf(store.Enrollment).KeySQL("e") + " LIMIT 50"
		got := plans.Explain(t, s.Pool, sql, append([]any{pgx.QueryExecModeExec}, *w.Args...)...)
		for _, wrong := range append(got.Scans(), got.Sorts(0)...) {
			if !strings.Contains(wrong, " stores ") && !strings.Contains(wrong, " products ") { // there are none
				t.Errorf("%+v: %s", f, wrong)
			}
		}
	}
}
