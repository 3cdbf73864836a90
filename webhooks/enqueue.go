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

// hinter tells the queue about new rows, behind the back of the answer: a row
// is safe without, and the sweeper asks for every row that the queue forgot. So
// when Redis is away or slow, hints are dropped and nobody waits.
type hinter struct {
	jobs    Enqueuer
	log     *slog.Logger
	tracer  trace.Tracer
	rows    chan row
	ctx     context.Context // ends when draining took too long
	stop    context.CancelFunc
	workers sync.WaitGroup
	seldom  rate.Sometimes // one line per second of an outage, not per event

	enqueued, failed, dropped atomic.Int64
}

var errBehind = errors.New("Redis is slower than the events, the buffer is full")

// row is a new row of the inbox.
type row struct {
	source      string
	id          int64
	traceparent string // of its delivery, if that is traced
}

func newHinter(jobs Enqueuer, log *slog.Logger, tracer trace.Tracer) *hinter {
	h := &hinter{jobs: jobs, log: log, tracer: tracer, rows: make(chan row, enqueueBuffer), seldom: rate.Sometimes{Interval: time.Second}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	for range enqueueWorkers {
		h.workers.Go(h.work)
	}
	return h
}

// hint never blocks.
func (h *hinter) hint(r row) {
	select {
	case h.rows <- r:
	default:
		h.dropped.Add(1)
		h.complain(errBehind)
	}
}

func (h *hinter) work() {
	for r := range h.rows {
		if h.ctx.Err() != nil {
			h.dropped.Add(1)
			continue
		}
		h.enqueue(r)
	}
}

func (h *hinter) enqueue(r row) {
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

// span goes on with the trace of a row's delivery, if there is one.
func (h *hinter) span(ctx context.Context, r row) (context.Context, trace.Span) {
	if r.traceparent == "" {
		return ctx, trace.SpanFromContext(ctx)
	}
	return h.tracer.Start(jobs.WithTraceparent(ctx, r.traceparent), "enqueue", trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("rollcall.source", r.source), attribute.Int64("rollcall.row", r.id)))
}

func (h *hinter) complain(err error) {
	h.seldom.Do(func() {
		h.log.Warn("could not enqueue events; the sweeper will", "error", err, "failed", h.failed.Load(), "dropped", h.dropped.Load())
	})
}

// close passes on what is buffered, for drainTimeout at most. No hint may follow.
func (h *hinter) close() {
	close(h.rows)
	drained := make(chan struct{})
	go func() { h.workers.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-time.After(drainTimeout):
	}
	h.stop()
}
