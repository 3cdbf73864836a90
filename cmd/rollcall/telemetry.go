package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"rollcall/metrics"
	"rollcall/store"
)

// telemetry holds the metrics and traces of a process.
type telemetry struct {
	log      *slog.Logger
	registry *prometheus.Registry
	state    *metrics.State
	traces   trace.TracerProvider // nil: tracing is off
	flush    func(context.Context) error
	server   *http.Server // at METRICS_LISTEN; nil: there is none
	url      string       // of that
}

// flushTimeout is how long the last traces may take on their way at the end.
const flushTimeout = 5 * time.Second

// watch sets up metrics and traces, and answers scrapes at METRICS_LISTEN if that is
// set. End it with close.
func (e *env) watch(s *store.Store, redis asynq.RedisConnOpt, log *slog.Logger) (*telemetry, error) {
	traces, flush, err := newTraces(e, log)
	if err != nil {
		return nil, err
	}
	t := &telemetry{log: log, registry: metrics.NewRegistry(versionText()), traces: traces, flush: flush}
	t.state = metrics.New(metrics.Config{Store: s, Redis: redis, Log: log})
	t.registry.MustRegister(t.state)
	if e.MetricsListen == nil {
		return t, nil
	}
	l, err := bind("METRICS_LISTEN", "--metrics-listen", *e.MetricsListen)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	t.serve(l)
	log.Info("taking scrapes", "url", t.url+"/metrics")
	return t, nil
}

// handler answers scrapes.
func (t *telemetry) handler() http.Handler { return metrics.Handler(t.registry, t.log) }

// serve answers scrapes, in the background.
func (t *telemetry) serve(l net.Listener) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"status": "ok", "version": versionText()})
	})
	t.server, t.url = newServer(mux, t.log), baseURL(l)
	go t.server.Serve(l) // until close
}

// close sends the last traces off and takes no further scrapes.
func (t *telemetry) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.flush(ctx); err != nil {
		t.log.Warn("the last traces were not sent", "error", err)
	}
	var err error
	if t.server != nil {
		err = t.server.Close()
	}
	return errors.Join(err, t.state.Close())
}
