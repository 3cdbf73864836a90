package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// webhooks measures what happens now: (a) to (d).
func (s *system) webhooks(ctx context.Context, o options) {
	s.accept(ctx, o.events)
	s.apply(ctx, o.events)
	stop := s.work(ctx, nil)
	s.empty(ctx)
	const note = "POST to customer row"
	s.addTimes("(c) visible, idle", s.visible(ctx, 100*time.Millisecond, 100), 95, note)
	s.addTimes("    visible, 200/s", s.visible(ctx, 5*time.Millisecond, 2000), 95, note)
	stop()
	s.memory(ctx, o.events)
}

// accept measures acknowledged webhooks per second, beside the bare limit: the
// same rows inserted by pgx in batches of 64, with nothing around it.
func (s *system) accept(ctx context.Context, n int) {
	bare := s.bareInserts(ctx, n)
	s.empty(ctx)
	total, each := s.load.run(ctx, s.next(n))
	perSecond := float64(n) / total.Seconds()
	s.add("(a) webhooks accepted", perSecond, "/s", fmt.Sprintf("%d connections, 3 KB events", connections))
	s.addTimes("    answered", each, 99, "")
	s.add("    bare inserts", bare, "/s", "the same rows by pgx, 64 at a time")
	s.add("    ratio", 100*perSecond/bare, "%", "of the bare limit")
	stop := s.work(ctx, nil) // off the queue
	s.untilDone(ctx)
	stop()
}

func (s *system) bareInserts(ctx context.Context, n int) (perSecond float64) {
	requests := s.next(n)
	start := time.Now()
	for len(requests) > 0 {
		var batch pgx.Batch
		for _, q := range requests[:min(64, len(requests))] {
			batch.Queue(`
				INSERT INTO webhook_events (source, event_id, type, livemode, occurred_at, payload)
				VALUES ('stripe', $1, 'checkout.session.completed', true, now(), $2)`,
				string(q.body[7:19]), string(q.body))
		}
		check(s.pool.SendBatch(ctx, &batch).Close())
		requests = requests[batch.Len():]
	}
	return float64(n) / time.Since(start).Seconds()
}

// untilDone waits until every event is applied.
func (s *system) untilDone(ctx context.Context) {
	until(ctx, 5*time.Millisecond, func() bool {
		return query[bool](ctx, s, `
			SELECT NOT EXISTS (SELECT FROM webhook_events WHERE status IN ('pending', 'failed'))`)
	})
}

// apply measures events per second from POST to customer row: sales to new
// buyers, until nothing is pending.
func (s *system) apply(ctx context.Context, n int) {
	s.empty(ctx)
	requests := s.next(n)
	stop := s.work(ctx, nil)
	start := time.Now()
	posted, _ := s.load.run(ctx, requests)
	s.untilDone(ctx)
	total := time.Since(start)
	s.add("(b) POST to customer row", float64(n)/total.Seconds(), "/s",
		fmt.Sprintf("new buyers; all posted after %.1f s of %.1f s", posted.Seconds(), total.Seconds()))
	if customers := query[int](ctx, s, `SELECT count(*) FROM customers`); customers != n {
		check(fmt.Errorf("%d customers after %d sales", customers, n))
	}
	stop()
}

// visible posts n sales, one every so often, and returns how long each took to
// become a customer.
func (s *system) visible(ctx context.Context, every time.Duration, n int) (each []time.Duration) {
	first, began := s.sent, make([]time.Time, n)
	requests := s.next(n)
	posted := make(chan error, 1)
	go func() {
		_, err := s.load.pace(ctx, requests, every, began)
		posted <- err
	}()
	seen := map[int]bool{}
	until(ctx, 2*time.Millisecond, func() bool {
		// An event and its customer are committed together. Ids are given before
		// that: look back a little.
		rows := try(s.pool.Query(ctx, `
			SELECT right(event_id, 8)::int
			FROM (SELECT event_id, status FROM webhook_events ORDER BY id DESC LIMIT 500) e
			WHERE status = 'processed'`))
		now := time.Now()
		for _, buyer := range try(pgx.CollectRows(rows, pgx.RowTo[int])) {
			if buyer >= first && !seen[buyer] {
				seen[buyer] = true
				each = append(each, now.Sub(began[buyer-first]))
			}
		}
		select {
		case err := <-posted:
			check(err) // one that was refused would be waited for in vain
		default:
		}
		return len(each) == n
	})
	return each
}

// memory runs `rollcall serve` and `rollcall work` as processes of their own
// under the load of apply, and reports the most memory each held.
func (s *system) memory(ctx context.Context, n int) {
	s.empty(ctx)
	serve, work := s.start(ctx, "serve"), s.start(ctx, "work")
	newLoad(serve.url+"/webhooks/stripe").run(ctx, s.next(n))
	s.untilDone(ctx)
	const note = "at most, under the load of (b)"
	s.add("(d) memory of serve", serve.end(), "MB", note)
	s.add("    memory of work", work.end(), "MB", note)
}
