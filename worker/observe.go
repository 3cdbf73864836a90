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
	"go.opentelemetry.io/otel/trace/noop"

	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/pg"
)

// What is told of jobs: each is one line in the log, a count, and a span. Events
// that a transaction takes along are told of when they are applied; their own
// jobs, when they come, find nothing to do and are lines for debugging only.

// note is what a handler tells of its job beside its error.
type note struct {
	what    string
	level   slog.Level
	outcome string
	attrs   []slog.Attr
}

// noteKey is where a job's context has its note.
type noteKey struct{}

// noteOf is the note of the job in hand; what is noted outside of one is lost.
func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return &note{}
}

// observed is around every job.
func (w *Worker) observed(next asynq.Handler) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		began, n := time.Now(), &note{what: t.Type()}
		ctx, span := w.jobSpan(ctx, t)
		defer func() { w.ended(ctx, t, n, time.Since(began)); span.End() }()
		err := next.ProcessTask(context.WithValue(ctx, noteKey{}, n), t)
		n.conclude(err)
		if err != nil {
			span.SetStatus(codes.Error, pg.Fault(err))
		}
		return err
	})
}

// conclude fills in what follows from the job's error.
func (n *note) conclude(err error) {
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

// outcomeOf is the outcome that an error is.
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

// ended tells of a job. A backfill's is told of chunk by chunk.
func (w *Worker) ended(ctx context.Context, t *asynq.Task, n *note, took time.Duration) {
	if n.outcome == "" { // a panic, which asynq makes an error of
		n.outcome, n.level = panicked, slog.LevelError
	}
	w.metrics.job(t.Type(), n.outcome, took)
	attrs := append([]slog.Attr{slog.String("job", t.Type()), slog.String("outcome", n.outcome)}, n.attrs...)
	w.cfg.Log.LogAttrs(ctx, n.level, n.what, append(attrs, slog.Duration("took", took))...)
}

// aboutEvent names an event in a line of the log. Of one that could not even be
// looked up, the row and the source are known.
func aboutEvent(e store.Handled) []slog.Attr {
	attrs := []slog.Attr{slog.String("source", e.Source), slog.Int64("row", e.ID)}
	if e.EventID == "" {
		return attrs
	}
	return append(attrs, slog.String("event", e.EventID), slog.String("type", e.Type), slog.String("status", e.Status),
		slog.Int("attempt", e.Attempt), slog.Duration("waited", e.Waited))
}

// traceEvent names an event in a trace.
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

func tracer(p trace.TracerProvider) trace.Tracer {
	if p == nil {
		p = noop.NewTracerProvider()
	}
	return p.Tracer("rollcall/worker")
}

// jobSpan begins a job's span. An event's job belongs to the trace of its
// delivery, and to none if that is not traced; others begin one of their own,
// linked to whoever asked for them.
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

// apply applies events in one transaction, and tells of all that it took along.
func (w *Worker) apply(ctx context.Context, ids []int64, neighbours int) (store.Outcome, error) {
	began := time.Now()
	out, err := w.cfg.Store.Apply(ctx, ids, neighbours, w.cfg.Read)
	w.metrics.handled(out.Events)
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
			w.told(own, e)
		}
	}
	return out, err
}

// told writes the line of an event that was taken along.
func (w *Worker) told(ctx context.Context, e store.Handled) {
	what, level := words(e, true, nil)
	w.cfg.Log.LogAttrs(ctx, level, what, append(aboutEvent(e), slog.Bool("taken_along", true))...)
}

// tellEvent notes what became of the event that a job was about. found tells
// whether it was still to be done.
func tellEvent(ctx context.Context, e store.Handled, found bool, err error) {
	n := noteOf(ctx)
	n.what, n.level = words(e, found, err)
	n.attrs = aboutEvent(e)
	if !found && err == nil {
		n.outcome = nothing
	}
	trace.SpanFromContext(ctx).SetAttributes(traceEvent(e)...)
}

// words say what became of an event.
func words(e store.Handled, found bool, err error) (what string, level slog.Level) {
	switch {
	case errors.Is(err, errMalformed), err == nil && e.Status == "failed":
		return "event cannot be read; see `rollcall events show`", slog.LevelWarn
	case err == nil && found:
		return "event applied", slog.LevelInfo
	case err == nil:
		return "event had been applied", slog.LevelDebug
	case e.Status == "failed", e.Status == "ignored":
		return "event given up; see `rollcall events show`", slog.LevelError
	case outage(err):
		return "event not tried just now; it will be", slog.LevelInfo
	}
	return "event not applied; it is tried again", slog.LevelError
}

// shared is the time of a transaction that events had in common.
type shared struct {
	began  time.Time
	commit time.Duration
}

// traceShared puts a transaction that several events shared into the trace of
// one of them: what it did in detail is in a trace of its own, linked from here.
// A transaction for one event alone is in that event's trace already.
func (w *Worker) traceShared(own, common context.Context, e store.Handled, s shared) {
	mine, theirs := trace.SpanContextFromContext(own), trace.SpanContextFromContext(common)
	if !mine.IsSampled() || mine.TraceID() == theirs.TraceID() {
		return
	}
	now := time.Now()
	link := trace.WithLinks(trace.Link{SpanContext: theirs})
	own, apply := w.tracer.Start(own, "apply", trace.WithTimestamp(s.began), link, trace.WithAttributes(traceEvent(e)...))
	_, commit := w.tracer.Start(own, "commit", trace.WithTimestamp(now.Add(-s.commit)), trace.WithAttributes(traceEvent(e)...))
	commit.End(trace.WithTimestamp(now))
	apply.End(trace.WithTimestamp(now))
}
