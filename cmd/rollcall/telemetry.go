package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

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

// Traces are set up by OpenTelemetry's own variables and nothing else
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// Those that say whether there are traces at all are read here; the library
// reads the rest: headers, timeouts, sampling, names of the service.

// tracing reports whether the environment enables traces, and rejects unsupported
// settings.
func tracing() (bool, error) {
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"),
		"http/protobuf")
	endpoints := []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	given := os.Getenv(endpoints[0]) + os.Getenv(endpoints[1])
	switch {
	case strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && given == "":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: it must be otlp or none", exporter)
	case protocol != "http/protobuf":
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: only http/protobuf is spoken here", protocol)
	}
	for _, name := range endpoints {
		if u, err := url.Parse(os.Getenv(name)); os.Getenv(name) != "" &&
			(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return false, fmt.Errorf("%s must be a URL, as http://localhost:4318", name)
		}
	}
	return true, nil
}

// newTraces returns the tracer provider, nil if tracing is off, and a function that
// flushes the last spans.
func newTraces(ctx context.Context, log *slog.Logger) (trace.TracerProvider, func(context.Context) error, error) {
	on, err := tracing()
	if err != nil || !on {
		return nil, func(context.Context) error { return nil }, err
	}
	seldom := rate.Sometimes{First: 1, Interval: time.Minute}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		seldom.Do(func() { log.Warn("traces are not sent", "error", err) })
	}))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_EXPORTER_OTLP_…: %w", err)
	}
	service, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "rollcall"),
			attribute.String("service.version", versionText())),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv()) // later options win
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(service))
	return p, p.Shutdown, nil
}

// tracedHandler writes to each line which trace it belongs to, if any.
type tracedHandler struct{ slog.Handler }

// Handle writes a line.
func (h tracedHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (h tracedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracedHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup is slog.Handler's.
func (h tracedHandler) WithGroup(name string) slog.Handler {
	return tracedHandler{h.Handler.WithGroup(name)}
}
