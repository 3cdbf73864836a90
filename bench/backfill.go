package main

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rollcall/store"
)

var (
	//go:embed history.sql
	historySQL string

	//go:embed bare.sql
	bareSQL string
)

// backfills measures what happened long ago: (e) to (g).
func (s *system) backfills(ctx context.Context, o options) {
	for size := range strings.SplitSeq(o.facts, ",") {
		s.backfill(ctx, try(strconv.Atoi(size)))
	}
	s.besideBackfill(ctx, 200_000)
	s.convex(ctx, o.rows)
}

// backfill measures the backfill of courses beside the bare limit, then a second
// run that finds nothing to do.
func (s *system) backfill(ctx context.Context, n int) {
	s.fill(ctx, historySQL, n)
	began := time.Now()
	s.exec(ctx, bareSQL)
	bare := time.Since(began)

	s.fill(ctx, historySQL, n)
	stop := s.work(ctx, nil)
	first, took := s.courses(ctx)
	if want := int64(n) * 7 / 10; first.Created != want {
		check(fmt.Errorf("%d customers created, not %d", first.Created, want))
	}
	_, again := s.courses(ctx)
	stop()
	s.add(fmt.Sprintf("(e) courses, %d facts", n), took.Seconds(), "s",
		fmt.Sprintf("%.0f facts/s", float64(n)/took.Seconds()))
	s.add("    per fact", float64(took.Microseconds())/float64(n), "µs", "")
	s.add("    bare statements", bare.Seconds(), "s", "one INSERT … SELECT … GROUP BY and one UPDATE")
	s.add("    ratio", took.Seconds()/bare.Seconds(), "×", "of the bare limit's time")
	s.add("    second run", again.Seconds(), "s", fmt.Sprintf("nothing to change: %.1f times as fast",
		took.Seconds()/again.Seconds()))
}

// courses runs a backfill of kind courses to its end.
func (s *system) courses(ctx context.Context) (store.Backfill, time.Duration) {
	began := time.Now()
	b := s.backfillWhen(ctx, s.startCourses(ctx), func(b store.Backfill) bool { return b.EndedAt != nil })
	if b.Status != "completed" {
		check(fmt.Errorf("backfill ended %s with %d errors", b.Status, b.Errors))
	}
	return b, time.Since(began)
}

func (s *system) startCourses(ctx context.Context) (id int64) {
	b := try(s.store.StartBackfill(ctx, store.NewBackfill{Kind: "courses", StartedBy: "bench"}))
	check(s.jobs.EnqueueBackfill(ctx, b.ID, 0, ""))
	return b.ID
}

// backfillWhen waits until a backfill is so far.
func (s *system) backfillWhen(ctx context.Context, id int64, far func(store.Backfill) bool) (b store.Backfill) {
	until(ctx, 10*time.Millisecond, func() bool {
		b = try(s.store.Backfill(ctx, id))
		return far(b)
	})
	return b
}

// besideBackfill measures what a backfill of n facts costs those who send
// webhooks: the time from POST to customer row at 200 events a second, without
// it and while it runs.
func (s *system) besideBackfill(ctx context.Context, n int) {
	s.fill(ctx, historySQL, n)
	stop := s.work(ctx, nil)
	const every, events = 5 * time.Millisecond, 1000
	alone := s.visible(ctx, every, events)
	b := s.backfillWhen(ctx, s.startCourses(ctx), func(b store.Backfill) bool { return b.Seen > 0 })
	began, before := time.Now(), b.Seen
	beside := s.visible(ctx, every, events)
	b = try(s.store.Backfill(ctx, b.ID))
	if b.EndedAt != nil {
		check(fmt.Errorf("the backfill of %d facts ended too soon to be measured beside", n))
	}
	rate := float64(b.Seen-before) / time.Since(began).Seconds()
	try(s.store.CancelBackfill(ctx, b.ID))
	stop()
	s.addTimes("(f) visible, 200/s", alone, 95, "POST to customer row")
	s.addTimes("    beside a backfill", beside, 95, fmt.Sprintf("which does %.0f facts/s meanwhile", rate))
}
