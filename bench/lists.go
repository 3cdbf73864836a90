package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/web"
	"rollcall/web/core"
)

//go:embed market.sql
var marketSQL string

// longest is the store of the market whose list is measured.
const longest = "store_0"

const (
	apiPath  = "/api/stores/" + longest
	pagePath = "/store/" + longest + "/customers"
)

// A question is asked so often, or so long, but not less often than atLeast.
const (
	often   = 200
	atLeast = 30
	howLong = 3 * time.Second
)

// lists measures the Customers page and its API on a long list: (h) and (i).
func (s *system) lists(ctx context.Context, o options) {
	began := time.Now()
	s.fillMarket(ctx, o.customers)
	size := query[string](ctx, s, `
		SELECT format('with %s enrollments and %s payments; %s customers in all %s stores, %s; loaded in ',
			(SELECT count(*) FROM enrollments WHERE store_id = $1),
			(SELECT count(*) FROM payments WHERE store_id = $1),
			(SELECT count(*) FROM customers),
			(SELECT count(*) FROM stores),
			pg_size_pretty(pg_database_size(current_database())))`, longest)
	s.add("(h) customers of one store", float64(o.customers), "", size+time.Since(began).Round(time.Second).String())
	site := try(web.New(core.Config{Store: s.store, Redis: s.redis, Jobs: s.jobs, AdminToken: adminToken, Log: logged()}))
	s.onClose(site.Close)
	a := &asker{s.serve(site)}
	bare := s.barePage(ctx)
	s.add("    bare first page, p50", bare, "ms", "two plain queries by pgx")
	asked := try(regexp.Compile(o.ask))
	for _, q := range s.questions(ctx, a) {
		if !asked.MatchString(q.name) {
			continue
		}
		s.ask(ctx, a, q)
	}
	s.weigh(ctx, a)
	if asked.MatchString("CSV") {
		s.export(ctx, a, o.customers)
	}
	if asked.MatchString("bulk") {
		s.bulk(ctx, a)
	}
	if asked.MatchString("value") {
		s.value(ctx, a)
	}
}

// ask measures how long the answers of a question take.
func (s *system) ask(ctx context.Context, a *asker, q question) {
	api := a.time(ctx, q, q.api, "identity")
	note := fmt.Sprintf("p99 %.1f", percentile(api, 99))
	if len(q.pages) > 0 {
		page := a.time(ctx, q, q.pages, "gzip")
		note += fmt.Sprintf("; the page %.1f, p99 %.1f", percentile(page, 50), percentile(page, 99))
	}
	s.add("    "+q.name, percentile(api, 50), "ms", note)
}

// fillMarket writes the market of market.sql, and has its customers derived. A market
// of that size that was kept stays.
func (s *system) fillMarket(ctx context.Context, customers int) {
	if query[int](ctx, s, `SELECT count(*) FROM customers WHERE store_id = $1`, longest) == customers {
		return
	}
	s.fill(ctx, marketSQL, customers)
	changes := try(s.store.Rebuild(ctx, "", nil))
	if changes.Facts+changes.Created+changes.Deleted+changes.Merged > 0 {
		check(fmt.Errorf("the market's facts are not whose it says: %+v", changes))
	}
	check(s.store.FoldFigures(ctx))
	s.exec(ctx, `CLUSTER customers USING customers_pkey`) // as they came, not as they were derived
	s.exec(ctx, `VACUUM ANALYZE`)
	s.exec(ctx, `CHECKPOINT`) // as the server does by itself, in time
}

// asker asks a site over one kept connection, one question after the other.
type asker struct{ base string }

// open returns the answer to GET, as it is sent: not unpacked, if encoding is gzip.
func (a *asker) open(ctx context.Context, path, encoding string) io.ReadCloser {
	r := try(http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	r.Header.Set("Accept-Encoding", encoding) // as it is set here, net/http leaves the answer alone
	res := try(http.DefaultClient.Do(r))
	if res.StatusCode != http.StatusOK {
		check(fmt.Errorf("GET %s: %s", path, res.Status))
	}
	return res.Body
}

func (a *asker) get(ctx context.Context, path, encoding string) []byte {
	body := a.open(ctx, path, encoding)
	defer body.Close()
	return try(io.ReadAll(body))
}

// time asks for one path after the other, round and round. The first few times
// do not count: they fill what an idle server has forgotten. A question that finds
// no one where someone should be found measures nothing.
func (a *asker) time(ctx context.Context, q question, paths []string, encoding string) (each []time.Duration) {
	const forgotten = 3
	start := time.Now()
	for i := range often + forgotten {
		began := time.Now()
		if len(each) >= atLeast && began.Sub(start) > howLong {
			break
		}
		path := paths[i%len(paths)]
		body := a.get(ctx, path, encoding)
		if i >= forgotten {
			each = append(each, time.Since(began))
		}
		if bytes.HasPrefix(body, []byte(`{"data":[]`)) && !q.findsNone {
			check(fmt.Errorf("GET %s finds no one", path))
		}
	}
	return each
}

// barePage measures the first page of a list as it would be written if there were
// no others: an index in just this order, the rows, and what things are called. The
// schema has no such index, as its own serves every filter by type, status and
// source too; this one is made for the measurement.
func (s *system) barePage(ctx context.Context) (p50 float64) {
	s.exec(ctx, `CREATE INDEX bare_page ON customers (store_id, last_activity_at DESC NULLS LAST, id DESC)`)
	defer s.exec(ctx, `DROP INDEX bare_page`)
	var each []time.Duration
	for range often {
		began := time.Now()
		for _, sql := range []string{
			`SELECT ` + bareColumns + ` FROM customers WHERE store_id = $1
			ORDER BY last_activity_at DESC NULLS LAST, id DESC LIMIT 51`,
			`SELECT id, title FROM products WHERE store_id = $1`,
		} {
			rows := try(s.pool.Query(ctx, sql, longest))
			for rows.Next() {
				try(rows.Values())
			}
			check(rows.Err())
		}
		each = append(each, time.Since(began))
	}
	return percentile(each, 50)
}

// bareColumns are what a line of the list, or of its export, is made of.
const bareColumns = `id, email, name, type, status, source_kind, source_product_id, first_seen_at, last_activity_at,
	courses, purchases, subscriptions, spent, refunded`

// parts finds what a page makes a browser load.
var parts = regexp.MustCompile(
	`<(?:script|img|link|iframe|source|video|object|embed)\b[^>]*?\s(?:src|href|data)="([^"]+)"`)

// weigh adds what the first page weighs as sent, with what it loads, and what it
// loads from other hosts.
func (s *system) weigh(ctx context.Context, a *asker) {
	const note = "as sent to clients that accept gzip"
	s.add("    weight of the page", float64(len(a.get(ctx, pagePath, "gzip")))/1024, "KiB", note)
	weight, seen, foreign := 0, map[string]bool{}, 0
	for _, m := range parts.FindAllSubmatch(a.get(ctx, pagePath, "identity"), -1) {
		path := string(m[1])
		switch {
		case strings.Contains(path, "//"):
			foreign++
		case !seen[path]:
			seen[path] = true
			weight += len(a.get(ctx, path, "gzip"))
		}
	}
	s.add("    weight of its assets", float64(weight)/1024, "KiB", note)
	s.add("    assets of other hosts", float64(foreign), "", "")
}

// export measures the export of the long list of n customers as CSV over HTTP,
// beside COPY of the columns it is made of in the same order, and the most heap
// that held objects meanwhile, the reader's included.
func (s *system) export(ctx context.Context, a *asker, n int) {
	conn := try(pgx.Connect(ctx, s.servers.DatabaseURL))
	defer conn.Close(ctx)
	began := time.Now()
	try(conn.PgConn().CopyTo(ctx, io.Discard, `
		COPY (
			SELECT `+bareColumns+`
			FROM customers
			WHERE store_id = '`+longest+`'
			ORDER BY last_activity_at DESC, id DESC
		) TO STDOUT`))
	bare := float64(n) / time.Since(began).Seconds()
	began = time.Now()
	var size int64
	heap := heapOf(func() {
		body := a.open(ctx, apiPath+"/customers.csv", "identity")
		defer body.Close()
		size = try(io.Copy(io.Discard, body))
	})
	perSecond := float64(n) / time.Since(began).Seconds()
	s.add("(i) customers as CSV", perSecond, "/s", fmt.Sprintf("%d rows, %.0f MB over HTTP", n, float64(size)/1e6))
	s.add("    bare COPY", bare, "/s", "of the columns it is made of, in the same order")
	s.add("    ratio", 100*perSecond/bare, "%", "of COPY's speed")
	s.add("    heap", heap, "MB", "at most, while it ran")
}
