package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/watch"
)

// counting makes a receiver count in its own database.
func counting(c *Config) { c.Counter = c.Store.(*store.Store) }

// tallied is what was written down, as "source hour outcome count".
func (b *bench) tallied(t testing.TB) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `
		SELECT concat_ws(' ', source, to_char(hour AT TIME ZONE 'UTC', 'HH24:MI'), outcome, count)
		FROM webhook_deliveries
		ORDER BY source, hour, outcome`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Whatever becomes of a delivery is counted, by source, reason and hour; what
// is nobody's delivery is not.
func TestDeliveriesAreTallied(t *testing.T) {
	clock := now
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) {
		counting(c)
		c.Now = func() time.Time { return clock }
		delete(c.Secrets, Clerk)
	})
	b.deliver(t, "evt_1")
	b.deliver(t, "evt_1")
	b.deliver(t, "evt_2")
	body := []byte(`{"id":"evt_3","type":"thing.happened","created":1768212000}`)
	b.send(t, "POST", "/webhooks/stripe", SignStripe(stripeSecrets[2], body, now), body)
	b.send(t, "POST", "/webhooks/stripe", http.Header{}, body)
	b.send(t, "POST", "/webhooks/clerk", http.Header{}, body)
	b.send(t, "POST", "/webhooks/elsewhere", http.Header{}, body)
	b.send(t, "GET", "/webhooks/stripe", http.Header{}, nil)
	clock = clock.Add(time.Hour)
	b.send(t, "POST", "/webhooks/stripe", SignStripe(stripeSecrets[0], body, now), body)
	b.Close()
	want := []string{
		"clerk 10:00 not_configured 1",
		"stripe 10:00 accepted 2", "stripe 10:00 duplicate 1", "stripe 10:00 invalid_signature 1",
		"stripe 10:00 missing_signature 1",
		"stripe 11:00 timestamp_too_old 1",
	}
	if diff := cmp.Diff(want, b.tallied(t)); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// Receivers that count at once add up.
func TestTalliesAddUp(t *testing.T) {
	database, redis := testdb.Postgres(t), testdb.Redis(t)
	var benches []*bench
	for range 3 {
		benches = append(benches, open(t, database, redis, counting))
	}
	var done sync.WaitGroup
	for i, b := range benches {
		done.Go(func() {
			for n := range 20 {
				b.deliver(t, fmt.Sprint("evt_", i, "_", n))
				if n%5 == 0 {
					b.counts.write()
				}
			}
			b.Close()
		})
	}
	done.Wait()
	if got := benches[0].tallied(t); !slices.Equal(got, []string{"stripe 10:00 accepted 60"}) {
		t.Errorf("counted %v", got)
	}
}

// forgetful is a counter that fails until it is told not to.
type forgetful struct {
	mu      sync.Mutex // the tally writes by itself, too
	failing bool
	got     []store.Delivered
}

func (f *forgetful) CountDeliveries(_ context.Context, counts []store.Delivered) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing {
		return errors.New("away")
	}
	f.got = append(f.got, counts...)
	return nil
}

// What cannot be written waits for the next time, a week at most, and fails no
// request.
func TestTallyOutlivesAnOutage(t *testing.T) {
	counter := &forgetful{failing: true}
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { c.Counter = counter })
	old := now.Add(-(maxHours + 1) * time.Hour)
	b.counts.add(Stripe, internal, old)
	b.counts.add(Stripe, store.Accepted, now.Add(-time.Minute))
	b.counts.write()
	if got := b.deliver(t, "evt_1"); got.code != 200 {
		t.Errorf("%+v", got)
	}
	b.counts.add(Stripe, store.Accepted, now.Add(-2*time.Minute))
	b.counts.write()
	counter.mu.Lock()
	counter.failing = false
	counter.mu.Unlock()
	b.counts.write()
	b.counts.write()
	b.Close()
	hour := now.Truncate(time.Hour)
	last := hour.Add(-time.Hour)
	slices.SortFunc(counter.got, func(a, b store.Delivered) int { return a.Hour.Compare(b.Hour) })
	want := []store.Delivered{
		{Source: Stripe, Hour: last, Outcome: store.Accepted, Count: 2, First: now.Add(-2 * time.Minute),
			Last: now.Add(-time.Minute)},
		{Source: Stripe, Hour: hour, Outcome: store.Accepted, Count: 1, First: now, Last: now},
	}
	if diff := cmp.Diff(want, counter.got); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

// The watches know the outcomes by the names that they are counted under.
func TestWatchedOutcomes(t *testing.T) {
	for _, outcome := range watch.Outcomes {
		if _, known := answers[outcome]; !known {
			t.Errorf("nothing is refused as %q", outcome)
		}
	}
}
