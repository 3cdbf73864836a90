package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/status"
)

// exported collects what an export writes.
func exported(t testing.TB, l *lists, f customers.Filter) (all []customers.Customer) {
	t.Helper()
	calls := 0
	err := customers.New(l.Store).ExportCustomers(t.Context(), f, func(some []customers.Customer) error {
		if calls++; (calls == 1) != (len(some) == 0) {
			t.Errorf("%+v: call %d with %d customers", f, calls, len(some))
		}
		all = append(all, some...)
		return nil
	})
	if err != nil {
		t.Fatalf("%+v: %v", f, err)
	}
	return all
}

// listed pages through a list.
func listed(t testing.TB, l *lists, f customers.Filter) (all []customers.Customer) {
	t.Helper()
	for f.Limit = 100; ; {
		page, next, err := customers.New(l.Store).Customers(t.Context(), f)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		all = append(all, page...)
		if f.Cursor = next; next == "" {
			return all
		}
	}
}

// patiences make each reader one that keeps up, one that does so for a while, and one that is slow.
var patiences = []time.Duration{time.Minute, time.Microsecond, -1}

// An export is all pages of the list.
func TestExportIsTheList(t *testing.T) {
	l := openLists(t)
	l.fill(t, 150)
	l.exec(t, `
		UPDATE customers SET
			courses = (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'progress', 33.5)), '[]')
				FROM unnest(course_ids) id),
			subscriptions = '[{"id": "sub_1", "status": "active", "plan": "\"Pro\"", "amount": 1900, "currency": "usd"}]',
			source_kind = 'free_course', source_product_id = 'store_a_p2'`)
	for _, f := range []customers.Filter{{}, {Type: "lead"}, {Status: "inactive"}, {Course: "shared"},
		{Product: "store_a_p1"}, {NotProduct: "store_a_p1"}, {Course: "shared", ProgressMin: "30"},
		{Source: "free_course", SpentMin: "9.95"}, {Query: "mixing"}, {Query: "ada"}, {Query: "nobody"}} {
		for _, f.Sort = range allSorts {
			f.Store = "store_a"
			want := listed(t, l, f)
			for i := range want { // a CSV does not show these
				c := &want[i]
				c.StoreID, c.ImageURL, c.LastActivity, c.LastActivityOf, c.ProductIDs = "", nil, "", customers.Subject{}, nil
			}
			for _, l.Store.ExportPatience = range patiences {
				if diff := gocmp.Diff(want, exported(t, l, f)); diff != "" {
					t.Errorf("%+v within %v: -list +export\n%s", f, l.Store.ExportPatience, diff)
				}
			}
		}
	}
	for _, nobody := range []string{"none", "a\x00", "\xff"} {
		if got := exported(t, l, customers.Filter{Store: nobody}); len(got) != 0 {
			t.Errorf("%q: %v", nobody, got)
		}
	}
}

// Of more customers than are fetched at a time none is lost and none comes twice.
func TestExportOfMany(t *testing.T) {
	for _, n := range []int{500, 2000, 6001} {
		l := openLists(t)
		l.exec(t, `
			INSERT INTO customers (store_id, email, last_activity_at)
			SELECT 'store_a', 'p' || i || '@example.com', CASE WHEN i % 3 > 0 THEN now() - i % 100 * interval '1 s' END
			FROM generate_series(1, $1::int) i`, n)
		for _, sort := range []string{"-last_activity", "email"} {
			f := customers.Filter{Store: "store_a", Sort: sort}
			want := listed(t, l, f)
			for i := range want { // a CSV does not show these
				c := &want[i]
				c.StoreID, c.ImageURL, c.LastActivity, c.LastActivityOf, c.ProductIDs = "", nil, "", customers.Subject{}, nil
			}
			for _, l.Store.ExportPatience = range patiences {
				if diff := gocmp.Diff(want, exported(t, l, f)); diff != "" {
					t.Errorf("%d by %s within %v: -list +export\n%s", n, sort, l.Store.ExportPatience, diff)
				}
			}
		}
	}
}

// Who is on an export, and where, is of one moment: who moves, comes or goes
// after that is not lost, not there twice, and not added. For a slow reader, who is
// deleted is not shown.
func TestExportIsOfOneMoment(t *testing.T) {
	for _, patience := range patiences {
		l := openLists(t)
		l.Store.ExportPatience = patience
		l.exec(t, `
			INSERT INTO customers (store_id, email, last_activity_at)
			SELECT 'store_a', 'p' || i || '@example.com', '2026-01-01'::timestamptz - i * interval '1 min'
			FROM generate_series(1, 3000) i`)
		var want, got []string
		for _, c := range listed(t, l, customers.Filter{Store: "store_a"}) {
			if c.Email != "p2990@example.com" || patience > time.Second {
				want = append(want, c.ID)
			}
		}
		calls := 0
		err := customers.New(l.Store).ExportCustomers(t.Context(), customers.Filter{Store: "store_a"},
			func(some []customers.Customer) error {
				if calls++; calls == 2 {
					l.exec(t, `UPDATE customers SET last_activity_at = '2026-01-02'::timestamptz + id * interval '1 s'`)
					l.exec(t, `INSERT INTO customers (store_id, email) VALUES ('store_a', 'new@example.com')`)
					l.exec(t, `DELETE FROM customers WHERE email = 'p2990@example.com'`)
				}
				for _, c := range some {
					got = append(got, c.ID)
				}
				return nil
			})
		if diff := gocmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("within %v: %v -want +got\n%s", patience, err, diff)
		}
	}
}

// While a reader takes their time over what they got, no connection is held.
func TestExportHoldsNoConnection(t *testing.T) {
	l := openLists(t)
	l.Store.ExportPatience = time.Millisecond
	l.exec(t, `
		INSERT INTO customers (store_id, email)
		SELECT 'store_a', 'p' || i || '@example.com'
		FROM generate_series(1, 5000) i`)
	hang, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := customers.New(l.Store).ExportCustomers(t.Context(), customers.Filter{Store: "store_a"},
		func(some []customers.Customer) error {
			for status.New(l.Store).PoolStats().AcquiredConns() > 0 && len(some) > 0 { // what is read ahead is given back soon
				if hang.Err() != nil {
					return errors.New("a connection is held while the reader has not read on")
				}
				runtime.Gosched()
			}
			return nil
		})
	if err != nil {
		t.Error(err)
	}
}

// An export that is ended early leaves nothing behind.
func TestExportEndsEarly(t *testing.T) {
	l := openLists(t)
	l.fill(t, 30)
	f := customers.Filter{Store: "store_a"}
	enough := errors.New("enough")
	for _, at := range []int{1, 2} {
		calls := 0
		err := customers.New(l.Store).ExportCustomers(t.Context(), f, func([]customers.Customer) error {
			if calls++; calls == at {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || calls != at {
			t.Errorf("%v after %d calls", err, calls)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := customers.New(l.Store).ExportCustomers(ctx, f, func([]customers.Customer) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	l.exec(t, `DO $$ BEGIN LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; END $$`) // waits for transactions that are left
	if got := exported(t, l, f); len(got) != 10 {
		t.Errorf("%d customers", len(got))
	}
}

func TestParseExport(t *testing.T) {
	for query, want := range map[string]string{
		"":                                  "",
		"type=lead&q=ada&sort=-spent":       "",
		"cursor=&limit=":                    "",
		"limit=10":                          "limit: is for pages",
		"cursor=abc&type=lead":              "cursor: is for pages",
		"cursor=&cursor=abc":                "cursor: is for pages",
		"typ=lead":                          "typ: is not",
		"sort=shoe_size":                    "sort: ",
		"q=" + strings.Repeat("x", 201):     "q: ",
		url.Values{"q": {"a\x00"}}.Encode(): "q: ",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := customers.ParseExport("store_a", q)
		var bad *pg.BadParam
		if want == "" && (err != nil || f.Store != "store_a") || want != "" &&
			(!errors.As(err, &bad) || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%.40q: %+v, %v", query, f, err)
		}
	}
	var bad *pg.BadParam
	never := func([]customers.Customer) error { return fmt.Errorf("called") }
	for _, f := range []customers.Filter{{Sort: "x"}, {Type: "x"}, {Cursor: "x"}} {
		if err := customers.New(open(t)).ExportCustomers(t.Context(), f, never); !errors.As(err, &bad) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
