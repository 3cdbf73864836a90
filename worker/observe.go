package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/pg"
)

// Each job is reported as a log line, a count and a span. Events that a transaction adds are
// reported when they are applied. Their own jobs then find nothing to do and are only logged at
// debug level.

// jobReport is what a handler reports about its job in addition to the error.
type jobReport struct {
	what    string
	level   slog.Level
	outcome string
	attrs   []slog.Attr
}

// reportKey is the key of a job's report in its context.
type reportKey struct{}

// reportOf returns the current job's report. Outside of a job it is discarded.
func reportOf(ctx context.Context) *jobReport {
	if n, ok := ctx.Value(reportKey{}).(*jobReport); ok {
		return n
	}
	return &jobReport{}
}

// observed wraps every job.
func (w *Worker) observed(next asynq.Handler) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		began, n := time.Now(), &jobReport{what: t.Type()}
		ctx, span := w.jobSpan(ctx, t)
		defer func() { w.finished(ctx, t, n, time.Since(began)); span.End() }()
		err := next.ProcessTask(context.WithValue(ctx, reportKey{}, n), t)
		n.conclude(err)
		if err != nil {
			span.SetStatus(codes.Error, pg.Fault(err))
		}
		return err
	})
}

// conclude sets what follows from the job's error.
func (n *jobReport) conclude(err error) {
	if n.outcome == "" {
		n.outcome = outcomeOf(err)
	}
	if err == nil {
		return
	}
	n.attrs = append(n.attrs, slog.Any("error", err))
	if n.level == slog.LevelInfo && n.outcome != postponed {
		n.level = slog.LevelError
	}
}

// outcomeOf maps an error to an outcome.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return done
	case errors.Is(err, asynq.SkipRetry):
		return givenUp
	case outage(err):
		return postponed
	}
	return retry
}

// finished reports a job. Backfills are reported per chunk instead.
func (w *Worker) finished(ctx context.Context, t *asynq.Task, n *jobReport, took time.Duration) {
	if n.outcome == "" { // a panic, which asynq turns into an error
		n.outcome, n.level = panicked, slog.LevelError
	}
	w.metrics.job(t.Type(), n.outcome, took)
	attrs := append([]slog.Attr{slog.String("job", t.Type()), slog.String("outcome", n.outcome)}, n.attrs...)
	w.cfg.Log.LogAttrs(ctx, n.level, n.what, append(attrs, slog.Duration("took", took))...)
}

// aboutEvent returns the log attributes of an event. If it could not be read, only row and source
// are known.
func aboutEvent(e store.Handled) []slog.Attr {
	attrs := []slog.Attr{slog.String("source", e.Source), slog.Int64("row", e.ID)}
	if e.EventID == "" {
		return attrs
	}
	return append(attrs, slog.String("event", e.EventID), slog.String("type", e.Type), slog.String("status", e.Status),
		slog.Int("attempt", e.Attempt), slog.Duration("waited", e.Waited))
}

// traceEvent returns the trace attributes of an event.
func traceEvent(e store.Handled) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("rollcall.source", e.Source),
		attribute.String("rollcall.event.id", e.EventID),
		attribute.String("rollcall.event.type", e.Type),
		attribute.String("rollcall.event.status", e.Status),
		attribute.Int64("rollcall.row", e.ID),
		attribute.Int("rollcall.attempt", e.Attempt),
	}
}

// jobSpan begins a job's span. An event's job continues the trace of its delivery, if there is one.
// Other jobs begin a trace, linked to the one that enqueued them.
func (w *Worker) jobSpan(ctx context.Context, t *asynq.Task) (context.Context, trace.Span) {
	asked := trace.SpanContextFromContext(jobs.InTrace(ctx, t))
	o := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
	switch {
	case t.Type() != jobs.TypeEvent && asked.IsValid():
		o = append(o, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: asked}))
	case t.Type() == jobs.TypeEvent && !asked.IsValid():
		return ctx, trace.SpanFromContext(ctx)
	default:
		ctx = trace.ContextWithRemoteSpanContext(ctx, asked)
	}
	return w.tracer.Start(ctx, "job "+t.Type(), o...)
}

// apply applies events in one transaction and reports all events in it.
func (w *Worker) apply(ctx context.Context, ids []int64, extra int) (store.Outcome, error) {
	began := time.Now()
	out, err := w.cfg.Store.Apply(ctx, ids, extra, w.cfg.Read)
	w.metrics.handled(out.Events)
	w.countEvents(out.Events)
	asked := map[int64]bool{}
	for _, id := range ids {
		asked[id] = true
	}
	for _, e := range out.Events {
		own := jobs.WithTraceparent(context.Background(), e.Traceparent)
		if e.Status != "pending" {
			w.traceShared(own, ctx, e, shared{began, out.Commit})
		}
		if err == nil && !asked[e.ID] {
			w.logExtra(own, e)
		}
	}
	return out, err
}

// logExtra logs an event that was added to a transaction.
func (w *Worker) logExtra(ctx context.Context, e store.Handled) {
	what, level := describe(e, true, nil)
	w.cfg.Log.LogAttrs(ctx, level, what, append(aboutEvent(e), slog.Bool("taken_along", true))...)
}

// reportEvent reports the event of a job. found says whether it was still pending.
func reportEvent(ctx context.Context, e store.Handled, found bool, err error) {
	n := reportOf(ctx)
	n.what, n.level = describe(e, found, err)
	n.attrs = aboutEvent(e)
	if !found && err == nil {
		n.outcome = nothing
	}
	trace.SpanFromContext(ctx).SetAttributes(traceEvent(e)...)
}

// describe returns the log message of an event.
func describe(e store.Handled, found bool, err error) (what string, level slog.Level) {
	switch {
	case errors.Is(err, errMalformed), err == nil && e.Status == "failed":
		return "event cannot be read; see `rollcall events show`", slog.LevelWarn
	case err == nil && found:
		return "event applied", slog.LevelInfo
	case err == nil:
		return "event had been applied", slog.LevelDebug
	case e.Status == "failed", e.Status == "ignored":
		return "event failed; see `rollcall events show`", slog.LevelError
	case outage(err):
		return "event not tried just now; it will be", slog.LevelInfo
	}
	return "event not applied; it is tried again", slog.LevelError
}

// shared is the duration of a transaction with several events.
type shared struct {
	began  time.Time
	commit time.Duration
}

// traceShared adds a shared transaction to the trace of one of its events. The details are in the
// transaction's own trace, linked from here. A transaction with one event is already in that
// event's trace.
func (w *Worker) traceShared(own, common context.Context, e store.Handled, s shared) {
	mine, shared := trace.SpanContextFromContext(own), trace.SpanContextFromContext(common)
	if !mine.IsSampled() || mine.TraceID() == shared.TraceID() {
		return
	}
	now := time.Now()
	link := trace.WithLinks(trace.Link{SpanContext: shared})
	own, apply := w.tracer.Start(own, "apply", trace.WithTimestamp(s.began), link, trace.WithAttributes(traceEvent(e)...))
	_, commit := w.tracer.Start(own, "commit", trace.WithTimestamp(now.Add(-s.commit)),
		trace.WithAttributes(traceEvent(e)...))
	commit.End(trace.WithTimestamp(now))
	apply.End(trace.WithTimestamp(now))
}
