package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/internal/testing/testdb"
)

// kept lists the events that have their payloads, by their ids and statuses.
func (s *Store) kept(t *testing.T) []string {
	t.Helper()
	rows, err := s.Pool.Query(t.Context(), `SELECT id || ' ' || status FROM webhook_events WHERE payload IS NOT NULL
		ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func opened(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// openOldInbox returns a store with 20 events of all statuses, the nth of which
// came n days ago.
func openOldInbox(t *testing.T) *Store {
	t.Helper()
	s := opened(t, testdb.Inbox(t, 20))
	if _, err := s.Pool.Exec(t.Context(),
		`UPDATE webhook_events SET received_at = now() - id * interval '1 day'`); err != nil {
		t.Fatal(err)
	}
	return s
}

// Closed events that are old enough lose their payloads, the oldest first, some
// at a time; what is still to be read keeps it.
func TestPruneOld(t *testing.T) {
	s := openOldInbox(t)
	keep, from := 9*24*time.Hour+time.Hour, time.Time{}
	var counts []int
	for {
		n, last, err := s.PruneOld(t.Context(), from, keep, 3)
		if err != nil {
			t.Fatal(err)
		}
		if last.Before(from) {
			t.Errorf("it went back from %v to %v", from, last)
		}
		if counts, from = append(counts, n), last; n < 3 {
			break
		}
	}
	if !slices.Equal(counts, []int{3, 3, 0}) {
		t.Errorf("took away %v", counts)
	}
	want := []string{
		"1 processed", "2 processed", "3 ignored", "4 failed", "5 pending", "6 processed", "7 processed", "8 ignored",
		"9 failed",
		"10 pending", "14 failed", "15 pending", "19 failed", "20 pending",
	}
	if diff := cmp.Diff(want, s.kept(t)); diff != "" {
		t.Error(diff)
	}
	n, _, err := s.PruneOld(t.Context(), time.Time{}, keep, 100)
	if n != 0 || err != nil {
		t.Errorf("once more: %d %v", n, err)
	}
	// A duplicate is one still.
	in, err := s.InsertEvents(t.Context(),
		[]NewEvent{{Source: "clerk", EventID: "evt_10", Type: "user.created", OccurredAt: time.Now(), Payload: []byte(`{}`)}})
	if err != nil || !in[0].Duplicate {
		t.Errorf("a duplicate of a pruned event: %+v %v", in, err)
	}
	var gone bool
	err = s.Pool.QueryRow(t.Context(), `
		SELECT payload IS NULL AND pruned_at IS NOT NULL AND pruned_for = 'age' AND event_id = 'evt_10'
		FROM webhook_events
		WHERE id = 11`).Scan(&gone)
	if err != nil || !gone {
		t.Errorf("the pruned event's row is not as it should be: %v", err)
	}
}

// Nothing is applied again that cannot be read.
func TestReopenPruned(t *testing.T) {
	s := openOldInbox(t)
	if _, _, err := s.PruneOld(t.Context(), time.Time{}, 15*24*time.Hour, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool.Exec(t.Context(), `UPDATE webhook_events SET payload = NULL, pruned_at = now(),
		pruned_for = 'erasure' WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	closed := ReopenFilter{Statuses: []string{"processed", "ignored", "failed"}, IDs: []int64{1, 2, 16, 17, 18}}
	if n, _, err := s.CountReopen(t.Context(), closed, 100); n != 1 || err != nil {
		t.Errorf("%d can be applied again, want 1: %v", n, err)
	}
	opened, err := s.Reopen(t.Context(), closed)
	if err != nil || len(opened) != 1 || opened[0].ID != 2 {
		t.Errorf("%v %v", opened, err)
	}
	if opened, err = s.Reopen(t.Context(), ReopenFilter{Statuses: []string{"failed"}}); err != nil || len(opened) == 0 {
		t.Errorf("what failed has its payload: %v %v", opened, err)
	}
}

// The schema itself keeps what is still to be read, and the reason why a
// payload is gone.
func TestPayloadsAreKeptBySchema(t *testing.T) {
	s := openOldInbox(t)
	for _, sql := range []string{
		`UPDATE webhook_events SET payload = NULL WHERE id = 1`,
		`UPDATE webhook_events SET payload = NULL, pruned_at = now() WHERE id = 1`,
		`UPDATE webhook_events SET payload = NULL, pruned_at = now(), pruned_for = 'fun' WHERE id = 1`,
		`UPDATE webhook_events SET pruned_at = now(), pruned_for = 'age' WHERE id = 1`,
		`UPDATE webhook_events SET payload = NULL, pruned_at = now(), pruned_for = 'age' WHERE id = 4`,
		`UPDATE webhook_events SET payload = NULL, pruned_at = now(), pruned_for = 'age' WHERE id = 5`,
		`WITH gone AS (SELECT 1) UPDATE webhook_events SET payload = NULL, pruned_at = now(), pruned_for = 'age',
			status = 'pending', processed_at = NULL WHERE id = 1`,
	} {
		if _, err := s.Pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "webhook_events_p") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// Killed in the middle of a batch, none of it is gone; another worker meanwhile
// finds nothing to do, and does not wait.
func TestPruneOneAtATime(t *testing.T) {
	s := openOldInbox(t)
	tx, err := s.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var last time.Time
	if err := tx.QueryRow(t.Context(), pruneSQL, time.Time{}, time.Duration(0), 5).Scan(&n, &last); err != nil || n != 5 {
		t.Fatal(n, err)
	}
	if n, _, err := s.PruneOld(t.Context(), time.Time{}, 0, 5); n != 0 || err != nil {
		t.Errorf("beside another: %d %v", n, err)
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.kept(t)); n != 20 {
		t.Errorf("%d of 20 payloads are left of a batch that was not committed", n)
	}
	if n, _, err := s.PruneOld(t.Context(), time.Time{}, 0, 5); n != 5 || err != nil {
		t.Errorf("after it: %d %v", n, err)
	}
}

// Whose turn it is, an index tells.
func TestPruneIsIndexed(t *testing.T) {
	s, err := Open(t.Context(), testdb.Postgres(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, sql := range []string{
		`INSERT INTO webhook_events (source, event_id, type, occurred_at, received_at, payload, status, processed_at)
			SELECT 'stripe', 'evt_' || i, 'x', now(), now() - i * interval '1 minute', '{}', 'processed', now()
				FROM generate_series(1, 20000) i`,
		`ANALYZE webhook_events`,
	} {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for days, limit := range map[int]int{0: 500, 1: 500, 13: 500, 30: 10} {
		plan := plans.Explain(t, s.Pool, pruneSQL, time.Time{}, time.Duration(days)*24*time.Hour, limit)
		scans := slices.DeleteFunc(plan.Scans(), func(node string) bool { return strings.HasPrefix(node, "ModifyTable") })
		if len(scans) > 0 || !strings.Contains(fmt.Sprint(plan), "webhook_events_prunable") {
			t.Errorf("%d days: %v\n%+v", days, scans, plan)
		}
	}
}
