package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollcall/web/access"
	"rollcall/web/core"
)

func TestSignIn(t *testing.T) {
	x := open(t, nil)
	form := x.get(t, "/signin?next=/monitoring/")
	if form.StatusCode != 200 || !strings.Contains(form.text, `value="/monitoring/"`) ||
		strings.Contains(form.text, "<script") {
		t.Errorf("%d %s", form.StatusCode, form.text)
	}
	wrong := x.send(t, "POST", "/signin", "token=wrong&next=/monitoring/")
	if wrong.StatusCode != 401 || !strings.Contains(wrong.text, "Wrong admin token") ||
		!strings.Contains(wrong.text, `value="/monitoring/"`) || wrong.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %s", wrong.StatusCode, wrong.text)
	}
	right := x.send(t, "POST", "/signin", "next=/monitoring/%3Fa%3Db&token=+the+admin%27s+token+")
	if right.StatusCode != 303 || right.Header.Get("Location") != "/monitoring/?a=b" {
		t.Fatalf("%d %v", right.StatusCode, right.Header)
	}
	cookie := right.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Secure ||
		cookie.MaxAge != 86400 || strings.Contains(cookie.Value, token) {
		t.Errorf("%v", cookie)
	}
	if got := x.get(t, "/admin", withCookie(cookie.Value)); got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if got := x.send(t, "POST", "/signin", "token="+strings.Repeat("x", core.MaxForm)); got.StatusCode != 400 {
		t.Errorf("a large form: %d", got.StatusCode)
	}
	out := x.send(t, "POST", "/signout", "", withCookie(cookie.Value))
	if gone := out.Cookies()[0]; out.StatusCode != 303 || gone.Value != "" || gone.MaxAge >= 0 || gone.Path != "/" ||
		gone.Name != access.SessionCookie {
		t.Errorf("%d %v", out.StatusCode, gone)
	}
}

// Cookies are Secure where the visitor came by https: a proxy that is trusted says
// so, or the URL of the site. What anybody else writes in a header counts for nothing.
func TestSecureCookies(t *testing.T) {
	secure := func(x *site, proto string) bool {
		got := x.send(t, "POST", "/signin", "token=the+admin%27s+token", withHeader("X-Forwarded-Proto", proto))
		return got.Cookies()[0].Secure
	}
	behind := open(t, clerkSite)
	for header, want := range map[string]bool{"": false, "http": false, "https": true, "HTTPS": true, "https, http": true,
		"http, https": false} {
		if got := secure(behind, header); got != want {
			t.Errorf("a trusted proxy says %q: %v", header, got)
		}
	}
	if secure(open(t, nil), "https") {
		t.Error("a stranger's word is believed")
	}
	for url, want := range map[string]bool{"https://lists.example": true, "http://lists.example": false} {
		if got := secure(open(t, func(c *core.Config) { c.PublicURL = url }), ""); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestSignInLink(t *testing.T) {
	at := now
	x := open(t, func(c *core.Config) { c.Now = func() time.Time { return at } })
	link := strings.TrimPrefix(access.SignInLink(x.url, token, now), x.url)
	at = now.Add(access.LinkLife - time.Second)
	in := x.get(t, link+"&next=/monitoring/")
	if in.StatusCode != 303 || in.Header.Get("Location") != "/monitoring/" {
		t.Fatalf("%d %v", in.StatusCode, in.Header)
	}
	if got := x.get(t, "/api/admin/events", withCookie(in.Cookies()[0].Value)); got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	at = now.Add(access.LinkLife)
	for _, bad := range []string{link, link + "x", "/signin?link=1.x", "/signin?link=" +
		x.access.Admin.Sign(access.ForSession, at.Add(time.Hour)), access.SignInLink("", "other", at)} {
		if got := x.get(t, bad); got.StatusCode != 200 || got.Header.Get("Set-Cookie") != "" ||
			!strings.Contains(got.text, "expired") {
			t.Errorf("%s: %d %v", bad, got.StatusCode, got.Header)
		}
	}
	if log := x.log.String(); strings.Contains(log, "link=") || strings.Contains(log, token) ||
		!strings.Contains(log, `"path":"/signin"`) {
		t.Error(log)
	}
}

func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{
		"": "/", "/": "/", "/monitoring/?a=b#c": "/monitoring/?a=b#c", "/a//b": "/a//b", "/?u=http://x/": "/?u=http://x/",
		"//evil.example": "/", "///evil.example": "/", "https://evil.example/": "/", "/\\evil.example": "/",
		"\\\\evil.example": "/", "/\t/evil.example": "/",
		"/\n/evil.example": "/", "javascript:alert(1)": "/", "evil.example": "/", "http:evil": "/", " //evil.example": "/",
		"/%": "/",
	} {
		if got := core.LocalPath(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}

// Nothing that changes anything is done for a page of another site, whatever
// cookies the browser sends along.
func TestCrossOrigin(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	session := withCookie(x.access.Admin.Sign(access.ForSession, now.Add(time.Hour)))
	cookies := []as{session, withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))}
	requests := []string{"POST /monitoring/api/queues/stripe:pause", "DELETE /monitoring/api/queues/x",
		"POST /api/admin/events", "POST /api/stores/store_a/customers"}
	for _, route := range x.routes() {
		byPrograms := strings.HasPrefix(route.path, "/mail/u/") // of mail: the token is what counts, and no cookie
		if route.method != "GET" && route.method != "" && !byPrograms {
			requests = append(requests, route.method+" "+x.pathOf(t, route.path, "store_a"))
		}
	}
	for _, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		for _, from := range []as{withHeader("Sec-Fetch-Site", "cross-site"), withHeader("Origin", "https://evil.example"),
			withHeader("Sec-Fetch-Site", "same-site")} {
			for _, who := range cookies {
				got := x.send(t, method, path, "token=x", who, from)
				if got.StatusCode != 403 || got.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: %d", request, got.StatusCode)
				}
			}
		}
	}
	for _, from := range []as{withHeader("Sec-Fetch-Site", "same-origin"), withHeader("Origin", x.url), stranger} {
		if got := x.send(t, "POST", "/signout", "", session, from); got.StatusCode != 303 {
			t.Errorf("%d %s", got.StatusCode, got.text)
		}
	}
}

// A page that a stranger may not see says how to sign in, and leads back.
func TestPageForStrangers(t *testing.T) {
	page := func(x *site, path string, headers ...string) string {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "lists.example"
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		// As a route of a page will be: /store/{store}/customers.
		mux := http.NewServeMux()
		mux.HandleFunc("/store/{store}/customers", func(w http.ResponseWriter, r *http.Request) {
			x.Refuse(w, r, core.ErrStranger)
		})
		mux.HandleFunc("/monitoring", func(w http.ResponseWriter, r *http.Request) { x.Refuse(w, r, core.ErrStranger) })
		mux.ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%d", w.Code)
		}
		return w.Body.String()
	}
	const path = "/store/a%2Fb/customers?q=x&sort=name"
	operators := `href="/signin?next=%2fstore%2fa%252Fb%2fcustomers%3fq%3dx%26sort%3dname"`
	linked := open(
		t, func(c *core.Config) { clerkSite(c); c.SignInURL = "https://market.example/sign-in?from=rollcall#/x" })
	link := `href="https://market.example/sign-in?from=rollcall&amp;` +
		`redirect_url=http%3A%2F%2Flists.example%2Fstore%2Fa%252Fb%2Fcustomers%3Fq%3Dx%26sort%3Dname#/x"`
	if got := page(linked, path); !strings.Contains(got, link) || !strings.Contains(got, operators) {
		t.Errorf("no link in %s", got)
	}
	if got := page(linked, path, "X-Forwarded-Proto", "https"); !strings.Contains(got, "redirect_url=http%3A%2F%2Flists") {
		t.Errorf("a stranger's word is believed: %s", got)
	}
	public := open(t, func(c *core.Config) {
		clerkSite(c)
		c.SignInURL, c.PublicURL = "https://market.example/sign-in", "https://app.example"
	})
	if got := page(public, path); !strings.Contains(got, "redirect_url=https%3A%2F%2Fapp.example%2Fstore%2Fa%252Fb") {
		t.Errorf("not by the public URL: %s", got)
	}
	if got := page(linked, "/monitoring"); strings.Contains(got, "market.example") ||
		!strings.Contains(got, `href="/signin?next=%2fmonitoring"`) {
		t.Errorf("creators are sent away from what is not theirs: %s", got)
	}
	if got := page(open(t, clerkSite), path); !strings.Contains(got, "Sign in to the marketplace") ||
		!strings.Contains(got, operators) {
		t.Errorf("%s", got)
	}
	if got := page(open(t, nil), path); strings.Contains(got, "marketplace") || !strings.Contains(got, operators) {
		t.Errorf("nobody can sign in with Clerk: %s", got)
	}
}
