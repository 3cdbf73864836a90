package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store/customers"
	"rollcall/web/access"
	"rollcall/web/core"
)

var asAdmin = withBearer(token)

func TestCustomersAPI(t *testing.T) {
	x := open(t, nil)
	x.exec(t, `INSERT INTO customers (store_id, email) SELECT 'a/b c', 'p' || i || '@example.com'
		FROM generate_series(1, 3) i`)
	first := x.get(t, "/api/stores/a%2Fb%20c/customers?limit=2&sort=email", asAdmin)
	var page struct {
		Data []struct {
			ID, Email string
			StoreID   string `json:"store_id"`
		}
		Next *string `json:"next_cursor"`
	}
	unmarshal(t, first, &page)
	if len(page.Data) != 2 || page.Data[1].Email != "p2@example.com" || page.Data[0].StoreID != "a/b c" ||
		page.Next == nil {
		t.Fatalf("%s", first.text)
	}
	one := x.get(t, "/api/stores/a%2Fb%20c/customers/"+page.Data[0].ID, asAdmin)
	if one.StatusCode != 200 || !strings.Contains(one.text, `"email":"p1@example.com"`) ||
		!strings.Contains(one.text, `"courses":[]`) {
		t.Errorf("%s", one.text)
	}
	last := x.get(t, "/api/stores/a%2Fb%20c/customers?limit=2&sort=email&cursor="+*page.Next, asAdmin)
	if !strings.Contains(last.text, "p3@example.com") || !strings.HasSuffix(last.text, `"next_cursor":null}`+"\n") {
		t.Errorf("%s", last.text)
	}
	stats := x.get(t, "/api/stores/a%2Fb%20c/stats", asAdmin)
	if want := `{"total":3,"leads":3,"paying":0,"subscribers":0,"active":3,"revenue":[]}` + "\n"; stats.text != want {
		t.Errorf("%s", stats.text)
	}
	for path, want := range map[string]string{
		"/api/stores/none/customers":                    "404 not_found",
		"/api/stores/none/customers/" + page.Data[0].ID: "404 not_found",
		"/api/stores/a%2Fb%20c/customers/x":             "404 not_found",
		"/api/stores/a%00/customers/1":                  "404 not_found",
		"/api/stores/a/customers?typ=lead":              "400 invalid_parameter",
		"/api/stores/a/customers?q=%zz":                 "400 invalid_parameter",
		"/api/stores/a/customers?cursor=x":              "400 invalid_parameter",
	} {
		if got := x.get(t, path, asAdmin); fmt.Sprint(got.StatusCode, " ", got.code(t)) != want {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
}

func unmarshal(t testing.TB, a answer, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text), v); err != nil || a.StatusCode != 200 ||
		a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s: %v", a.StatusCode, a.text, err)
	}
}

func TestEventsAPI(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	got := x.get(t, "/api/admin/events?limit=1&status=processed", asAdmin)
	form := regexp.MustCompile(`"id":\d+|"received_at":"[^"]+"|"next_cursor":"[\w-]+"`).ReplaceAllStringFunc(got.text,
		func(s string) string { return s[:strings.Index(s, ":")] })
	want := `{"data":[{"id","source":"clerk","event_id":"msg_2","type":"user.created","account":"","api_version":"",` +
		`"livemode":null,` +
		`"occurred_at":"2026-01-02T00:00:00Z","received_at","status":"processed","attempts":0,"last_error":null,` +
		`"processed_at":"2026-01-02T00:00:00Z"}],` +
		`"next_cursor","counts":{"failed":1,"ignored":1,"pending":1,"processed":2}}` + "\n"
	if diff := cmp.Diff(want, form); diff != "" {
		t.Error(diff)
	}
	if one := x.get(t, "/api/admin/events/evt_1", asAdmin); !strings.HasSuffix(one.text,
		`"processed_at":null,"payload":{"a":"<&>"}}`+"\n") {
		t.Errorf("%s", one.text)
	}
	if none := x.get(t, "/api/admin/events/evt_9", asAdmin); none.StatusCode != 404 || none.code(t) != "not_found" {
		t.Errorf("%s", none.text)
	}
}

func TestUnknownAndWrong(t *testing.T) {
	x := open(t, nil)
	for path, allow := range map[string]string{"/api/stores/a/customers": "GET, HEAD", "/signin": "GET, HEAD, POST",
		"/signout": "POST", "/healthz": "GET, HEAD", "/": "GET, HEAD"} {
		got := x.send(t, "PUT", path, "", asAdmin)
		if got.StatusCode != 405 || got.Header.Get("Allow") != allow {
			t.Errorf("%s: %d %q", path, got.StatusCode, got.Header.Get("Allow"))
		}
	}
	for _, path := range []string{"/api", "/api/", "/api/nothing", "/api/stores/a", "/api/stores/a/customers/1/x",
		"/api/stores/a/customers/"} {
		if got := x.get(t, path); got.StatusCode != 404 || got.code(t) != "not_found" {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
	for _, path := range []string{"/nothing", "/assets/", "/assets/none.css", "/assets/..%2Fweb.go", "/store"} {
		if got := x.get(t, path); got.StatusCode != 404 || !strings.Contains(got.text, "Page not found") {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
	if got := x.send(t, "HEAD", "/api/admin/stores", "", asAdmin); got.StatusCode != 200 || got.text != "" {
		t.Errorf("%d %q", got.StatusCode, got.text)
	}
}

func TestHeaders(t *testing.T) {
	x := open(t, nil)
	for path, csp := range map[string]string{"/signin": "default-src 'none'",
		"/api/stores/a/customers": "frame-ancestors 'none'", "/nothing": "style-src 'self'",
		"/monitoring/": "frame-ancestors 'none'", "/healthz": "default-src 'none'"} {
		for _, who := range []as{stranger, asAdmin} {
			h := x.get(t, path, who).Header
			if !strings.Contains(h.Get("Content-Security-Policy"), csp) || h.Get("X-Content-Type-Options") != "nosniff" ||
				h.Get("Referrer-Policy") != "same-origin" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v", path, h)
			}
		}
	}
	if css := x.get(t, "/assets/style.css"); css.StatusCode != 200 || !strings.HasPrefix(css.Header.Get("Content-Type"),
		"text/css") || !strings.Contains(css.Header.Get("Cache-Control"), "max-age") {
		t.Errorf("%d %v", css.StatusCode, css.Header)
	}
}

func TestStartPage(t *testing.T) {
	x := open(t, nil)
	for path, to := range map[string][2]string{"/": {"/signin", "/admin"}, "/admin/": {"/admin", "/admin"}} {
		for i, who := range []as{stranger, asAdmin} {
			if got := x.get(t, path, who); got.StatusCode != 303 || got.Header.Get("Location") != to[i] {
				t.Errorf("%s: %d %v", path, got.StatusCode, got.Header)
			}
		}
	}
}

// An operator who has not signed in comes to where they do, and from there to
// the page they wanted. A script is told to lead there; a program hears 401.
func TestAdminLeadsToSignIn(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	signIn := "/signin?next=%2Fadmin%2Fevents%3Fstatus%3Dfailed"
	if got := x.get(t, "/admin/events?status=failed"); got.StatusCode != 303 || got.Header.Get("Location") != signIn {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	ended := withCookie(x.access.Admin.Sign(access.ForSession, now))
	poll := x.get(t, "/admin/events/1", ended, withHeader("HX-Request", "true"),
		withHeader("HX-Current-URL", x.url+"/admin/events?status=failed"))
	if poll.StatusCode != 401 || poll.Header.Get("HX-Redirect") != signIn || poll.text != "" {
		t.Errorf("%d %v %s", poll.StatusCode, poll.Header, poll.text)
	}
	if got := x.get(t, "/admin", withBearer("wrong")); got.StatusCode != 401 {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if got := x.get(t, "/api/admin/events"); got.StatusCode != 401 || got.code(t) != "unauthorized" {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	form := x.send(t, "POST", "/admin/events/1/retry", "", ended, withHeader("Referer", x.url+"/admin/events/1"))
	if form.StatusCode != 401 || !strings.Contains(form.text, `href="/signin?next=%2fadmin%2fevents%2f1"`) {
		t.Errorf("%d %s", form.StatusCode, form.text)
	}
	if got := x.get(t, "/api/admin/events/1", asAdmin); !strings.Contains(got.text, `"status":"pending"`) {
		t.Errorf("%s", got.text)
	}
}

func TestMonitoring(t *testing.T) {
	redis := testdb.Redis(t)
	x := openOn(t, testdb.Postgres(t), redis, nil)
	opt, err := jobs.ParseRedis(redis)
	if err != nil {
		t.Fatal(err)
	}
	client := jobs.NewClient(opt)
	defer client.Close()
	if err := client.EnqueueEvent(t.Context(), "stripe", 7, ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/monitoring", "/monitoring/", "/monitoring/queues/stripe"} {
		page := x.get(t, path, asAdmin)
		if page.StatusCode != 200 || !strings.Contains(page.text, "Asynq - Monitoring") {
			t.Errorf("%s: %d", path, page.StatusCode)
		}
		if csp := page.Header.Get("Content-Security-Policy"); strings.Count(csp, "'sha256-") != 2 ||
			strings.Contains(csp, "script-src 'self' 'unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
	}
	if queues := x.get(t, "/monitoring/api/queues", asAdmin); queues.StatusCode != 200 ||
		!strings.Contains(queues.text, `"queue":"stripe"`) {
		t.Errorf("%d %s", queues.StatusCode, queues.text)
	}
	for _, path := range []string{"/monitoring", "/monitoring/", "/monitoring/api/queues",
		"/monitoring/static/js/main.5adda2da.chunk.js"} {
		if got := x.get(t, path); got.StatusCode != 401 || !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: %d %v", path, got.StatusCode, got.Header)
		}
	}
	if got := x.send(t, "POST", "/monitoring/api/queues/stripe:pause", "", asAdmin); got.StatusCode != 204 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	servers := testdb.Private(t)
	x := openOn(t, servers.DatabaseURL, servers.RedisURL, nil)
	check := func(path, want string) {
		t.Helper()
		if got := x.get(t, path); fmt.Sprint(got.StatusCode, " ", strings.TrimSpace(got.text)) != want {
			t.Errorf("%s: %d %s want %s", path, got.StatusCode, got.text, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check("/readyz", `503 {"status":"not_ready","postgres":"not_migrated","redis":"ok"}`)
	_, err := migrations.Up(t.Context(), servers.DatabaseURL)
	must(err)
	check("/readyz", `200 {"status":"ready","postgres":"ok","redis":"ok"}`)
	must(servers.StopRedis())
	check("/readyz", `200 {"status":"ready","postgres":"ok","redis":"away"}`)
	must(servers.StopPostgres())
	check("/readyz", `503 {"status":"not_ready","postgres":"away","redis":"away"}`)
	check("/healthz", `200 {"status":"ok","version":"v1"}`)
	away := x.get(t, "/api/stores/a/customers", asAdmin)
	if away.StatusCode != 503 || away.code(t) != "unavailable" || away.Header.Get("Retry-After") == "" ||
		strings.Contains(away.text, "store.") {
		t.Errorf("%d %s", away.StatusCode, away.text)
	}
	if program := x.get(t, "/api/stores/a/customers", withBearer(customers.TokenPrefix+"x")); program.StatusCode != 503 ||
		program.code(t) != "unavailable" {
		t.Errorf("%d %s", program.StatusCode, program.text) // whether it is a token cannot be told
	}
	if page := x.get(t, "/store/a/customers", asAdmin); page.StatusCode != 503 ||
		!strings.Contains(page.text, "database") {
		t.Errorf("%d %s", page.StatusCode, page.text)
	}
	must(servers.StartPostgres(t.Context()))
	must(servers.StartRedis(t.Context()))
	check("/readyz", `200 {"status":"ready","postgres":"ok","redis":"ok"}`)
}

func TestPanicsAndLog(t *testing.T) {
	x := open(t, nil)
	x.handler = x.Observed(x.Guarded(x.Answer(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/late" {
			core.WriteJSON(w, 200, "half")
		}
		if r.URL.Path == "/error" {
			return context.Canceled
		}
		panic("boom")
	})))
	got := x.get(t, "/api/x?link=secret")
	if got.StatusCode != 500 || got.code(t) != "internal" || strings.Contains(got.text, "boom") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	late := httptest.NewRecorder()
	func() {
		defer func() {
			if cause := recover(); cause != http.ErrAbortHandler {
				t.Errorf("an answer that broke off passes for whole: %v", cause)
			}
		}()
		x.ServeHTTP(late, httptest.NewRequest("GET", "/late", nil))
	}()
	if got := x.get(t, "/error"); got.StatusCode != 503 {
		t.Errorf("%d", got.StatusCode)
	}
	log := x.log.String()
	if strings.Contains(log, "secret") || strings.Count(log, `"cause":"boom"`) != 2 ||
		!strings.Contains(log, `"status":500`) || strings.Count(log, `"msg":"request"`) != 3 {
		t.Error(log)
	}
}
