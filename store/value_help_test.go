package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/value"
)

// learns is an enrollment in course c1 of a day, with the progress of another one.
func learns(email, enrolled string, progress float64, on string) facts.Enrollment {
	began, said := moment(enrolled), moment(on)
	e := facts.Enrollment{CourseID: "c1", Person: "email:" + email, StoreRef: "s1", Version: version(on),
		StoreVersion: version(on), EnrolledAt: &began, EnrolledVersion: version(on), FirstSaidAt: &began, SaidAt: &said,
		Progress: &progress, ProgressVersion: version(on)}
	if progress > 0 {
		e.PeakProgress, e.ProgressedAt = &progress, &said
	}
	return e
}

// People are listed for one reason each: payments that fail, subscribers who have gone silent, those who are stuck,
// those who have not begun. Of each, those who have paid most come first. Who is done, or has only just begun,
// needs none.
func TestWhoNeedsHelp(t *testing.T) {
	t.Parallel()
	done := learns("done@x.example", "2026-05-01", 100, "2026-05-10")
	set := facts.Set{
		Payments: []facts.Payment{sold("pi_1", "rich@x.example", 90000, "usd", "2026-04-01")},
		Subscriptions: []facts.Subscription{
			subscribed("sub_1", "failing@x.example", "past_due", 1000, "month", "2026-01-10", "2026-06-10"),
			subscribed("sub_2", "silent@x.example", "active", 1000, "month", "2026-02-10", "2026-02-10"),
			subscribed("sub_3", "here@x.example", "active", 1000, "month", "2026-02-10", "2026-02-10"),
			subscribed("sub_4", "new@x.example", "active", 1000, "month", "2026-06-10", "2026-06-10"),
			subscribed("sub_5", "gone@x.example", "canceled", 1000, "month", "2026-02-10", "2026-03-10"),
		},
		Enrollments: []facts.Enrollment{
			learns("poor@x.example", "2026-04-01", 30, "2026-05-20"), learns("rich@x.example", "2026-04-01", 30, "2026-05-10"),
			learns("failing@x.example", "2026-04-01", 30, "2026-05-10"),
			learns("here@x.example", "2026-06-01", 30, "2026-06-12"),
			learns("idle@x.example", "2026-06-01", 0, "2026-06-01"), learns("fresh@x.example", "2026-06-12", 0, "2026-06-12"),
			learns("long@x.example", "2026-01-01", 30, "2026-01-10"), done,
		},
	}
	s := open(t)
	valued(t, s, "2026-06-15", set)
	help, err := value.New(s).Help(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range help {
		got = append(got, fmt.Sprintf("%s %s %s %s", h.Email, h.Reason, h.About, h.Since.Format(time.DateOnly)))
	}
	wantText(t, `
		failing@x.example failing  2026-06-10
		silent@x.example silent  2026-02-10
		rich@x.example stuck c1 2026-05-10
		poor@x.example stuck c1 2026-05-20
		idle@x.example not_started c1 2026-06-01`, got)
}

// Of many who need help for one reason, those who paid most are listed; the others are
// in no list of a later reason. One connection to Postgres alone finds the same.
func TestMostPaidAreHelpedFirst(t *testing.T) {
	t.Parallel()
	set := facts.Set{Enrollments: []facts.Enrollment{learns("stuck@x.example", "2026-04-01", 30, "2026-05-20")}}
	var want []string
	for i := range 40 {
		email := fmt.Sprintf("p%d@x.example", i)
		set.Subscriptions = append(set.Subscriptions, subscribed(
			fmt.Sprintf("sub_%d", i), email, "active", 1000, "month", "2026-02-10", "2026-02-10"))
		set.Payments = append(set.Payments, sold(
			fmt.Sprintf("pi_%d", i), email, int64(900+i/2), "usd", "2026-04-01"))
		set.Enrollments = append(set.Enrollments, learns(
			email, "2026-04-01", 30, fmt.Sprintf("2026-05-%d", 10+i%2)))
		if i >= 15 {
			want = append([]string{email + " silent"}, want...)
		}
	}
	want = append(want, "stuck@x.example stuck")
	s, url := openURL(t)
	all := valued(t, s, "2026-06-15", set)
	if len(all.Of("usd").Months) == 0 {
		t.Fatal("nothing was paid")
	}
	one, err := store.Open(t.Context(), url, store.Options{Conns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(one.Close)
	again := computed(t, one, "2026-06-15")
	for _, with := range []*store.Store{s, one} {
		help, err := value.New(with).Help(t.Context(), "s1")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range help {
			got = append(got, h.Email+" "+h.Reason)
		}
		if d := diff.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if d := diff.Diff(all, again); d != "" {
		t.Error(d)
	}
}

// What is expected of each buyer is kept where it can be said, and goes when it cannot be said any more.
func TestExpectedOfPeople(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	var set facts.Set
	r, until := rand.New(rand.NewPCG(3, 4)), moment("2026-01-10")
	for i := range 400 {
		every, spends := 40/r.ExpFloat64(), 1000+3000*(r.ExpFloat64()+r.ExpFloat64())
		at := moment("2025-01-05").AddDate(0, 0, r.IntN(360))
		for n := 0; at.Before(until) && n < 10; n++ {
			amount := int64(200 + spends*(r.ExpFloat64()+r.ExpFloat64())/2)
			set.Payments = append(set.Payments, sold(fmt.Sprintf("pi_%d_%d", i, n), fmt.Sprintf("p%d@x.example", i), amount,
				"usd", at.Format(time.RFC3339)))
			if r.IntN(5) == 0 {
				break
			}
			at = at.Add(time.Duration(24*min(900, every*r.ExpFloat64())) * time.Hour)
		}
	}
	if f := valued(t, s, "2026-01-10", set).Of("usd").Forecast; f.Again == nil {
		t.Fatalf("no forecast: %s", f.Why)
	}
	wantRows(t, url, `SELECT concat_ws(' ', count(*), max(alive), min(alive) < 0.5, sum(expected) > 0)
		FROM value_people WHERE store_id = 's1' AND currency = 'usd'`, "400 1 t t")
	wantRows(t, url, `SELECT concat_ws(' ', expected, alive) FROM value_people
		WHERE expected::text !~ '^\d\d?0*$' OR alive <> round(alive::numeric, 2)`)
	written := query(t, url, `SELECT xmin::text FROM value_people`)
	computed(t, s, "2026-01-10")
	wantRows(t, url, `SELECT xmin::text FROM value_people`, written...) // they are not written again
	computed(t, s, "2025-02-10")
	wantRows(t, url, `SELECT count(*)::text FROM value_people`, "0")
}

// Each store that is due is computed once, and one that cannot be is not in the way of the others. A person may ask for
// the figures again.
func TestStoresAreComputedWhenDue(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	v := value.New(s)
	for _, sql := range []string{
		`INSERT INTO stores (id, version) VALUES ('s1', '1'), ('s2', '1'), ('s3', '1')`,
		`INSERT INTO store_settings (store_id, time_zone) VALUES ('s2', 'Nowhere/Land')`,
	} {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	failed := 0
	for worked := true; worked || failed == 0; {
		var err error
		if worked, err = v.Step(t.Context()); err != nil {
			worked, failed = true, failed+1
		}
	}
	const state = `SELECT concat_ws(' ', store_id, as_of IS NOT NULL, due_at > now()) FROM value_stores ORDER BY 1`
	wantRows(t, url, state, "s1 t t", "s2 f t", "s3 t t")
	if err := v.Ask(t.Context(), "s1"); err != nil || failed != 1 {
		t.Error(err, failed)
	}
	wantRows(t, url, state, "s1 t f", "s2 f t", "s3 t t")
	if worked, err := v.Step(t.Context()); err != nil || !worked {
		t.Error(worked, err)
	}
	wantRows(t, url, state, "s1 t t", "s2 f t", "s3 t t")
}
