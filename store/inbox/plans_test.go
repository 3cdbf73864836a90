package inbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/storetest"
	"rollcall/store"
	"rollcall/store/pg"
)

// With any filter, a list of events is read along an index in its order: never all
// rows, never sorted.
func TestEventsWalkIndexes(t *testing.T) {
	s := storetest.Open(t,
		`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at, last_error)
			SELECT (ARRAY['stripe', 'clerk', 'platform'])[1 + i % 3], 'e' || i, (ARRAY['a', 'b', 'c', 'd'])[1 + i / 3 % 4],
				now(), '{}', s, CASE WHEN s IN ('processed', 'ignored') THEN now() END,
				CASE WHEN s IN ('failed', 'ignored') THEN 'why' END
			FROM (SELECT i, (ARRAY['processed', 'ignored', 'processed', 'failed', 'pending'])[1 + i % 5] AS s
				FROM generate_series(1, 40000) i) e`,
		fmt.Sprintf(`INSERT INTO event_terms SELECT %d, id FROM webhook_events UNION SELECT -id, id FROM webhook_events`,
			store.Names{"cus_often"}.Terms()[0]), `ANALYZE webhook_events, event_terms`)
	for _, f := range []store.EventFilter{{}, {Source: "clerk"}, {Type: "b"},
		{Source: "clerk", Type: "b", Status: "processed"}, {Status: "processed"}, {Status: "ignored", Source: "stripe"},
		{Status: "failed", Error: "x"}, {Error: "x"},
		{Status: "pending", Type: "b"}, {EventID: "e7"}, {EventID: "7", Status: "failed"},
		{Query: "cus_often"}, {Query: "cus_often pi_7 e7", Status: "failed"}, {Query: "cus_often", Type: "b"},
		{Store: "cus_often"}, {Store: "cus_often", Status: "failed"},
		{Since: "1h", Until: "2099-01-01"}} {
		f.Limit = pg.DefaultLimit
		w, err := New(s).walkEvents(t.Context(), f, &pg.Position{Sort: store.EventSort, ID: 30000})
		if err != nil {
			t.Fatal(err)
		}
		sql := w.SQL()
		got := plans.Explain(t, s.Pool, sql, append([]any{pgx.QueryExecModeExec}, w.args...)...)
		ways := float64(maxWays * (pg.DefaultLimit + 1)) // what is found along all ways is put in order
		for _, wrong := range append(got.Scans(), got.Sorts(ways)...) {
			if !strings.HasSuffix(wrong, "webhook_events_pkey") { // the walk of all, from its place on
				t.Errorf("%+v: %s", f, wrong)
			}
		}
	}
}
