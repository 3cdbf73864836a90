package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/browser"
	"rollcall/store"
	"rollcall/web/core"
)

// The counts of the tabs obey all filters but the tab that is chosen, and each tab leads
// to as many customers.
func TestPageTabs(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	for query, want := range map[string][]string{
		"":                          {"All 6", "Leads 2", "Customers 3", "Subscribers 1", "Inactive 2"},
		"type=lead":                 {"All 6", "Leads 2", "Customers 3", "Subscribers 1", "Inactive 2"},
		"type=paying&status=active": {"All 6", "Leads 2", "Customers 3", "Subscribers 1", "Inactive 2"},
		"product=drums&type=lead":   {"All 2", "Leads 0", "Customers 2", "Subscribers 0", "Inactive 1"},
	} {
		p.Go(listPath + "?" + query)
		same(t, query, want, p.Texts(".tabs nav a"))
	}
	for i, n := range []int{6, 2, 3, 1, 2} {
		p.Go(listPath + "?type=lead")
		p.Click(fmt.Sprintf(".tabs nav a:nth-child(%d)", i+1))
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
		if look.Width > 760 {
			p.Has(".person .prog", "+40 more")
		}
		p.Has(".person .spent", "+8 more")
		p.Has(".kpis", "+7 more")
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

// A filter is found by its name, and a wrong value keeps the form and marks its field.
func TestPageFields(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath)
	unfold(p, "course")
	p.Type("#f-progress_min", "50\t") // in any course
	listed(p, "Bob Stone")
	p.Has(".chip", "at least 50%")
	p.Until(`document.querySelector("#f-progress_min").checkVisibility()`) // goes on being open, in its chip
	tick(p, "course", "mastering")
	p.Has(".empty", "No customers match these filters")
	p.Lists(".chip summary > *", "Course", "Mastering in the Box", "at least 50%")
	p.Look(without)
	path := listPath + "?course=mixing&progress_min=5x&type=lead"
	p.Expect("400 " + path)
	p.Go(path)
	if got := browser.Eval[[]string](p, `[...new FormData(document.querySelector(".tools")).entries()]
		.filter(([name, value]) => value && name !== "sort").map(([name, value]) => name + "=" + value)`); !slices.Equal(got,
		[]string{"type=lead", "course=mixing", "progress_min=5x"}) {
		t.Errorf("the form has %s", got)
	}
	p.Has("#f-progress_min[aria-invalid] + .error", "number from 0 to 100")
	p.Has(".empty", "Correct what is marked above")
}

// unfold opens the menu of filters, and one of them by its group.
func unfold(p *browser.Page, group string) {
	if !browser.Eval[bool](p, `document.querySelector(".add").open`) {
		p.Click(".add > summary")
	}
	p.Click(fmt.Sprintf(".add [data-group=%s] > summary", group))
}

// tick ticks, or no longer ticks, the box of a value: not while an answer is on its
// way that draws the boxes again, for a click between press and release is lost then.
func tick(p *browser.Page, name, value string) {
	p.Until(`!document.querySelector(".htmx-request")`)
	p.Click(fmt.Sprintf("input[name=%s][value=%q]", name, value))
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
	api := func(path string, want int) {
		t.Helper()
		got := x.get(t, path, asAdmin)
		if got.StatusCode != want || want == 404 && !strings.Contains(got.text, `store \"nosuch\"`) {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
	api("/api/stores/nosuch/customers", 404)
	api("/api/stores/nosuch/stats", 404)
	api("/api/stores/nosuch/tags", 404)
	api("/api/stores/nosuch/segments", 404)
	api("/api/stores/new/customers", 200)
	api("/api/stores/new/stats", 200)
	api("/api/stores/new/tags", 200)
	api("/api/stores/new/segments", 200)
	// An event that waits may be about it.
	event := enrolledIn("evt_1", `"store_id":"nosuch"`)
	if _, err := x.Cfg.Store.InsertEvents(t.Context(), []store.NewEvent{event}); err != nil {
		t.Fatal(err)
	}
	api("/api/stores/nosuch/customers", 200)
}

// Only growth has the colour of growth.
func TestChangeOfNewcomers(t *testing.T) {
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	x.hear(t, studio()...)
	for _, want := range []string{`<span class="change grew">· 3, up from 1`, `<span class="change">· 0, down from 3`} {
		if got := x.get(t, listPath, asAdmin); !strings.Contains(got.text, want) {
			t.Errorf("no %s: %.3000s", want, got.text)
		}
		x.exec(t, `UPDATE customers SET first_seen_at = first_seen_at - interval '30 days'`)
	}
}

// “All stores” leads operators to all stores.
func TestAllStores(t *testing.T) {
	x := open(t, nil)
	x.hear(t, studio()...)
	wants(t, x.page(t, listPath), `<a href="/admin/stores">All stores</a>`)
	wants(t, x.page(t, "/admin/stores"), "Aurora Academy")
}
