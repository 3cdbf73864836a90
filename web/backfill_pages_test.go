package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/web/core"
	"rollcall/web/operators"
)

// A run is begun by the form, with all its options; what is wrong is told where
// it was written, and begins nothing.
func TestBackfillForm(t *testing.T) {
	jobs := &asked{}
	x := open(t, func(c *core.Config) { c.Jobs = jobs })
	x.exec(t, `INSERT INTO stores (id, stripe_account_id, version) VALUES ('a', 'acct_1', 'v')`)
	wants(t, x.page(t, "/admin/backfills"), "No imports yet", `<option value="clerk" data-takes="" selected>`,
		`<option value="convex" data-takes="file">`, `name="only" value="refunds"`, "!aria-invalid")
	for body, want := range map[string]string{
		"kind=clerk&store=&since=&accounts=&file=&as_of=&chunk_size=": `"kind":"clerk","scope":""`,
		"kind=stripe&since=2026-01-12&only=refunds&only=customers&accounts=platform%2C+acct_1&chunk_size=50&dry_run=1": "" +
			`"scope":",acct_1",` +
			`"options":{"since":"2026-01-12T00:00:00Z",` +
			`"only":["refunds","customers"],"accounts":["","acct_1"]`,
		"kind=stripe-events&accounts=all":                      `"scope":",acct_1"`,
		"kind=convex&file=%2Fexports%2Fx.zip&as_of=2026-01-01": `"options":{"file":"x.zip","as_of":"2026-01-01T00:00:00Z"}`,
		"kind=courses&store=+a+":                               `"options":{"store":"a"`,
	} {
		to := x.submit(t, "/admin/backfills", body)
		got := x.get(t, "/api"+to, asAdmin)
		if !strings.Contains(got.text, want) || !strings.Contains(got.text, `"started_by":"admin"`) {
			t.Errorf("%s: %s %s", body, to, got.text)
		}
	}
	if len(jobs.all) != 5 {
		t.Errorf("%q", jobs.all)
	}
	for body, want := range map[string][]string{
		"kind=boats": {"is not one of clerk", `name="kind" aria-invalid="true"`},
		"kind=clerk&store=a": {"does not take it", `name="store" value="a"`,
			`aria-invalid="true"`},
		"kind=convex&file=/x.zip":                        {"must be the name of a file in IMPORT_DIR", `value="/x.zip"`},
		"kind=stripe&accounts=cus_1":                     {"is no account", `value="cus_1"`},
		"kind=stripe&accounts=platform&since=x":          {"is not a time", `value="platform"`, `value="x"`},
		"kind=stripe&only=boats":                         {"is not one of products, prices, customers"},
		"kind=stripe&only=refunds&since=x":               {`value="refunds" checked`},
		"kind=clerk&chunk_size=many":                     {"must be a number"},
		"kind=clerk&dry_run=1&chunk_size=-1":             {"is not from 1 to 500", "checked"},
		"kind=clerk":                                     {"of this kind and scope is queued"},
		"kind=courses&store=" + url.QueryEscape("a\x00"): {"holds characters that are none"},
	} {
		got := x.send(t, "POST", "/admin/backfills", body, asAdmin)
		if got.StatusCode != 400 {
			t.Errorf("%s: %d %s", body, got.StatusCode, got.text)
		}
		wants(t, got.text, append(want, `role="alert"`)...)
	}
	if len(jobs.all) != 5 {
		t.Errorf("%q", jobs.all)
	}
	wants(t, x.log.String(), `"msg":"an operator starts a backfill","who":"admin"`)
}

// The buttons of a run do what they say; one that comes too late does nothing.
func TestBackfillButtons(t *testing.T) {
	x := open(t, nil)
	x.begin(t, `{"kind": "clerk"}`)
	page := "/admin/backfills/1"
	wants(t, x.page(t, page), "Waiting for a worker", page+"/pause", page+"/cancel", "!/resume", `hx-trigger="every 1s"`)
	for _, c := range []struct{ order, want string }{{"pause", "paused"}, {"pause", "paused"}, {"resume", "queued"},
		{"cancel", "cancelled"}, {"resume", "cancelled"}} {
		if to := x.submit(t, page+"/"+c.order, ""); to != page {
			t.Errorf("%s", to)
		}
		wants(t, x.page(t, page), `<span class="state `+c.want+`">`)
	}
	wants(t, x.page(t, page), "!/pause", "!/resume", "!/cancel", "!hx-trigger")
	if got := x.send(t, "POST", "/admin/backfills/9/pause", "", asAdmin); got.StatusCode != 404 {
		t.Errorf("%d", got.StatusCode)
	}
	wants(t, x.log.String(), `"msg":"an operator orders a backfill","who":"admin","from":"127.0.0.1","what":"cancel",`+
		`"backfill":1`)
}

// How far a run is, how fast, and for how long still: since it began, or since
// the sample that the page's own address carries.
func TestRunProgress(t *testing.T) {
	x := open(t, nil)
	expected, began := int64(1000), now.Add(-10*time.Second)
	b := store.Backfill{ID: 3, Status: "running", Expected: &expected, Seen: 400, StartedAt: &began}
	r := x.operators.Run(b, operators.Sample{})
	if r.Percent != 40 || r.Rate != 40 || r.Left != 15*time.Second || !r.Live {
		t.Errorf("%+v", r)
	}
	live := x.operators.LiveURL(r, operators.Sample{})
	if live != fmt.Sprintf("/admin/backfills/3?at=%d&seen=400", now.UnixMilli()) {
		t.Errorf("%s", live)
	}
	u, err := url.Parse(live)
	if err != nil {
		t.Fatal(err)
	}
	since := operators.ReadSample(3, u.Query())
	b.Seen = 600
	if r := x.operators.Run(
		b, operators.Sample{Run: 3, Seen: since.Seen, At: since.At.Add(-4 * time.Second)}); r.Rate != 50 ||
		r.Left != 8*time.Second {
		t.Errorf("%+v", r)
	}
	if again := x.operators.LiveURL(
		r, operators.Sample{Run: 3, Seen: 400, At: now.Add(-4 * time.Second)}); !strings.Contains(again, "seen=400") {
		t.Errorf("a fresh sample is given up: %s", again)
	}
	if again := x.operators.LiveURL(
		r, operators.Sample{Run: 3, Seen: 100, At: now.Add(-6 * time.Second)}); !strings.Contains(again, "seen=400") {
		t.Errorf("an old sample is kept: %s", again)
	}
	for _, odd := range []store.Backfill{{ID: 3, Status: "queued"}, {ID: 3, Status: "paused", Expected: &expected,
		Seen: 2000, StartedAt: &began}, {ID: 3, Status: "running", StartedAt: &now}} {
		if r := x.operators.Run(odd, operators.Sample{}); r.Rate != 0 || r.Left != 0 || r.Percent > 100 {
			t.Errorf("%+v", r)
		}
	}
}

func TestBackfillPages(t *testing.T) {
	x := open(t, nil)
	for i := range 25 {
		x.begin(t, fmt.Sprintf(`{"kind": "courses", "store": "store_%02d"}`, i))
	}
	first := x.page(t, "/admin/backfills")
	wants(t, first, `href="/admin/backfills/25"`, `href="/admin/backfills/6"`, `!href="/admin/backfills/5"`,
		`href="/admin/backfills?cursor=6"`)
	wants(t, x.page(t, "/admin/backfills?cursor=6", asScript, withHeader("HX-Target", "runs")), `<div id="runs"`,
		`href="/admin/backfills/1"`, `!href="/admin/backfills/6"`, "!<html", "!Import with options")
	x.exec(t, `INSERT INTO backfill_errors (backfill_id, place, what, why, note) SELECT 1, 'line ' || i,
		'user_' || lpad(i::text, 3, '0'), 'is no user', i > 50 FROM generate_series(1, 70) i`)
	x.exec(t, `INSERT INTO backfill_chunks (backfill_id, number, stream, objects, last_error)
		VALUES (1, 1, 'users', 7, 'read: timeout')`)
	page := x.page(t, "/admin/backfills/1")
	wants(t, page, "user_050", "!user_051", `href="/admin/backfills/1?errors=1e"`, "read: timeout", "0 of 1",
		"store: <bdi>store_00</bdi>")
	wants(t, x.page(t, "/admin/backfills/1?errors=1e", asScript), "user_070", `<li class="note">`, "!user_050", "!<html",
		"!further")
	wants(t, x.page(t, "/admin/backfills/1", asScript, withHeader("HX-Target", "run")), `<div id="run"`, "!user_001",
		"!<html")
	for _, bad := range []string{"?cursor=-", "/1?errors=!"} {
		if got := x.get(t, "/admin/backfills"+bad, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", bad, got.StatusCode)
		}
	}
	if diff := cmp.Diff("platform, acct_1",
		core.NewBackfill{Accounts: []string{"", "acct_1"}}.AccountsText()); diff != "" {
		t.Error(diff)
	}
}
