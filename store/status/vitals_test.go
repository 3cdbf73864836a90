package status

import (
	"testing"
	"time"

	"rollcall/internal/testing/storetest"
	"rollcall/internal/testing/testdb"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/store"
)

func TestVitals(t *testing.T) {
	empty := storetest.Open(t)
	v, err := New(empty).Vitals(t.Context(), time.Now())
	if err != nil || v.OldestPending != nil || len(v.Sources) != 3 || v.Sources[0].Last != nil || len(v.Backfills) != 0 ||
		v.Unattached == nil {
		t.Errorf("%+v %v", v, err)
	}
	s := storetest.OpenAt(t, testdb.Inbox(t, 90)) // thirty of each source
	_, err = s.Pool.Exec(t.Context(), `UPDATE webhook_events SET received_at = now() - (max - id) * interval '2 minutes'
		FROM (SELECT max(id) AS max FROM webhook_events) m`)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() store.Backfill {
		b, err := s.StartBackfill(t.Context(), store.NewBackfill{Kind: "clerk"})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := s.CancelBackfill(t.Context(), begin().ID); err != nil {
		t.Fatal(err)
	}
	begin()
	v, err = New(s).Vitals(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	counts, err := New(s).EventCounts(t.Context())
	if diff := gocmp.Diff(counts, v.Counts); err != nil || diff != "" || len(v.Rough) > 0 {
		t.Errorf("%v %s", err, diff)
	}
	for i, source := range v.Sources {
		// Ids go on by one, sources by turns: 30 events in the last hour, ten of each.
		minute := int64(0)
		if source.Last.ID == 90 {
			minute = 1
		}
		if source.Source != store.Sources[i] || source.LastHour != (Rate{10, false}) ||
			source.LastMinute != (Rate{minute, false}) || source.Last.ID < 88 || source.Last.Source != source.Source {
			t.Errorf("%+v", source)
		}
	}
	var oldest int64
	if err := s.Pool.QueryRow(t.Context(), `SELECT min(id) FROM webhook_events WHERE status = 'pending'`).Scan(
		&oldest); err != nil {
		t.Fatal(err)
	}
	if v.OldestPending.ID != oldest || v.OldestPending.Status != "pending" {
		t.Errorf("%+v", v.OldestPending)
	}
	if _, err := s.Reopen(t.Context(), store.ReopenFilter{Statuses: []string{"processed"}}); err != nil {
		t.Fatal(err)
	}
	if again, err := New(s).Vitals(t.Context(), time.Now()); err != nil || again.OldestPending.ID != oldest {
		t.Errorf("after a replay: %+v %v", again.OldestPending, err)
	}
	if len(v.Backfills) != 1 || v.Backfills[0].ID != 2 || v.Backfills[0].Status != "queued" {
		t.Errorf("%+v", v.Backfills)
	}
}

// Of more events than are looked at, the rate is that of a sample.
func TestRoughRates(t *testing.T) {
	s := storetest.Open(t)
	_, err := s.Pool.Exec(t.Context(), `
		INSERT INTO webhook_events (source, event_id, type, occurred_at, payload)
		SELECT CASE WHEN i % 10 = 0 THEN 'clerk' ELSE 'stripe' END, 'evt_' || i, 'x', now(), '{}'
		FROM generate_series(1, 10000) i`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := New(s).ratesBy(t.Context(), time.Hour, 700)
	stripe, clerk := got["stripe"], got["clerk"]
	if err != nil || !stripe.Rough || stripe.Events < 8500 || stripe.Events > 9500 || clerk.Events < 500 ||
		clerk.Events > 1500 {
		t.Errorf("%v %v", got, err)
	}
	exact, err := New(s).ratesBy(t.Context(), time.Hour, 10000)
	if diff := gocmp.Diff(map[string]Rate{"stripe": {9000, false}, "clerk": {1000, false}}, exact); err != nil ||
		diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}
