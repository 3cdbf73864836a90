package history

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/internal/testing/stripefake"
)

// bought is what makes a session a paid one, of n line items and no metadata.
func bought(n int) stripefake.Object {
	return stripefake.Object{
		"mode": "payment", "status": "complete", "payment_status": "paid", "amount_total": 100 * n, "currency": "usd",
		"line_items": stripefake.Object{"data": entries(n, func(i int) stripefake.Object {
			return stripefake.Object{"id": fmt.Sprintf("li_%03d", i), "price": stripefake.Object{
				"id": fmt.Sprintf("price_%03d", i), "product": "prod_1"}}
		})},
	}
}

func entries(n int, entry func(i int) stripefake.Object) (list []any) {
	for i := range n {
		list = append(list, entry(i))
	}
	return list
}

// Whatever goes wrong on the way, the result is complete and nothing is double.
func TestFaults(t *testing.T) {
	faults := map[string]stripefake.Faults{
		"none":  {},
		"limit": {LimitEvery: 3, RetryAfter: time.Second},
		"hang":  {HangEvery: 9},
		"fail":  {FailEvery: 2},
		"cut":   {CutEvery: 2},
		"all":   {LimitEvery: 3, HangEvery: 17, FailEvery: 5, CutEvery: 4},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			fake := stripefake.New(t)
			fake.Add("", customers(60, 3600)...)
			for i := range 30 {
				id, created := fmt.Sprintf("%03d", i), int64(begin+i/4)
				fake.Add("", object("checkout.session", "cs_"+id, created, bought(25)),
					object("refund", "re_"+id, created, stripefake.Object{"currency": "usd"}))
				fake.Add("acct_1", object("customer", "cus_"+id, created))
			}
			fake.Faults(f)
			c := config(fake)
			c.Options.Accounts = []string{"", "acct_1"}
			if f.HangEvery > 0 {
				c.Timeout = 250 * time.Millisecond
			}
			r := readAll(t, newStripe(t, c), 7, 1)
			if (r.tries > 0) != (name != "none") {
				t.Errorf("%d tries failed", r.tries)
			}
			if len(r.items) != 60+30+30+30 || len(r.seen()) != len(r.items) {
				t.Errorf("%d items, %d of them different", len(r.items), len(r.seen()))
			}
			for _, item := range r.items {
				if item.Err != nil {
					t.Errorf("%s: %v", item.Place, item.Err)
				}
				for _, p := range item.Facts.Payments {
					if strings.HasPrefix(item.Place, "cs_") && len(p.Catalogue()) != 50 {
						t.Errorf("%s sold %d prices and products, want 25 of each", item.Place, len(p.Catalogue()))
					}
				}
			}
		})
	}
}

// What kind of error each fault is: the worker decides by it.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		faults stripefake.Faults
		after  time.Duration // of a Later; 0: any other error that may pass
	}{
		"limit":         {stripefake.Faults{LimitEvery: 1, RetryAfter: 7 * time.Second}, 7 * time.Second},
		"limit, silent": {stripefake.Faults{LimitEvery: 1}, 2 * time.Second},
		"hang":          {stripefake.Faults{HangEvery: 1}, 0},
		"fail":          {stripefake.Faults{FailEvery: 1}, 0},
		"cut":           {stripefake.Faults{CutEvery: 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			fake := stripefake.New(t)
			fake.Faults(c.faults)
			config := config(fake)
			if c.faults.HangEvery > 0 {
				config.Timeout = 100 * time.Millisecond
			}
			config.Options.Only = []string{"customers"}
			_, err := newStripe(t, config).Read(t.Context(), window{Until: begin}.position("customers"), 10)
			var later *Later
			var refused *Refused
			switch {
			case err == nil || errors.As(err, &refused):
				t.Fatalf("error %v, want one that may pass", err)
			case errors.As(err, &later) != (c.after > 0) || later != nil && later.After != c.after:
				t.Errorf("%T %v, want to wait %v", err, err, c.after)
			}
			noKey(t, err)
			if n := len(fake.Requests()); n != 1 {
				t.Errorf("%d requests, want one: trying again is the worker's business", n)
			}
		})
	}
}

// What answers in Stripe's place is no empty list, and what it says is not
// repeated.
func TestAnswersThatAreNotStripes(t *testing.T) {
	for body, status := range map[string]int{
		`{}`: 200, `{"data":null}`: 200, `[]`: 200, `<html>secret</html>`: 502, `<html>secret </html>`: 200,
		`{"error":null,"secret":1}`: 503, ``: 200,
	} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}))
		_, err := newStripe(t, StripeConfig{Key: stripefake.Key, BaseURL: proxy.URL}).Read(t.Context(),
			window{Until: begin}.position("customers"), 10)
		proxy.Close()
		if !mayPass(err) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d %s: %T %v", status, body, err, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	fake := stripefake.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	fake.Faults(stripefake.Faults{Answered: func(stripefake.Request, []string) { cancel() }})
	fake.Add("", object("checkout.session", "cs_1", begin, bought(11)))
	_, err := newStripe(t, config(fake)).Read(ctx, window{Until: asOf.Unix()}.position("checkout_sessions"), 10)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestBadKey(t *testing.T) {
	fake := stripefake.New(t)
	c := config(fake)
	c.Key = "sk_test_mistyped51H8"
	for _, account := range []string{"", "acct_1"} {
		_, err := newStripe(t, c).Read(t.Context(), window{Account: account, Until: begin}.position("customers"), 10)
		var refused *Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "STRIPE_API_KEY") {
			t.Fatalf("%T %v", err, err)
		}
		noKey(t, err)
	}
}

// An account that took back the platform's access does not fail the others.
func TestDeauthorisedAccount(t *testing.T) {
	fake := stripefake.New(t)
	fake.Deauthorise("acct_gone")
	fake.Add("acct_here", customers(3, 60)...)
	c := config(fake)
	c.Options.Only, c.Options.Accounts = []string{"customers"}, []string{"acct_gone", "acct_here"}
	r := readAll(t, newStripe(t, c), 10, 1)
	var said []string
	for _, item := range r.items {
		if item.Err != nil {
			noKey(t, item.Err)
			said = append(said, item.Err.Error())
		}
	}
	if len(r.items) != 4 || len(said) != 1 || !strings.Contains(said[0], "acct_gone") ||
		!strings.Contains(said[0], "connect it again") {
		t.Errorf("%d items, errors %q", len(r.items), said)
	}
}

// Stripe's own words for what it does not take.
func TestRefused(t *testing.T) {
	fake := stripefake.New(t)
	c := config(fake)
	c.BaseURL += "/nowhere"
	_, err := newStripe(t, c).Read(t.Context(), window{Until: begin}.position("customers"), 10)
	var refused *Refused
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "Unrecognized request URL") {
		t.Errorf("%T %v", err, err)
	}
}

func TestScrub(t *testing.T) {
	api := &stripeAPI{key: "sk_live_51abc"}
	for _, message := range []string{
		"The key sk_live_51abc is bad", "Invalid API Key provided: sk_live_********************cDEF",
		"rk_test_51HxxAbC and sk_org_live_1a",
		"provided: rk_********cDEF", "The provided key 'sk_test_stri********51H8' does not",
	} {
		if got := api.scrub(message); strings.Contains(got, "51") || strings.Contains(got, "cDEF") ||
			strings.Contains(got, "1a") {
			t.Errorf("%q is left of %q", got, message)
		}
	}
	if message := "No such payment_intent: 'pi_3AvaTest'; a similar object exists in test mode"; api.scrub(
		message) != message {
		t.Errorf("%q", api.scrub(message))
	}
}

// Objects of the other mode are counted and say nothing; a broken one is an
// error of its own.
func TestModeAndBrokenObjects(t *testing.T) {
	fake := stripefake.New(t)
	fake.Add("", object("customer", "cus_test", begin),
		object("customer", "cus_live", begin+1, stripefake.Object{"livemode": true}),
		object("invoice", "in_1", begin, stripefake.Object{"status": "paid", "amount_paid": 5, "currency": "dollars"}),
		object("price", "price_1", begin))
	for mode, want := range map[string]string{"": "cus_live cus_test", "any": "cus_live cus_test", "live": "cus_live",
		"test": "cus_test"} {
		c := config(fake)
		c.Mode = mode
		var said, broken []string
		r := readAll(t, newStripe(t, c), 10, 1)
		for _, item := range r.items {
			if len(item.Facts.StripeCustomers) > 0 {
				said = append(said, item.Place)
			}
			if item.Err != nil {
				broken = append(broken, item.Place)
			}
		}
		slices.Sort(said)
		wantBroken := 1
		if mode == "live" {
			wantBroken = 0
		}
		if len(r.items) != 4 || strings.Join(said, " ") != want || len(broken) != wantBroken {
			t.Errorf("mode %q: %d items, said %v, broken %v", mode, len(r.items), said, broken)
		}
	}
}

// Lists inside objects are read to their end, but only where it matters.
func TestChildLists(t *testing.T) {
	fake := stripefake.New(t)
	plan := stripefake.Object{"status": "active", "currency": "usd", "items": stripefake.Object{
		"data": entries(20, func(i int) stripefake.Object {
			return stripefake.Object{"id": fmt.Sprint("si_", i), "price": stripefake.Object{"id": fmt.Sprint("price_", i),
				"product": "prod_1", "unit_amount": 100}}
		})}}
	paid := stripefake.Object{"status": "paid", "amount_paid": 5, "currency": "usd", "lines": stripefake.Object{
		"data": entries(250, func(i int) stripefake.Object {
			return stripefake.Object{"id": fmt.Sprint("il_", i), "price": stripefake.Object{"id": fmt.Sprint("price_", i),
				"product": "prod_1"}}
		})}}
	named := stripefake.Object{"metadata": stripefake.Object{"courseId": "c1"}}
	fake.Add("acct_1",
		object("checkout.session", "cs_bare", begin, bought(250)),
		object("checkout.session", "cs_named", begin, bought(250), named),
		object("checkout.session", "cs_open", begin, bought(250), stripefake.Object{"status": "open"}),
		object("checkout.session", "cs_short", begin, bought(10)),
		object("invoice", "in_bare", begin, paid), object("invoice", "in_named", begin, paid, named),
		object("subscription", "sub_1", begin, plan))
	c := config(fake)
	c.Options.Accounts = []string{"acct_1"}
	got := map[string]int{}
	for _, item := range readAll(t, newStripe(t, c), 10, 1).items {
		id, _, _ := strings.Cut(item.Place, " ")
		for _, p := range item.Facts.Payments {
			got[id] = len(p.Catalogue())
		}
		for _, s := range item.Facts.Subscriptions {
			got[id] = int(*s.Amount)
		}
	}
	want := map[string]int{"cs_bare": 500, "cs_named": 500, "cs_short": 20, "in_bare": 500, "in_named": 500, "sub_1": 2000}
	for id, n := range want {
		if got[id] != n {
			t.Errorf("%s: %d, want %d", id, got[id], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("facts of %v", got)
	}
	child := 0
	for _, r := range fake.Requests() {
		if r.Account != "acct_1" {
			t.Errorf("asked account %q: %s", r.Account, r.Path)
		}
		if strings.Contains(r.Operation, "{id}") || r.Path == "/v1/subscription_items" {
			child++
		}
	}
	if child != 2*3+2*3+1 {
		t.Errorf("%d requests for child lists, want 13", child)
	}
}

// Versions are dated by Stripe's clock as far as it is known, and never later
// than the moment in which the objects were what was read.
func TestReadAt(t *testing.T) {
	start := time.Date(2026, 1, 12, 12, 0, 10, 0, time.UTC)
	for date, want := range map[string]time.Time{
		"Mon, 12 Jan 2026 12:00:12 GMT": start.Add(-time.Second),      // whole seconds, rounded down
		"Mon, 12 Jan 2026 11:59:00 GMT": start.Add(-73 * time.Second), // our clock is ahead
		"":                              start,
	} {
		if got := readAt(start, 3*time.Second, map[string][]string{"Date": {date}}); !got.Equal(want) {
			t.Errorf("Date %q: %v, want %v", date, got, want)
		}
	}
}

// An event that comes later than a read of the API is newer, in the second of
// the read too.
func TestEventAfterReadWins(t *testing.T) {
	fake := stripefake.New(t)
	fake.Add("", `{"id":"cus_1","object":"customer","created":1700000000,"email":"old@x.example"}`)
	c := config(fake)
	c.Now = func() time.Time { return asOf.Add(700 * time.Millisecond) }
	c.Options.Only = []string{"customers"}
	read := readAll(t, newStripe(t, c), 10, 1).items[0].Facts.StripeCustomers[0]
	event, err := facts.Read(facts.Event{Source: "stripe", ID: "evt_1", Type: "customer.updated", OccurredAt: asOf,
		Payload: []byte(`{"data":{"object":{"id":"cus_1","email":"new@x.example"}}}`)})
	if err != nil || cmp.Compare(event.StripeCustomers[0].Version, read.Version) <= 0 {
		t.Errorf("event %v %v, read %v", event, err, read)
	}
}

// The samples of API answers are read.
func TestSamples(t *testing.T) {
	for file, kind := range map[string]string{"customers.list.page1": "customer", "customers.list.page2": "customer",
		"refunds.list": "refund"} {
		raw, err := os.ReadFile("../testdata/fixtures/stripe/api/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var page rawList
		if err := json.Unmarshal(raw, &page); err != nil || len(page.Data) == 0 {
			t.Fatalf("%s: %v", file, err)
		}
		for _, object := range page.Data {
			set, err := facts.ReadStripeObject(kind, "", asOf, object)
			if err != nil || len(set.StripeCustomers)+len(set.Refunds) != 1 {
				t.Errorf("%s: %+v %v", file, set, err)
			}
		}
	}
}
