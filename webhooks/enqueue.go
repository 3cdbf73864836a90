package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"rollcall/jobs"
	"rollcall/store/pg"
)

const (
	enqueueWorkers = 8
	enqueueBuffer  = 16384
	enqueueTimeout = 2 * time.Second // of one request to Redis
	drainTimeout   = 5 * time.Second // of Close
)

// asyncEnqueuer enqueues new rows without delaying the answer. The rows are safe in Postgres, and
// the sweep enqueues every row that is missing in the queue. So while Redis is down or slow, rows
// are dropped here and no request waits.
type asyncEnqueuer struct {
	jobs     Enqueuer
	log      *slog.Logger
	tracer   trace.Tracer
	rows     chan row
	ctx      context.Context // ends when draining took too long
	stop     context.CancelFunc
	workers  sync.WaitGroup
	logLimit rate.Sometimes // at most one line per second during an outage

	enqueued, failed, dropped atomic.Int64
}

var errBehind = errors.New("Redis is slower than the events, the buffer is full")

// row is a new row of the inbox.
type row struct {
	source      string
	id          int64
	traceparent string // of its delivery, if that is traced
}

func newAsyncEnqueuer(jobs Enqueuer, log *slog.Logger, tracer trace.Tracer) *asyncEnqueuer {
	h := &asyncEnqueuer{jobs: jobs, log: log, tracer: tracer, rows: make(chan row, enqueueBuffer),
		logLimit: rate.Sometimes{Interval: time.Second}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	for range enqueueWorkers {
		h.workers.Go(h.work)
	}
	return h
}

// add never blocks.
func (h *asyncEnqueuer) add(r row) {
	select {
	case h.rows <- r:
	default:
		h.dropped.Add(1)
		h.complain(errBehind)
	}
}

func (h *asyncEnqueuer) work() {
	for r := range h.rows {
		if h.ctx.Err() != nil {
			h.dropped.Add(1)
			continue
		}
		h.enqueue(r)
	}
}

func (h *asyncEnqueuer) enqueue(r row) {
	ctx, cancel := context.WithTimeout(h.ctx, enqueueTimeout)
	defer cancel()
	ctx, span := h.span(ctx, r)
	defer span.End()
	if err := h.jobs.EnqueueEvent(ctx, r.source, r.id, ""); err != nil {
		span.SetStatus(codes.Error, pg.Fault(err))
		h.failed.Add(1)
		h.complain(err)
		return
	}
	h.enqueued.Add(1)
}

// span continues the trace of a row's delivery, if there is one.
func (h *asyncEnqueuer) span(ctx context.Context, r row) (context.Context, trace.Span) {
	if r.traceparent == "" {
		return ctx, trace.SpanFromContext(ctx)
	}
	return h.tracer.Start(jobs.WithTraceparent(ctx, r.traceparent), "enqueue", trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("rollcall.source", r.source), attribute.Int64("rollcall.row", r.id)))
}

func (h *asyncEnqueuer) complain(err error) {
	h.logLimit.Do(func() {
		h.log.Warn("could not enqueue events; the sweeper will", "error", err,
			"failed", h.failed.Load(), "dropped", h.dropped.Load())
	})
}

// close enqueues the buffered rows, for at most drainTimeout. add must not be called afterwards.
func (h *asyncEnqueuer) close() {
	close(h.rows)
	drained := make(chan struct{})
	go func() { h.workers.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(drainTimeout):
	}
	h.stop()
}
