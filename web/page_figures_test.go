package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/browser"
	"rollcall/store"
)

// Each tile counts what the list has once it is chosen, whatever is chosen now.
func TestPageTiles(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	for query, want := range map[string][]string{
		"":                          {"6 All", "2 Leads", "3 Customers", "1 Subscribers", "4 Active"},
		"type=lead":                 {"6 All", "2 Leads", "3 Customers", "1 Subscribers", "1 Active"},
		"type=paying&status=active": {"6 All", "1 Leads", "2 Customers", "1 Subscribers", "2 Active"},
		"product=drums&type=lead":   {"2 All", "0 Leads", "2 Customers", "0 Subscribers", "0 Active"},
	} {
		p.Go(listPath + "?" + query)
		same(t, query, want, p.Texts(".tiles a"))
	}
	for i, n := range []int{6, 2, 3, 1, 1} { // of leads
		p.Go(listPath + "?type=lead")
		p.Click(fmt.Sprintf(".tiles li:nth-child(%d) a", i+1))
		p.Until(fmt.Sprintf(`document.querySelectorAll(".person").length === %d`, n))
	}
}

// Many courses and many currencies stay in their row: the rest is counted, and on the
// customer's page a click away.
func TestPageManyOfAll(t *testing.T) {
	t.Parallel()
	var events []told
	for i := range 40 {
		events = append(events, enrolled("Ann Lee", fmt.Sprintf("course_%02d", i), "10", day))
	}
	for i, currency := range strings.Fields("usd eur gbp jpy chf sek nok dkk pln") {
		events = append(events, sold(fmt.Sprint("p", i), "Ann Lee", "drums", 123456789, currency, day))
	}
	x, p := visit(t, browser.Desktop, events...)
	for _, look := range []browser.Look{browser.Desktop, browser.Phone} {
		p.Look(look)
		p.Go(listPath)
		if got := len(p.Texts(".badges li")); got != 4 {
			t.Errorf("%d badges", got)
		}
		p.Has(".badges .more", "+38 more")
		p.Has(".spent", "+7 more")
		p.Has(".figures .money", "+6 more")
		wide(t, p)
		p.Go(x.customerPath(t, "Ann Lee"))
		p.Has(".rest summary", "Show all 40")
		if got := len(p.Texts("#what section:first-child > .rows > li")); got != 6 {
			t.Errorf("%d courses at first", got)
		}
		p.Click(".rest summary")
		p.Until(`[...document.querySelectorAll("#what .rows progress")].filter(e => e.checkVisibility()).length === 40`)
		wide(t, p)
	}
}

// wide fails if a page is wider than the window.
func wide(t *testing.T, p *browser.Page) {
	t.Helper()
	if n := browser.Eval[int](p, `document.documentElement.scrollWidth - innerWidth`); n > 0 {
		t.Errorf("%s is %d pixels wider than the window", p.Address(), n)
	}
}

// Fields about a course are shown once one is chosen, and a wrong value keeps the form
// and marks its field.
func TestPageFields(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath)
	p.Click(".filter summary")
	shown := func(want bool) {
		p.Until(fmt.Sprintf(`document.querySelector("#f-progress_min").checkVisibility() === %t`, want))
	}
	shown(false)
	p.Choose("#f-course", "mixing")
	shown(true)
	p.Type("#f-progress_min", "50\t")
	listed(p, "Bob Stone")
	p.Expect("400 " + listPath + "?progress_min=50")
	p.Go(listPath + "?progress_min=50")
	p.Has(".empty", "is about a course")
	p.Look(without)
	path := listPath + "?course=mixing&progress_min=5x&type=lead"
	p.Expect("400 " + path)
	p.Go(path)
	if got := browser.Eval[string](
		p, `["type", "course",`+
			` "progress_min"].map(n => document.querySelector("#f-" + n).value).join()`); got != "lead,mixing,5x" {
		t.Errorf("the form has %s", got)
	}
	p.Has("#f-progress_min[aria-invalid] + .error", "number from 0 to 100")
}

// Progress is in the customer's activity, and people who wrote notes have names.
func TestPageActivity(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.hear(t, told{"clerk", "user.created", day, `{"id":"user_olga","first_name":"Olga","last_name":"Aurora"}`})
	x.exec(t, `INSERT INTO customer_notes (store_id, email, body, author, editor)
		VALUES ('studio', 'ann.lee@mail.example', 'Hello', 'user:user_olga', 'user:user_gone')`)
	p.Go(x.customerPath(t, "Ann Lee"))
	p.Has(".timeline .progressed", "Reached 40% in Mixing Basics")
	p.Has(".notes .hint", "Olga Aurora")
}

// A browser's tab says what went wrong in words.
func TestTitlesOfFailures(t *testing.T) {
	x := open(t, nil)
	for path, want := range map[string]string{"/nothing": "Page not found", "/store/a/customers": "Sign in"} {
		got := x.get(t, path, withHeader("Accept", "text/html"))
		if !strings.Contains(got.text, "<title>"+want+" · Rollcall</title>") {
			t.Errorf("%s: %d %.300s", path, got.StatusCode, got.text)
		}
	}
}

// An event says which of Stripe's modes it is of.
func TestEventMode(t *testing.T) {
	x := open(t, nil)
	live, test := true, false
	for want, mode := range map[string]*bool{"live": &live, "test": &test, "": nil} {
		ids := x.take(t, store.NewEvent{Source: "stripe", EventID: "evt_" + want, Type: "charge.succeeded",
			OccurredAt: time.Now(), Livemode: mode, Payload: []byte("{}")})
		page := x.page(t, fmt.Sprintf("/admin/events/%d", ids[0]))
		if got := strings.Contains(page, "<dt>Mode</dt><dd>"+want+"</dd>"); got != (want != "") {
			t.Errorf("%q: %t", want, got)
		}
	}
}

// Operators who misspell a store's id are told so.
func TestUnknownStore(t *testing.T) {
	x := open(t, nil)
	x.hear(t, told{"platform", "store.upserted", day, `{"id":"new","name":"New","owner_user_id":"user_owner"}`})
	if got := x.page(t, "/store/nosuch/customers"); !strings.Contains(got, "No event has mentioned this store") {
		t.Errorf("%.300s", got)
	}
	if got := x.page(t, "/store/new/customers"); !strings.Contains(got, "No customers yet") {
		t.Errorf("%.300s", got)
	}
}
