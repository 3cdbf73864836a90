// Package metrics tells Prometheus how Rollcall is: what waits in Postgres and
// in Redis, looked up when somebody scrapes. What happens in a process is counted
// where it happens (webhooks, worker, web), into the same registry.
package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapesAtOnce bounds what those who scrape can ask of a process.
const scrapesAtOnce = 8

// NewRegistry returns a registry with what every process tells of itself.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "rollcall_build_info",
		Help:        "Always 1: the version of the program, and of the Go that built it.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Handler answers scrapes of a registry. What cannot be read is left out and
// logged; the rest is answered.
func Handler(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce,
		Timeout:             2 * scrapeTimeout,
	})
}

const (
	// scrapeTimeout is how long a scrape waits for what is looked up; what is not
	// there by then is left out. Prometheus itself gives up after ten seconds.
	scrapeTimeout = 4 * time.Second
	// figureTimeout is how long one figure may take of that.
	figureTimeout = 2 * time.Second
)
