package worker

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"rollcall/store"
	"rollcall/store/pg"
)

// chunkAttempt is one attempt at a chunk of a backfill. It is reported as a log line, a count and a
// span.
type chunkAttempt struct {
	worker  *Worker
	chunk   store.Chunk
	began   time.Time
	applied store.Applied
	outcome string        // if it does not follow from the error
	delay   time.Duration // until the next attempt, if there is one
}

// beginChunk begins an attempt.
func (w *Worker) beginChunk(ctx context.Context, c store.Chunk) (context.Context, *chunkAttempt) {
	ctx, _ = w.tracer.Start(ctx, "chunk", trace.WithAttributes(
		attribute.Int64("rollcall.backfill", c.Backfill),
		attribute.String("rollcall.kind", c.Run.Kind),
		attribute.Int("rollcall.chunk", c.Number),
		attribute.String("rollcall.stream", c.Stream),
		attribute.Int("rollcall.attempt", c.Attempts+1)))
	return ctx, &chunkAttempt{worker: w, chunk: c, began: time.Now()}
}

// end reports the result.
func (t *chunkAttempt) end(ctx context.Context, err error) {
	took := time.Since(t.began)
	if t.outcome == "" {
		t.outcome = outcomeOf(err)
	}
	t.worker.metrics.chunk(t.chunk.Run.Kind, t.outcome, took)
	t.log(ctx, took, err)
	span := trace.SpanFromContext(ctx)
	if err != nil {
		span.SetStatus(codes.Error, pg.Fault(err))
	}
	span.SetAttributes(attribute.String("rollcall.outcome", t.outcome))
	span.End()
}

func (t *chunkAttempt) log(ctx context.Context, took time.Duration, err error) {
	what, level := "chunk done", slog.LevelInfo
	switch t.outcome {
	case retry:
		what, level = "chunk failed; it is tried again", slog.LevelWarn
	case postponed:
		what = "chunk not done just now; it will be"
	case givenUp:
		what, level = "backfill failed", slog.LevelError
	}
	c := t.chunk
	attrs := []slog.Attr{slog.Int64("backfill", c.Backfill), slog.String("kind", c.Run.Kind),
		slog.Int("chunk", c.Number), slog.String("stream", c.Stream),
		slog.Int("attempt", c.Attempts+1), slog.String("outcome", t.outcome),
		slog.Int64("objects", t.applied.Seen), slog.Int64("errors", t.applied.Errors), slog.Duration("took", took)}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	if t.delay > 0 {
		attrs = append(attrs, slog.Duration("in", t.delay))
	}
	t.worker.cfg.Log.LogAttrs(ctx, level, what, attrs...)
}
