package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/web/core"
	"rollcall/web/operators"
)

func migrated(t testing.TB, database string) string {
	t.Helper()
	if _, err := migrations.Up(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	return database
}

// take puts events into the inbox and applies them one by one, and returns their
// ids. What cannot be applied stays as it is then.
func (x *site) take(t testing.TB, events ...store.NewEvent) (ids []int64) {
	t.Helper()
	in, err := x.Cfg.Store.InsertEvents(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range in {
		ids = append(ids, e.ID)
		if _, err := x.Cfg.Store.Apply(t.Context(), []int64{e.ID}, 0, facts.Read); err != nil &&
			!errors.As(err, new(*store.DeriveError)) {
			t.Fatal(err)
		}
	}
	return ids
}

// enrolledIn tells that somebody is in a course of store_a.
func enrolledIn(id, who string) store.NewEvent {
	return store.NewEvent{Source: "platform", EventID: id, Type: "enrollment.upserted", OccurredAt: now,
		Payload: fmt.Appendf(nil, `{"data":{"course_id":"c1","store_id":"store_a",%s}}`, who)}
}

// status is what has become of an event.
func (x *site) status(t testing.TB, id int64) string {
	t.Helper()
	e, err := inbox.New(x.Cfg.Store).Event(t.Context(), fmt.Sprint(id))
	if err != nil {
		t.Fatal(err)
	}
	return e.Status
}

func TestEventsPage(t *testing.T) {
	x := open(t, nil)
	wants(t, x.page(t, "/admin/events"), "No events yet")
	x.fillEvents(t)
	x.operators.Status.Forget()
	all := x.page(t, "/admin/events")
	wants(t, all, `<a href="/admin/events/1">`, "charge.refunded", "evt_1", "unknown",
		`id="state-5"><span class="state failed">failed</span>`,
		`href="/admin/reopen?do=retry"`, `href="/admin/events?status=failed"`, `<option value="product.upserted">`,
		`hx-get="/admin/event-states?ids=1"`)
	wants(t, x.page(t, "/admin/events?status=failed&source="), "p_2", "!evt_1", "Retry all that match",
		`href="/admin/reopen?do=retry&amp;status=failed"`, "Status: failed")
	wants(t, x.page(t, "/admin/events?id=msg_1"), "msg_1", "!msg_2", `!id="counts"`) // counts are of all events
	wants(t, x.page(t, "/admin/events?error=WHY&since=2026-01-01&until=2100-01-01"), "p_2", "!p_1", "Error contains: WHY",
		`value="WHY"`)
	wants(t, x.page(t, "/admin/events?type=none"), "No events match")
	wants(t, x.page(t, "/admin/events?opened=3"), "3 events are pending again.")
	for _, bad := range []string{"status=open", "since=yesterday", "page=2", "cursor=x", "source=paypal"} {
		if got := x.get(t, "/admin/events?"+bad, asAdmin); got.StatusCode != 400 ||
			!strings.Contains(got.text, "That filter isn’t valid") {
			t.Errorf("%s: %d %s", bad, got.StatusCode, got.text)
		}
	}
}

// fillEvents adds one event of each status.
func (x *site) fillEvents(t testing.TB) {
	t.Helper()
	x.exec(t, fillEventsSQL)
}

// A list longer than a page goes on by a link, which a script follows by itself.
func TestEventsPages(t *testing.T) {
	x := open(t, nil)
	x.exec(t, `INSERT INTO webhook_events (source, event_id, type, occurred_at, payload) SELECT 'stripe', 'evt_' || i, 'a',
		now(), '{}' FROM generate_series(1, 120) i`)
	further := regexp.MustCompile(`href="(/admin/events\?[^"]*cursor=[^"]+)"`)
	var ids []string
	path := "/admin/events?type=a"
	for n := 0; path != ""; n++ {
		text := x.page(t, path, func(r *http.Request) { r.Header.Set("HX-Request", fmt.Sprint(n > 0)) })
		if n > 0 {
			wants(t, text, "!<html", "!figures")
		}
		for _, m := range regexp.MustCompile(`href="/admin/events/(\d+)"`).FindAllStringSubmatch(text, -1) {
			ids = append(ids, m[1])
		}
		path = ""
		if m := further.FindStringSubmatch(text); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	if len(ids) != 120 || ids[0] != "120" || ids[119] != "1" {
		t.Errorf("%d %v", len(ids), ids)
	}
	results := x.get(t, "/admin/events?status=pending", asAdmin, asScript)
	wants(t, results.text, `<div id="results">`, "!<html")
	if results.Header.Get("HX-Push-Url") != "/admin/events?status=pending" {
		t.Errorf("%v", results.Header)
	}
	counts := x.page(t, "/admin/events?status=pending", asScript, withHeader("HX-Target", "counts"))
	wants(t, counts, `<section class="figures" id="counts"`, `aria-current="true"`, "120", "!evt_1")
}

// The rows of a list are told what became of those that were pending.
func TestEventStates(t *testing.T) {
	x := open(t, nil)
	x.fillEvents(t)
	text := x.page(t, "/admin/event-states?ids=1,2,99")
	wants(t, text, `<span id="state-2" hx-swap-oob="true"><span class="state processed">`,
		`<span id="state-1" hx-swap-oob="true"><span class="state pending">`, `hx-get="/admin/event-states?ids=1"`,
		"!state-99")
	x.exec(t, `UPDATE webhook_events SET status = 'processed', processed_at = now(), attempts = 3 WHERE id = 1`)
	wants(t, x.page(t, "/admin/event-states?ids=1"), "processed", "3 attempts", "!hx-get")
	for _, bad := range []string{"", "ids=", "ids=x", "ids=1,,2", "ids=" + strings.Repeat("1,", 100) + "1"} {
		if got := x.get(t, "/admin/event-states?"+bad, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", bad, got.StatusCode)
		}
	}
}

// An event tells what it changed, by links to those on whose row it shows.
func TestEventPage(t *testing.T) {
	x := open(t, nil)
	one := enrolledIn("evt_1", `"email":"ann@x.example","progress":10`)
	one.Headers = []byte(`{"User-Agent":"curl/8"}`)
	two := enrolledIn("evt_2", `"email":"ann@x.example","progress":50`)
	two.OccurredAt = now.AddDate(0, 0, 1)
	ids := x.take(t, one, two, enrolledIn("evt_3", `"user_id":"user_1"`))
	old := x.page(t, "/admin/events/evt_1")
	wants(t, old, "replaced by a newer event", fmt.Sprintf(`<a href="/admin/events/%d">`, ids[1]),
		`<a href="/store/store_a/customers/`+x.id(t, core.CustomerID, 1)+`"><bdi>ann@x.example</bdi></a>`, "curl/8",
		`action="/admin/events/1/replay"`, "!hx-trigger")
	wants(t, x.page(t, "/admin/events/2"), "current", "No headers are stored")
	wants(t, x.page(t, "/admin/events/3"), `Missing: <a href="/admin/unattached/user_unknown">`,
		"Clerk has never reported its user")
	var told struct {
		Facts  []inbox.EventFact
		Silent string
	}
	unmarshal(t, x.get(t, "/api/admin/events/evt_1/facts", asAdmin), &told)
	if len(told.Facts) != 1 || told.Facts[0].Standing != inbox.Newer ||
		told.Facts[0].Customers[0].Email != "ann@x.example" || told.Facts[0].Says["progress"] != 10.0 ||
		*told.Facts[0].Newer.Event.ID != ids[1] {
		t.Errorf("%+v", told)
	}
	x.take(t, store.NewEvent{Source: "platform", EventID: "evt_4", Type: "party.thrown", OccurredAt: now,
		Payload: []byte(`{}`)})
	x.exec(t, `UPDATE webhook_events SET payload = NULL, headers = NULL, pruned_at = now(), pruned_for = 'age'
		WHERE event_id = 'evt_2'`)
	unmarshal(t, x.get(t, "/api/admin/events/evt_2/facts", asAdmin), &told)
	if told.Silent != "the payload was deleted" || len(told.Facts) > 0 {
		t.Errorf("%+v", told)
	}
	unmarshal(t, x.get(t, "/api/admin/events/evt_4/facts", asAdmin), &told)
	if len(told.Facts) != 0 || !strings.Contains(told.Silent, "party.thrown") {
		t.Errorf("%+v", told)
	}
	if one := x.get(t, "/api/admin/events/evt_1", asAdmin); !strings.Contains(one.text,
		`"headers":{"User-Agent":"curl/8"},"payload":{`) {
		t.Errorf("%s", one.text)
	}
}

// A failed event is retried by its button, the queue is told and the log knows
// by whom; the page then keeps itself up to date.
func TestRetryOne(t *testing.T) {
	jobs := &asked{}
	x := open(t, func(c *core.Config) { c.Jobs = jobs })
	x.fillEvents(t)
	wants(t, x.page(t, "/admin/events/5"), `action="/admin/events/5/retry"`, "could not be applied", "why", "!hx-trigger")
	if to := x.submit(t, "/admin/events/5/retry", ""); to != "/admin/events/5" || x.status(t, 5) != "pending" {
		t.Errorf("%s %s", to, x.status(t, 5))
	}
	if diff := cmp.Diff([]string{"platform 5 retry"}, jobs.all); diff != "" {
		t.Error(diff)
	}
	wants(t, x.page(t, "/admin/events/5"), `<div id="fate" data-live hx-get="/admin/events/5" hx-trigger="every 1s"`,
		"waiting for a worker", "!/retry")
	wants(t, x.page(t, "/admin/events/5", asScript, withHeader("HX-Target", "fate")), `<div id="fate"`, "!<html",
		"!Payload")
	// once more, and one that did not fail
	for _, path := range []string{"/admin/events/5/retry", "/admin/events/2/retry"} {
		x.submit(t, path, "")
	}
	if x.status(t, 2) != "processed" || len(jobs.all) != 1 {
		t.Errorf("%s %v", x.status(t, 2), jobs.all)
	}
	x.submit(t, "/admin/events/msg_1/replay", "")
	if x.status(t, 2) != "pending" {
		t.Errorf("%s", x.status(t, 2))
	}
	wants(t, x.log.String(), `"msg":"an operator has events applied again","who":"admin","from":"127.0.0.1",`+
		`"what":"retry","events":1`)
}

// The log says how events were chosen to be applied again, and how many by
// their ids, not what was typed; whose error it is, is not in the log either.
func TestReopenIsLoggedPlainly(t *testing.T) {
	x := open(t, nil)
	ids, err := json.Marshal(slices.Repeat([]int64{123456789}, 1000))
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"error":"ann@x.example","type":"ann@x.example","since":"1d"}`,
		`{"ids":` + string(ids) + `}`} {
		if a := x.send(t, "POST", "/api/admin/events/replay", body, withBearer(token),
			withHeader("Content-Type", "application/json")); a.StatusCode != http.StatusOK {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	}
	log := x.log.String()
	wants(t, log, `"filter":{"statuses":["failed","ignored"],"by":"error,since,type","ids":0,`, `"ids":1000`,
		"!ann@x.example")
	if n := strings.Count(log, "123456789"); n > 10 {
		t.Errorf("%d ids are in the log", n)
	}
}

// All that match are retried or replayed, after a page that tells how many.
func TestReopenMany(t *testing.T) {
	jobs := &asked{}
	x := open(t, func(c *core.Config) { c.Jobs = jobs })
	x.exec(t, `
		INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at, last_error)
		SELECT 'stripe', 'evt_' || i, 'invoice.paid', now(), '{}', s, CASE WHEN s = 'processed' THEN now() END,
			CASE WHEN s = 'failed' THEN 'no room ' || i END
		FROM (SELECT i, CASE WHEN i % 3 = 0 THEN 'failed' ELSE 'processed' END AS s FROM generate_series(1, 30) i) e`)
	asks := x.page(t, "/admin/reopen?do=retry&error=no+room+1")
	wants(t, asks, "Retry 3 events?", "Error contains: no room 1", `<input type="hidden" name="error" value="no room 1">`,
		`<input type="hidden" name="through" value="30">`)
	form := url.Values{}
	for _, m := range regexp.MustCompile(`name="(\w+)" value="([^"]*)"`).FindAllStringSubmatch(
		asks[strings.Index(asks, `action="/admin/reopen"`):], -1) {
		form.Set(m[1], m[2])
	}
	if to := x.submit(t, "/admin/reopen", form.Encode()); to != "/admin/events?error=no+room+1&opened=3" {
		t.Errorf("%s", to)
	}
	if diff := cmp.Diff([]string{"stripe 12 retry", "stripe 15 retry", "stripe 18 retry"}, jobs.all); diff != "" {
		t.Error(diff)
	}
	wants(t, x.page(t, "/admin/reopen?do=retry"), "Retry 7 events?", "All failed events.")
	wants(t, x.page(t, "/admin/reopen?do=replay&status=processed"), "Replay 20 events?", "Nothing is counted twice")
	wants(t, x.page(t, "/admin/reopen?do=replay&status=pending"), "No events match",
		"!<form method=\"post\" action=\"/admin/reopen\"")
	wants(t, x.page(t, "/admin/reopen?do=retry&status=processed"), "No events match")
	if to := x.submit(t, "/admin/reopen", "do=replay&through=10"); to != "/admin/events?opened=10" ||
		x.status(t, 10) != "pending" || x.status(t, 11) != "processed" {
		t.Errorf("%s", to)
	}
	for _, bad := range []string{"", "do=delete", "do=retry&status=x", "do=retry&after=x", "do=retry&through=-1",
		"do=retry&page=1", "do=retry&since=x"} {
		if got := x.get(t, "/admin/reopen?"+bad, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", bad, got.StatusCode)
		}
		if got := x.send(t, "POST", "/admin/reopen", bad, asAdmin); got.StatusCode != 400 {
			t.Errorf("POST %s: %d", bad, got.StatusCode)
		}
	}
	from := withHeader("Origin", "https://evil.example")
	if got := x.send(t, "POST", "/admin/reopen", "do=replay", asAdmin, from); got.StatusCode != 403 ||
		x.status(t, 11) != "processed" {
		t.Errorf("%d", got.StatusCode)
	}
}

// More than a request can take are taken in portions, each event once.
func TestReopenInPortions(t *testing.T) {
	t.Parallel()
	const more = 5_000
	x := open(t, func(c *core.Config) { c.Jobs = &asked{} })
	x.exec(t, `
		INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, processed_at)
		SELECT 'stripe', 'evt_' || i, 'a', now(), '{}', 'processed', now() FROM generate_series(1, $1::int) i`,
		operators.ReopenPortion+more+7)
	wants(t, x.page(t, "/admin/reopen?do=replay"), "Replay more than 100,000 events?")
	to := x.submit(t, "/admin/reopen", fmt.Sprintf("do=replay&through=%d", operators.ReopenPortion+more+2))
	if want := fmt.Sprintf("/admin/reopen?after=%d&do=replay&opened=%[1]d&through=%d", operators.ReopenPortion,
		operators.ReopenPortion+more+2); to != want {
		t.Fatalf("%s, want %s", to, want)
	}
	// Those of the first portion are applied meanwhile: they do not come round.
	x.exec(t, `UPDATE webhook_events SET status = 'processed', processed_at = now() WHERE id <= 1000`)
	wants(t, x.page(t, to), "100,000 events are pending again. There may be more.", "Replay 5,002 events")
	if to := x.submit(t, "/admin/reopen", to[strings.Index(to, "?")+1:]); to != "/admin/events?opened=5002" {
		t.Errorf("%s", to)
	}
	if x.status(t, 1) != "processed" || x.status(t, operators.ReopenPortion+more+2) != "pending" ||
		x.status(t, operators.ReopenPortion+more+3) != "processed" {
		t.Error("other events were opened than those meant")
	}
}

func TestReopenAPI(t *testing.T) {
	jobs := &asked{err: errors.New("Redis is away")}
	x := open(t, func(c *core.Config) { c.Jobs = jobs })
	x.fillEvents(t)
	post := func(do, body string) answer {
		return x.send(t, "POST", "/api/admin/events/"+do, body, asAdmin, asJSON)
	}
	for _, c := range []struct{ do, body, want string }{
		{"retry", `{"source":"clerk"}`, `{"opened":0,"enqueued":0,"after":0,"through":0}`},
		{"retry", `{"all":true}`, `{"opened":1,"enqueued":0,"after":0,"through":0}`},
		{"replay", `{"ids":[2,4,1,77]}`, `{"opened":2,"enqueued":0,"after":0,"through":0}`},
		{"replay", `{"ids":[]}`, `{"opened":0,"enqueued":0,"after":0,"through":0}`},
		{"replay", `{"type":"user.created","since":"1h"}`, `{"opened":1,"enqueued":0,"after":0,"through":0}`},
	} {
		if got := post(c.do, c.body); got.StatusCode != 200 || got.text != c.want+"\n" {
			t.Errorf("%s %s: %d %s", c.do, c.body, got.StatusCode, got.text)
		}
	}
	for body, want := range map[string]string{`{}`: "400 invalid_body", `{"everything":true}`: "400 invalid_body",
		`{"status":"x"}`: "400 invalid_parameter", `{"since":"x"}`: "400 invalid_parameter", `[]`: "400 invalid_body"} {
		if got := post("replay", body); fmt.Sprint(got.StatusCode, " ", got.code(t)) != want {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.text)
		}
	}
}

// Opening many heeds that whoever asked has gone.
func TestReopenStops(t *testing.T) {
	x := open(t, nil)
	x.fillEvents(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("POST", "/admin/reopen", nil).WithContext(ctx)
	if _, err := x.operators.Reopen(r, "replay", "", store.ReopenFilter{Statuses: []string{"processed"}}); !errors.Is(
		err, context.Canceled) || x.status(t, 2) != "processed" {
		t.Errorf("%v", err)
	}
}

// A failed event that no retry can help is put to rest: it stays, with who did it and
// why, counts as failed no more, and can still be replayed.
func TestDismiss(t *testing.T) {
	jobs := &asked{}
	x := open(t, func(c *core.Config) { c.Jobs = jobs })
	x.exec(t, `
		INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, last_error, processed_at)
		SELECT 'platform', 'evt_' || i, 'enrollment.upserted', now(), '{}', s, 
			CASE s WHEN 'failed' THEN 'course_id is missing' END, CASE s WHEN 'processed' THEN now() END
		FROM (SELECT i, CASE WHEN i < 6 THEN 'failed' ELSE 'processed' END AS s FROM generate_series(1, 6) i) e`)
	wants(t, x.page(t, "/admin/events/1"), `action="/admin/events/1/dismiss"`)
	why := "sent again <under> a new id"
	x.submit(t, "/admin/events/1/dismiss", url.Values{"why": {why}}.Encode())
	wants(t, x.page(t, "/admin/events/1"), "Dismissed by admin", "sent again &lt;under&gt; a new id",
		"course_id is missing", "!/dismiss", "/admin/events/1/replay")
	for _, bad := range []string{"", "++", "why=+", "why=" + strings.Repeat("x", 501)} { // no reason, no dismissal
		if a := x.send(t, "POST", "/admin/events/2/dismiss", bad, asAdmin,
			withHeader("Content-Type", "application/x-www-form-urlencoded")); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%.20q: %d", bad, a.StatusCode)
		}
	}
	x.submit(t, "/admin/events/6/dismiss", "why=processed")
	asJSON := withHeader("Content-Type", "application/json")
	for body, want := range map[string]int{`{"ids":[2]}`: 400, `{"why":"x"}`: 400,
		`{"ids":[2],"why":"wrong payload"}`: 200} {
		if a := x.send(t, "POST", "/api/admin/events/dismiss", body, withBearer(token), asJSON); a.StatusCode != want {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.text)
		}
	}
	wants(t, x.page(t, "/admin/reopen?do=dismiss&type=enrollment.upserted"), "Dismiss 3 events?", `name="why"`)
	x.submit(t, "/admin/reopen", "do=dismiss&through=5&type=enrollment.upserted&why=all+wrong")
	var list struct {
		Data   []store.Event
		Counts map[string]int
	}
	unmarshal(t, x.get(t, "/api/admin/events?dismissed=yes", asAdmin), &list)
	if len(list.Data) != 5 || list.Counts["failed"] != 0 || list.Counts["ignored"] != 5 || list.Counts["processed"] != 1 ||
		*list.Data[0].DismissedWhy != "all wrong" || *list.Data[0].DismissedBy != "admin" ||
		*list.Data[0].LastError != "course_id is missing" {
		t.Errorf("%+v", list)
	}
	if len(jobs.all) != 0 {
		t.Errorf("%v", jobs.all)
	}
	x.submit(t, "/admin/events/3/replay", "")
	wants(t, x.page(t, "/admin/events/3"), "waiting for a worker", "!Dismissed by")
	// To replay what was dismissed is to replay nothing else.
	wants(t, x.page(t, "/admin/reopen?do=replay&dismissed=yes"), "Replay 4 events?")
	a := x.send(t, "POST", "/api/admin/events/replay", `{"dismissed":"yes"}`, withBearer(token), asJSON)
	if !strings.Contains(a.text, `"opened":4`) || x.status(t, 6) != "processed" {
		t.Errorf("%s; the processed one is %s", a.text, x.status(t, 6))
	}
}
