// Package metrics exports Rollcall's state to Prometheus: figures of Postgres and Redis, read at
// each scrape. The packages webhooks, worker and web count their own events in the same registry.
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

// scrapesAtOnce limits concurrent scrapes of a process.
const scrapesAtOnce = 8

// NewRegistry returns a registry with the metrics of the process itself.
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

// Handler answers scrapes of a registry. Metrics that cannot be read are logged and left out.
func Handler(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce,
		Timeout:             2 * scrapeTimeout,
	})
}

const (
	// scrapeTimeout is how long a scrape waits for figures; later ones are left out. Prometheus
	// itself stops waiting after ten seconds.
	scrapeTimeout = 4 * time.Second
	// figureTimeout is the part of that for one figure.
	figureTimeout = 2 * time.Second
)
