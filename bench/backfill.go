package main

import (
	"context"
	"fmt"
	"time"

	"rollcall/store"
)

// The history of the backfill's measurement: enrollments of people in courses
// of stores, told and not attached.
const (
	historyStores  = 100
	historyCourses = 10 // of a store
)

// loadHistory writes n enrollments of 0.7 n people as a bulk load would.
func (s *system) loadHistory(ctx context.Context, n int) error {
	if err := s.empty(ctx); err != nil {
		return err
	}
	for _, sql := range []string{
		`INSERT INTO stores (id, name, version) SELECT 'store_' || i, 'Store ' || i, '1' FROM generate_series(0, $1::int - 1) i WHERE $2 > 0 AND $3 > 0`,
		`INSERT INTO products (id, store_ref, store_id, kind, title, version, deleted_version)
		 SELECT 'course_' || s || '_' || c, 'store_' || s, 'store_' || s, 'course', 'Course ' || c, '1', ''
		 FROM generate_series(0, $1::int - 1) s, generate_series(0, $2::int - 1) c WHERE $3 > 0`,
		`INSERT INTO users (id, email, name, version, deleted_version)
		 SELECT 'user_' || i, 'person' || i || '@example.com', 'Person ' || i, '1', ''
		 FROM generate_series(0, $3::int * 7 / 10 - 1) i WHERE $1 > 0 AND $2 > 0`,
		// Each person's enrollments are in courses of one store, spread as a
		// multiplication by a large prime spreads them.
		`INSERT INTO enrollments (course_id, person, email_version, store_version, version, name_version, progress, progress_version,
			enrolled_at, enrolled_version, completed_version, said_at, first_said_at, deleted_version)
		 SELECT 'course_' || (p % $1) || '_' || ((i / ($3 * 7 / 10) + p / $1) % $2), 'user:user_' || p, '', '', v, '', i % 100, v, at, v, '', at, at, ''
		 FROM (
			SELECT i, (i * 7919) % ($3::bigint * 7 / 10) AS p, '2026-01-01T00:00:00.000000Z 20 ' AS v, '2026-01-01'::timestamptz + i * interval '1 s' AS at
			FROM generate_series(0, $3::bigint - 1) i
		 ) h`,
	} {
		if _, err := s.pool.Exec(ctx, sql, historyStores, historyCourses, n); err != nil {
			return err
		}
	}
	_, err := s.pool.Exec(ctx, `VACUUM ANALYZE enrollments, users, products, stores`)
	return err
}

// bareHistory does by hand what a backfill of courses does for this history:
// the limit that it is measured beside.
func (s *system) bareHistory(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	for _, sql := range []string{
		`INSERT INTO customers (store_id, email, name, source_kind, source_product_id, first_seen_at, last_activity_at, courses, course_ids)
		 SELECT p.store_id, u.email, u.name, 'free_course', (array_agg(e.course_id ORDER BY e.enrolled_at))[1], min(e.enrolled_at), max(e.said_at),
			jsonb_agg(jsonb_build_object('id', e.course_id, 'progress', e.progress, 'enrolled_at', rfc3339(e.enrolled_at), 'completed_at', rfc3339(e.completed_at)) ORDER BY e.enrolled_at),
			array_agg(e.course_id ORDER BY e.course_id)
		 FROM enrollments e
		 JOIN products p ON p.id = e.course_id
		 JOIN users u ON u.id = e.user_ref
		 GROUP BY p.store_id, u.email, u.name`,
		`UPDATE enrollments e SET store_id = c.store_id, customer_email = c.email, customer_id = c.id, unattached = NULL
		 FROM products p, users u, customers c
		 WHERE p.id = e.course_id AND u.id = e.user_ref AND c.store_id = p.store_id AND c.email = u.email`,
	} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// courses runs a backfill of kind courses to its end.
func (s *system) courses(ctx context.Context) (store.Backfill, time.Duration, error) {
	began := time.Now()
	b, err := s.store.StartBackfill(ctx, store.NewBackfill{Kind: "courses", StartedBy: "bench"})
	if err != nil {
		return b, 0, err
	}
	if err := s.jobs.EnqueueBackfill(ctx, b.ID, 0, ""); err != nil {
		return b, 0, err
	}
	for tick := time.Tick(10 * time.Millisecond); b.EndedAt == nil; {
		select {
		case <-tick:
		case <-ctx.Done():
			return b, 0, ctx.Err()
		}
		if b, err = s.store.Backfill(ctx, b.ID); err != nil {
			return b, 0, err
		}
	}
	if b.Status != "completed" {
		return b, 0, fmt.Errorf("backfill ended %s with %d errors", b.Status, b.Errors)
	}
	return b, time.Since(began), nil
}

// backfill measures the backfill of courses beside the bare limit, then a second
// run that finds nothing to do.
func (s *system) backfill(ctx context.Context, r *Report, n int) error {
	if err := s.loadHistory(ctx, n); err != nil {
		return err
	}
	bare, err := s.bareHistory(ctx)
	if err != nil {
		return err
	}
	if err := s.loadHistory(ctx, n); err != nil {
		return err
	}
	stop, err := s.work(ctx)
	if err != nil {
		return err
	}
	first, took, err := s.courses(ctx)
	if err != nil {
		return err
	}
	if want := int64(n) * 7 / 10; first.Created != want {
		return fmt.Errorf("%d customers created, not %d", first.Created, want)
	}
	_, again, err := s.courses(ctx)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("(e) courses, %d facts", n), took.Seconds(), "s",
		fmt.Sprintf("%.0f facts/s", float64(n)/took.Seconds()))
	r.add("    per fact", float64(took.Microseconds())/float64(n), "µs", "")
	r.add("    bare statements", bare.Seconds(), "s", "one INSERT … SELECT … GROUP BY and one UPDATE")
	r.add("    ratio", took.Seconds()/bare.Seconds(), "×", "of the bare limit's time")
	r.add("    second run", again.Seconds(), "s", fmt.Sprintf("nothing to change: %.1f times as fast",
		took.Seconds()/again.Seconds()))
	return stop()
}
