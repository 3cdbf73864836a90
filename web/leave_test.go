package web

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	storemail "rollcall/store/mail"
	"rollcall/web/core"
)

// mailed is a site of which a customer of store_a got a mail of each class.
type mailed struct {
	*site
	keys mail.Keys
}

// The ids of mails, and of links, in a mailed site.
const (
	marketingMail = 1
	serviceMail   = 2
	testMail      = 3
	lostMail      = 99
)

func openMailed(t testing.TB, config func(*core.Config)) mailed {
	t.Helper()
	x := open(t, config)
	x.fill(t)
	x.exec(t, `
		INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, due_at, not_after,
			claimed_at, sent_at)
		SELECT 'store_a', 'a@example.com', class, 'c1', class, '', 1, 'sent', '2026-01-01', '2026-01-04', '2026-01-01',
			'2026-01-01'
		FROM unnest(ARRAY['marketing', 'service', 'test']) class`)
	x.exec(t, `INSERT INTO mail_links (store_id, url) VALUES ('store_a', 'https://shop.example/a?b=c&d'),
		('store_b', 'https://other.example/')`)
	x.exec(t, `INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT 'store_a', '', 'a@example.com', k, 'granted', '2025-01-01', 'platform', '2025'
		FROM unnest(ARRAY['marketing', 'tracking']) k`)
	keys, err := storemail.NewRecipients(x.Cfg.Store).Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return mailed{x, keys}
}

// leave is the address of the page on which the recipient of a mail leaves.
func (x mailed) leave(id int64) string { return "/mail/u/" + x.keys.Leave(mail.Ticket{Mail: id}) }

func (x mailed) stops(t testing.TB) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), x.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(),
		`SELECT store_id || '/' || campaign_id || '/' || reason FROM mail_stops ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	stops, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(stops, " ")
}

// contents is all that is in the database.
func (x *site) contents(t testing.TB) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), x.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT table_name FROM information_schema.tables
		WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, table := range tables {
		var text *string
		if err := conn.QueryRow(t.Context(), fmt.Sprintf(`SELECT string_agg(x::text, E'\n' ORDER BY x::text) FROM %q x`,
			table)).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if text != nil {
			fmt.Fprintf(&all, "%s\n%s\n", table, *text)
		}
	}
	return all.String()
}

// Programs that check mails follow every link, so following one changes nothing: no choice of the
// recipient, and where clicks are not counted no row at all.
func TestReadingMailChangesNothing(t *testing.T) {
	t.Parallel()
	x := openMailed(t, nil)
	before := x.contents(t)
	for _, id := range []int64{marketingMail, serviceMail, testMail, lostMail} {
		for _, path := range []string{x.leave(id), x.leave(id) + "?do=all", x.leave(id) + "?List-Unsubscribe=One-Click",
			"/mail/c/" + x.keys.Click(1, id), "/mail/c/" + x.keys.Click(1, 0)} {
			for _, method := range []string{"GET", "HEAD"} {
				if got := x.send(t, method, path, ""); got.StatusCode != 200 && got.StatusCode != 302 {
					t.Errorf("%s %s: %d", method, path, got.StatusCode)
				}
			}
		}
	}
	if after := x.contents(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if x.log.String() == "" || strings.Contains(x.log.String(), strings.TrimPrefix(x.leave(marketingMail), "/mail/u/")) {
		t.Error("the log has a token, or nothing")
	}
}

// A mail program unsubscribes with one request, without a cookie and from wherever it is, and the
// answer is the same for a token that is of no mail.
func TestOneClickUnsubscribing(t *testing.T) {
	t.Parallel()
	x := openMailed(t, nil)
	crossSite := both(withHeader("Origin", "https://webmail.example"), withHeader("Sec-Fetch-Site", "cross-site"))
	for _, c := range []struct{ path, want string }{
		{x.leave(lostMail), ""}, {"/mail/u/nonsense", ""}, {"/mail/u/" + strings.Repeat("A", 38), ""},
		{x.leave(testMail), ""},
		{x.leave(marketingMail), "store_a//unsubscribed store_a/c1/unsubscribed"},
		{x.leave(marketingMail), "store_a//unsubscribed store_a/c1/unsubscribed"},
		{x.leave(serviceMail), "store_a//unsubscribed store_a/c1/unsubscribed"},
	} {
		got := x.send(t, "POST", c.path, "List-Unsubscribe=One-Click", crossSite)
		if got.StatusCode != 200 || len(got.Cookies()) > 0 || got.Header.Get("Location") != "" || x.stops(t) != c.want {
			t.Errorf("%s: %d %q, stops %q, want %q", c.path, got.StatusCode, got.Header, x.stops(t), c.want)
		}
	}
	x.exec(t, `DELETE FROM mail_stops`)
	multipart := "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
	got := x.send(t, "POST", x.leave(marketingMail), multipart, withHeader("Content-Type",
		"multipart/form-data; boundary=b"))
	if got.StatusCode != 200 || x.stops(t) != "store_a//unsubscribed store_a/c1/unsubscribed" {
		t.Errorf("as multipart: %d %q", got.StatusCode, x.stops(t))
	}
}

// The page has a button for each scope; what it says afterwards, and how to undo it.
func TestLeavePage(t *testing.T) {
	t.Parallel()
	x := openMailed(t, nil)
	page := x.get(t, x.leave(marketingMail))
	for _, want := range []string{"Emails from <bdi>Ada&#39;s &lt;b&gt;beats&lt;/b&gt;</bdi>", `value="kind"`,
		`value="store"`,
		`value="all"`, `value="no-tracking"`} {
		if !strings.Contains(page.text, want) {
			t.Errorf("the page lacks %s:\n%s", want, page.text)
		}
	}
	if strings.Contains(page.text, "a@example.com") || strings.Contains(page.text, "<script") ||
		!strings.Contains(page.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("an address, a script or a weak policy: %s", page.text)
	}
	for _, c := range []struct{ do, stops, says, lacks string }{
		{"", "", "Choose what to stop", "Get emails again"},
		{"nonsense", "", "Choose what to stop", "Get emails again"},
		{"kind", "store_a/c1/unsubscribed", "emails of this kind", `value="kind"`},
		{"store", "store_a//unsubscribed store_a/c1/unsubscribed", "no longer get news from", `value="store"`},
		{"all", "//unsubscribed store_a//unsubscribed store_a/c1/unsubscribed", "any store", `value="all"`},
		{"again", "//unsubscribed", "News from all stores is still stopped.", "You get emails again"},
		{"again-all", "", "You get emails again. What you stopped at another store alone stays stopped.", `value="again`},
		{"no-tracking", "", "no longer recorded", `value="no-tracking"`},
	} {
		got := x.send(t, "POST", x.leave(marketingMail), url.Values{"do": {c.do}}.Encode())
		if got.StatusCode != 200 || x.stops(t) != c.stops || !strings.Contains(got.text, c.says) ||
			strings.Contains(got.text, c.lacks) {
			t.Errorf("%q: %d, stops %q:\n%s", c.do, got.StatusCode, x.stops(t), got.text)
		}
	}
	x.wantCount(t, `SELECT count(*) FROM mail_consents WHERE kind = 'tracking' AND state = 'denied'`, 1)
	if got := x.get(t, x.leave(lostMail)); !strings.Contains(got.text, "no longer stored") {
		t.Errorf("of no mail: %s", got.text)
	}
	if got := x.get(t, x.leave(testMail)); !strings.Contains(got.text, "This was a test") {
		t.Errorf("a test: %s", got.text)
	}
}

// In a mail of service the buttons against news say that they end its kind too, and so does the page. Of one store
// emails of this kind come again without lifting what the person said of all.
func TestLeavePageOfService(t *testing.T) {
	t.Parallel()
	x := openMailed(t, nil)
	for _, c := range []struct{ do, stops, says, button, lacks string }{
		{"", "", "Choose what to stop", "stores here, and emails of this kind</button>", "again"},
		{"store", "store_a//unsubscribed store_a/c1/unsubscribed", "</bdi>, nor emails of this kind.", ">Get emails again<",
			"and emails of this kind"},
		{"again", "", "You get emails again.", "</bdi>, and emails of this kind</button>", "nor emails"},
		{"all", "//unsubscribed store_a/c1/unsubscribed", "any store here, nor emails of this kind.",
			">Get emails from all stores again<", ">Get emails again<"},
		{"again", "//unsubscribed", "You get emails of this kind again.", ">Get emails from all stores again<",
			"nor emails"},
		{"again-all", "", "You get emails again. What you stopped at", ">Stop emails of this kind<", "No longer"},
	} {
		got := x.send(t, "POST", x.leave(serviceMail), "do="+c.do)
		if got.StatusCode != 200 || x.stops(t) != c.stops || !strings.Contains(got.text, c.says) ||
			!strings.Contains(got.text, c.button) || strings.Contains(got.text, c.lacks) {
			t.Errorf("%q: %d, stops %q:\n%s", c.do, got.StatusCode, x.stops(t), got.text)
		}
	}
}

// The link of a mail that is no longer stored stops mail still. Mail that a consent is missing for is not
// offered again.
func TestLeavePageWithoutAConsent(t *testing.T) {
	t.Parallel()
	x := openMailed(t, nil)
	x.exec(t, `UPDATE mail_consents SET state = 'denied' WHERE kind = 'marketing'`)
	page := x.send(t, "POST", x.leave(marketingMail), "do=store")
	if !strings.Contains(page.text, "You said no to news from") || strings.Contains(page.text, `value="again"`) {
		t.Errorf("mail is offered again to one who said no:\n%s", page.text)
	}
	page = x.send(t, "POST", x.leave(serviceMail), "do=kind")
	if !strings.Contains(page.text, "nor emails of this kind") || !strings.Contains(page.text, "Get emails again") {
		t.Errorf("of service:\n%s", page.text)
	}
	x.exec(t, `DELETE FROM mail_stops`)
	x.exec(t, `DELETE FROM mails`)
	link := "/mail/u/" + x.keys.Leave(mail.Ticket{Mail: marketingMail, Store: "store_a", Campaign: "c1",
		Class: "marketing", Hash: bytes.Repeat([]byte{1}, 32)})
	for _, c := range []struct{ do, stops, says, button string }{
		{"", "", "Emails from <bdi>Ada", ">Stop emails of this kind<"},
		{"kind", "store_a/c1/unsubscribed", "Done. You are unsubscribed.", ">Undo<"},
		{"again", "", "You are no longer unsubscribed.", ">Stop all news from"},
		{"no-tracking", "", "Your clicks are no longer recorded.", ">Stop all news from"},
	} {
		got := x.send(t, "POST", link, "do="+c.do)
		if got.StatusCode != 200 || x.stops(t) != c.stops || !strings.Contains(got.text, c.says) ||
			!strings.Contains(got.text, c.button) || strings.Contains(got.text, "You said no") {
			t.Errorf("%q of a mail that is gone: %d, stops %q:\n%s", c.do, got.StatusCode, x.stops(t), got.text)
		}
	}
	if got := x.get(t, x.leave(marketingMail)); !strings.Contains(got.text, "no longer stored") {
		t.Errorf("a link of its id alone: %s", got.text)
	}
}

// A link leads to the address that was stored, and no request leads anywhere else.
func TestClickLeadsToStoredLinks(t *testing.T) {
	t.Parallel()
	x := openMailed(t, nil)
	got := x.get(t, "/mail/c/"+x.keys.Click(1, marketingMail)+"?u=https://evil.example")
	if got.StatusCode != http.StatusFound || got.Header.Get("Location") != "https://shop.example/a?b=c&d" {
		t.Errorf("%d %q", got.StatusCode, got.Header.Get("Location"))
	}
	for _, path := range []string{x.keys.Click(99, 0), x.keys.Leave(mail.Ticket{Mail: 1}), "1", "1.1.x",
		x.keys.Click(1, 1)[1:], url.PathEscape("//evil.example"), url.PathEscape("https://evil.example")} {
		if got := x.get(t, "/mail/c/"+path); got.StatusCode != 404 || got.Header.Get("Location") != "" {
			t.Errorf("%s: %d %q", path, got.StatusCode, got.Header.Get("Location"))
		}
	}
}

// A key that another process made is known at the next request.
func TestNewKeyOfLinks(t *testing.T) {
	t.Parallel()
	x := openMailed(t, nil)
	x.get(t, x.leave(marketingMail))
	r := storemail.NewRecipients(x.Cfg.Store)
	if err := r.AddKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys, err := r.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x.keys = keys
	if got := x.get(t, x.leave(marketingMail)); !strings.Contains(got.text, "Emails from") {
		t.Errorf("%s", got.text)
	}
}

func FuzzClicks(f *testing.F) {
	x := openMailed(f, nil)
	f.Add(x.keys.Click(1, 1), "")
	f.Add(x.keys.Click(2, 0), "u=https://evil.example")
	f.Add("https://evil.example", "url=//evil.example")
	f.Fuzz(func(t *testing.T, token, query string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", x.url+"/mail/c/"+url.PathEscape(token)+"?"+
			url.QueryEscape(query), nil)
		if err != nil {
			return // no request has such an address
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		switch to := res.Header.Get("Location"); to {
		case "", "https://shop.example/a?b=c&d", "https://other.example/":
		default:
			if !strings.HasPrefix(to, "/mail/c/") { // net/http cleans the path
				t.Errorf("%q %q leads to %q", token, query, to)
			}
		}
	})
}
