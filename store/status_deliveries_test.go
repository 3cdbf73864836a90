package store_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/store/status"
)

// Deliveries are counted by the hour; of a source whose deliveries nobody has
// counted, the inbox tells.
func TestTrafficDeliveries(t *testing.T) {
	s, url := openURL(t)
	hour := time.Now().UTC().Truncate(time.Hour)
	first, last := hour.Add(time.Minute), hour.Add(20*time.Minute)
	count := func(n int64, at time.Time) {
		t.Helper()
		d := store.Delivered{Source: "stripe", Hour: hour, Outcome: "accepted", Count: n, First: at, Last: at}
		if err := s.CountDeliveries(t.Context(), []store.Counted{{Delivered: d}, {Delivered: d}}); err != nil {
			t.Fatal(err)
		}
	}
	count(2, last)
	count(1, first)
	query(t, url, `INSERT INTO webhook_events (source, event_id, type, occurred_at, received_at, payload)
		SELECT source, source || n, 'x', now(), $1::timestamptz - interval '90 minutes', '{}'
		FROM generate_series(1, 3) n, unnest(ARRAY['stripe', 'clerk']) source RETURNING 'x'`, last)
	traffic, err := status.New(s).Traffic(t.Context(), hour.Add(-48*time.Hour), hour)
	if err != nil {
		t.Fatal(err)
	}
	came := last.Add(-90 * time.Minute)
	want := []store.Delivered{
		{Source: "clerk", Hour: came.Truncate(time.Hour), Outcome: "accepted", Count: 3, First: came, Last: came},
		{Source: "stripe", Hour: hour, Outcome: "accepted", Count: 6, First: first, Last: last},
	}
	if diff := cmp.Diff(want, traffic.Deliveries); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if later, err := status.New(s).Traffic(t.Context(), hour.Add(time.Hour), hour); err != nil ||
		len(later.Deliveries) > 0 {
		t.Errorf("%+v %v", later.Deliveries, err)
	}
}

// What fails is told by type; what waits, if it has waited for long.
func TestTrafficEvents(t *testing.T) {
	s, url := openURL(t)
	now := time.Now().UTC()
	insert := func(source, typ, status string, attempts int, received time.Time) {
		query(t, url,
			`INSERT INTO webhook_events (source, event_id, type, status, attempts, attempted_at, received_at, occurred_at,
				payload, last_error)
			VALUES ($1, gen_random_uuid()::text, $2, $3, $4, CASE WHEN $4::int > 0 THEN $5::timestamptz END, $5, now(), '{}',
				CASE WHEN $4::int > 0 THEN 'why ' || $2 END) RETURNING 'x'`, source, typ, status, attempts, received)
	}
	insert("stripe", "a", "failed", 20, now)
	insert("stripe", "a", "failed", 20, now)
	insert("stripe", "a", "pending", 5, now)
	insert("stripe", "b", "pending", 1, now)
	insert("clerk", "c", "pending", 3, now)
	insert("clerk", "d", "pending", 0, now.Add(-50*time.Second))
	insert("clerk", "d", "pending", 0, now.Add(-5*time.Minute))
	insert("clerk", "d", "pending", 2, now.Add(-2*time.Minute))
	insert("clerk", "d", "pending", 12, now.Add(-10*time.Minute)) // its pause is longer
	traffic, err := status.New(s).Traffic(t.Context(), now.Add(-time.Hour), now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range traffic.Failing {
		got = append(got, fmt.Sprint(f.Source, " ", f.Type, " ", f.Failed, " ", f.Trying, " ", f.Error, " ", len(f.Events)))
	}
	if diff := cmp.Diff([]string{"stripe a 2 1 why a 3", "clerk c 0 1 why c 1", "clerk d 0 1 why d 1"}, got); diff != "" {
		t.Errorf("failing (-want +got):\n%s", diff)
	}
	// What an operator had applied again came long ago, and waits since just now.
	query(t, url, `UPDATE webhook_events SET attempts = 1, attempted_at = NULL, received_at = now() - interval '90 days'
		WHERE type = 'c' RETURNING 'x'`)
	if traffic, err = status.New(s).Traffic(t.Context(), now.Add(-time.Hour), now); err != nil {
		t.Fatal(err)
	}
	if o := traffic.Overdue; o.Count != 2 || o.Oldest == nil || now.Sub(*o.Oldest).Round(time.Minute) != 5*time.Minute {
		t.Errorf("overdue %+v", o)
	}
}

// Until when a backfill has brought all, whatever was refused.
func TestTrafficRecovered(t *testing.T) {
	s, url := openURL(t)
	for n, run := range []string{
		`'clerk', 'completed', '{}'::jsonb, 'a person', false`,
		`'clerk', 'running', '{}'::jsonb, 'a person', false`,
		`'stripe-events', 'completed', '{"since": "2026-01-01"}'::jsonb, 'the hourly schedule', false`,
		`'stripe-events', 'completed', '{"since": "2026-01-01"}'::jsonb, 'a person', false`,
		`'stripe-events', 'completed', '{}'::jsonb, 'a person', true`,
		`'courses', 'completed', '{}'::jsonb, 'a person', false`,
	} {
		query(t, url,
			fmt.Sprintf(
				`INSERT INTO backfills (kind, status, options, started_by, dry_run, chunk_size, created_at, started_at, ended_at)
			SELECT r.*, 1, timestamptz '2026-03-01 00:00Z' + interval '%d hours', now(),
				CASE WHEN status <> 'running' THEN now() END
			FROM (VALUES (%s)) r(kind, status, options, started_by, dry_run) RETURNING 'x'`, n, run))
	}
	traffic, err := status.New(s).Traffic(t.Context(), time.Now(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	want := map[string]time.Time{"clerk": begin, "stripe": begin.Add(2 * time.Hour)}
	if diff := cmp.Diff(want, traffic.Recovered); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The migration writes down the rhythm that the inbox knows of already.
func TestMigrationCountsDeliveries(t *testing.T) {
	s, url := openURL(t)
	text, err := os.ReadFile("../migrations/0010_watch.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, seed, _ := strings.Cut(string(text), "INSERT INTO webhook_deliveries")
	seed, _, found := strings.Cut(seed, ";")
	if !found {
		t.Fatal("the migration counts nothing")
	}
	query(t, url, `INSERT INTO webhook_events (source, event_id, type, occurred_at, received_at, payload)
		SELECT 'clerk', n::text, 'x', now(), date_trunc('hour', now(), 'UTC') - n * interval '1 day' + interval '5 minutes',
			'{}' FROM generate_series(1, 40) n RETURNING 'x'`)
	query(t, url, "INSERT INTO webhook_deliveries"+seed+" RETURNING source")
	traffic, err := status.New(s).Traffic(t.Context(), time.Now().Add(-1000*time.Hour), time.Now())
	if err != nil || len(traffic.Deliveries) != 27 && len(traffic.Deliveries) != 28 {
		t.Errorf("%d hours, %v", len(traffic.Deliveries), err)
	}
}
