package webhooks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
)

// Every code counts as something.
func TestResults(t *testing.T) {
	for code, answer := range answers {
		if answer.result == "" || answer.status == 0 {
			t.Errorf("%s counts as %q, with status %d", code, answer.result, answer.status)
		}
	}
}

// Each delivery is counted once, by source and result.
func TestDeliveriesAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := open(t, testdb.Postgres(t), testdb.Redis(t), func(c *Config) { c.Metrics = reg; delete(c.Secrets, Clerk) })
	body := []byte(`{"id":"evt_1","type":"thing.happened","created":1768212000}`)
	signed := func(body []byte, at time.Time) http.Header { return SignStripe(stripeSecrets[0], body, at) }
	torn := body[:10]
	large := bytes.Repeat([]byte("x"), 1<<20+1)
	for _, c := range []struct {
		path   string
		header http.Header
		body   []byte
	}{
		{"/webhooks/stripe", signed(body, now), body},
		{"/webhooks/stripe", signed(body, now), body},
		{"/webhooks/stripe", http.Header{}, body},
		{"/webhooks/stripe", SignStripe(stripeSecrets[2], body, now), body},
		{"/webhooks/stripe", signed(body, now.Add(-time.Hour)), body},
		{"/webhooks/stripe", signed(torn, now), torn},
		{"/webhooks/stripe", signed(large, now), large},
		{"/webhooks/clerk", http.Header{}, body},
		{"/webhooks/nobody", http.Header{}, body},
	} {
		b.send(t, http.MethodPost, c.path, c.header, c.body)
	}
	b.Close()
	for series, want := range map[[2]string]float64{
		{"stripe", "accepted"}: 1, {"stripe", "duplicate"}: 1, {"stripe", "bad_signature"}: 2, {"stripe", "stale"}: 1,
		{"stripe", "bad_body"}: 1, {"stripe", "too_large"}: 1, {"clerk", "not_configured"}: 1, {"unknown", "bad_request"}: 1,
	} {
		if got := testutil.ToFloat64(b.metrics.received.WithLabelValues(series[0], series[1])); got != want {
			t.Errorf("%v: %v, want %v", series, got, want)
		}
	}
	if n := testutil.CollectAndCount(b.metrics.took); n != 8 {
		t.Errorf("times of %d kinds of deliveries, want 8", n)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "rollcall_webhook_enqueues_total" {
			continue
		}
		for _, m := range f.Metric {
			if want := map[string]float64{"enqueued": 1}[m.Label[0].GetValue()]; m.Counter.GetValue() != want {
				t.Errorf("%v, want %v", m, want)
			}
		}
	}
}

// instant is an inserter that costs nothing.
type instant struct{ id atomic.Int64 }

func (i *instant) InsertEvents(_ context.Context, events []store.NewEvent) ([]store.Inserted, error) {
	out := make([]store.Inserted, len(events))
	for n := range out {
		out[n].ID = i.id.Add(1)
	}
	return out, nil
}

func logged(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil)) }

func traced(c *Config) {
	c.Traces = sdk.NewTracerProvider(sdk.WithBatcher(tracetest.NewNoopExporter()))
}

// lone is a receiver without network and database, and a function that has it
// receive an event.
func lone(t testing.TB, by ...func(*Config)) (r *Receiver, receive func()) {
	body := event3K(t)
	header := SignStripe(stripeSecrets[0], body, now)
	config := Config{Store: &instant{}, Jobs: queue(func(context.Context) error { return nil }), Secrets: secretsOf(t),
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
	for _, watch := range by {
		watch(&config)
	}
	r = New(config)
	t.Cleanup(r.Close)
	return r, func() {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", bytes.NewReader(body))
		req.Header = header
		if r.ServeHTTP(w, req); w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
	}
}

// count does all the counting of a delivery that goes into the inbox alone.
func (m *metrics) count() {
	m.answered(Stripe, accepted, time.Millisecond)
	m.group.Observe(1)
	m.commit.Observe(.001)
}

// BenchmarkWatched shows what watching costs as much as it can: of a delivery
// there is all but its network and its database. counting is the part of it that
// counts; logged has a line in the log; traced is in a trace besides.
func BenchmarkWatched(b *testing.B) {
	r, delivery := lone(b)
	_, withLine := lone(b, logged)
	_, withTrace := lone(b, logged, traced)
	for _, c := range []struct {
		name string
		do   func()
	}{{"delivery", delivery}, {"counting", r.metrics.count}, {"logged", withLine}, {"traced", withTrace}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.do()
			}
		})
	}
}

// Counting costs a delivery nothing to speak of.
func TestCountingIsCheap(t *testing.T) {
	r, delivery := lone(t)
	least := func(n int, do func()) time.Duration {
		best := time.Hour
		for range 7 { // the machine may have other things to do
			began := time.Now()
			for range n {
				do()
			}
			best = min(best, time.Since(began)/time.Duration(n))
		}
		return best
	}
	counting, whole := least(20_000, r.metrics.count), least(300, delivery)
	if share := float64(counting) / float64(whole); share > 0.03 {
		t.Errorf("counting takes %v of %v, %.1f %%", counting, whole, 100*share)
	}
}

// BenchmarkReceiveWatched is BenchmarkReceive with and without eyes on it.
func BenchmarkReceiveWatched(b *testing.B) {
	b.Run("blind", func(b *testing.B) {
		receiveMany(
			b, open(b, testdb.Postgres(b), testdb.Redis(b), func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) }))
	})
	b.Run("watched", func(b *testing.B) {
		receiveMany(
			b, open(b, testdb.Postgres(b), testdb.Redis(b), func(c *Config) { c.Metrics = prometheus.NewRegistry(); logged(c) }))
	})
}

var sent atomic.Int64

// receiveMany sends events over many connections at once.
func receiveMany(b *testing.B, r *bench) {
	template := event3K(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := bytes.Replace(template, []byte("evt_1"), fmt.Appendf(nil, "evt_%d_", sent.Add(1)), 1)
			req, _ := http.NewRequest("POST", r.url+"/webhooks/stripe", bytes.NewReader(body))
			req.Header = SignStripe(stripeSecrets[0], body, now)
			res, err := client.Do(req)
			if err != nil || res.StatusCode != 200 {
				b.Errorf("%v %v", res, err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
