package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// export measures the export of the long list of n customers as CSV over HTTP,
// beside COPY of the columns it is made of in the same order, and the most heap
// that held objects meanwhile, the reader's included.
func (s *system) export(ctx context.Context, r *Report, a *asker, n int) error {
	bare, err := s.copyCustomers(ctx)
	if err != nil {
		return err
	}
	var heap float64
	began := time.Now()
	size, err := watchHeap(&heap, func() (int64, error) {
		return download(ctx, a.base+"/api/stores/"+longest+"/customers.csv")
	})
	if err != nil {
		return err
	}
	perSecond := float64(n) / time.Since(began).Seconds()
	r.add("(i) customers as CSV", perSecond, "/s", fmt.Sprintf("%d rows, %.0f MB over HTTP", n, float64(size)/1e6))
	r.add("    bare COPY", bare, "/s", "of the columns it is made of, in the same order")
	r.add("    ratio", 100*perSecond/bare, "%", "of COPY's speed")
	r.add("    heap", heap, "MB", "at most, while it ran")
	return nil
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
			WHERE store_id = '`+longest+`'
			ORDER BY last_activity_at DESC, id DESC
		) TO STDOUT`)
	return float64(tag.RowsAffected()) / time.Since(began).Seconds(), err
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
