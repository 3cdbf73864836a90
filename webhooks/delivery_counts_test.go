package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
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

// tallied is what was written down, as "source hour outcome count". Minutes and networks come to the same.
func (b *bench) tallied(t testing.TB) []string {
	t.Helper()
	const counts = `SELECT concat_ws(' ', source, to_char(hour AT TIME ZONE 'UTC', 'HH24:MI'), outcome, sum(count))
		FROM %s counts GROUP BY source, hour, outcome ORDER BY source, hour, outcome`
	hours := b.lines(t, fmt.Sprintf(counts, "webhook_deliveries"))
	for _, other := range []string{"webhook_networks",
		"(SELECT source, date_trunc('hour', minute, 'UTC') AS hour, outcome, count FROM webhook_minutes)"} {
		if diff := cmp.Diff(hours, b.lines(t, fmt.Sprintf(counts, other))); diff != "" {
			t.Errorf("hours, and %s:\n%s", other, diff)
		}
	}
	return hours
}

// lines are the rows of a statement with one column.
func (b *bench) lines(t testing.TB, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func (b *bench) line(t testing.TB, sql string) string {
	t.Helper()
	return strings.Join(b.lines(t, sql), "; ")
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
					b.counts.Flush()
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
	got     []store.Counted
}

func (f *forgetful) CountDeliveries(_ context.Context, counts []store.Counted) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing {
		return errors.New("away")
	}
	f.got = append(f.got, counts...)
	return nil
}

// What cannot be written waits for the next time, two days at most, and fails no
// request. Where it came from is forgotten.
func TestTallyOutlivesAnOutage(t *testing.T) {
	counter := &forgetful{failing: true}
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { c.Counter = counter })
	count := func(code string, at time.Time) {
		b.counts.count(&delivery{source: Stripe, code: code, from: netip.MustParseAddr("203.0.113.9")}, at)
	}
	count(internal, now.Add(-keepCounts))
	count(store.Accepted, now.Add(-time.Minute))
	b.counts.Flush()
	if got := b.deliver(t, "evt_1"); got.code != 200 {
		t.Errorf("%+v", got)
	}
	count(store.Accepted, now.Add(-time.Minute).Add(time.Second))
	b.counts.Flush()
	counter.mu.Lock()
	counter.failing = false
	counter.mu.Unlock()
	b.counts.Flush()
	b.counts.Flush()
	b.Close()
	slices.SortFunc(counter.got, func(a, b store.Counted) int { return a.First.Compare(b.First) })
	last := now.Add(-time.Minute)
	want := []store.Counted{
		{Delivered: store.Delivered{Source: Stripe, Outcome: store.Accepted, Count: 2,
			First: last, Last: last.Add(time.Second)}, Network: store.Elsewhere},
		{Delivered: store.Delivered{Source: Stripe, Outcome: store.Accepted, Count: 1,
			First: now, Last: now}, Network: store.Elsewhere, Secrets: b.counts.secrets[Stripe]},
	}
	if diff := cmp.Diff(want, counter.got); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

// Networks are kept apart up to a bound, by as much of an address as may be kept; the next hour begins anew.
func TestNetworksAreBounded(t *testing.T) {
	var n networks
	seen := map[string]bool{}
	for i := range 3 * maxNetworks {
		for _, last := range []byte{1, 200} {
			from := netip.AddrFrom4([4]byte{203, 0, byte(i), last})
			seen[n.of(&delivery{source: Stripe, code: invalidSignature, from: from}, now)] = true
		}
	}
	if len(seen) != maxNetworks+1 || !seen["203.0.0.0/24"] || !seen[store.Elsewhere] {
		t.Errorf("%d networks: %v", len(seen), seen)
	}
	six := netip.MustParseAddr("2001:db8:1:2::3")
	for hour, want := range []string{store.Elsewhere, "2001:db8:1::/48"} {
		at := now.Add(time.Duration(hour) * time.Hour)
		if got := n.of(&delivery{source: Stripe, code: invalidSignature, from: six}, at); got != want {
			t.Errorf("%v: %s", at, got)
		}
	}
	if got := n.of(&delivery{source: Stripe, code: accepted, from: netip.Addr{}}, now); got != store.Elsewhere {
		t.Error(got)
	}
}

// Deliveries of strangers, whose signature has no form or no time, say nothing of the secrets; those
// that are well-formed do.
func TestSecretsAreJudged(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), counting)
	body := []byte(`{"id":"evt_3","type":"thing.happened","created":1768212000}`)
	for _, header := range []http.Header{{}, {"Stripe-Signature": {"nonsense"}},
		SignStripe(stripeSecrets[2], body, now.Add(-time.Hour)), SignStripe(stripeSecrets[2], body, now)} {
		b.send(t, "POST", "/webhooks/stripe", header, body)
	}
	b.counts.Flush()
	judged := func() string {
		return b.line(t, `SELECT concat_ws(' ', secrets, verified_at IS NOT NULL, refused) FROM webhook_secrets`)
	}
	if got := judged(); got != b.counts.secrets[Stripe]+" f 1" {
		t.Error(got)
	}
	b.deliver(t, "evt_1")
	b.Close()
	if got := judged(); got != b.counts.secrets[Stripe]+" t 1" {
		t.Error(got)
	}
}

// The watches know the outcomes by the names that they are counted under.
func TestWatchedOutcomes(t *testing.T) {
	for _, outcome := range watch.Outcomes {
		if _, known := answers[outcome]; !known {
			t.Errorf("nothing is refused as %q", outcome)
		}
	}
	for code := range answers {
		known := slices.ContainsFunc(watch.Refusals, func(r watch.Refusal) bool { return r.Code == code })
		if counted := code != accepted && code != duplicate && code != unknownSource; known != counted {
			t.Errorf("%q is explained: %v", code, known)
		}
	}
}
