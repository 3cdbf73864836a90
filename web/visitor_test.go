package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestEveryRouteEveryVisitor(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	x.begin(t, `{"kind": "clerk"}`)
	session := x.admin.sign(forSession, now.Add(time.Hour))
	visitors := map[string]struct {
		as    as
		admin bool
	}{
		"nobody":             {stranger, false},
		"wrong token":        {withBearer("wrong"), false},
		"empty token":        {withBearer(""), false},
		"token, cut":         {withBearer(token[:len(token)-1]), false},
		"bearer":             {withBearer(token), true},
		"bearer, lower case": {withHeader("Authorization", "bearer "+token), true},
		"other scheme":       {withHeader("Authorization", "Token "+token), false},
		"bare token":         {withHeader("Authorization", token), false},
		"token in the query": {func(r *http.Request) { r.URL.RawQuery = url.Values{"token": {token}}.Encode() }, false},
		"basic":              {withBasic(token), true},
		"basic, wrong":       {withBasic("wrong"), false},
		"basic, empty":       {withBasic(""), false},
		"cookie":             {withCookie(session), true},
		"cookie, expired":    {withCookie(x.admin.sign(forSession, now)), false},
		"cookie, tampered":   {withCookie("9" + session), false},
		"cookie, cut":        {withCookie(session[:len(session)-1]), false},
		"cookie, unsigned":   {withCookie(strings.Split(session, ".")[0] + "."), false},
		"cookie, of a link":  {withCookie(x.admin.sign(forLink, now.Add(time.Hour))), false},
		"cookie, other key":  {withCookie(admin{"x"}.sign(forSession, now.Add(time.Hour))), false},
		"cookie, empty key":  {withCookie(admin{""}.sign(forSession, now.Add(time.Hour))), false},
		"cookie, the token":  {withCookie(token), false},
	}
	paths := strings.NewReplacer("{store}", "store_a", "{id}", "1", "{$}", "", "{file}", "style.css")
	for _, route := range x.routes() {
		if route.who == anyone {
			continue
		}
		method := route.method
		if method == "" {
			method = "GET"
		}
		for name, v := range visitors {
			got := x.send(t, method, paths.Replace(route.path), "", v.as)
			want := map[bool]int{true: 200, false: 401}[v.admin]
			if method == "POST" && v.admin && (got.StatusCode == 415 || got.StatusCode == 409) {
				want = got.StatusCode // let in, and told what is wrong: no body, or done before
			}
			if got.StatusCode != want {
				t.Errorf("%s %s as %s: %d, want %d: %.300s", method, route.path, name, got.StatusCode, want, got.text)
			}
		}
	}
}

func TestStrangersLearnNothing(t *testing.T) {
	x := open(t, nil)
	x.fill(t)
	want := x.get(t, "/api/stores/store_a/customers/1")
	for _, path := range []string{"/api/stores/store_a/customers", "/api/stores/none/customers", "/api/stores/store_a/customers/99", "/api/stores/none/stats", "/api/stores/store_a/customers?limit=x"} {
		if got := x.get(t, path); got.StatusCode != 401 || got.text != want.text {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
		}
	}
}

func TestNoAdminToken(t *testing.T) {
	x := open(t, func(c *Config) { c.AdminToken = "" })
	for _, path := range []string{"/api/stores/a/customers", "/api/admin/events", "/monitoring/", "/signin", "/signin?link=" + admin{""}.sign(forLink, now.Add(time.Hour))} {
		for _, who := range []as{stranger, withBearer(""), withBasic(""), withCookie(admin{""}.sign(forSession, now.Add(time.Hour)))} {
			if got := x.get(t, path, who); got.StatusCode != 503 || !strings.Contains(got.text, "ADMIN_TOKEN") {
				t.Errorf("%s: %d %s", path, got.StatusCode, got.text)
			}
		}
	}
	if got := x.send(t, "POST", "/signin", "token="); got.StatusCode != 503 || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
}

func TestSignIn(t *testing.T) {
	x := open(t, nil)
	form := x.get(t, "/signin?next=/monitoring/")
	if form.StatusCode != 200 || !strings.Contains(form.text, `value="/monitoring/"`) || strings.Contains(form.text, "<script") {
		t.Errorf("%d %s", form.StatusCode, form.text)
	}
	wrong := x.send(t, "POST", "/signin", "token=wrong&next=/monitoring/")
	if wrong.StatusCode != 401 || !strings.Contains(wrong.text, "not the admin token") || !strings.Contains(wrong.text, `value="/monitoring/"`) || wrong.Header.Get("Set-Cookie") != "" {
		t.Errorf("%d %s", wrong.StatusCode, wrong.text)
	}
	right := x.send(t, "POST", "/signin", "next=/monitoring/%3Fa%3Db&token=+the+admin%27s+token+")
	if right.StatusCode != 303 || right.Header.Get("Location") != "/monitoring/?a=b" {
		t.Fatalf("%d %v", right.StatusCode, right.Header)
	}
	cookie := right.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Secure || cookie.MaxAge != 86400 || strings.Contains(cookie.Value, token) {
		t.Errorf("%v", cookie)
	}
	if got := x.get(t, "/", withCookie(cookie.Value)); got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if got := x.send(t, "POST", "/signin", "token="+strings.Repeat("x", maxForm)); got.StatusCode != 400 {
		t.Errorf("a large form: %d", got.StatusCode)
	}
	out := x.send(t, "POST", "/signout", "", withCookie(cookie.Value))
	if gone := out.Cookies()[0]; out.StatusCode != 303 || gone.Value != "" || gone.MaxAge >= 0 || gone.Path != "/" || gone.Name != sessionCookie {
		t.Errorf("%d %v", out.StatusCode, gone)
	}
}

func TestSecureCookies(t *testing.T) {
	x := open(t, nil)
	body := "token=the+admin%27s+token"
	for header, want := range map[string]bool{"": false, "http": false, "https": true, "HTTPS": true} {
		if got := x.send(t, "POST", "/signin", body, withHeader("X-Forwarded-Proto", header)); got.Cookies()[0].Secure != want {
			t.Errorf("by %q: %v", header, got.Cookies()[0])
		}
	}
	always := open(t, func(c *Config) { c.SecureCookies = true })
	if got := always.send(t, "POST", "/signin", body); !got.Cookies()[0].Secure {
		t.Errorf("%v", got.Cookies()[0])
	}
}

func TestSignInLink(t *testing.T) {
	at := now
	x := open(t, func(c *Config) { c.Now = func() time.Time { return at } })
	link := strings.TrimPrefix(SignInLink(x.url, token, now), x.url)
	at = now.Add(linkLife - time.Second)
	in := x.get(t, link+"&next=/monitoring/")
	if in.StatusCode != 303 || in.Header.Get("Location") != "/monitoring/" {
		t.Fatalf("%d %v", in.StatusCode, in.Header)
	}
	if got := x.get(t, "/api/admin/events", withCookie(in.Cookies()[0].Value)); got.StatusCode != 200 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	at = now.Add(linkLife)
	for _, bad := range []string{link, link + "x", "/signin?link=1.x", "/signin?link=" + x.admin.sign(forSession, at.Add(time.Hour)), SignInLink("", "other", at)} {
		if got := x.get(t, bad); got.StatusCode != 200 || got.Header.Get("Set-Cookie") != "" || !strings.Contains(got.text, "expired") {
			t.Errorf("%s: %d %v", bad, got.StatusCode, got.Header)
		}
	}
	if log := x.log.String(); strings.Contains(log, "link=") || strings.Contains(log, token) || !strings.Contains(log, `"path":"/signin"`) {
		t.Error(log)
	}
}

func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{
		"": "/", "/": "/", "/monitoring/?a=b#c": "/monitoring/?a=b#c", "/a//b": "/a//b", "/?u=http://x/": "/?u=http://x/",
		"//evil.example": "/", "///evil.example": "/", "https://evil.example/": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "/\t/evil.example": "/",
		"/\n/evil.example": "/", "javascript:alert(1)": "/", "evil.example": "/", "http:evil": "/", " //evil.example": "/", "/%": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	x := open(t, nil)
	session := withCookie(x.admin.sign(forSession, now.Add(time.Hour)))
	for _, path := range []string{"/signin", "/signout", "/monitoring/api/queues/stripe:pause", "/api/admin/events"} {
		for _, from := range []as{withHeader("Sec-Fetch-Site", "cross-site"), withHeader("Origin", "https://evil.example"), withHeader("Sec-Fetch-Site", "same-site")} {
			got := x.send(t, "POST", path, "token=x", session, from)
			if got.StatusCode != 403 || got.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %d", path, got.StatusCode)
			}
		}
	}
	for _, from := range []as{withHeader("Sec-Fetch-Site", "same-origin"), withHeader("Origin", x.url), stranger} {
		if got := x.send(t, "POST", "/signout", "", session, from); got.StatusCode != 303 {
			t.Errorf("%d %s", got.StatusCode, got.text)
		}
	}
	if got := x.send(t, "DELETE", "/monitoring/api/queues/x", "", session, withHeader("Sec-Fetch-Site", "cross-site")); got.StatusCode != 403 {
		t.Errorf("%d", got.StatusCode)
	}
}
