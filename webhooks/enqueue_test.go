package webhooks

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/jobs"
)

// queue is an Enqueuer made of a function.
type queue func(context.Context) error

func (q queue) EnqueueEvent(ctx context.Context, _ string, _ int64, _ string) error { return q(ctx) }

// deaf is a Redis that never answers and does not heed its context.
func deaf(end chan struct{}) queue {
	return func(context.Context) error { <-end; return errors.New("gone") }
}

func newTestEnqueuer(q queue) (*asyncEnqueuer, *bytes.Buffer) {
	var log bytes.Buffer
	return newAsyncEnqueuer(q, slog.New(slog.NewTextHandler(&log, nil)), jobs.Tracer(nil, "")), &log
}

func TestCloseDrainsTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newTestEnqueuer(func(context.Context) error { time.Sleep(time.Millisecond); return nil })
		for i := range 1000 {
			h.add(row{source: Stripe, id: int64(i)})
		}
		h.close()
		if h.enqueued.Load() != 1000 || log.Len() > 0 {
			t.Errorf("enqueued %d of 1000, log %q", h.enqueued.Load(), log)
		}
	})
}

func TestHintNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		h, log := newTestEnqueuer(deaf(end))
		began := time.Now()
		const more = 100
		for i := range enqueueWorkers {
			h.add(row{source: Stripe, id: int64(i)})
		}
		synctest.Wait() // the workers hang, the buffer is empty
		for i := range enqueueBuffer + more {
			h.add(row{source: Stripe, id: int64(i)})
		}
		if time.Since(began) != 0 || h.dropped.Load() != more {
			t.Errorf("dropped %d after %s, want %d at once", h.dropped.Load(), time.Since(began), more)
		}
		h.close()
		if took := time.Since(began); took != drainTimeout {
			t.Errorf("closed after %s, want %s", took, drainTimeout)
		}
		close(end)
		synctest.Wait()
		if h.dropped.Load() != enqueueBuffer+more || h.failed.Load() != enqueueWorkers {
			t.Errorf("dropped %d, failed %d: every event must be counted", h.dropped.Load(), h.failed.Load())
		}
		if lines := strings.Count(log.String(), "\n"); lines > 2 {
			t.Errorf("%d lines of log for one outage:\n%s", lines, log)
		}
	})
}

// An outage of ten seconds is told about once a second, not once an event.
func TestOutageIsLoggedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newTestEnqueuer(func(context.Context) error { return errors.New("connection refused") })
		for range 1000 {
			h.add(row{source: Clerk, id: 1})
			time.Sleep(10 * time.Millisecond) // of the bubble's clock
		}
		h.close()
		if lines := strings.Count(log.String(), "\n"); lines < 9 || lines > 11 {
			t.Errorf("%d lines in 10 s:\n%s", lines, log)
		}
		if h.failed.Load() != 1000 {
			t.Errorf("failed %d, want 1000", h.failed.Load())
		}
	})
}

func TestEnqueueHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		began := time.Now()
		h, _ := newTestEnqueuer(func(ctx context.Context) error {
			<-ctx.Done()
			ended.Store(int64(time.Since(began)))
			return ctx.Err()
		})
		h.add(row{source: Platform, id: 1})
		h.close()
		if time.Duration(ended.Load()) != enqueueTimeout || h.failed.Load() != 1 {
			t.Errorf("ended after %s, failed %d", time.Duration(ended.Load()), h.failed.Load())
		}
	})
}
