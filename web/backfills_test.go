package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/web/access"
	"rollcall/web/core"
)

const backfills = "/api/admin/backfills"

// asked keeps what workers are asked for.
type asked struct {
	all []string
	err error
}

func (a *asked) EnqueueBackfill(_ context.Context, backfill int64, chunk int, round string) error {
	a.all = append(a.all, fmt.Sprintf("%d %d %q", backfill, chunk, round))
	return a.err
}

func (a *asked) EnqueueEvent(_ context.Context, source string, id int64, round string) error {
	kind, _, _ := strings.Cut(round, "-")
	a.all = append(a.all, fmt.Sprintf("%s %d %s", source, id, kind))
	return a.err
}

var asJSON = withHeader("Content-Type", "application/json; charset=utf-8")

// begin starts a run as an operator's program would.
func (x *site) begin(t testing.TB, body string) answer {
	t.Helper()
	return x.send(t, "POST", backfills, body, asAdmin, asJSON)
}

// form is an answer without the times in it.
func (a answer) form() string {
	return regexp.MustCompile(`"(as_of|created_at|ended_at)":"[^"]+"`).ReplaceAllString(a.text, `"$1"`)
}

func TestStartBackfill(t *testing.T) {
	jobs := &asked{}
	x := open(t, func(c *core.Config) { c.Jobs = jobs })
	got := x.begin(t, `{"kind": "courses", "store": "store_a", "chunk_size": 50}`)
	want := `{"id":1,"kind":"courses","scope":"store_a","options":{"store":"store_a","as_of"},"dry_run":false,` +
		`"status":"queued","reason":null,` +
		`"expected":null,"seen":0,"created":0,"updated":0,"unchanged":0,"errors":0,"customers":0,"chunk_size":50,` +
		`"started_by":"api",` +
		`"created_at","started_at":null,"ended_at":null}` + "\n"
	if diff := cmp.Diff(want, got.form()); diff != "" || got.StatusCode != 202 ||
		got.Header.Get("Location") != "/api/admin/backfills/1" {
		t.Errorf("%d %v %s", got.StatusCode, got.Header, diff)
	}
	if diff := cmp.Diff([]string{`1 0 ""`}, jobs.all); diff != "" {
		t.Error(diff)
	}

	again := x.begin(t, `{"kind": "courses", "store": "store_a"}`)
	if again.StatusCode != 409 || again.code(t) != "already_running" || !strings.Contains(again.text, "Backfill 1 ") ||
		!strings.Contains(again.text, "queued") {
		t.Errorf("%d %s", again.StatusCode, again.text)
	}
	if other := x.begin(t, `{"kind": "courses"}`); other.StatusCode != 202 {
		t.Errorf("another scope: %d %s", other.StatusCode, other.text)
	}
	if len(jobs.all) != 2 {
		t.Errorf("%q", jobs.all)
	}
}

// TestStartOptions: all that may be asked for reaches the run.
func TestStartOptions(t *testing.T) {
	x := open(t, nil)
	x.exec(t, `INSERT INTO stores (id, stripe_account_id, version) VALUES ('b', 'acct_2', 'v'), ('a', 'acct_1', 'v'),
		('c', NULL, 'v')`)
	for body, want := range map[string]string{
		`{"kind": "stripe", "since": "2026-01-12", "only": ["customers", "refunds"], "accounts": ["all"],` +
			` "as_of": "2026-02-01T00:00:00+01:00"}`: `"scope":",acct_1,acct_2",` +
			`"options":{"since":"2026-01-12T00:00:00Z","only":["customers","refunds"],"accounts":["","acct_1","acct_2"],` +
			`"as_of":"2026-01-31T23:00:00Z"},"dry_run":false`,
		`{"kind": "stripe-events", "since": "2026-01-12T10:00:00Z", "accounts": ["acct_1", ""],` +
			` "dry_run": true}`: `"scope":",acct_1","options":{"since":"2026-01-12T10:00:00Z","accounts":["acct_1",""],`,
		`{"kind": "convex", "file": "/exports/in/a.zip"}`:      `"scope":"in/a.zip","options":{"file":"in/a.zip"}`,
		`{"kind": "clerk", "since": null, "chunk_size": null}`: `"chunk_size":500`,
	} {
		if got := x.begin(t, body); got.StatusCode != 202 || !strings.Contains(got.text, want) {
			t.Errorf("%s: %d %s\nwant %s", body, got.StatusCode, got.text, want)
		}
	}
}

// TestStartWithoutQueue: a run that could not be enqueued is begun all the same.
func TestStartWithoutQueue(t *testing.T) {
	x := open(t, func(c *core.Config) { c.Jobs = &asked{err: errors.New("Redis is away")} })
	if got := x.begin(t, `{"kind": "clerk"}`); got.StatusCode != 202 || strings.Contains(got.text, "Redis") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if !strings.Contains(x.log.String(), "Redis is away") {
		t.Error("the log does not tell")
	}
	if list := x.get(t, backfills, asAdmin); !strings.Contains(list.text, `"kind":"clerk"`) {
		t.Errorf("%s", list.text)
	}
}

// TestStartRefused: what cannot be meant is told, and begins nothing.
func TestStartRefused(t *testing.T) {
	jobs := &asked{}
	x := open(t, func(c *core.Config) { c.Jobs = jobs })
	for body, want := range map[string]string{
		``:                     "400 invalid_body: not a JSON object",
		`null`:                 "400 invalid_body: not a JSON object",
		`[]`:                   "400 invalid_body: not a JSON object",
		`{"kind": "clerk"`:     "400 invalid_body: not a JSON object",
		`{"kind": "clerk"} {}`: "400 invalid_body: not a JSON object",
		`{"kind": "clerk", "knid": 1}`: `400 invalid_body: \"knid\" is not known; allowed are accounts, as_of, chunk_size, ` +
			`dry_run, file, kind, only, since, store`,
		`{"Kind": "clerk"}`: `400 invalid_body: \"Kind\" is not known`,
		`{"kind": 7}`:       "400 invalid_body: kind must not be a number",
		`{"kind": {}}`:      "400 invalid_body: kind must not be an object",
		`{"kind": "stripe", "only": "customers"}`: "400 invalid_body: only must not be a string",
		`{}`:                                       "400 invalid_parameter: kind",
		`{"kind": "boats"}`:                        `400 invalid_parameter: kind: \"boats\" is not one of clerk`,
		`{"kind": "clerk", "chunk_size": 501}`:     "400 invalid_parameter: chunk_size: 501",
		`{"kind": "clerk", "chunk_size": -1}`:      "400 invalid_parameter: chunk_size",
		`{"kind": "clerk", "store": "a"}`:          "400 invalid_parameter: store",
		`{"kind": "courses", "store": "a\u0000b"}`: "400 invalid_parameter: store",
		`{"kind": "stripe", "since": "yesterday"}`: "400 invalid_parameter: since",
		`{"kind": "stripe", "as_of": "12"}`:        "400 invalid_parameter: as_of",
		`{"kind": "stripe", "as_of": "2999-01-01"}`: "400 invalid_parameter: as_of: 2999-01-01T00:00:00Z is in " +
			"the future",
		`{"kind": "stripe", "accounts": ["cus_1"]}`:             "400 invalid_parameter: accounts",
		`{"kind": "stripe", "accounts": ["all", "acct_1"]}`:     "400 invalid_parameter: accounts",
		`{"kind": "convex"}`:                                    "400 invalid_parameter: file",
		`{"kind": "convex", "file": "/etc/a.zip"}`:              "400 invalid_parameter: file: must be the name of a file",
		`{"kind": "` + strings.Repeat("x", core.MaxBody) + `"}`: "413 too_large",
	} {
		got := x.begin(t, body)
		code := fmt.Sprint(got.StatusCode, " ", got.code(t))
		parts := strings.SplitN(want, ": ", 2)
		if code != parts[0] || len(parts) == 2 && !strings.Contains(got.text, parts[1]) {
			t.Errorf("%.60s: %d %s, want %s", body, got.StatusCode, got.text, want)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx",
		"application/json;;"} {
		got := x.send(t, "POST", backfills, `{"kind": "clerk"}`, asAdmin, withHeader("Content-Type", kind))
		if got.StatusCode != 415 || got.code(t) != "unsupported_media_type" {
			t.Errorf("%q: %d %s", kind, got.StatusCode, got.text)
		}
	}
	if list := x.get(t, backfills, asAdmin); list.text != `{"data":[],"next_cursor":null}`+"\n" || len(jobs.all) != 0 {
		t.Errorf("%s %q", list.text, jobs.all)
	}
}

// Pages and the API name files in the import folder alone, and none without it.
func TestImportFolder(t *testing.T) {
	for dir, files := range map[string]map[string]string{
		"/exports": {"a.zip": "a.zip", "./in/a.zip": "in/a.zip", "/exports/b.zip": "b.zip", "in/../c.zip": "c.zip",
			"..": "", ".": "", "/exports": "", "/exports/../etc/passwd": "", "../etc/passwd": "", "/etc/passwd": "",
			"in/../../x": "", "/exportsx/a": ""},
		"": {"a.zip": "", "/exports/a.zip": "", "/etc/passwd": ""},
	} {
		x := open(t, func(c *core.Config) { c.ImportDir = dir })
		for file, want := range files {
			body, _ := json.Marshal(map[string]string{"kind": "convex", "file": file})
			got := x.begin(t, string(body))
			form := x.send(t, "POST", "/admin/backfills", url.Values{"kind": {"convex"}, "file": {file}}.Encode(), asAdmin)
			switch {
			case want == "" && (got.StatusCode != 400 || got.code(t) != "invalid_parameter" || form.StatusCode != 400 ||
				!strings.Contains(got.text, "IMPORT_DIR") || !strings.Contains(form.text, "IMPORT_DIR")):
				t.Errorf("%q: %s: %d %s; %d", dir, file, got.StatusCode, got.text, form.StatusCode)
			case want != "" && (got.StatusCode != 202 || !strings.Contains(got.text, `"scope":"`+want+`"`)):
				t.Errorf("%q: %s: %d %s", dir, file, got.StatusCode, got.text)
			}
		}
	}
}

// TestBackfillOrders: a run is paused, goes on, is ended, and no further.
func TestBackfillOrders(t *testing.T) {
	x := open(t, nil)
	x.begin(t, `{"kind": "clerk"}`)
	for _, c := range []struct{ path, want string }{
		{"/1/resume", "409 wrong_status"},
		{"/1/pause", `200 "status":"paused"`},
		{"/1/pause", "409 wrong_status"},
		{"/1/resume", `200 "status":"queued"`},
		{"/1/cancel", `200 "status":"cancelled"`},
		{"/1/cancel", "409 wrong_status"},
		{"/1/pause", "409 wrong_status"},
		{"/1/resume", "409 wrong_status"},
		{"/2/pause", "404 not_found"},
		{"/2/resume", "404 not_found"},
		{"/2/cancel", "404 not_found"},
		{"/x/cancel", "404 not_found"},
		{"/99999999999999999999/cancel", "404 not_found"},
	} {
		got := x.send(t, "POST", backfills+c.path, "", asAdmin)
		status, text, _ := strings.Cut(c.want, " ")
		if fmt.Sprint(got.StatusCode) != status || !strings.Contains(got.text, text) {
			t.Errorf("%s: %d %s, want %s", c.path, got.StatusCode, got.text, c.want)
		}
		if strings.Contains(got.text, "wrong_status") && !strings.Contains(got.text, "Backfill 1 is ") {
			t.Errorf("%s does not tell what the run is: %s", c.path, got.text)
		}
	}
	if got := x.begin(t, `{"kind": "clerk"}`); got.StatusCode != 202 {
		t.Errorf("a run that has ended is in the way: %d %s", got.StatusCode, got.text)
	}
}

func TestShowBackfill(t *testing.T) {
	x := open(t, nil)
	x.begin(t, `{"kind": "convex", "file": "/exports/a.zip"}`)
	x.exec(t, `
		INSERT INTO backfill_chunks (backfill_id, number, stream, objects, last_error, done_at)
		VALUES (1, 1, 'users', 7, NULL, now()), (1, 2, 'users', 0, 'read: <timeout>', NULL)`)
	x.exec(t, `UPDATE backfill_chunks SET done_at = now() WHERE number = 0`)
	x.exec(t, `
		INSERT INTO backfill_errors (backfill_id, place, what, why, note)
		SELECT 1, 'users, line ' || i, 'user_' || i, 'is no user', i > 150 FROM generate_series(1, 201) i`)
	var got struct {
		ID       int64
		Kind     string
		Status   string
		Streams  []store.BackfillStream
		Findings []store.BackfillError
	}
	unmarshal(t, x.get(t, backfills+"/1", asAdmin), &got)
	waiting := "read: <timeout>"
	if diff := cmp.Diff([]store.BackfillStream{{Stream: "users", Chunks: 2, Open: 1, Seen: 7, Waiting: &waiting}},
		got.Streams); diff != "" {
		t.Error(diff)
	}
	first := store.BackfillError{ID: 1, Finding: store.Finding{Place: "users, line 1", What: "user_1", Why: "is no user"}}
	if got.ID != 1 || got.Kind != "convex" || got.Status != "queued" || len(got.Findings) != 100 ||
		got.Findings[0] != first {
		t.Errorf("%+v", got)
	}
	x.begin(t, `{"kind": "clerk"}`)
	if bare := x.get(t, backfills+"/2", asAdmin); !strings.Contains(bare.text, `"findings":[]`) {
		t.Errorf("%s", bare.text)
	}
	for _, path := range []string{"/3", "/0", "/-1", "/x", "/1.0", "/3/errors", "/x/errors"} {
		if none := x.get(t, backfills+path, asAdmin); none.StatusCode != 404 || none.code(t) != "not_found" {
			t.Errorf("%s: %d %s", path, none.StatusCode, none.text)
		}
	}

	var ids []int64
	for _, e := range pages[store.BackfillError](t, x, backfills+"/1/errors?limit=100") {
		ids = append(ids, e.ID)
	}
	if len(ids) != 201 || ids[0] != 1 || ids[200] != 201 {
		t.Errorf("%d", ids)
	}
}

// pages reads a list to its end.
func pages[T any](t *testing.T, x *site, path string) (all []T) {
	t.Helper()
	for next := ""; ; {
		var page struct {
			Data []T
			Next *string `json:"next_cursor"`
		}
		unmarshal(t, x.get(t, path+next, asAdmin), &page)
		all = append(all, page.Data...)
		if page.Next == nil {
			return all
		}
		if len(page.Data) == 0 {
			t.Fatal("a page is empty and not the last")
		}
		next = "&cursor=" + *page.Next
	}
}

func TestListBackfills(t *testing.T) {
	x := open(t, nil)
	for i := range 40 {
		x.begin(t, fmt.Sprintf(`{"kind": "courses", "store": "store_%d"}`, i))
	}
	for limit, want := range map[string]int{"limit=1": 40, "limit=40": 40, "limit=39": 40, "limit=100": 40, "limit=": 40} {
		all := pages[store.Backfill](t, x, backfills+"?"+limit)
		if len(all) != want || all[0].ID != 40 || all[39].ID != 1 {
			t.Errorf("%s: %d runs", limit, len(all))
		}
	}
	for _, bad := range []string{"limit=0", "limit=101", "limit=x", "cursor=-", "cursor=0", "cursor=-1", "kind=clerk",
		"cursor=%zz"} {
		if got := x.get(t, backfills+"?"+bad, asAdmin); got.StatusCode != 400 || got.code(t) != "invalid_parameter" {
			t.Errorf("%s: %d %s", bad, got.StatusCode, got.text)
		}
	}
}

// TestBackfillsFromElsewhere: what a page of another site sends with an
// operator's cookie does nothing.
func TestBackfillsFromElsewhere(t *testing.T) {
	x := open(t, nil)
	session := withCookie(x.access.Admin.Sign(access.ForSession, now.Add(time.Hour)))
	x.begin(t, `{"kind": "clerk"}`)
	for _, path := range []string{"", "/1/pause", "/1/resume", "/1/cancel"} {
		for _, from := range []as{withHeader("Sec-Fetch-Site", "cross-site"), withHeader("Origin", "https://evil.example")} {
			got := x.send(t, "POST", backfills+path, `{"kind": "courses"}`, session, asJSON, from)
			if got.StatusCode != 403 || got.code(t) != "cross_origin" {
				t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
			}
		}
	}
	list := pages[store.Backfill](t, x, backfills+"?limit=100")
	if len(list) != 1 || list[0].Status != "queued" {
		t.Errorf("%+v", list)
	}
	if got := x.send(t, "POST", backfills, `{"kind": "courses"}`, session, asJSON,
		withHeader("Origin", x.url)); got.StatusCode != http.StatusAccepted {
		t.Errorf("from here: %d %s", got.StatusCode, got.text)
	}
}

func TestBackfillMethods(t *testing.T) {
	x := open(t, nil)
	for path, allow := range map[string]string{"": "GET, HEAD, POST", "/1": "GET, HEAD", "/1/errors": "GET, HEAD",
		"/1/pause": "POST", "/1/resume": "POST", "/1/cancel": "POST"} {
		if got := x.send(t, "PUT", backfills+path, "", asAdmin); got.StatusCode != 405 || got.Header.Get("Allow") != allow {
			t.Errorf("%s: %d %q", path, got.StatusCode, got.Header.Get("Allow"))
		}
	}
}
