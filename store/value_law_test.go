package store_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/value"
)

// A guest who gets an account with the address stays one buyer. Two buyers who turn out to be one have one first
// purchase. Who is erased leaves the figures as they are.
func TestBuyersWhoChange(t *testing.T) {
	t.Parallel()
	s := open(t)
	before := valued(t, s, "2026-04-10", facts.Set{Payments: []facts.Payment{
		sold("pi_1", "a@x.example", 5000, "usd", "2026-01-10"), sold("pi_2", "b@x.example", 3000, "usd", "2026-02-10"),
		sold("pi_3", "c@x.example", 100, "usd", "2026-02-10"),
	}})
	guest := valued(t, s, "2026-04-10", facts.Set{Users: []facts.User{{ID: "user_a", Email: "a@x.example",
		Version: version("2026-03-01")}}})
	if d := diff.Diff(before.All, guest.All); d != "" {
		t.Errorf("a guest got an account: -before +after\n%s", d)
	}
	if g := before.Of("usd").Groups[0]; g.N != 3 || g.Net != 8100 {
		t.Errorf("%+v", g)
	}
	// The account that bought as a@x.example moves to b@x.example.
	bought := sold("pi_4", "a@x.example", 700, "usd", "2026-01-11")
	bought.UserRef = "user_a"
	first := sold("pi_1", "a@x.example", 5000, "usd", "2026-01-10")
	first.UserRef, first.ClaimVersion = "user_a", "4 "+version("2026-03-02")
	merged := valued(t, s, "2026-04-10", facts.Set{Payments: []facts.Payment{first, bought}, Users: []facts.User{{
		ID: "user_a", Email: "b@x.example", Version: version("2026-03-05")}}})
	if g := merged.Of("usd").Groups[0]; g.N != 2 || g.Net != 8800 {
		t.Errorf("merged: %+v", g)
	}
	if m := merged.Of("usd").Months[1]; m.New != 100 || m.Returning != 3000 {
		t.Errorf("merged: %+v", m)
	}
	if err := s.Erase(t.Context(), store.Erasing{Email: "b@x.example"}, store.EraseOptions{Read: facts.Read}); err != nil {
		t.Fatal(err)
	}
	erased := computed(t, s, "2026-04-10")
	if d := diff.Diff(merged.All, erased.All); d != "" {
		t.Errorf("erased: -before +after\n%s", d)
	}
}

// However a story is told, its figures are the same, and a rebuild changes none.
func TestValueInAnyOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	at := storyStart.AddDate(0, 2, 0)
	rapid.Check(t, func(t *rapid.T) {
		catalogue, story := drawCatalogue(t), drawStory(t)
		h.told(t, slices.Concat(catalogue, story), plan{batch: len(story), workers: 1}) // rebuilds as well
		want := h.valued(t, at)
		order := rapid.Permutation(story).Draw(t, "order")
		h.told(t, slices.Concat(catalogue, order), plan{batch: 1 + rapid.IntRange(0, 9).Draw(t, "batch"), workers: 1})
		if d := diff.Diff(want, h.valued(t, at)); d != "" {
			t.Fatalf("told in another order: -want +got\n%s", d)
		}
	})
}

// valued computes the figures of both stores of a story.
func (h *house) valued(t fataler, at time.Time) []string {
	for _, id := range []string{"store_1", "store_2"} {
		if done, err := value.New(h.store).Compute(context.Background(), id, at); err != nil || !done {
			t.Fatalf("%s: %t %v", id, done, err)
		}
	}
	return h.lines(t, `SELECT concat_ws(' ', store_id, currency, report::text) FROM value_reports
		UNION ALL SELECT concat_ws(' ', store_id, courses::text) FROM value_stores ORDER BY 1`)
}

// evaluated is what follows from payments by the definitions, in a few lines of Go.
type evaluated struct {
	Months  map[string][4]int64 // new, returning, recurring, refunded
	Cohorts map[string][2]int64 // "first month": buyers and net
	N, Net  int64
	Median  int64
	Within  map[int][2]int64 // did, of
	Curve   []string         // of the time to the second purchase: day, at risk, ended, share to whom it has not happened
}

// evaluate works on what the API explains of each customer of a store.
func evaluate(people []customers.Explanation, currency string, now time.Time) (e evaluated) {
	e = evaluated{Months: map[string][4]int64{}, Cohorts: map[string][2]int64{}, Within: map[int][2]int64{}}
	today := now.UTC().Truncate(24 * time.Hour)
	var nets []int64
	var lives [][2]int // days to the second purchase or so far, 1 if there was one
	for _, p := range people {
		first, sum, days, months := "", int64(0), map[time.Time]bool{}, map[string]int64{}
		for _, f := range paidIn(p, currency, now) {
			net, month := f.Gross.Amount-f.Refunded.Amount-f.Disputed.Amount, f.PaidAt.UTC().Format("2006-01")
			if net > 0 && first == "" {
				first = month
			}
			row := e.Months[month]
			switch {
			case f.Subscription != nil:
				row[2] += net
			case month == first:
				row[0] += net
			default:
				row[1] += net
			}
			row[3] += f.Gross.Amount - net
			e.Months[month] = row
			if sum += net; net > 0 {
				months[month] += net
				if f.Subscription == nil {
					days[f.PaidAt.UTC().Truncate(24*time.Hour)] = true
				}
			}
		}
		if first == "" {
			continue
		}
		nets = append(nets, sum)
		for month, net := range months {
			cell := e.Cohorts[first+" "+month]
			e.Cohorts[first+" "+month] = [2]int64{cell[0] + 1, cell[1] + net}
		}
		bought := slices.SortedFunc(maps.Keys(days), time.Time.Compare)
		e.repeat(bought, today)
		switch {
		case len(bought) == 1:
			lives = append(lives, [2]int{int(today.Sub(bought[0]).Hours() / 24), 0})
		case len(bought) > 1:
			lives = append(lives, [2]int{int(bought[1].Sub(bought[0]).Hours() / 24), 1})
		}
	}
	e.Curve = survive(lives)
	slices.Sort(nets)
	for _, n := range nets {
		e.N, e.Net = e.N+1, e.Net+n
	}
	if e.N > 0 {
		e.Median = nets[(e.N-1)/2]
	}
	return e
}

// repeat counts whether a person bought again.
func (e evaluated) repeat(days []time.Time, today time.Time) {
	for _, n := range []int{30, 90, 365} {
		if len(days) == 0 || days[0].AddDate(0, 0, n).After(today) {
			continue
		}
		w := e.Within[n]
		if w[1]++; len(days) > 1 && !days[1].After(days[0].AddDate(0, 0, n)) {
			w[0]++
		}
		e.Within[n] = w
	}
}

// survive is the curve as Kaplan and Meier define it, day by day. So few people make steps that are all seen.
func survive(lives [][2]int) (curve []string) {
	share := 1.0
	for day := range 366 {
		risk, ended := 0, 0
		for _, l := range lives {
			if l[0] >= day {
				risk++
			}
			if l == [2]int{day, 1} {
				ended++
			}
		}
		if ended > 0 {
			share *= 1 - float64(ended)/float64(risk)
			curve = append(curve, fmt.Sprintf("%d: %d of %d, %.6f", day, ended, risk, share))
		}
	}
	return curve
}

// paidIn are the payments of a customer in a currency up to now, in order.
func paidIn(p customers.Explanation, currency string, now time.Time) (paid []customers.PaymentFact) {
	for _, f := range p.Payments {
		if f.Gross.Currency == currency && f.Gross.Amount > 0 && !f.PaidAt.After(now) {
			paid = append(paid, f)
		}
	}
	slices.SortStableFunc(paid, func(a, b customers.PaymentFact) int { return a.PaidAt.Compare(b.PaidAt) })
	return paid
}

// inShort is the same of a report.
func inShort(r *value.Report) (e evaluated) {
	e = evaluated{Months: map[string][4]int64{}, Cohorts: map[string][2]int64{}, Within: map[int][2]int64{}}
	for _, m := range r.Months {
		if row := [4]int64{m.New, m.Returning, m.Recurring, m.Refunded}; row != [4]int64{} {
			e.Months[m.Month] = row
		}
	}
	for _, c := range r.Cohorts {
		if c.Buyers > 0 {
			first, _ := time.Parse("2006-01", c.First)
			e.Cohorts[c.First+" "+first.AddDate(0, c.After, 0).Format("2006-01")] = [2]int64{c.Buyers, c.Net}
		}
	}
	for _, w := range r.Again.Within {
		if w.Of > 0 {
			e.Within[w.Days] = [2]int64{w.Did, w.Of}
		}
	}
	for _, s := range r.Again.Curve.Steps {
		e.Curve = append(e.Curve, fmt.Sprintf("%.0f: %d of %d, %.6f", s.Time, s.Ended, s.AtRisk, s.Survival))
	}
	for _, g := range r.Groups {
		if g.By == "all" {
			e.N, e.Net, e.Median = g.N, g.Net, g.Median
		}
	}
	return e
}

// The figures of random stores are those that the definitions give for what the API explains. And whatever is drawn,
// start and movements of each month's MRR are its end, which is what the next month begins with.
func TestValueIsAsDefined(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	now := moment("2026-12-31T12:00:00Z")
	rapid.Check(t, func(t *rapid.T) {
		h.empty(t)
		if err := h.store.Keep(context.Background(), drawSales(t)); err != nil {
			t.Fatalf("%v", err)
		}
		if _, err := h.store.Rebuild(context.Background(), "", nil); err != nil {
			t.Fatalf("%v", err)
		}
		if done, err := value.New(h.store).Compute(context.Background(), "s1", now); err != nil || !done {
			t.Fatalf("%t %v", done, err)
		}
		kept, err := value.New(h.store).Read(context.Background(), "s1")
		if err != nil {
			t.Fatalf("%v", err)
		}
		people := h.explained(t)
		for _, r := range kept.All {
			if d := diff.Diff(evaluate(people, r.Currency, now), inShort(&r)); d != "" {
				t.Fatalf("%s: -defined +computed\n%s", r.Currency, d)
			}
			wantWholeMRR(t, r.Months)
		}
	})
}

func wantWholeMRR(t fataler, months []value.Month) {
	end := int64(0)
	for _, m := range months {
		r := m.MRR
		if r.Start != end || r.Start+r.New+r.Expansion+r.Contraction+r.Churn+r.Reactivation != r.End || r.End < 0 ||
			r.New < 0 || r.Expansion < 0 || r.Contraction > 0 || r.Churn > 0 || r.Reactivation < 0 {
			t.Fatalf("%s begins with %d: %+v", m.Month, end, r)
		}
		end = r.End
	}
}

// explained is what the API says of each customer of s1.
func (h *house) explained(t fataler) (all []customers.Explanation) {
	for _, id := range h.lines(t, `SELECT id::text FROM customers WHERE store_id = 's1' ORDER BY id`) {
		one, err := customers.New(h.store).Explain(context.Background(), "s1", id)
		if err != nil {
			t.Fatalf("%v", err)
		}
		all = append(all, one)
	}
	return all
}

// drawSales draws what few people paid in a year, with refunds, disputes and subscriptions.
func drawSales(t *rapid.T) (set facts.Set) {
	set.Stores = []facts.Store{{ID: "s1", Version: version("2025-01-01")}}
	day := rapid.Custom(func(t *rapid.T) string {
		return moment("2026-01-01T00:00:00Z").Add(time.Duration(rapid.IntRange(0, 24*364).Draw(t, "hour")) * time.Hour).
			Format(time.RFC3339)
	})
	person := rapid.SampledFrom([]string{"a@x.example", "b@x.example", "c@x.example", "d@x.example"})
	amount := rapid.SampledFrom([]int64{0, 500, 1900, 4900})
	for i := range rapid.IntRange(1, 25).Draw(t, "payments") {
		p := sold(fmt.Sprint("pi_", i), person.Draw(t, "person"), amount.Draw(t, "amount"),
			rapid.SampledFrom([]string{"usd", "usd", "jpy"}).Draw(t, "currency"), day.Draw(t, "day"))
		if rapid.IntRange(0, 3).Draw(t, "recurring") == 0 {
			p.Subscription = "sub_1"
		}
		set.Payments = append(set.Payments, p)
		switch rapid.IntRange(0, 5).Draw(t, "then") {
		case 0:
			set.Refunds = append(set.Refunds, refund(p.ID, rapid.SampledFrom([]int64{100, 500, 4900}).Draw(t, "back"),
				"2026-12-30"))
		case 1:
			set.Disputes = append(set.Disputes, dispute(p.ID, 500, "2026-12-30", rapid.Bool().Draw(t, "withdrawn")))
		}
	}
	for range rapid.IntRange(0, 9).Draw(t, "words") {
		id := rapid.SampledFrom([]string{"sub_1", "sub_2", "sub_3"}).Draw(t, "subscription")
		set.Subscriptions = append(set.Subscriptions, subscribed(id, person.Draw(t, "person"),
			rapid.SampledFrom([]string{"active", "active", "trialing", "past_due", "unpaid", "canceled"}).Draw(t, "status"),
			amount.Draw(t, "price"), rapid.SampledFrom([]string{"month", "year", "week"}).Draw(t, "interval"),
			day.Draw(t, "began"), day.Draw(t, "said")))
	}
	return set
}
