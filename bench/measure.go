package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// accept measures acknowledged webhooks per second, beside the bare limit: the
// same rows inserted by pgx in batches of 64, with nothing around it.
func (s *system) accept(ctx context.Context, r *Report, n int) error {
	bare, err := s.bareInserts(ctx, n)
	if err != nil {
		return err
	}
	if err := s.empty(ctx); err != nil {
		return err
	}
	total, each, err := s.load.run(ctx, s.next(n))
	if err != nil {
		return err
	}
	perSecond := float64(n) / total.Seconds()
	r.add("(a) webhooks accepted", perSecond, "/s", fmt.Sprintf("%d connections, 3 KB events", connections))
	r.add("    p50", percentile(each, 0.50), "ms", "")
	r.add("    p99", percentile(each, 0.99), "ms", "")
	r.add("    bare inserts", bare, "/s", "the same rows by pgx, 64 at a time")
	r.add("    ratio", 100*perSecond/bare, "%", "of the bare limit")
	return s.drain(ctx)
}

func (s *system) next(n int) []request {
	s.sent += n
	return prepare(s.sent-n, n)
}

func (s *system) bareInserts(ctx context.Context, n int) (perSecond float64, err error) {
	requests := s.next(n)
	start := time.Now()
	for len(requests) > 0 {
		var batch pgx.Batch
		for _, q := range requests[:min(64, len(requests))] {
			batch.Queue(`INSERT INTO webhook_events (source, event_id, type, livemode, occurred_at, payload) VALUES ('stripe', $1, 'checkout.session.completed', true, now(), $2)`,
				string(q.body[7:19]), string(q.body))
		}
		if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
			return 0, err
		}
		requests = requests[batch.Len():]
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// drain works off what a measurement left in the queue.
func (s *system) drain(ctx context.Context) error {
	stop, err := s.work(ctx)
	if err != nil {
		return err
	}
	if err := s.untilDone(ctx); err != nil {
		return err
	}
	return stop()
}

func (s *system) untilDone(ctx context.Context) error {
	for tick := time.Tick(5 * time.Millisecond); ; {
		var open bool
		if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM webhook_events WHERE status IN ('pending', 'failed'))`).Scan(&open); err != nil || !open {
			return err
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply measures events per second from POST to customer row: sales to new
// buyers, until nothing is pending.
func (s *system) apply(ctx context.Context, r *Report, n int) error {
	if err := s.empty(ctx); err != nil {
		return err
	}
	requests := s.next(n)
	stop, err := s.work(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if _, _, err := s.load.run(ctx, requests); err != nil {
		return err
	}
	posted := time.Since(start)
	if err := s.untilDone(ctx); err != nil {
		return err
	}
	total := time.Since(start)
	r.add("(b) POST to customer row", float64(n)/total.Seconds(), "/s",
		fmt.Sprintf("new buyers; all posted after %.1f s of %.1f s", posted.Seconds(), total.Seconds()))
	var customers int
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM customers`).Scan(&customers); err != nil {
		return err
	}
	if customers != n {
		return fmt.Errorf("%d customers after %d sales", customers, n)
	}
	return stop()
}

// latency measures the time from POST to the customer being visible, on an idle
// system and at 200 events a second.
func (s *system) latency(ctx context.Context, r *Report) error {
	stop, err := s.work(ctx)
	if err != nil {
		return err
	}
	if err := s.empty(ctx); err != nil {
		return err
	}
	for _, m := range []struct {
		name  string
		every time.Duration
		n     int
	}{{"(c) visible, idle", 100 * time.Millisecond, 100}, {"    visible, 200/s", 5 * time.Millisecond, 2000}} {
		each, err := s.visible(ctx, m.every, m.n)
		if err != nil {
			return err
		}
		r.add(m.name+", p50", percentile(each, 0.50), "ms", "POST to customer row")
		r.add(m.name+", p95", percentile(each, 0.95), "ms", "")
	}
	return stop()
}
