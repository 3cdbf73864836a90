package web

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/web/core"
	"rollcall/web/creators"
)

const csvPath = "/api/stores/store_a/customers.csv"

// fillSheet adds a customer who has everything, one who has nothing, and one
// with a name that is a formula.
func (x *site) fillSheet(t testing.TB) {
	t.Helper()
	x.exec(t, `
		INSERT INTO products (id, store_ref, store_id, store_ids, title, version, deleted_version)
		VALUES ('course_1', 'store_a', 'store_a', '{store_a}', 'Mixing, "101"', 'v', ''),
			('club', 'store_a', 'store_a', '{store_a}', '=Club()', 'v', '')`)
	x.exec(t, `
		INSERT INTO customers (store_id, email, name, type, status, source_kind, source_product_id, first_seen_at,
			last_activity_at, spent, refunded, courses, purchases, subscriptions, country)
		VALUES ('store_a', 'ada@example.com', 'Ada Ż', 'subscription', 'active', 'free_course', 'course_1',
			'2026-01-02 03:04:05.6+00', '2026-02-01 05:00:00+05',
			'[{"amount": 5800, "currency": "jpy"}, {"amount": 29900, "currency": "usd"}]',
			'[{"amount": 500, "currency": "usd"}]',
			'[{"id": "course_1", "progress": 33.5, "enrolled_at": "2026-01-02T03:04:05Z", "completed_at": null},
			  {"id": "course_x", "progress": 100, "enrolled_at": null, "completed_at": "2026-01-03T00:00:00Z"}]',
			'[{"id": "pi_1", "product_id": "course_1", "kind": "course", "amount": 29900, "currency": "usd",
				"refunded": 500, "purchased_at": "2026-01-02T03:04:05Z"},
			  {"id": "pi_2", "product_id": null, "kind": "other", "amount": 5800, "currency": "jpy", "refunded": 0,
				"purchased_at": "2026-01-04T00:00:00Z"}]',
			'[{"id": "sub_1", "status": "active", "product_id": "club", "plan": null, "amount": 1900, "currency": "usd",
				"current_period_end": "2026-03-01T00:00:00Z"},
			  {"id": "sub_2", "status": "canceled", "product_id": null, "plan": null, "amount": null, "currency": null,
				"current_period_end": null}]', 'NO'),
		('store_a', 'b@example.com', NULL, 'lead', 'inactive', NULL, NULL, NULL, NULL, '[]', '[]', '[]', '[]', '[]', NULL),
		('store_a', '-c@example.com', '=HYPERLINK("http://evil.example","x")', 'lead', 'active', NULL, NULL, '2026-01-01',
			NULL, '[]', '[]', '[]', '[]', '[]', NULL),
		('store_b', 'other@example.com', 'Other', 'lead', 'active', NULL, NULL, NULL, NULL, '[]', '[]', '[]', '[]', '[]',
			NULL)`)
}

const csvHead = "\ufeffid,email,name,type,status,source,source_title,first_seen_utc,last_activity_utc," +
	"course_count,courses,completed_count,purchases,subscriptions,total_spent,refunded,tags," +
	"expected,may_buy_again,engagement,country\r\n"

func TestExport(t *testing.T) {
	x := open(t, nil)
	x.fillSheet(t)
	x.exec(t, `INSERT INTO tags (id, store_id, name, folded, created_by)
		VALUES ('tag_b', 'store_a', 'VIP', 'vip', 'admin'), ('tag_a', 'store_a', '=1', '=1', 'admin'),
			('tag_c', 'store_a', 'unused', 'unused', 'admin')`)
	x.exec(t, `INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		VALUES ('store_a', 'ada@example.com', 'tag_a', 'admin'), ('store_a', 'ada@example.com', 'tag_b', 'admin')`)
	x.exec(t, `INSERT INTO value_people VALUES ('store_a', 'usd', 1, 0.8217, 14900), ('store_a', 'jpy', 1, 0.5, 100)`)
	x.exec(t, `INSERT INTO value_stores (store_id, due_at, forecast_in) VALUES ('store_a', now(), 'usd')
		ON CONFLICT (store_id) DO UPDATE SET forecast_in = 'usd'`)
	got := x.get(t, csvPath+"?sort=-first_seen&type=&status=", asAdmin)
	want := csvHead +
		x.id(t, core.CustomerID, 1) + `,ada@example.com,Ada Ż,subscription,active,free_course,` +
		`"Mixing, ""101""",2026-01-02 03:04:05,2026-02-01 00:00:00,` +
		`2,"Mixing, ""101"" (33.5%); course_x (100%)",1,"Mixing, ""101"" (299.00 USD, refunded 5.00 USD); other ` +
		`(5800 JPY)",` +
		`"'=Club() (active, period ends 2026-03-01); sub_2 (canceled)",5800 JPY; 299.00 USD,5.00 USD,'=1; VIP,` +
		`149.00 USD,82.2%,lost,NO` + "\r\n" +
		x.id(t, core.CustomerID, 3) +
		`,'-c@example.com,"'=HYPERLINK(""http://evil.example"",""x"")",lead,active,` +
		`,,2026-01-01 00:00:00,,0,,0,,,,,,,,,` + "\r\n" +
		x.id(t, core.CustomerID, 2) + `,b@example.com,,lead,inactive,,,,,0,,0,,,,,,,,,` + "\r\n"
	if diff := cmp.Diff(want, got.text); diff != "" || got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, diff)
	}
	for name, want := range map[string]string{
		"Content-Type":           "text/csv; charset=utf-8; header=present",
		"Content-Disposition":    `attachment; filename="customers-store_a-2026-01-12.csv"`,
		"X-Content-Type-Options": "nosniff",
		"Cache-Control":          "no-store",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q", name, got.Header.Get(name))
		}
	}
	if rows, err := csv.NewReader(strings.NewReader(got.text)).ReadAll(); err != nil || len(rows) != 4 ||
		len(rows[0]) != len(creators.Columns) {
		t.Errorf("%v %v", rows, err)
	}
	if few := x.get(t, csvPath+"?status=inactive", asAdmin); strings.Count(few.text, "\r\n") != 2 ||
		!strings.Contains(few.text, "b@example.com") {
		t.Errorf("%s", few.text)
	}
	if none := x.get(t, "/api/stores/none/customers.csv", asAdmin); none.text != csvHead {
		t.Errorf("%s", none.text)
	}
	head := x.send(t, "HEAD", csvPath, "", asAdmin)
	if head.StatusCode != 200 || head.Header.Get("Content-Disposition") != got.Header.Get("Content-Disposition") {
		t.Errorf("%d %v", head.StatusCode, head.Header)
	}
}

func TestExportRefused(t *testing.T) {
	x := open(t, nil)
	for path, want := range map[string]string{
		csvPath + "?limit=10":     "limit: is for pages",
		csvPath + "?cursor=x":     "cursor: is for pages",
		csvPath + "?sort=x":       "sort: ",
		csvPath + "?q=%zz":        "% signs",
		csvPath + "?colour=green": "colour: is not",
	} {
		got := x.get(t, path, asAdmin)
		if got.StatusCode != 400 || got.code(t) != "invalid_parameter" || !strings.Contains(got.text, want) ||
			got.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
	if got := x.get(t, csvPath); got.StatusCode != 401 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestExportName(t *testing.T) {
	x := open(t, nil)
	for store, want := range map[string]string{
		"k57a_B-9":                     "k57a_B-9",
		"a%2F..%2Fb%20c":               "a----b-c",
		"%22;x=%0D%0AEvil:%20":         "--x---Evil--",
		"%C5%BB":                       "-",
		strings.Repeat("long", 100):    strings.Repeat("long", 15),
		"con%5C%3A%2A%3F%3C%3E%7C%00.": "con---------",
	} {
		got := x.send(t, "HEAD", "/api/stores/"+store+"/customers.csv", "", asAdmin)
		if name := got.Header.Get("Content-Disposition"); name != `attachment; filename="customers-`+want+`-2026-01-12.csv"` {
			t.Errorf("%s: %d %q", store, got.StatusCode, name)
		}
	}
}

// begin sends a request for the list of many and reads the head of the answer.
func (x *site) beginExport(t testing.TB) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", x.url+csvPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	asAdmin(r)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); line != csvHead || err != nil {
		t.Fatalf("%d %q %v", res.StatusCode, line, err)
	}
	return res, body
}

// many fills a list that is larger than all buffers on the way to the reader.
func (x *site) many(t testing.TB) {
	t.Helper()
	x.exec(t, `
		INSERT INTO customers (store_id, email, purchases)
		SELECT 'store_a', 'p' || i || '@example.com',
			jsonb_build_array(jsonb_build_object('kind', repeat('x', 4000), 'amount', 1, 'currency', 'usd', 'refunded', 0))
		FROM generate_series(1, 8000) i`)
}

// ended returns a channel that is closed when the next request is through.
func (x *site) ended() <-chan struct{} {
	done, next := make(chan struct{}), x.handler
	x.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		next.ServeHTTP(w, r)
	})
	return done
}

// The head is there while Postgres still looks for the rows.
func TestExportBeginsAtOnce(t *testing.T) {
	x := open(t, nil)
	x.fillSheet(t)
	conn, err := pgx.Connect(t.Context(), x.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `LOCK TABLE customers IN ACCESS EXCLUSIVE MODE`)
		if err == nil {
			x.beginExport(t)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Half a list does not pass for whole, and the log tells.
func TestExportBreaksOff(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.many(t)
	_, body := x.beginExport(t)
	if _, err := body.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	x.exec(t, `ALTER TABLE customers RENAME TO gone`)
	if _, err := io.Copy(io.Discard, body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the end of what came is %v", err)
	}
	if log := x.log.String(); !strings.Contains(log, "an export broke off") {
		t.Error(log)
	}
	x.exec(t, `ALTER TABLE gone RENAME TO customers`)
	if again := x.get(t, csvPath+"?q=p7999@", asAdmin); strings.Count(again.text, "\r\n") != 2 {
		t.Errorf("%s", again.text)
	}
}

// A reader who takes nothing, or goes away, holds nothing.
func TestExportWithoutReader(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*site, *http.Response){
		"asleep": func(*site, *http.Response) {},
		"gone":   func(_ *site, res *http.Response) { res.Body.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			x := open(t, nil)
			x.many(t)
			x.handler = core.LimitWrites(x.handler, 100*time.Millisecond)
			done := x.ended()
			res, body := x.beginExport(t)
			leave(x, res)
			<-done
			// waits for transactions that are left
			x.exec(t, `DO $$ BEGIN LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; END $$`)
			if n, err := io.Copy(io.Discard, body); err == nil {
				t.Errorf("the list passes for whole after %d bytes", n)
			}
			log := x.log.String()
			if strings.Contains(log, `"level":"ERROR"`) || name == "asleep" &&
				!strings.Contains(log, "its reader is gone, or took nothing") {
				t.Error(log)
			}
		})
	}
}

// An export that goes on is not ended by the limit that other requests have.
func TestExportIsProlonged(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.many(t)
	if err := x.LoadIDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	const limit = 200 * time.Millisecond
	x.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := core.Limited(r.Context(), limit)
		defer cancel()
		r.SetPathValue("store", "store_a")
		if err := x.creators.ExportCustomers(w, r.WithContext(ctx)); err != nil {
			t.Error(err)
		}
	})
	_, body := x.beginExport(t)
	over, cancel := core.Limited(t.Context(), limit)
	defer cancel()
	<-over.Done() // the reader takes its time
	if _, err := io.Copy(io.Discard, body); err != nil {
		t.Error(err)
	}
}

func TestLimited(t *testing.T) {
	ended, cancel := core.Limited(t.Context(), time.Hour)
	defer cancel()
	core.Prolong(ended, 0)
	<-ended.Done()
	if cause := context.Cause(ended); cause != context.DeadlineExceeded || core.HungUp(ended) {
		t.Error(cause)
	}
	asked, hangUp := context.WithCancel(t.Context())
	gone, cancel := core.Limited(asked, time.Hour)
	defer cancel()
	hangUp()
	<-gone.Done()
	if !core.HungUp(gone) {
		t.Error(context.Cause(gone))
	}
	core.Prolong(t.Context(), time.Hour) // one without a limit
}
