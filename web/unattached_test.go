package web

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"rollcall/store"
	"rollcall/store/checks"
)

// missing tells of enrollments whose user is not known.
func (x *site) missing(t testing.TB, n int) {
	t.Helper()
	var events []store.NewEvent
	for i := range n {
		events = append(events, enrolledIn(fmt.Sprintf("evt_%03d", i), fmt.Sprintf(`"user_id":"user_%03d"`, i)))
	}
	x.take(t, events...)
}

func TestUnattachedPage(t *testing.T) {
	x := open(t, nil)
	wants(t, x.page(t, "/admin/unattached"), "Nothing is missing")
	x.missing(t, 60)
	x.take(t, store.NewEvent{Source: "stripe", EventID: "evt_pi", Type: "payment_intent.succeeded", OccurredAt: now,
		Payload: []byte(`{"data":{"object":{"id":"pi_1","amount":1,"currency":"usd"}}}`)})
	wants(t, x.page(t, "/admin/unattached"), `<a href="/admin/unattached/user_unknown">User unknown</a>`, "60 enrollments",
		"Clerk has never reported its user. Import Clerk",
		"rollcall backfill start clerk --follow", `action="/admin/unattached/user_unknown/attach"`,
		`name="kind" value="clerk"`, "user_002", "!user_003",
		"Not expected on a list", `<a href="/admin/unattached/bare_payment">`, `<a href="/admin/events/1">`)
	wants(t, x.page(t, "/admin/unattached?store=store_a"), "60 enrollments",
		`<a href="/admin/unattached/user_unknown?store=store_a">`, "!bare_payment")
	wants(t, x.page(t, "/admin/unattached?store=none"), "Every enrollment, payment and subscription of this store")
	for _, bad := range []string{"store=%00", "reason=x"} {
		if got := x.get(t, "/admin/unattached?"+bad, asAdmin); got.StatusCode != 400 {
			t.Errorf("%s: %d", bad, got.StatusCode)
		}
	}

	first := x.page(t, "/admin/unattached/user_unknown?store=store_a")
	further := regexp.MustCompile(`href="(/admin/unattached/user_unknown\?cursor=[^"]+)"`).FindStringSubmatch(first)
	if further == nil || strings.Count(first, `<li class="card off">`) != 50 {
		t.Fatalf("%d: %s", strings.Count(first, `<li class="card off">`), first)
	}
	rest := x.page(t, strings.ReplaceAll(further[1], "&amp;", "&"), asScript)
	wants(t, rest, "user_059", "!user_049", "!<html", "!further")
	wants(t, x.page(t, "/admin/unattached/bare_payment"), "Not expected on a list: payments that brought in nothing yet",
		"pi_1", "!Attach again")
	wants(t, x.page(t, "/admin/unattached/no_email"), "Nothing is missing for this reason",
		"rollcall backfill start stripe --account all --follow")
}

// What only the platform knows is prepared as a command; an import that no worker can do is off,
// and says why.
func TestMissingPageHelps(t *testing.T) {
	x := open(t, nil)
	x.missing(t, 1)
	x.take(t, store.NewEvent{Source: "platform", EventID: "evt_stray", Type: "enrollment.upserted", OccurredAt: now,
		Payload: []byte(`{"data":{"course_id":"ghost_course","email":"a@x.example"}}`)})
	wants(t, x.page(t, "/admin/unattached"), ">Store unknown</a>",
		`rollcall events send product.upserted &#39;{&#34;id&#34;:&#34;ghost_course&#34;`,
		"Import: Users from Clerk</button>",
		"!disabled")
	if err := x.Cfg.Store.NoteClock(t.Context(), "host:1", time.Now(), "STRIPE_API_KEY"); err != nil {
		t.Fatal(err)
	}
	missing := "first set CLERK_SECRET_KEY where rollcall work runs"
	wants(t, x.page(t, "/admin/unattached/user_unknown"), missing,
		`<button disabled aria-describedby="m-user_unknown-clerk">`)
	wants(t, x.page(t, "/admin/unattached/no_store"), `&#34;ghost_course&#34;`)
	page := x.page(t, "/admin/backfills")
	wants(t, page, "First set CLERK_SECRET_KEY", "Uses STRIPE_API_KEY", "First set IMPORT_DIR")
	if n := strings.Count(page, "<button disabled"); n != 2 {
		t.Errorf("%d imports are off", n)
	}
	for _, got := range []answer{x.send(t, "POST", "/admin/backfills", "kind=clerk", asAdmin),
		x.send(t, "POST", "/api/admin/backfills", `{"kind":"clerk"}`, asAdmin,
			withHeader("Content-Type", "application/json"))} {
		if got.StatusCode != 400 || !strings.Contains(got.text, "set CLERK_SECRET_KEY where rollcall work runs") {
			t.Errorf("%d %s", got.StatusCode, got.text)
		}
	}
	if err := x.Cfg.Store.NoteClock(t.Context(), "host:2", time.Now(), "CLERK_SECRET_KEY"); err != nil {
		t.Fatal(err)
	}
	wants(t, x.page(t, "/admin/unattached/user_unknown"), "!disabled")
}

// The button attaches what can be attached by now, and tells what came of it.
func TestAttachAgainButton(t *testing.T) {
	x := open(t, nil)
	x.missing(t, 3)
	x.exec(t, `INSERT INTO users (id, email, version, deleted_version) VALUES ('user_001', 'back@x.example', '2026', '')`)
	to := x.submit(t, "/admin/unattached/user_unknown/attach?store=store_a", "")
	if want := "/admin/unattached/user_unknown?attached=1&failed=0&looked=3&store=store_a"; to != want {
		t.Errorf("%s", to)
	}
	wants(t, x.page(t, to), "Checked 3 facts: 1 is on a list now.", "!Go on", "user_000", "!user_001")
	wants(t, x.page(t, "/admin/unattached/user_unknown?attached=5&failed=2&looked=9&go_on=abc&store=a"),
		"Checked 9 facts: 5 are on a list now; 2 failed, because the customer could not be computed", "There are more.",
		`action="/admin/unattached/user_unknown/attach?cursor=abc&amp;store=a"`)
	wants(t, x.log.String(), `"msg":"an operator has facts attached again","who":"admin","from":"127.0.0.1",`+
		`"reason":"user_unknown","store":"store_a","looked":3,"attached":1,"failed":0`)
	for _, path := range []string{"boredom/attach", "user_unknown/attach?cursor=x"} {
		if got := x.send(t, "POST", "/admin/unattached/"+path, "", asAdmin); got.StatusCode != 404 && got.StatusCode != 400 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}

func TestUnattachedAPI(t *testing.T) {
	x := open(t, nil)
	x.missing(t, 5)
	got := x.get(t, "/api/admin/unattached?store=store_a", asAdmin)
	var list struct{ Data []checks.OffReason }
	unmarshal(t, got, &list)
	if len(list.Data) != 1 || list.Data[0].Count != 5 || list.Data[0].Kinds["enrollment"] != 5 ||
		len(list.Data[0].Examples) != 3 || list.Data[0].Remedy.Commands[0] != "rollcall backfill start clerk --follow" {
		t.Errorf("%s", got.text)
	}
	if all := pages[store.OffFact](t, x, "/api/admin/unattached/user_unknown?limit=2"); len(all) != 5 ||
		all[4].Ref != "enrollment:c1/user:user_004" || *all[4].StoreID != "store_a" {
		t.Errorf("%+v", all)
	}
	x.exec(t, `INSERT INTO users (id, email, version, deleted_version) SELECT 'user_00' || i, 'p' || i || '@x.example',
		'2026', '' FROM generate_series(0, 1) i`)
	done := x.send(t, "POST", "/api/admin/unattached/user_unknown/attach", "", asAdmin)
	if want := `{"looked":5,"attached":2,"failed":0,"error":"","next_cursor":""}` + "\n"; done.text != want {
		t.Errorf("%d %s", done.StatusCode, done.text)
	}
	for path, want := range map[string]string{"/boredom": "404 not_found",
		"/user_unknown?cursor=x": "400 invalid_parameter", "?limit=x": "400 invalid_parameter"} {
		if got := x.get(t, "/api/admin/unattached"+path, asAdmin); fmt.Sprint(got.StatusCode, " ", got.code(t)) != want {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
	if !json.Valid([]byte(got.text)) {
		t.Error(got.text)
	}
}
