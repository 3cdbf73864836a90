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

	"rollcall/internal/embedded/testdb"
	"rollcall/store"
)

// Every code that a sender may be told counts as something, and nothing else does.
func TestResults(t *testing.T) {
	for code := range statuses {
		if results[code] == "" {
			t.Errorf("%s counts as nothing", code)
		}
	}
	if want := len(statuses) + 2; len(results) != want { // accepted and duplicate
		t.Errorf("%d codes count, want %d", len(results), want)
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

// BenchmarkWatched is a delivery without its network and database, so that what
// watching costs shows as much as it can: blind, counted, counted and in the log,
// and traced as well.
func BenchmarkWatched(b *testing.B) {
	body := event3K(b)
	header := SignStripe(stripeSecrets[0], body, now)
	line := slog.New(slog.NewJSONHandler(io.Discard, nil))
	for name, config := range map[string]Config{
		"blind":   {Logger: slog.New(slog.DiscardHandler)},
		"counted": {Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()},
		"logged":  {Logger: line, Metrics: prometheus.NewRegistry()},
		"traced":  {Logger: line, Metrics: prometheus.NewRegistry(), Traces: sdk.NewTracerProvider(sdk.WithBatcher(tracetest.NewNoopExporter()))},
	} {
		b.Run(name, func(b *testing.B) {
			config.Store, config.Jobs, config.Secrets = &instant{}, queue(func(context.Context) error { return nil }), secretsOf(b)
			config.Now = func() time.Time { return now }
			r := New(config)
			defer r.Close()
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				req := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", bytes.NewReader(body))
				req.Header = header
				if r.ServeHTTP(w, req); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}

// BenchmarkReceiveWatched is BenchmarkReceive with and without eyes on it.
func BenchmarkReceiveWatched(b *testing.B) {
	for name, config := range map[string]func(*Config){
		"blind": func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) },
		"watched": func(c *Config) {
			c.Logger, c.Metrics = slog.New(slog.NewJSONHandler(io.Discard, nil)), prometheus.NewRegistry()
		},
	} {
		b.Run(name, func(b *testing.B) { receiveMany(b, open(b, testdb.Postgres(b), testdb.Redis(b), config)) })
	}
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
