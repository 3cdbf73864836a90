package webhooks

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/pg"
)

// delivery collects what the log, the trace and the metrics report of one request. It excludes the
// payload.
type delivery struct {
	began  time.Time
	path   string
	source string         // noSource until it is known
	from   netip.Addr     // its sender's; zero: not known
	event  store.NewEvent // the fields read so far
	row    int64          // the inbox row; 0 unless it is new
	code   string         // accepted, duplicate or the code of a refusal
	status int
	err    error // why it was refused, for the log only
	// checked says that its signature was compared: it is well-formed and of about now.
	checked bool
}

// begin starts the trace of a delivery, linked to the sender's trace.
func (r *Receiver) begin(req *http.Request) (context.Context, *delivery) {
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	if r.cfg.Traces != nil {
		options = append(options, trace.WithLinks(jobs.Named(req.Header)...))
	}
	ctx, _ := r.tracer.Start(req.Context(), "receive", options...)
	return ctx, &delivery{began: time.Now(), path: req.URL.Path, source: noSource, from: r.cfg.Proxies.Client(req)}
}

// end reports an answered delivery: metrics, trace and one line in the log.
func (r *Receiver) end(ctx context.Context, d *delivery) {
	took := time.Since(d.began)
	r.metrics.answered(d.source, d.code, took)
	r.counts.count(d, r.cfg.Now())
	r.endSpan(ctx, d)
	if d.code != notConfigured && d.code != overloaded {
		r.log(ctx, d, took)
		return
	}
	r.logLimit.Do(func() { r.log(ctx, d, took) })
}

func (r *Receiver) endSpan(ctx context.Context, d *delivery) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(append(about(d.event),
		attribute.String("rollcall.result", answers[d.code].result),
		attribute.Int("http.response.status_code", d.status))...)
	if d.status >= 500 {
		span.SetStatus(codes.Error, d.code)
	}
	span.End()
}

// about returns a trace's attributes for an event.
func about(e store.NewEvent) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("rollcall.source", e.Source),
		attribute.String("rollcall.event.id", e.EventID),
		attribute.String("rollcall.event.type", e.Type),
	}
}

func (r *Receiver) log(ctx context.Context, d *delivery, took time.Duration) {
	level, what := slog.LevelInfo, "webhook "+d.code
	attrs := []slog.Attr{slog.String("source", d.source),
		slog.String("path", clip(pg.WithoutAddresses(d.path))), slog.Int("status", d.status)}
	if d.event.EventID != "" {
		attrs = append(attrs, slog.String("event", d.event.EventID), slog.String("type", d.event.Type),
			slog.Int("bytes", len(d.event.Payload)))
	}
	if d.row != 0 {
		attrs = append(attrs, slog.Int64("row", d.row))
	}
	if d.err != nil {
		level, what = slog.LevelWarn, "webhook refused"
		if d.status >= 500 {
			level = slog.LevelError
		}
		attrs = append(attrs, slog.String("code", d.code), slog.Any("error", d.err))
	}
	r.cfg.Logger.LogAttrs(ctx, level, what, append(attrs, slog.Duration("took", took))...)
}

// insert stores a group of events. Its span has its own trace, linked to the traces of the events.
func (r *Receiver) insert(ctx context.Context, events []store.NewEvent) ([]store.Inserted, error) {
	began := time.Now()
	out, err := r.cfg.Store.InsertEvents(ctx, events)
	if span := trace.SpanFromContext(ctx); err != nil && span.IsRecording() {
		span.SetStatus(codes.Error, pg.Fault(err))
	}
	r.metrics.group.Observe(float64(len(events)))
	r.metrics.commit.Observe(time.Since(began).Seconds())
	return out, err
}

// links returns links to the events that are traced.
func links(group []*waiter) (all []trace.Link) {
	for _, w := range group {
		if w.event.Traceparent != "" {
			ctx := jobs.WithTraceparent(context.Background(), w.event.Traceparent)
			all = append(all, trace.Link{SpanContext: trace.SpanContextFromContext(ctx), Attributes: about(w.event)})
		}
	}
	return all
}
