package store_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// Figures read the same before folding, while it goes on, and after.
func TestFoldFigures(t *testing.T) {
	l := openLists(t)
	l.fill(t, 60)
	ctx := t.Context()
	f := customers.Filter{Store: "store_a"}
	all, err := customers.New(l.Store).Figures(ctx, f, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	want := all.Stats
	if err != nil || want.Total != 20 || len(all.Days) == 0 || all.Enrolled == 0 {
		t.Fatalf("%+v %v", all, err)
	}
	var work errgroup.Group
	for range 8 {
		work.Go(func() error { return l.FoldFigures(ctx) })
		work.Go(func() error {
			got, err := customers.New(l.Store).Stats(ctx, f)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
	var left, folded int
	if err := l.conn.QueryRow(
		ctx, `SELECT (SELECT count(*) FROM customer_figure_changes), (SELECT count(*) FROM customer_figures)`).Scan(&left,
		&folded); err != nil || left != 0 || folded == 0 {
		t.Errorf("%d left, %d folded, %v", left, folded, err)
	}
	l.exec(t, `DELETE FROM customers WHERE store_id = 'store_a' AND type = 'lead'`)
	if err := l.FoldFigures(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := customers.New(l.Store).Stats(ctx, f)
	if err != nil || got.Leads != 0 || got.Total != want.Total-want.Leads {
		t.Errorf("%+v after %+v, %v", got, want, err)
	}
	l.exec(t, `TRUNCATE customers`)
	if got, err := customers.New(l.Store).Stats(ctx, f); err != nil || got.Total != 0 {
		t.Errorf("%+v %v", got, err)
	}
}

// A filter that is written into an address and read again is the same.
func TestFilterValues(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := customers.Filter{
			Store: "s", Sort: rapid.SampledFrom(allSorts).Draw(rt, "sort"), Limit: rapid.IntRange(1, 100).Draw(rt, "limit"),
			Type:   rapid.SampledFrom([]string{"", "lead"}).Draw(rt, "type"),
			Source: rapid.SampledFrom([]string{"", "subscription"}).Draw(rt, "source"),
			Course: "a&b=c", Completed: rapid.SampledFrom([]string{"", "yes", "no"}).Draw(rt, "completed"),
			SpentMin:       rapid.SampledFrom([]string{"", "9.95"}).Draw(rt, "spent_min"),
			FirstSeenAfter: rapid.SampledFrom([]string{"", "30d", "2026-01-31T10:00:00+02:00"}).Draw(rt, "after"),
			Query: strings.TrimSpace(
				rapid.StringN(0, 20, -1).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) }).Draw(rt, "q")),
		}
		q, err := url.ParseQuery(f.Values().Encode())
		if err != nil {
			rt.Fatal(err)
		}
		got, err := customers.ParseFilter("s", q)
		if diff := gocmp.Diff(f, got); err != nil || diff != "" {
			rt.Fatalf("%v\n%s", err, diff)
		}
		if !f.Narrow() || (customers.Filter{Store: "s", Sort: "name", Limit: 3}).Narrow() {
			rt.Fatal("Narrow")
		}
	})
}

// Moments may be days, times or ages.
func TestFilterMoments(t *testing.T) {
	l := openLists(t)
	for email, ago := range map[string]time.Duration{"now@x.example": time.Minute, "day@x.example": 25 * time.Hour,
		"month@x.example": 31 * 24 * time.Hour} {
		at := time.Now().Add(-ago)
		l.insert(t, &person{store: "store_a", email: email, kind: "lead", status: "active", courses: []string{},
			products: []string{}, seen: &at, active: &at})
	}
	for want, f := range map[string]customers.Filter{
		"now":           {FirstSeenAfter: "1d"},
		"now day":       {FirstSeenAfter: "4w"},
		"month":         {LastActivityBefore: "30d"},
		"day":           {LastActivityAfter: "720h", FirstSeenBefore: "24h"},
		"now day month": {FirstSeenAfter: "2020-01-01", LastActivityBefore: "2999-01-01T00:00:00+02:00"},
	} {
		f.Store, f.Sort = "store_a", "-first_seen"
		page, _, err := customers.New(l.Store).Customers(t.Context(), f)
		var got []string
		for _, c := range page {
			got = append(got, strings.TrimSuffix(c.Email, "@x.example"))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%+v: %q, want %q, %v", f, got, want, err)
		}
	}
}

func TestNewcomers(t *testing.T) {
	l := openLists(t)
	l.fill(t, 9)
	ctx := context.Background()
	last, err := customers.New(l.Store).LastCustomer(ctx)
	if err != nil || last != l.people[8].id {
		t.Fatalf("%d %v", last, err)
	}
	came, err := customers.New(l.Store).Newcomers(ctx, last-2)
	if diff := gocmp.Diff(map[int64]string{last - 1: "store_b", last: "store'c"}, came); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for want, f := range map[int64]customers.Filter{
		3: {Store: "store_a"},
		1: {Store: "store_a", Type: "paying"},
		0: {Store: "nobody's"},
	} {
		if n, err := customers.New(l.Store).CountNewcomers(ctx, f, 0); err != nil || n != want {
			t.Errorf("%+v: %d, want %d, %v", f, n, want, err)
		}
		if n, err := customers.New(l.Store).CountNewcomers(ctx, f, last); err != nil || n != 0 {
			t.Errorf("%+v: %d after the last, %v", f, n, err)
		}
	}
}

// Postgres itself ends a count that takes too long, and the next has a
// connection as it was.
func TestCountTakesTooLong(t *testing.T) {
	l := openLists(t)
	l.fill(t, 3)
	l.Store.CountTimeout = time.Millisecond
	f := customers.Filter{Store: "store_a", Query: "nobody"}
	l.locked(t, func() {
		if _, err := customers.New(l.Store).Stats(t.Context(), f); !pg.TimedOut(err) {
			t.Errorf("the figures: %v", err)
		}
		if _, err := customers.New(l.Store).CountNewcomers(t.Context(), f, 0); !pg.TimedOut(err) {
			t.Errorf("newcomers: %v", err)
		}
	})
	if _, _, err := customers.New(l.Store).Customers(t.Context(), f); err != nil {
		t.Error(err)
	}
}

// locked runs something while nobody can read the table of customers.
func (l *lists) locked(t *testing.T, do func()) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), l.conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `LOCK TABLE customers IN ACCESS EXCLUSIVE MODE`)
		do()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
