package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/jobs"
	"rollcall/web"
)

// csv measures the export of a store's list of n customers as CSV over HTTP,
// beside COPY of the columns it is made of in the same order, and the most heap
// that held objects meanwhile, the reader's included.
func (s *system) csv(ctx context.Context, r *Report, n int) error {
	if err := s.loadCustomers(ctx, n); err != nil {
		return err
	}
	bare, err := s.copyCustomers(ctx)
	if err != nil {
		return err
	}
	url, stop, err := s.web()
	if err != nil {
		return err
	}
	var heap float64
	began := time.Now()
	size, err := watchHeap(&heap, func() (int64, error) { return download(ctx, url+"/api/stores/big/customers.csv") })
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	perSecond := float64(n) / time.Since(began).Seconds()
	r.add("(h) customers as CSV", perSecond, "/s", fmt.Sprintf("%d rows, %.0f MB over HTTP", n, float64(size)/1e6))
	r.add("    bare COPY", bare, "/s", "of the columns it is made of, in the same order")
	r.add("    ratio", 100*perSecond/bare, "%", "of COPY's speed")
	r.add("    heap", heap, "MB", "at most, while it ran")
	return nil
}

// loadCustomers writes n customers of one store, as a mixed list has them: one
// to three courses each, half have bought, a fifth subscribed.
func (s *system) loadCustomers(ctx context.Context, n int) error {
	if err := s.empty(ctx); err != nil {
		return err
	}
	for _, sql := range []string{
		`INSERT INTO stores (id, name, version) SELECT 'big', 'Big', '1' WHERE $1 > 0`,
		`INSERT INTO products (id, store_ref, store_id, kind, title, version, deleted_version)
		 SELECT 'course_' || i, 'big', 'big', 'course', 'All about mixing, part ' || i, '1', '' FROM generate_series(0, 49) i WHERE $1 > 0`,
		// Activity is spread as a multiplication by a prime spreads it.
		`INSERT INTO customers (store_id, email, name, type, status, source_kind, source_product_id, first_seen_at, last_activity_at,
			spent, refunded, spent_rank, courses, purchases, subscriptions, course_ids, product_ids)
		 SELECT 'big', 'person' || i || '@example.com', 'Person ' || i, CASE WHEN i % 5 = 0 THEN 'subscription' WHEN bought THEN 'paying' ELSE 'lead' END,
			CASE WHEN i % 7 = 0 THEN 'inactive' ELSE 'active' END, 'free_course', course, seen,
			CASE WHEN i % 100 > 0 THEN '2024-01-01'::timestamptz + (i * 7919::bigint % 1000003) * interval '47 s' END,
			CASE WHEN bought THEN jsonb_build_array(jsonb_build_object('amount', price, 'currency', 'usd')) ELSE '[]' END,
			CASE WHEN i % 20 = 0 THEN '[{"amount": 500, "currency": "usd"}]'::jsonb ELSE '[]' END, price / 100.0,
			(SELECT jsonb_agg(jsonb_build_object('id', 'course_' || (i + k) % 50, 'progress', i * k % 101, 'enrolled_at', rfc3339(seen),
				'completed_at', CASE WHEN i * k % 101 = 100 THEN rfc3339(seen + interval '90 d') END)) FROM generate_series(0, i % 3) k),
			CASE WHEN bought THEN jsonb_build_array(jsonb_build_object('id', 'pi_' || i, 'product_id', course, 'kind', 'course', 'amount', price,
				'currency', 'usd', 'refunded', 0, 'purchased_at', rfc3339(seen))) ELSE '[]' END,
			CASE WHEN i % 5 = 0 THEN jsonb_build_array(jsonb_build_object('id', 'sub_' || i, 'status', 'active', 'product_id', NULL, 'plan', 'Pro',
				'amount', 1900, 'currency', 'usd', 'current_period_end', '2026-03-01T00:00:00Z', 'cancel_at_period_end', false)) ELSE '[]' END,
			ARRAY[course], '{}'
		 FROM (
			SELECT i, i % 2 = 0 AS bought, i % 100 * 100 + 99 AS price, 'course_' || i % 50 AS course, '2024-01-01'::timestamptz + i * interval '31 s' AS seen
			FROM generate_series(0, $1::int - 1) i
		 ) c`,
	} {
		if _, err := s.pool.Exec(ctx, sql, n); err != nil {
			return err
		}
	}
	_, err := s.pool.Exec(ctx, `VACUUM ANALYZE customers, products`)
	return err
}

// copyCustomers is the limit that the export is measured beside.
func (s *system) copyCustomers(ctx context.Context) (perSecond float64, err error) {
	conn, err := pgx.Connect(ctx, s.servers.DatabaseURL)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	began := time.Now()
	tag, err := conn.PgConn().CopyTo(ctx, io.Discard, `
		COPY (
			SELECT id, email, name, type, status, source_kind, source_product_id, first_seen_at, last_activity_at,
				courses, purchases, subscriptions, spent, refunded
			FROM customers
			WHERE store_id = 'big'
			ORDER BY last_activity_at DESC, id DESC
		) TO STDOUT`)
	return float64(tag.RowsAffected()) / time.Since(began).Seconds(), err
}

// adminToken opens the site of the measurements.
const adminToken = "bench-0123456789abcdef0123456789abcdef"

// web serves the site until the function it returns is called.
func (s *system) web() (url string, stop func() error, err error) {
	redis, err := jobs.ParseRedis(s.servers.RedisURL)
	if err != nil {
		return "", nil, err
	}
	site, err := web.New(web.Config{Store: s.store, Redis: redis, AdminToken: adminToken, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, errors.Join(err, site.Close())
	}
	server := &http.Server{Handler: site}
	go server.Serve(l)
	return "http://" + l.Addr().String(), func() error { return errors.Join(server.Close(), site.Close()) }, nil
}

// download reads an answer to its end and returns its size in bytes.
func download(ctx context.Context, url string) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s was answered %s", url, res.Status)
	}
	return io.Copy(io.Discard, res.Body)
}

// watchHeap runs something and notes the most megabytes of heap meanwhile.
func watchHeap[T any](most *float64, run func() (T, error)) (T, error) {
	runtime.GC() // what was there before is not to count
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.Tick(20 * time.Millisecond); !over.Load(); <-tick {
			now := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
			metrics.Read(now)
			*most = max(*most, float64(now[0].Value.Uint64())/1e6)
		}
	}()
	out, err := run()
	over.Store(true)
	<-done
	return out, err
}
