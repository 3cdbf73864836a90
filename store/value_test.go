package store_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/segments"
	"rollcall/store/value"
)

// valued keeps facts, and returns what is then computed for store s1.
func valued(t testing.TB, s *store.Store, now string, set facts.Set) value.Reports {
	t.Helper()
	set.Stores = append(set.Stores, facts.Store{ID: "s1", Name: "S", TimeZone: "Australia/Sydney",
		Version: version("2025-01-01T00:00:00Z")})
	if err := s.Keep(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rebuild(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	return computed(t, s, now)
}

// computed computes the figures of store s1 as of a time.
func computed(t testing.TB, s *store.Store, now string) value.Reports {
	t.Helper()
	v := value.New(s)
	if done, err := v.Compute(t.Context(), "s1", moment(now)); err != nil || !done {
		t.Fatal(done, err)
	}
	r, err := v.Read(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func moment(at string) time.Time {
	if len(at) == len("2026-01-02") {
		at += "T12:00:00Z"
	}
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return when
}

// version is that of a message of a time.
func version(at string) facts.Version {
	return facts.Version(moment(at).UTC().Format("2006-01-02T15:04:05.000000Z") + " 20 e")
}

// sold is a payment: who paid what, in minor units, and when.
func sold(id, email string, amount int64, currency, at string) facts.Payment {
	when := moment(at)
	return facts.Payment{ID: id, ClaimVersion: "4 " + version(at), Kind: "checkout", Paid: true, Amount: &amount,
		Currency: currency, PaidAt: &when, Context: facts.Context{StoreRef: "s1", ProductRef: "p1", Email: email}}
}

func refund(payment string, amount int64, at string) facts.Refund {
	when := moment(at)
	return facts.Refund{ID: "re_" + payment, PaymentIntent: payment, Amount: amount, Currency: "usd", Status: "succeeded",
		CreatedAt: &when, SaidAt: when, Version: version(at)}
}

func dispute(payment string, amount int64, at string, withdrawn bool) facts.Dispute {
	return facts.Dispute{ID: "dp_" + payment, PaymentIntent: payment, Amount: amount, Currency: "usd", Status: "s",
		Withdrawn: withdrawn, Version: version(at)}
}

// subscribed is what a message of a time says of a subscription that began then or earlier.
func subscribed(id, email, status string, amount int64, interval, began, at string) facts.Subscription {
	start := moment(began)
	return facts.Subscription{ID: id, Status: status, Currency: "usd", Amount: &amount, StartedAt: &start,
		EverActive: status != "incomplete", Version: version(at), Context: facts.Context{StoreRef: "s1", Email: email,
			Lines: []facts.Line{{Amount: &amount, Quantity: 1, Interval: interval, IntervalCount: 1}}}}
}

// months writes months in short: what was paid, and what moved the MRR.
func months(r *value.Report) (text []string) {
	for _, m := range r.Months {
		line := fmt.Sprintf("%s new %d returning %d recurring %d refunded %d by %d", m.Month, m.New, m.Returning, m.Recurring,
			m.Refunded, m.Customers)
		if m.MRR != (value.MRR{}) {
			line += fmt.Sprintf(" MRR %d %+d %+d %+d %+d %+d = %d", m.MRR.Start, m.MRR.New, m.MRR.Expansion, m.MRR.Contraction,
				m.MRR.Churn, m.MRR.Reactivation, m.MRR.End)
		}
		if !m.Over {
			line += " …"
		}
		text = append(text, line)
	}
	return text
}

func wantText(t *testing.T, want string, got []string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if d := diff.Diff(lines, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// Stripe's example: 100 who pay $100 a month and 50 who pay $600 a year are $12,500 a month. Trials, metered prices and
// paused subscriptions are nothing, past due is counted, and unpaid is lost.
func TestStripesMRR(t *testing.T) {
	t.Parallel()
	var set facts.Set
	for i := range 150 {
		amount, interval := int64(10000), "month"
		if i >= 100 {
			amount, interval = 60000, "year"
		}
		set.Subscriptions = append(set.Subscriptions, subscribed(fmt.Sprint("sub_", i), fmt.Sprintf("p%d@x.example", i),
			[]string{"active", "past_due"}[i%2], amount, interval, "2026-03-05", "2026-03-05"))
	}
	for i, status := range []string{"trialing", "incomplete", "unpaid", "canceled"} {
		set.Subscriptions = append(set.Subscriptions, subscribed(fmt.Sprint("none_", i), fmt.Sprintf("n%d@x.example", i),
			status, 10000, "month", "2026-03-06T12:00:00Z", "2026-03-06T12:00:00Z"))
	}
	metered, paused := set.Subscriptions[0], set.Subscriptions[1]
	metered.ID, metered.Email, metered.Amount = "metered", "m@x.example", nil
	metered.Lines = []facts.Line{{Interval: "month", IntervalCount: 1}}
	paused.ID, paused.Email, paused.Paused = "paused", "p@x.example", true
	set.Subscriptions = append(set.Subscriptions, metered, paused)
	r := valued(t, open(t), "2026-04-10", set).Of("usd")
	wantText(t, `
		2026-03 new 0 returning 0 recurring 0 refunded 0 by 150 MRR 0 +1250000 +0 +0 +0 +0 = 1250000
		2026-04 new 0 returning 0 recurring 0 refunded 0 by 150 MRR 1250000 +0 +0 +0 +0 +0 = 1250000 …`, months(r))
	if r.Subscribers.Unpriced != 1 {
		t.Errorf("%d without a price", r.Subscribers.Unpriced)
	}
}

// What moves the MRR: prices that change, people who leave and come back, prices by the week, discounts.
func TestMovesOfMRR(t *testing.T) {
	t.Parallel()
	said := func(status string, amount int64, at string) facts.Subscription {
		return subscribed("sub_1", "a@x.example", status, amount, "month", "2026-01-10", at)
	}
	weekly := subscribed("sub_w", "w@x.example", "active", 700, "week", "2026-03-01", "2026-03-01")
	off := subscribed("sub_o", "o@x.example", "active", 2000, "month", "2026-03-01", "2026-03-01")
	off.Discount = &facts.Discount{PercentOff: 80, AmountOff: 900, // for the first months
		Forever: &facts.Discount{PercentOff: 50, AmountOff: 100}}
	off.Lines[0].Amount, off.Lines[0].Regular = store.Ptr(int64(1500)), store.Ptr(int64(2000))
	set := facts.Set{Subscriptions: []facts.Subscription{
		said("trialing", 1000, "2026-01-10"), said("active", 1000, "2026-01-24"), said("active", 3000, "2026-02-10"),
		said("active", 2000, "2026-02-20"), said("unpaid", 2000, "2026-04-10"), said("active", 2000, "2026-05-10"),
		weekly, off,
	}}
	s := open(t)
	r := valued(t, s, "2026-06-10", set).Of("usd")
	wantText(t, `
		2026-01 new 0 returning 0 recurring 0 refunded 0 by 1 MRR 0 +1000 +0 +0 +0 +0 = 1000
		2026-02 new 0 returning 0 recurring 0 refunded 0 by 1 MRR 1000 +0 +2000 -1000 +0 +0 = 2000
		2026-03 new 0 returning 0 recurring 0 refunded 0 by 3 MRR 2000 +3944 +0 +0 +0 +0 = 5944
		2026-04 new 0 returning 0 recurring 0 refunded 0 by 3 MRR 5944 +0 +0 +0 -2000 +0 = 3944
		2026-05 new 0 returning 0 recurring 0 refunded 0 by 3 MRR 3944 +0 +0 +0 +0 +2000 = 5944
		2026-06 new 0 returning 0 recurring 0 refunded 0 by 3 MRR 5944 +0 +0 +0 +0 +0 = 5944 …`, months(r))
	if m := r.Months[3]; m.Churn.Did != 1 || m.Churn.Of != 3 || m.Churn.Low <= 0 || m.Churn.High >= 1 {
		t.Errorf("churn in April: %+v", m.Churn)
	}
	if n := r.Subscribers.Lifetime.Value; n.Value != nil || n.Why != "no subscription has been paid yet" {
		t.Errorf("%+v", n)
	}
}

// Money: three currencies of one store, one without minor units; refunds count in the month of the payment, whenever
// they are made; a dispute that was lost and then won costs nothing; a first payment that was refunded is none.
// Months are those of Sydney.
func TestMonthsOfMoney(t *testing.T) {
	t.Parallel()
	set := facts.Set{
		Payments: []facts.Payment{
			sold("pi_1", "a@x.example", 5000, "usd", "2026-01-10"), sold("pi_2", "a@x.example", 3000, "usd", "2026-02-10"),
			sold("pi_3", "b@x.example", 5000, "usd", "2026-01-31T20:00:00Z"), // February in Sydney
			sold("pi_4", "c@x.example", 5000, "usd", "2026-01-11"), sold("pi_5", "c@x.example", 2000, "usd", "2026-02-11"),
			sold("pi_6", "d@x.example", 900, "usd", "2026-01-12"),
			sold("pi_7", "a@x.example", 4200, "eur", "2026-02-12"), sold("pi_8", "a@x.example", 580, "jpy", "2026-02-12"),
			sold("pi_0", "f@x.example", 0, "usd", "2026-01-12"),
		},
		Refunds: []facts.Refund{refund("pi_1", 1000, "2026-03-20"), refund("pi_4", 5000, "2026-02-20"),
			refund("pi_6", 900, "2026-01-13")},
		Disputes: []facts.Dispute{dispute("pi_3", 5000, "2026-02-03", true), dispute("pi_3", 5000, "2026-03-03", false)},
	}
	all := valued(t, open(t), "2026-03-25", set)
	wantText(t, `
		2026-01 new 4000 returning 0 recurring 0 refunded 6900 by 1
		2026-02 new 7000 returning 3000 recurring 0 refunded 0 by 3
		2026-03 new 0 returning 0 recurring 0 refunded 0 by 0 …`, months(all.Of("usd")))
	wantText(t, "2026-02 new 4200 returning 0 recurring 0 refunded 0 by 1\n"+
		"2026-03 new 0 returning 0 recurring 0 refunded 0 by 0 …", months(all.Of("eur")))
	if g := all.Of("jpy").Groups[0]; g.By != "all" || g.Net != 580 || g.N != 1 {
		t.Errorf("yen: %+v", g)
	}
	if g := all.Of("usd").Groups[0]; g != (value.Group{By: "all", N: 3, Net: 14000, Mean: 4667, Median: 5000, P90: 7000}) {
		t.Errorf("dollars: %+v", g)
	}
	if n := all.Of("usd").Months[2].PerHead; n.Value != nil || n.Why == "" {
		t.Errorf("of no one: %+v", n)
	}
	var cohorts []string
	for _, c := range all.Of("usd").Cohorts {
		cohorts = append(cohorts, fmt.Sprintf("%s +%d: %d paid %d %t", c.First, c.After, c.Buyers, c.Net, c.Over))
	}
	wantText(t, `
		2026-01 +0: 1 paid 4000 true
		2026-01 +1: 1 paid 3000 true
		2026-01 +2: 0 paid 0 false
		2026-02 +0: 2 paid 7000 true
		2026-02 +1: 0 paid 0 false`, cohorts)
	within := all.Of("usd").Again.Within
	if w := within[0]; w.Did != 0 || w.Of != 3 {
		t.Errorf("within 30 days: %+v", w)
	}
	if w := within[2]; w.Value != nil || w.Why == "" {
		t.Errorf("within a year: %+v", w)
	}
}

// A message of a subscription that leaves out its items leaves out its discount, too: neither is gone.
func TestStatesThatSayLess(t *testing.T) {
	s := open(t)
	full := subscribed("sub_1", "a@x.example", "active", 1000, "month", "2026-01-10", "2026-01-10")
	full.Discount = &facts.Discount{PercentOff: 50, Forever: &facts.Discount{PercentOff: 50}}
	less := subscribed("sub_1", "a@x.example", "past_due", 1000, "month", "2026-01-10", "2026-02-05")
	less.Lines, less.Amount = nil, nil
	r := valued(t, s, "2026-02-20", facts.Set{Subscriptions: []facts.Subscription{less, full}})
	wantText(t, `
		2026-01 new 0 returning 0 recurring 0 refunded 0 by 1 MRR 0 +500 +0 +0 +0 +0 = 500
		2026-02 new 0 returning 0 recurring 0 refunded 0 by 1 MRR 500 +0 +0 +0 +0 +0 = 500 …`, months(r.Of("usd")))
	dearer := subscribed("sub_1", "a@x.example", "active", 3000, "month", "2026-01-10", "2026-03-05")
	r = valued(t, s, "2026-03-20", facts.Set{Subscriptions: []facts.Subscription{dearer}})
	wantText(t, `
		2026-01 new 0 returning 0 recurring 0 refunded 0 by 1 MRR 0 +500 +0 +0 +0 +0 = 500
		2026-02 new 0 returning 0 recurring 0 refunded 0 by 1 MRR 500 +0 +0 +0 +0 +0 = 500
		2026-03 new 0 returning 0 recurring 0 refunded 0 by 1 MRR 500 +0 +2500 +0 +0 +0 = 3000 …`, months(r.Of("usd")))
}

// A store that no event has reported is computed when a person asks for it.
func TestValueOfUnreportedStore(t *testing.T) {
	s := open(t)
	sale := sold("a", "a@x.example", 500, "usd", "2026-01-10")
	if err := s.Keep(t.Context(), facts.Set{Payments: []facts.Payment{sale}}); err != nil {
		t.Fatal(err)
	}
	v := value.New(s)
	if err := v.Ask(t.Context(), "s1"); err != nil {
		t.Fatal(err)
	}
	if worked, err := v.Step(t.Context()); !worked || err != nil {
		t.Fatal(worked, err)
	}
	if r, err := v.Read(t.Context(), "s1"); err != nil || r.Time.IsZero() {
		t.Errorf("%+v %v", r, err)
	}
}

// Customers are grouped by what they have in common: a first product, tags, lists made by hand, and segments that are
// rules, as of the time for which the figures are.
func TestGroupsOfCustomers(t *testing.T) {
	t.Parallel()
	s := open(t)
	other := sold("pi_3", "b@x.example", 2000, "usd", "2026-02-10")
	other.ProductRef = "p2"
	set := facts.Set{Payments: []facts.Payment{sold("pi_1", "a@x.example", 5000, "usd", "2026-01-10"),
		sold("pi_2", "a@x.example", 700, "usd", "2026-02-10"), other, sold("pi_4", "c@x.example", 900, "usd", "2026-03-10")}}
	for _, p := range []string{"p1", "p2"} {
		set.Products = append(set.Products, facts.Product{ID: p, StoreRef: "s1", Version: version("2025-01-02")})
	}
	valued(t, s, "2026-04-10", set)
	all := segments.New(s)
	rule := `{"customer": {"first_seen_after": "70d"}}`
	made := map[string]string{}
	for name, g := range map[string]segments.Segment{
		"late": {Name: "Late", Kind: segments.Dynamic, Rule: json.RawMessage(rule)},
		"hand": {Name: "Hand", Kind: segments.Static},
	} {
		one, err := all.Create(t.Context(), "s1", g, "admin")
		if err != nil {
			t.Fatal(err)
		}
		made[one.ID] = name
	}
	var groups []string
	for id, name := range made {
		if name == "hand" {
			put(t, s, id, "a@x.example")
		}
	}
	for _, g := range computed(t, s, "2026-04-10").Of("usd").Groups {
		if g.By != "source" {
			groups = append(groups, fmt.Sprintf("%s %s: %d paid %d, median %d, most %d", g.By, cmp.Or(made[g.Key], g.Key), g.N,
				g.Net, g.Median, g.P90))
		}
	}
	slices.Sort(groups)
	wantText(t, `
		all : 3 paid 8600, median 2000, most 5700
		month 2026-01: 1 paid 5700, median 5700, most 5700
		month 2026-02: 1 paid 2000, median 2000, most 2000
		month 2026-03: 1 paid 900, median 900, most 900
		product p1: 2 paid 6600, median 900, most 5700
		product p2: 1 paid 2000, median 2000, most 2000
		segment hand: 1 paid 5700, median 5700, most 5700
		segment late: 2 paid 2900, median 900, most 2000`, groups)
}

// put puts the customer of s1 with an address into a segment made by hand.
func put(t *testing.T, s *store.Store, segment, email string) {
	t.Helper()
	id, err := customers.New(s).CustomerAt(t.Context(), "s1", email)
	if err == nil {
		err = segments.New(s).Include(t.Context(), "s1", id, segment, "admin")
	}
	if err != nil {
		t.Fatal(err)
	}
}
