package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/history"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/pg"
)

// Source is a history to import.
type Source = history.Source

const (
	// lease times the grace is how long a worker may hold a chunk. After that it counts as dead.
	lease = 6
	// maxRun is how long one job continues with further chunks. Its source stays open: another job
	// would have to unpack an export again up to its position.
	maxRun = 10 * time.Minute
	// chunksAtOnce limits the chunks in progress, which mostly wait for an API. At most
	// writersAtOnce of them write.
	chunksAtOnce  = 4
	writersAtOnce = 2
	// webhookWait is how long a chunk waits for pending webhooks. An endless stream of them does
	// not stop it.
	webhookWait = 500 * time.Millisecond
)

// backfill is the job that processes a chunk of a backfill and the chunks after it. The chunk's row
// decides whether it is pending. So the job may run twice; if it is lost, the sweep enqueues it
// again.
func (w *Worker) backfill(ctx context.Context, t *asynq.Task) error {
	job, err := jobs.ParseBackfill(t)
	if err != nil {
		return err
	}
	n := reportOf(ctx)
	n.level, n.attrs = slog.LevelDebug, []slog.Attr{slog.Int64("backfill", job.Backfill), slog.Int("chunk", job.Chunk)}
	var source Source
	defer func() { closeSource(source) }()
	for end, number := time.Now().Add(maxRun), job.Chunk; ; {
		c, err := w.cfg.Store.OpenChunk(ctx, job.Backfill, number, lease*w.cfg.Grace)
		if errors.Is(err, pg.ErrNotFound) {
			return nil // done, held by another worker, not due yet, or cancelled
		}
		if err != nil {
			return err
		}
		next, err := w.chunk(ctx, &source, c)
		if err != nil {
			return w.retryLater(ctx, job, c, err)
		}
		if c.Number == 0 || len(next) == 0 || w.stopping(ctx) || time.Now().After(end) {
			return w.enqueueChunks(ctx, job.Backfill, next)
		}
		if err := w.enqueueChunks(ctx, job.Backfill, next[1:]); err != nil {
			return err
		}
		number = next[0]
	}
}

// retryLater ends a job after its chunk c failed. If c is not the job's own chunk, which is done, c
// gets a job of its own.
func (w *Worker) retryLater(ctx context.Context, job jobs.Backfill, c store.Chunk, err error) error {
	if c.Number == job.Chunk || errors.Is(err, asynq.SkipRetry) {
		return err
	}
	delay := time.Second
	if after, is := errors.AsType[*jobs.After](err); is {
		delay = after.Delay
	}
	round := fmt.Sprintf("try-%d-%d", c.Attempts, time.Now().Unix())
	again := jobs.Backfill{Backfill: c.Backfill, Chunk: c.Number}
	if err := w.jobs.EnqueueBackfillIn(context.WithoutCancel(ctx), again, round, delay); err != nil {
		w.cfg.Log.WarnContext(ctx, "chunk not enqueued; the sweep will ask for it",
			"backfill", c.Backfill, "chunk", c.Number, "error", err)
	}
	return nil
}

// stopping reports whether this worker is shutting down.
func (w *Worker) stopping(ctx context.Context) bool {
	select {
	case <-w.ending:
		return true
	default:
		return ctx.Err() != nil
	}
}

func closeSource(s Source) {
	if c, ok := s.(io.Closer); ok {
		c.Close() // read-only, so an error is harmless
	}
}

// chunk processes and reports one chunk. It opens the job's source if that is nil, and returns the
// chunks that follow.
func (w *Worker) chunk(ctx context.Context, source *Source, c store.Chunk) (next []int, err error) {
	ctx, t := w.beginChunk(ctx, c)
	defer func() { t.end(ctx, err) }()
	if *source == nil {
		if *source, err = w.cfg.Sources(c.Run); err != nil {
			return nil, w.chunkFailed(ctx, t, err)
		}
	}
	t.applied, err = w.applyChunk(ctx, *source, c)
	if err != nil {
		return nil, w.chunkFailed(ctx, t, err)
	}
	return t.applied.Next, nil
}

// applyChunk reads a chunk's page and applies it.
func (w *Worker) applyChunk(ctx context.Context, source Source, c store.Chunk) (done store.Applied, err error) {
	page, err := w.read(ctx, source, c)
	if err != nil {
		return done, err
	}
	release, err := w.mayWrite(ctx)
	if err != nil {
		return done, err
	}
	defer release()
	apply, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	if done, err = w.cfg.Store.ApplyChunk(apply, c, page); err != nil {
		return done, err
	}
	if done.Status == "" { // paused or ended meanwhile: free the chunk at once
		return done, w.cfg.Store.ReleaseChunk(apply, c)
	}
	for _, e := range done.Events {
		if err := w.jobs.EnqueueEvent(ctx, e.Source, e.ID, ""); err != nil {
			w.cfg.Log.WarnContext(ctx, "events not enqueued; the sweep will ask for them", "row", e.ID, "error", err)
			break
		}
	}
	switch done.Status {
	case "completed", "completed_with_errors":
		w.cfg.Log.InfoContext(ctx, "backfill ended", "backfill", c.Backfill, "kind", c.Run.Kind, "status", done.Status)
	}
	return done, nil
}

// mayWrite waits until a chunk may write. While webhooks are pending, only one chunk writes at a
// time.
func (w *Worker) mayWrite(ctx context.Context) (release func(), err error) {
	busy, err := w.cfg.Store.AwaitEvents(ctx, webhookWait)
	if err != nil {
		return nil, err
	}
	n := int64(1)
	if busy {
		n = writersAtOnce
	}
	if err := w.writers.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { w.writers.Release(n) }, nil
}

// sourceError is an error of a source. Even if it looks like a connection error, Postgres is fine.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// read reads a chunk's page and turns a panic of the source into an error.
func (w *Worker) read(ctx context.Context, source Source, c store.Chunk) (page store.Page, err error) {
	ctx, span := w.tracer.Start(ctx, "read")
	defer span.End()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			err = &sourceError{err}
		}
	}()
	return source.Read(ctx, c.Position, c.Run.ChunkSize)
}

// enqueueChunks enqueues chunks. If that fails, the sweep will enqueue them.
func (w *Worker) enqueueChunks(ctx context.Context, backfill int64, numbers []int) error {
	for _, n := range numbers {
		if err := w.jobs.EnqueueBackfill(ctx, backfill, n, ""); err != nil {
			w.cfg.Log.WarnContext(ctx, "chunks not enqueued; the sweep will ask for them", "backfill", backfill, "error", err)
			return nil
		}
	}
	return nil
}

// chunkFailed stores why a chunk failed, and returns an error with the delay of its retry.
func (w *Worker) chunkFailed(ctx context.Context, t *chunkAttempt, err error) error {
	c := t.chunk
	var fromSource *sourceError
	ended := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	if ended || outage(err) && !errors.As(err, &fromSource) {
		if release := w.cfg.Store.ReleaseChunk(ctx, c); release != nil {
			w.cfg.Log.Debug("chunk not released; its lease will end", "error", release)
		}
		t.outcome = postponed
		return err
	}
	if refused, is := errors.AsType[*history.Refused](err); is {
		t.outcome = givenUp
		if err := w.cfg.Store.FailBackfill(ctx, c.Backfill, refused.Reason); err != nil {
			return err
		}
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	delay := jobs.RetryDelay(c.Attempts, nil, nil)
	var later *history.Later
	putOff := errors.As(err, &later)
	if putOff {
		delay = max(delay, later.After)
	}
	t.outcome, t.delay = retry, delay
	if err := w.cfg.Store.ChunkFailed(ctx, c, err, delay, putOff); err != nil {
		return err
	}
	return &jobs.After{Delay: delay, Err: err}
}

// sweepChunks enqueues the chunks of runs that make no progress.
func (w *Worker) sweepChunks(ctx context.Context, round string) error {
	overdue, err := w.cfg.Store.OverdueChunks(ctx, w.cfg.Grace, sweepLimit)
	if err != nil {
		return err
	}
	for _, c := range overdue {
		if err := w.jobs.EnqueueBackfill(ctx, c.Backfill, c.Number, round); err != nil {
			return err
		}
	}
	if len(overdue) > 0 {
		w.metrics.swept.WithLabelValues("chunks").Add(float64(len(overdue)))
		w.cfg.Log.Info("asked again for overdue chunks of backfills", "chunks", len(overdue))
	}
	return nil
}
