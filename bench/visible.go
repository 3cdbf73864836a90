package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
)

// besideBackfill measures what a backfill of n facts costs those who send
// webhooks: the time from POST to customer row at 200 events a second, without
// it and while it runs.
func (s *system) besideBackfill(ctx context.Context, r *Report, n int) error {
	if err := s.loadHistory(ctx, n); err != nil {
		return err
	}
	stop, err := s.work(ctx)
	if err != nil {
		return err
	}
	const every, events = 5 * time.Millisecond, 1000
	alone, err := s.visible(ctx, every, events)
	if err != nil {
		return err
	}
	b, err := s.store.StartBackfill(ctx, store.NewBackfill{Kind: "courses", StartedBy: "bench"})
	if err != nil {
		return err
	}
	if err := s.jobs.EnqueueBackfill(ctx, b.ID, 0, ""); err != nil {
		return err
	}
	for tick := time.Tick(10 * time.Millisecond); b.Seen == 0; <-tick {
		if b, err = s.store.Backfill(ctx, b.ID); err != nil {
			return err
		}
	}
	began, before := time.Now(), b.Seen
	beside, err := s.visible(ctx, every, events)
	if err != nil {
		return err
	}
	if b, err = s.store.Backfill(ctx, b.ID); err != nil {
		return err
	}
	if b.EndedAt != nil {
		return fmt.Errorf("the backfill of %d facts ended too soon to be measured beside", n)
	}
	rate := float64(b.Seen-before) / time.Since(began).Seconds()
	r.add("(f) visible, 200/s, p50", percentile(alone, 0.50), "ms", "POST to customer row")
	r.add("    p95", percentile(alone, 0.95), "ms", "")
	r.add("    beside a backfill, p50", percentile(beside, 0.50), "ms",
		fmt.Sprintf("which does %.0f facts/s meanwhile", rate))
	r.add("    p95", percentile(beside, 0.95), "ms", "")
	if _, err := s.store.CancelBackfill(ctx, b.ID); err != nil {
		return err
	}
	return stop()
}

// visible posts n sales, one every so often, and returns how long each took to
// become a customer.
func (s *system) visible(ctx context.Context, every time.Duration, n int) ([]time.Duration, error) {
	first := s.sent
	requests := s.next(n)
	began := make([]time.Time, n)
	failed := make(chan error, n)
	go func() {
		tick := time.Tick(every)
		for i, q := range requests {
			<-tick
			began[i] = time.Now()
			go func() {
				if err := s.load.post(ctx, q); err != nil {
					failed <- err
				}
			}()
		}
	}()
	var each []time.Duration
	seen := map[int]bool{}
	for tick := time.Tick(2 * time.Millisecond); len(each) < n; {
		select {
		case err := <-failed:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick:
		}
		// An event and its customer are committed together. Ids are given before
		// that: look back a little.
		rows, err := s.pool.Query(ctx, `
			SELECT right(event_id, 8)::int
			FROM (SELECT event_id, status FROM webhook_events ORDER BY id DESC LIMIT 500) e
			WHERE status = 'processed'`)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		var buyer int
		if _, err := pgx.ForEachRow(rows, []any{&buyer}, func() error {
			if buyer >= first && !seen[buyer] {
				seen[buyer] = true
				each = append(each, now.Sub(began[buyer-first]))
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return each, nil
}
