package web

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/internal/testing/browser"
	"rollcall/store/value"
	"rollcall/web/core"
)

const valuePath = "/store/studio/value"

// yearOfSales has 400 customers of the studio buy and subscribe for a year before an hour, always the same.
func yearOfSales(until time.Time) (set facts.Set) {
	r := rand.New(rand.NewPCG(1, 2))
	version := func(at time.Time) facts.Version {
		return facts.Version(at.UTC().Format("2006-01-02T15:04:05.000000Z") + " 20 e")
	}
	sale := func(i, n int, at time.Time, amount int64, subscription string) {
		set.Payments = append(set.Payments, facts.Payment{
			ID: fmt.Sprintf("pi_%d_%d", i, n), ClaimVersion: "4 " + version(at), Kind: "checkout", Paid: true, Amount: &amount,
			Currency: "usd", PaidAt: &at, Subscription: subscription, Context: facts.Context{StoreRef: "studio",
				ProductRef: []string{"mastering", "drums", "club"}[(i+n)%3], Email: fmt.Sprintf("buyer%d@x.example", i)}})
	}
	for i := range 400 {
		first := until.Add(-time.Duration(r.IntN(360*24)) * time.Hour)
		rate, spends := r.ExpFloat64()/60, 2000+4000*(r.ExpFloat64()+r.ExpFloat64()) // purchases a day, cents for each
		leaves := 1 - math.Cbrt(r.Float64())                                         // after each purchase
		for n, at := 0, first; at.Before(until) && n < 12; n++ {
			sale(i, n, at, int64(500+spends*(r.ExpFloat64()+r.ExpFloat64()+r.ExpFloat64())/3), "")
			if r.Float64() < leaves {
				break
			}
			at = at.Add(time.Duration(24*r.ExpFloat64()/rate) * time.Hour)
		}
		if i%5 == 0 {
			set.Subscriptions = append(set.Subscriptions, subscriber(i, first, until, r, version)...)
			for n, at := 20, first; at.Before(until) && n < 24; n++ {
				sale(i, n, at, 1900, fmt.Sprint("sub_", i))
				at = at.AddDate(0, 1, 0)
			}
		}
	}
	return set
}

// subscriber is what is said of a subscription: its beginning, for some another price, and for some its end.
func subscriber(i int, from, until time.Time, r *rand.Rand, version func(time.Time) facts.Version) (
	all []facts.Subscription,
) {
	say := func(status string, amount int64, at time.Time) {
		if at.Before(until) {
			all = append(all, facts.Subscription{ID: fmt.Sprint("sub_", i), Status: status, Currency: "usd", Amount: &amount,
				StartedAt: &from, EverActive: true, Version: version(at), Context: facts.Context{StoreRef: "studio",
					ProductRef: "club", Email: fmt.Sprintf("buyer%d@x.example", i),
					Lines: []facts.Line{{Ref: "club", Amount: &amount, Quantity: 1, Interval: "month", IntervalCount: 1}}}})
		}
	}
	say("active", 1900, from)
	if r.IntN(3) == 0 {
		say("active", int64(1500+1000*r.IntN(3)), from.AddDate(0, 2, 0))
	}
	if life := time.Duration(24*150*r.ExpFloat64()) * time.Hour; r.IntN(2) == 0 {
		say("canceled", 1900, from.Add(life))
	}
	return all
}

// valued fills the studio with a year of sales and computes its figures.
func (x *site) valued(t *testing.T) {
	t.Helper()
	until := x.Cfg.Now()
	if err := x.Cfg.Store.Keep(t.Context(), yearOfSales(until.Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Cfg.Store.Rebuild(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	if done, err := value.New(x.Cfg.Store).Compute(t.Context(), "studio", until); err != nil || !done {
		t.Fatal(done, err)
	}
}

// The page and its files say what customers are worth, in any look and without a script, for anyone to read.
func TestPageValue(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	p.Go(valuePath)
	p.Has("main", "Not computed yet")
	x.valued(t)
	x.exec(t, `UPDATE products SET title = $1 WHERE id = 'drums'`, hostile["script"]+hostile["long"][:300])
	x.exec(t, `UPDATE customers SET name = $1 WHERE store_id = 'studio'`, hostile["long"][:300]+hostile["script"])
	for name, look := range looks() {
		p.Look(look)
		p.Go(valuePath + "?currency=usd")
		p.Has("h1", "What customers are worth")
		p.Has("#h-money", "Paid per month, USD")
		p.Has("#h-mrr", "Monthly recurring revenue, USD")
		p.Has("#groups tbody", "Mastering in the Box")
		p.Has(".heat .open", "so far")
		p.Has("[aria-labelledby=h-help] .rows", "have not been here")
		p.Has("#groups tbody", hostile["script"])
		p.Until(`!document.querySelector("main img, main script")`)
		if over := p.Overflow(); over > 0 {
			t.Errorf("%s: %d pixels wider than the window", name, over)
		}
		accessible(t, p, name)
		p.Shot("value " + name)
	}
	p.Has("[aria-labelledby=h-expect]", "how likely each buyer is to buy again")
	p.Look(without)
	p.Go(valuePath + "?by=source")
	p.Has("#groups tbody", "Product purchase")
	p.Go(valuePath + "?from=" + month(-3) + "&to=" + month(-2))
	p.Has(".charts", "in 2 months")
	p.Click("main form[method=post] button")
	p.Until(`location.search === ""`)
	if kept, err := value.New(x.Cfg.Store).Read(t.Context(), "studio"); err != nil || kept.Due.After(time.Now()) {
		t.Errorf("asked for: due %v %v", kept.Due, err)
	}
}

// month is the month some months from now.
func month(from int) string {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month()+time.Month(from), 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
}

// The API answers the same as it is described, and the files have each of its rows.
func TestValue(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	x.hear(t, studio()...)
	if got := x.get(t, "/api/stores/studio/value", asAdmin); !strings.Contains(got.text, `"as_of":null`) {
		t.Errorf("not computed: %s", got.text)
	}
	x.valued(t)
	kept, err := value.New(x.Cfg.Store).Read(t.Context(), "studio")
	if err != nil {
		t.Fatal(err)
	}
	if all := x.get(t, "/api/stores/studio/value", asAdmin); all.StatusCode != 200 ||
		strings.Count(all.text, `"subscribers":`) != len(kept.All) {
		t.Errorf("%d %.300s", all.StatusCode, all.text)
	}
	if eur := x.get(t, "/api/stores/studio/value?currency=EUR", asAdmin); strings.Count(eur.text, `"subscribers":`) != 1 {
		t.Errorf("%.300s", eur.text)
	}
	part := x.get(t, "/api/stores/studio/value?currency=usd&from="+month(-3)+"&to="+month(-2)+"&by=source", asAdmin)
	var got struct{ Reports []value.Report }
	if err := json.Unmarshal([]byte(part.text), &got); err != nil || len(got.Reports) != 1 ||
		len(got.Reports[0].Months) != 2 || got.Reports[0].Months[0].Month != month(-3) ||
		slices.ContainsFunc(got.Reports[0].Groups, func(g value.Group) bool { return g.By != "all" && g.By != "source" }) {
		t.Errorf("a part: %v %.500s", err, part.text)
	}
	for _, wrong := range []string{"from=soon", "to=2026-13", "from=2026-02&to=2026-01", "by=mood",
		"segment=a&segment=b"} {
		if got := x.get(t, "/api/stores/studio/value?"+wrong, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", wrong, got.StatusCode)
		}
	}
	if got := x.get(t, "/api/stores/studio/value/help", asAdmin); got.StatusCode != 200 ||
		!strings.Contains(got.text, `"reason":"silent"`) {
		t.Errorf("who needs help: %d %.300s", got.StatusCode, got.text)
	}
}

// The files have each row of the figures and lists, and nothing in them is run as a formula.
func TestValueFiles(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	x.hear(t, studio()...)
	x.valued(t)
	x.exec(t, `UPDATE customers SET name = '=cmd|x' WHERE store_id = 'studio'`)
	kept, err := value.New(x.Cfg.Store).Read(t.Context(), "studio")
	if err != nil {
		t.Fatal(err)
	}
	help, err := value.New(x.Cfg.Store).Help(t.Context(), "studio")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{"months.csv": 1, "cohorts.csv": 1, "groups.csv": 1, "courses.csv": 1 + len(kept.Courses),
		"within.csv": 1, "again.csv": 1, "stay.csv": 1, "help.csv": 1 + len(help),
		"expected.csv": 1 + len(x.expected(t, "/api/stores/studio/value/customers?", 100))}
	for _, r := range kept.All {
		rows["within.csv"] += len(r.Again.Within)
		rows["again.csv"] += len(r.Again.Curve.Steps)
		rows["stay.csv"] += len(r.Subscribers.Curve.Steps)
		rows["months.csv"] += len(r.Months)
		rows["cohorts.csv"] += len(r.Cohorts)
		rows["groups.csv"] += len(r.Groups)
	}
	for name, want := range rows {
		got := x.get(t, valuePath+"/"+name, asAdmin)
		if n := strings.Count(got.text, "\r\n"); n != want ||
			!strings.HasPrefix(got.Header.Get("Content-Type"), "text/csv; charset=utf-8") || strings.Contains(got.text, ",=") {
			t.Errorf("%s: %d rows, want %d: %.200s", name, n, want, got.text)
		}
	}
	if got := x.get(t, valuePath+"/people.csv", asAdmin); got.StatusCode != 404 {
		t.Errorf("no such file: %d", got.StatusCode)
	}
	if got := x.get(t, valuePath+"/expected.csv?currency=eur", asAdmin); strings.Count(got.text, "\r\n") != 1 {
		t.Errorf("euros: %.200s", got.text)
	}
	who := x.expected(t, "/api/stores/studio/value/customers?", 100)[0]
	if got := x.get(t, valuePath+"/expected.csv", asAdmin); !strings.HasPrefix(got.text,
		"\ufeffcurrency,id,email,name,expected,may_buy_again\r\n"+fmt.Sprintf("usd,%s,%s,'=cmd|x,%d,%v\r\n",
			who.Customer, who.Email, who.Expected, who.Alive)) {
		t.Errorf("%.300s", got.text)
	}
	if got := x.get(t, "/store/elsewhere/value/help.csv", asAdmin); strings.Count(got.text, "\r\n") != 1 {
		t.Errorf("of a store that has nothing: %.200s", got.text)
	}
	for _, wrong := range []string{"by=mood", "cells=mood", "mood=by", "cells=net&cells=net"} {
		if got := x.get(t, valuePath+"?"+wrong, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", wrong, got.StatusCode)
		}
	}
}
