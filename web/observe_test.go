package web

import (
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"rollcall/web/core"
)

// Requests are counted and traced by their routes: whatever the paths, there are
// no more series than routes, methods and statuses.
func TestRequestsAreCountedByRoute(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	x := open(t, func(c *core.Config) {
		c.Metrics, c.Traces = prometheus.NewRegistry(), sdk.NewTracerProvider(sdk.WithSyncer(spans))
	})
	for _, path := range []string{"/api/stores/a/customers", "/api/stores/b/customers?q=x", "/api/stores/c/customers",
		"/nowhere/1", "/nowhere/2", "/healthz", "/"} {
		x.get(t, path, asAdmin)
	}
	odd, err := http.NewRequest("BREW", x.url+"/signin", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(odd)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for series, want := range map[[3]string]float64{
		{"/api/stores/{store}/customers", "GET", "404"}: 3,
		{"other", "GET", "404"}:                         2,
		{"/healthz", "GET", "200"}:                      1,
		{"/{$}", "GET", "303"}:                          1,
		{"/signin", "other", "405"}:                     1,
	} {
		if got := testutil.ToFloat64(x.Metrics.Requests.WithLabelValues(series[0], series[1], series[2])); got != want {
			t.Errorf("%v: %v, want %v", series, got, want)
		}
	}
	if n := testutil.CollectAndCount(x.Metrics.Requests); n != 5 {
		t.Errorf("%d series, want 5", n)
	}
	names := map[string]int{}
	for _, span := range spans.GetSpans() {
		names[span.Name]++
	}
	if names["GET /api/stores/{store}/customers"] != 3 || names["GET other"] != 2 || len(names) != 4 {
		t.Errorf("%v", names)
	}
}

// Pages that watch are counted while they do.
func TestWatchersAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	x := open(t, func(c *core.Config) { c.Metrics = reg })
	_, leave := x.creators.Live.Join("a")
	x.creators.Live.Join("b")
	leave()
	if got := x.creators.Live.Count(); got != 1 {
		t.Errorf("%d watch", got)
	}
	if n, err := testutil.GatherAndCount(reg, "rollcall_web_watchers"); err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
}
