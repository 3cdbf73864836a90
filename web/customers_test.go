package web

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"rollcall/store/customers"
	"rollcall/web/core"
	"rollcall/web/creators"
)

// people adds n customers to store_a.
func (x *site) people(t testing.TB, n int) {
	t.Helper()
	x.exec(t, `
		INSERT INTO customers (store_id, email, name, type, status, first_seen_at, last_activity_at, spent, spent_rank)
		SELECT 'store_a', 'p' || i || '@example.com', CASE WHEN i % 2 = 0 THEN 'Person ' || i END, 'paying', 'active',
			$2::timestamptz - i * interval '1 day', $2::timestamptz - i * interval '1 hour',
			'[{"amount":290000,"currency":"eur"},{"amount":5800,"currency":"jpy"}]', 2900
		FROM generate_series(1, $1::int) i`, n, now)
}

// script makes a request as htmx does.
func script(r *http.Request) { r.Header.Set("HX-Request", "true") }

func TestCustomersPage(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	x.people(t, 60)
	page := x.get(t, "/store/store_a/customers", asAdmin)
	if page.StatusCode != 200 || page.Header.Get("Vary") == "" ||
		!strings.HasPrefix(page.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'") {
		t.Fatalf("%d %v", page.StatusCode, page.Header)
	}
	for _, want := range []string{
		"<title>Customers of Ada&#39;s &lt;b&gt;beats&lt;/b&gt;",
		">All <span>61</span>", ">Person 2<",
		">p1@example.com<",
		"€2,900.00", "¥5,800", "1\u00a0h</time>", "29 new customers in the last 30 days",
		`href="/api/stores/store_a/customers.csv"`, "Show more",
	} {
		if !strings.Contains(page.text, want) {
			t.Errorf("no %q in it", want)
		}
	}
	if strings.Contains(page.text, " style=") || strings.Contains(page.text, "<script>") ||
		strings.Contains(page.text, "onclick") {
		t.Error("style or script in the page")
	}
	if _, err := html.Parse(strings.NewReader(page.text)); err != nil {
		t.Error(err)
	}
	next := link(t, page.text, "Show more")
	rows := x.get(t, next, asAdmin, script)
	if strings.Contains(rows.text, "<html") || !strings.HasPrefix(rows.text, "<tr") ||
		strings.Count(rows.text, `class="person"`) != 11 || strings.Contains(rows.text, "Show more") {
		t.Errorf("%d %.300s", rows.StatusCode, rows.text)
	}
	whole := x.get(t, next, asAdmin)
	if !strings.Contains(whole.text, "<html") || !strings.Contains(whole.text, "Back to the start of the list") ||
		strings.Count(whole.text, `class="person"`) != 11 {
		t.Errorf("%.300s", whole.text)
	}
}

// link is where the link with a text leads.
func link(t testing.TB, page, text string) string {
	t.Helper()
	before, _, ok := strings.Cut(page, ">"+text+"</a>")
	i := strings.LastIndex(before, `href="`)
	if !ok || i < 0 {
		t.Fatalf("no link %q in %.2000s", text, page)
	}
	return html.UnescapeString(before[i+6 : i+6+strings.Index(before[i+6:], `"`)])
}

func TestCustomersPageParts(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	x.people(t, 3)
	got := x.get(t, "/store/store_a/customers?q=person+2&type=&course=&completed=&sort=name", asAdmin, script)
	if !strings.HasPrefix(got.text, `<div id="results">`) ||
		got.Header.Get("HX-Push-Url") != "/store/store_a/customers?q=person+2&sort=name" {
		t.Errorf("%v %.300s", got.Header, got.text)
	}
	if strings.Count(got.text, `class="person"`) != 1 {
		t.Errorf("%.2000s", got.text)
	}
	restored := x.get(t, "/store/store_a/customers", asAdmin, script, withHeader("HX-History-Restore-Request", "true"))
	if !strings.Contains(restored.text, "<html") {
		t.Errorf("%.300s", restored.text)
	}
	for _, as := range [][]as{{asAdmin}, {asAdmin, script}} {
		wrong := x.get(t, "/store/store_a/customers?spent_min=abc", as...)
		if !strings.Contains(wrong.text, "&#34;abc&#34; is not allowed") ||
			strings.Contains(wrong.text, `class="person"`) {
			t.Errorf("%d %.2000s", wrong.StatusCode, wrong.text)
		}
	}
	for path, want := range map[string]string{
		"/store/store_a/customers?q=zzz":                         "No customers match these filters",
		"/store/none/customers":                                  "No event has mentioned this store",
		"/store/store_a/customers?last_activity_before=2020-1-1": "That filter isn’t valid",
	} {
		if got := x.get(t, path, asAdmin); !strings.Contains(got.text, want) {
			t.Errorf("%s: %d, no %q", path, got.StatusCode, want)
		}
	}
}

// In a long list nobody is counted on the way, unless that is asked for.
func TestCustomersPageCounts(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	x.people(t, creators.Countable)
	page := x.get(t, "/store/store_a/customers?spent_min=1", asAdmin)
	count := link(t, page.text, "Count matches")
	if !strings.Contains(page.text, ">All</a>") || strings.Count(page.text, `class="person"`) != 50 ||
		count != "/store/store_a/customers?count=1&spent_min=1" {
		t.Errorf("%s %.2000s", count, page.text)
	}
	if got := x.get(t, count, asAdmin); !strings.Contains(got.text, ">All <span>5,000</span>") {
		t.Errorf("%.2000s", got.text)
	}
	if got := x.get(t, "/store/store_a/customers?type=lead&spent_min=0", asAdmin); !strings.Contains(got.text,
		"</span> of 1</span>") || !strings.Contains(got.text, ">All</a>") {
		t.Errorf("%.2000s", got.text)
	}
}

// A page that watches hears of those who come, if they meet its filter.
// after is the parameter of a page on which a customer is the last known.
func (x *site) after(t testing.TB, store string, last int) string {
	x.id(t, core.CustomerID, 1) // reads the key
	return x.IDs().Cursor("newcomers of "+store, fmt.Sprint(last))
}

func TestLive(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	first := x.after(t, "store_a", 1)
	hear := func(query string) *bufio.Scanner {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", x.url+"/store/store_a/customers/live?"+query+"&after="+
			url.QueryEscape(first), nil)
		asAdmin(r)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d %v", res.StatusCode, res.Header)
		}
		s := bufio.NewScanner(res.Body)
		s.Scan() // a line at once, so that it is known to be open
		return s
	}
	said := func(s *bufio.Scanner) string {
		for s.Scan() {
			if text, ok := strings.CutPrefix(s.Text(), "data: "); ok {
				return text
			}
		}
		return "nothing"
	}
	all, leads := hear(""), hear("type=lead")
	x.people(t, 2)
	if got := said(all); got != "2" {
		t.Errorf("heard %s", got)
	}
	x.exec(t, `INSERT INTO customers (store_id, email) VALUES ('store_b', 'x@example.com'),
		('store_a', 'lead@example.com')`)
	if got := said(leads); got != "1" {
		t.Errorf("heard %s", got)
	}
	if got := said(all); got != "3" {
		t.Errorf("heard %s", got)
	}
	// Who was away meanwhile hears how many it were.
	late, _ := http.NewRequestWithContext(t.Context(), "GET", x.url+"/store/store_a/customers/live?after="+
		url.QueryEscape(first), nil)
	asAdmin(late)
	res, err := http.DefaultClient.Do(late)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := said(bufio.NewScanner(res.Body)); got != "3" {
		t.Errorf("heard %s", got)
	}
	for _, query := range []string{"", "?after=", "?after=1", "?after=" + x.after(t, "store_b", 1)} {
		if got := x.get(t, "/store/store_a/customers/live"+query, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", query, got.StatusCode)
		}
	}
}

func TestCustomerPageNotes(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	x.people(t, 1)
	page := "/store/store_a/customers/" + x.id(t, core.CustomerID, 1)
	add := func(body string) answer {
		return x.send(t, "POST", page+"/notes", url.Values{"body": {body}}.Encode(), asAdmin)
	}
	if got := add(" <i>Likes</i> synths "); got.StatusCode != 303 || got.Header.Get("Location") != page+"#notes" {
		t.Fatalf("%d %v %s", got.StatusCode, got.Header, got.text)
	}
	if got := x.get(t, page, asAdmin); !strings.Contains(got.text, "&lt;i&gt;Likes&lt;/i&gt; synths") ||
		strings.Contains(got.text, "<i>") {
		t.Errorf("%.3000s", got.text)
	}
	for body, want := range map[string]string{"  ": "is empty", strings.Repeat("x", 5001): "is 5001 characters long"} {
		got := add(body)
		if got.StatusCode != 400 || !strings.Contains(got.text, "The note "+want) ||
			!strings.Contains(got.text, strings.TrimSpace(body)) {
			t.Errorf("%d %.300s", got.StatusCode, got.text)
		}
	}
	if got := x.send(t, "POST", page+"/notes/1", "body=Better", asAdmin); got.StatusCode != 303 {
		t.Errorf("%d", got.StatusCode)
	}
	if got := x.get(t, page, asAdmin); !strings.Contains(got.text, ">Better</p>") ||
		!strings.Contains(got.text, "edited") {
		t.Errorf("%.3000s", got.text)
	}
	if got := x.send(t, "POST", page+"/notes/1/delete", "", asAdmin); got.StatusCode != 303 {
		t.Errorf("%d", got.StatusCode)
	}
	if got := x.get(t, page, asAdmin); strings.Contains(got.text, "Better") {
		t.Error("still there")
	}
	for _, path := range []string{"/store/store_b/customers/" + x.id(t, core.CustomerID, 1), "/store/store_a/customers/" +
		x.id(t, core.CustomerID, 99), "/store/store_a/customers/x"} {
		if got := x.get(t, path, asAdmin); got.StatusCode != 404 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"John Doe": "JD", "ada": "A", "": "P", "Żaneta de la Wójcik": "ŻW", "森 花": "森花", "<script>": "S", "🎹": "P",
		"O'Brien, Pat": "OP", "Liam O’Neill": "LO", "🎧 DJ 🎛️": "D", "  ": "P", "Ærø ß": "Æß",
	} {
		if got := core.Initials(customers.Customer{Email: "p@example.com", Name: &name}); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := core.Initials(customers.Customer{Email: "_@x"}); got != "X" {
		t.Errorf("%q", got)
	}
}

func TestCalled(t *testing.T) {
	ann, none := "Ann", ""
	for want, c := range map[string]customers.Customer{
		"Ann":              {Email: "ann@x.example", Name: &ann},
		"ann@x.example":    {Email: "ann@x.example", Name: &none},
		"Deleted customer": {Email: "erased-abc@erased.invalid"},
	} {
		if got := core.Called(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
