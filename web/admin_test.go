package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"rollcall/internal/show"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/status"
	"rollcall/web/core"
	"rollcall/web/operators"
)

// page asks for a page of the operators', which must be there.
func (x *site) page(t testing.TB, path string, who ...as) string {
	t.Helper()
	got := x.get(t, path, append(who, asAdmin)...)
	if got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%s: %d %s", path, got.StatusCode, got.text)
	}
	return got.text
}

// wants checks that a text has all of these in it, and those behind "!" not.
func wants(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		unwanted, not := strings.CutPrefix(part, "!")
		if has := strings.Contains(text, unwanted); has == not {
			t.Errorf("it has %q: %v: %.3000s", unwanted, has, text)
		}
	}
}

// submit sends a form of a page as an operator, and returns where it leads.
func (x *site) submit(t testing.TB, path, body string) string {
	t.Helper()
	got := x.send(t, "POST", path, body, asAdmin)
	if got.StatusCode != 303 {
		t.Fatalf("%s: %d %s", path, got.StatusCode, got.text)
	}
	return got.Header.Get("Location")
}

var asScript = withHeader("HX-Request", "true")

// Every page marks where it is, and leads to the others.
func TestAdminNavigation(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	x.begin(t, `{"kind": "clerk"}`)
	for path, here := range map[string]string{
		"/admin": "/admin", "/admin/rejected": "/admin", "/admin/events": "/admin/events", "/admin/events/1": "/admin/events",
		"/admin/reopen?do=retry": "/admin/events",
		"/admin/unattached":      "/admin/unattached", "/admin/unattached/user_unknown": "/admin/unattached",
		"/admin/backfills":   "/admin/backfills",
		"/admin/backfills/1": "/admin/backfills", "/admin/stores": "/admin/stores",
		"/admin/stores/store_a": "/admin/stores",
	} {
		text := x.page(t, path)
		wants(t, text, `<a href="`+here+`" aria-current="page">`)
		if strings.Count(text, `aria-current="page"`) != 1 {
			t.Errorf("%s: more than one is current", path)
		}
		for _, tab := range core.Tabs {
			wants(t, text, `<a href="`+tab.URL+`"`)
		}
		if inline := regexp.MustCompile(`<script>|<style|\sstyle=|\son[a-z]+=`).FindString(text); inline != "" {
			t.Errorf("%s: %s", path, inline)
		}
	}
	for _, path := range []string{"/admin/events/99", "/admin/stores/none", "/admin/unattached/boredom",
		"/admin/backfills/7",
		"/admin/backfills/x", "/admin/nothing"} {
		if got := x.get(t, path, asAdmin); got.StatusCode != 404 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}

// What a sender wrote, however ill-meant, stands on the pages as text.
func TestHostileWords(t *testing.T) {
	x := open(t, nil)
	const evil = `<script>alert("x")</script>`
	const rtl = "\u202etxt.exe\u2066\x01"
	payload, err := json.Marshal(
		map[string]any{"type": evil, "data": map[string]any{"course_id": evil, "store_id": evil + rtl, "user_id": evil,
			"name": rtl}})
	if err != nil {
		t.Fatal(err)
	}
	headers, err := json.Marshal(map[string]string{"X-Evil": evil + rtl})
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Cfg.Store.InsertEvents(t.Context(), []store.NewEvent{
		{Source: "platform", EventID: "a" + evil + rtl, Type: evil + rtl, Account: evil, APIVersion: evil, OccurredAt: now,
			Payload: payload, Headers: headers},
		{Source: "platform", EventID: "b", Type: "enrollment.upserted", OccurredAt: now, Payload: payload},
	})
	if err != nil {
		t.Fatal(err)
	}
	x.exec(t, `UPDATE webhook_events SET status = 'failed', last_error = $1`, evil+"\u202e")
	x.exec(t, `INSERT INTO stores (id, name, version) VALUES ($1, $2, 'v')`, evil+"\u202e", evil+"\u202e")
	x.exec(t, `
		INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version,
			enrolled_version, completed_version, deleted_version, store_id, unattached)
		VALUES ($1, 'user:' || $1, 'v', '', '', '', '', '', '', '', $1, 'user_unknown'),
			($1, 'email:' || $1, 'v', '', '', '', '', '', '', '', $1, 'derive_failed: ' || $1)`, evil+"\u202e")
	x.exec(t, `INSERT INTO backfills (kind, scope, options, status, reason, chunk_size, started_by, started_at, ended_at)
		VALUES ('convex', $1, jsonb_build_object('file', $1::text), 'failed', $1, 1, $1, now(), now())`, evil+"\u202e")
	x.exec(t, `INSERT INTO backfill_errors (backfill_id, place, what, why) VALUES (1, $1, $1, $1)`, evil+"\u202e")
	q := url.Values{"error": {evil + "\u202e"}, "type": {evil}}.Encode()
	for _, path := range []string{"/admin", "/admin/events", "/admin/events/1", "/admin/events/2", "/admin/events?" + q,
		"/admin/reopen?do=retry&" + q, "/admin/unattached", "/admin/unattached/user_unknown",
		"/admin/unattached/derive_failed", "/admin/unattached?store=" + url.QueryEscape(evil+"\u202e"), "/admin/backfills",
		"/admin/backfills/1", "/admin/stores", "/admin/stores?q=" + url.QueryEscape(evil),
		"/admin/stores/" + url.PathEscape(evil+"\u202e")} {
		// What was asked for stands in fields as it was typed.
		text := regexp.MustCompile(` value="[^"]*"`).ReplaceAllString(x.page(t, path), "")
		wants(t, text, "!"+evil, "!\u202e", "!\u2066", "!\x01")
	}
	wants(t, x.page(t, "/admin/events/1"), "&lt;script&gt;alert(", `\u202etxt.exe\u2066\u0001`, "X-Evil",
		"None (see the error above)")
	wants(t, x.page(t, "/admin/events/2"), "enrollment:&lt;script&gt;", "not applied")
}

// A payload of any size and shape is shown, laid out unless it would grow beyond
// all bounds.
func TestPayloadShown(t *testing.T) {
	for name, c := range map[string]struct {
		payload, want string
		raw           bool
	}{
		"small": {`{"a":[1,"x, {\"y\"}"]}`, "{\n  \"a\": [\n    1,\n    \"x, {\\\"y\\\"}\"\n  ]\n}", false},
		"deep": {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat("[", 5000) +
			strings.Repeat("]", 5000), true},
		"wide":       {"[" + strings.Repeat("1,", 500_000) + "1]", "[\n  1,\n", false},
		"wide, deep": {strings.Repeat("[", 64) + strings.Repeat("1,", 500_000) + "1" + strings.Repeat("]", 64), "[[[", true},
		"no UTF-8":   {"{\"a\":\"\xff\u200f\"}", "{\n  \"a\": \"\ufffd\\u200f\"\n}", false},
		"no JSON":    {`{"a":`, `{"a":`, true},
	} {
		text, raw := operators.LaidOut([]byte(c.payload))
		if !strings.HasPrefix(text, c.want) || raw != c.raw || len(text) > operators.MaxLaidOut {
			t.Errorf("%s: %v %d bytes: %.100s", name, raw, len(text), text)
		}
	}
	x := open(t, nil)
	large := `{"data":{"object":{"id":"cus_1","name":"` + strings.Repeat("<", 1<<20-100) + `"}}}`
	if _, err := x.Cfg.Store.InsertEvents(t.Context(),
		[]store.NewEvent{
			{Source: "stripe", EventID: "e", Type: "customer.created", OccurredAt: now, Payload: []byte(large)}}); err != nil {
		t.Fatal(err)
	}
	if text := x.page(t, "/admin/events/1"); strings.Count(text, "&lt;") < 1<<20-100 {
		t.Errorf("%d bytes", len(text))
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{"": "", "plain é 日本 \t\n": "plain é 日本 \t\n", "a\u202eb": `a\u202eb`,
		"\x00\u2028\ufeff\u00ad": `\u0000\u2028\ufeff\u00ad`, "\U000e0041": `\udb40\udc41`} {
		if got := show.VisibleLines(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0 ms", 20 * time.Millisecond: "20 ms",
		59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s", 25 * time.Hour: "25 h 0 min", 49 * time.Hour: "2 days"} {
		if got := show.Lasted(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

// Whatever is away is shown as away; what else can be told is told.
func TestHealthPage(t *testing.T) {
	t.Parallel()
	servers := testdb.Private(t)
	x := openOn(t, migrated(t, servers.DatabaseURL), servers.RedisURL, nil)
	x.exec(t, `INSERT INTO stores (id, version) VALUES ('store_a', 'v')`)
	x.fillEvents(t)
	x.begin(t, `{"kind": "clerk"}`)
	look := func() string { x.operators.Status.Forget(); return x.page(t, "/admin") }
	wants(t, look(), "Postgres</b> up", "Redis</b> up", "Workers</b> none", "No worker is running", "1 event failed.",
		`href="/admin/events?status=failed"`, "charge.refunded", `<a id="s-clerk" href="/admin/events?source=clerk">`,
		"Nothing is missing", `href="/admin/backfills/1"`)
	part := x.page(t, "/admin", asScript)
	wants(t, part, `<div id="vitals"`, "!<html")
	var v operators.Vitals
	unmarshal(t, x.get(t, "/api/admin/health", asAdmin), &v)
	if v.Postgres != "ok" || v.Redis != "ok" || v.Inbox.Counts["processed"] != 2 ||
		v.Inbox.OldestPending.EventID != "evt_1" || v.Workers == nil || len(v.Inbox.Sources) != 3 {
		t.Errorf("%+v", v)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	x.exec(t, `INSERT INTO watches (name, state, since, detail, fix, checked_at) VALUES
		('source_silent/clerk', 'warning', '2026-01-12T07:00Z', 'nothing from clerk for 9 hours: is its endpoint missing?',
			'rollcall backfill start clerk', now()),
		('events_failing/stripe/charge.refunded', 'problem', '2026-01-12T08:00Z', '1 event <of> type',
			'rollcall events retry', now()),
		('bad_signatures/clerk', 'ok', now(), '', '', now())`)
	wants(t, look(), "nothing from clerk for 9 hours: is its endpoint missing?<", "12 Jan 2026, 07:00 UTC",
		"<pre>rollcall backfill start clerk</pre>", `href="/admin/events?source=clerk"`,
		"1 event &lt;of&gt; type.", `href="/admin/events?source=stripe&amp;status=failed&amp;type=charge.refunded"`,
		"!1 event failed.", "!bad_signatures")
	x.operators.Status.Forget()
	unmarshal(t, x.get(t, "/api/admin/health", asAdmin), &v)
	if len(v.Inbox.Watches) != 2 || v.Inbox.Watches[0].Name != "events_failing/stripe/charge.refunded" {
		t.Errorf("%+v", v.Inbox.Watches)
	}
	must(servers.StopRedis())
	wants(t, look(), "Redis</b> down", "Workers</b> unknown", "Events are stored", "charge.refunded")
	must(servers.StopPostgres())
	wants(t, look(), "Postgres</b> down", "nothing is lost", "!charge.refunded")
	must(servers.StartPostgres(t.Context()))
	must(servers.StartRedis(t.Context()))
	wants(t, look(), "Postgres</b> up", "Redis</b> up", "charge.refunded")
}

func TestMonitoringReadOnly(t *testing.T) {
	redis := testdb.Redis(t)
	x := openOn(t, testdb.Postgres(t), redis, func(c *core.Config) { c.MonitoringReadOnly = true })
	if got := x.send(t, "POST", "/monitoring/api/queues/stripe:pause", "", asAdmin); got.StatusCode != 405 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if got := x.get(t, "/monitoring/api/queues", asAdmin); got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestStoresPage(t *testing.T) {
	x := open(t, nil)
	wants(t, x.page(t, "/admin/stores"), "No stores yet")
	x.exec(t, `INSERT INTO customers (store_id, email) SELECT 'store_' || lpad((i % 60)::text, 2, '0'),
		'p' || i || '@x.example' FROM generate_series(1, 180) i`)
	x.exec(t, `INSERT INTO stores (id, name, version) VALUES ('store_07', 'Beats & Co', 'v')`)
	first := x.page(t, "/admin/stores")
	next := regexp.MustCompile(`href="(/admin/stores\?cursor=[^"]+)"`).FindStringSubmatch(first)
	if next == nil || strings.Count(first, `<a href="/admin/stores/store_`) != 50 {
		t.Fatalf("%d stores: %s", strings.Count(first, `<a href="/admin/stores/store_`), first)
	}
	wants(t, first, `<a href="/admin/stores/store_07"><bdi>Beats &amp; Co</bdi></a>`, `<td class="number">3</td>`,
		"<em>name unknown</em>", "<th>Store</th>", "Enrollments</th>")
	rest := x.page(t, next[1], asScript)
	wants(t, rest, "store_59", "!<html", "!further")
	wants(t, x.page(t, "/admin/stores?q=BEATS"), "store_07", "!store_08")
	wants(t, x.page(t, "/admin/stores?q=nobody"), "No stores match")
	if bad := x.get(t, "/admin/stores?sort=x", asAdmin); bad.StatusCode != 400 || !strings.Contains(bad.text, "sort: ") {
		t.Errorf("%d %s", bad.StatusCode, bad.text)
	}
	if all := pages[status.StoreLine](t, x, "/api/admin/stores?limit=7"); len(all) != 60 || all[7].ID != "store_07" ||
		all[7].Customers != 3 {
		t.Errorf("%d", len(all))
	}
	if bad := x.get(t, "/api/admin/stores?page=2", asAdmin); bad.StatusCode != 400 ||
		fmt.Sprint(bad.code(t)) != "invalid_parameter" {
		t.Errorf("%d %s", bad.StatusCode, bad.text)
	}
}
