package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
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
	rows    chan row
	ctx     context.Context // ends when draining took too long
	stop    context.CancelFunc
	workers sync.WaitGroup
	seldom  rate.Sometimes // one line per second of an outage, not per event

	enqueued, failed, dropped atomic.Int64
}

var errBehind = errors.New("Redis is slower than the events, the buffer is full")

type row struct {
	source string
	id     int64
}

func newHinter(jobs Enqueuer, log *slog.Logger) *hinter {
	h := &hinter{jobs: jobs, log: log, rows: make(chan row, enqueueBuffer), seldom: rate.Sometimes{Interval: time.Second}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	for range enqueueWorkers {
		h.workers.Go(h.work)
	}
	return h
}

// hint never blocks.
func (h *hinter) hint(source string, id int64) {
	select {
	case h.rows <- row{source, id}:
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
	if err := h.jobs.EnqueueEvent(ctx, r.source, r.id, ""); err != nil {
		h.failed.Add(1)
		h.complain(err)
		return
	}
	h.enqueued.Add(1)
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
