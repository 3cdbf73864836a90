package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/web/access"
	"rollcall/web/core"
)

// withSession sends a token in a cookie of Clerk's with a suffix.
func withSession(suffix, token string) as {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: access.ClerkCookie + suffix, Value: token}) }
}

// together is all of them in one request.
func together(all ...as) as {
	return func(r *http.Request) {
		for _, one := range all {
			one(r)
		}
	}
}

// jar are tokens as they lie in a browser's cookies.
type jar struct{ good, foreign, ended string }

func newJar(t *testing.T) jar {
	return jar{
		good: sign(t, clerkKey, nil, sessionOf("user_owner")),
		foreign: sign(t, otherKey, claims{"kid": "ins_2"},
			sessionOf("user_owner").with(claims{"iss": "https://clerk.other.example"})),
		ended: sign(t, clerkKey, nil, sessionOf("user_owner").with(claims{"exp": now.Unix() - 600})),
	}
}

// A good session is found wherever Clerk has put it, and whatever else the
// browser has kept, by a key that is set and by one that Clerk is asked for.
func TestClerkCookies(t *testing.T) {
	t.Parallel()
	c := newJar(t)
	forged := func(n int) string {
		return sign(t, otherKey, nil, sessionOf(fmt.Sprint("user_", n)))
	}
	many := func(n int, token func(int) string) as {
		return func(r *http.Request) {
			for i := range n {
				withSession(fmt.Sprint("_", i), token(i))(r)
			}
		}
	}
	sites := map[string]*site{"key": open(t, clerkSite)}
	sites["key"].exec(t, `INSERT INTO stores (id, owner_user_id, version) VALUES ('s', 'user_owner', 'v')`)
	keys := newKeyServer(t, jwkOf(clerkKey, keyID))
	sites["key of Clerk's"], _ = openKeys(t, keys)
	for name, x := range sites {
		for _, v := range []struct {
			name string
			who  as
			want int
		}{
			{"of another instance, and suffixed", both(withClerk(c.foreign), withSession("_abc123", c.good)), 200},
			{"ended, and suffixed", both(withClerk(c.ended), withSession("_abc123", c.good)), 200},
			{"suffixed alone", withSession("_abc123", c.good), 200},
			{"ended, and the same name again", both(withClerk(c.ended), withClerk(c.good)), 200},
			{"good, and suffixed of another instance", both(withClerk(c.good), withSession("_abc123", c.foreign)), 200},
			{"good, and ended", both(withClerk(c.good), withClerk(c.ended)), 200},
			{"both names, one value", both(withClerk(c.good), withSession("_abc123", c.good)), 200},
			{"after a wrong bearer", both(withBearer("wrong"), both(withClerk(c.foreign), withSession("_abc123", c.good))), 200},
			{"after an ended bearer", both(withBearer(c.ended), withSession("_abc123", c.good)), 200},
			{"many that ended", both(many(20, func(i int) string {
				return sign(t, clerkKey, nil, sessionOf("u").with(claims{"exp": now.Unix() - 600 - int64(i)}))
			}), withSession("_z", c.good)), 200},
			{"many of other instances", both(many(20, func(i int) string {
				return sign(t, otherKey, claims{"kid": fmt.Sprint("ins_o", i)},
					sessionOf("u").with(claims{"iss": fmt.Sprintf("https://clerk.o%d.example", i)}))
			}), withSession("_z", c.good)), 200},
			{"many of rubbish", both(many(200, func(i int) string { return fmt.Sprint("a.b.", i) }), withSession("_z", c.good)),
				200},
			{"as many forged as are tried, less one", both(many(access.MostTried-1, forged), withSession("_z", c.good)), 200},
			{"more forged than are tried", both(many(access.MostTried, forged), withSession("_z", c.good)), 401},
			{"all of other instances", both(withClerk(c.foreign), withSession("_abc123", c.foreign)), 401},
			{"other names", together(withSession("s", c.good), withSession("-x", c.good), withHeader("__session", c.good)), 401},
		} {
			for _, path := range []string{"/api/stores/s/customers", "/store/s/customers"} {
				if got := x.get(t, path, v.who, fromAnywhere); got.StatusCode != v.want {
					t.Errorf("%s, %s, %s: %d, want %d: %.300s", name, v.name, path, got.StatusCode, v.want, got.text)
				}
			}
		}
		for _, token := range []string{c.good, c.ended, c.foreign} {
			if _, signature, _ := strings.Cut(token, "."); strings.Contains(x.log.String(), signature) {
				t.Errorf("%s: a token is in the log", name)
			}
		}
	}
	if n := keys.asked.Load(); n != 1 { // not for each foreign cookie
		t.Errorf("Clerk was asked for its keys %d times", n)
	}
}

// Where no cookie counts the answer says the most useful of why.
func TestClerkCookiesDoubt(t *testing.T) {
	c := newJar(t)
	x := open(t, clerkSite)
	if got := x.get(t, "/api/stores/s/stats",
		both(withClerk(c.foreign), withSession("_a", c.ended))); got.StatusCode != 401 ||
		!strings.Contains(got.text, "expired") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	k := newKeyServer(t, jwkOf(clerkKey, keyID))
	x, clock := openKeys(t, k)
	if got := x.get(t, "/api/stores/s/stats", withClerk(c.good)); got.StatusCode != 200 {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	k.set("") // Clerk is away
	clock.Store(int64(access.KeysEvery))
	for _, who := range []as{both(withClerk(c.foreign), withSession("_a", c.good)),
		both(withSession("_a", c.good), withClerk(c.foreign))} {
		if got := x.get(t, "/api/stores/s/stats", who); got.StatusCode != 200 {
			t.Errorf("another instance's cookie hides a good one: %d %s", got.StatusCode, got.text)
		}
	}
	for _, who := range []as{both(withClerk(c.foreign), withSession("_a", c.ended)),
		both(withClerk(c.ended), withSession("_a", c.foreign))} {
		if got := x.get(t, "/api/stores/s/stats", who); got.StatusCode != 503 {
			t.Errorf("one cannot be checked: %d %s", got.StatusCode, got.text)
		}
	}
}

// A browser that carries another instance's cookie has Clerk asked for its key
// only where no other cookie is good.
func TestClerkCookiesAskForNoKey(t *testing.T) {
	c := newJar(t)
	k := newKeyServer(t, jwkOf(clerkKey, keyID))
	var later time.Duration
	x := open(t, func(cfg *core.Config) {
		cfg.Clerk = core.Clerk{SecretKey: "sk_test_x", APIBase: k.URL + "/v1"} // any of Clerk's issuers
		cfg.Now = func() time.Time { return now.Add(later) }
	})
	x.exec(t, `INSERT INTO stores (id, owner_user_id, version) VALUES ('s', 'user_owner', 'v')`)
	ask := func(who as, status int, asked int32) {
		t.Helper()
		if got := x.get(t, "/api/stores/s/stats", who); got.StatusCode != status || k.asked.Load() != asked {
			t.Errorf("%d, and %d times asked, want %d and %d: %s", got.StatusCode, k.asked.Load(), status, asked, got.text)
		}
	}
	ask(withClerk(c.good), 200, 1)
	later = access.KeysEvery
	ask(both(withClerk(c.foreign), withSession("_abc123", c.good)), 200, 1)
	ask(withClerk(c.foreign), 401, 2)
}

// A cookie without "azp", as Clerk mints them when a page is opened, opens the
// page and all that the page asks for. A cookie with a wrong one never does, nor
// does a bearer without one.
func TestClerkCookieWithoutParty(t *testing.T) {
	x := open(t, clerkSite)
	x.sellersOf(t)
	owner := func(azp any) string { return sign(t, clerkKey, nil, sessionOf("user_owner").with(claims{"azp": azp})) }
	for _, c := range []struct {
		name string
		who  as
		want int
	}{
		{"no azp", withClerk(owner(nil)), 200},
		{"empty azp", withClerk(owner("")), 200},
		{"no azp, suffixed", withSession("_abc123", owner(nil)), 200},
		{"no azp, as bearer", withBearer(owner(nil)), 401},
		{"empty azp, as bearer", withBearer(owner("")), 401},
		{"other azp", withClerk(owner("https://evil.example")), 401},
		{"other azp, suffixed", withSession("_abc123", owner("https://evil.example")), 401},
		{"azp null", withClerk(owner("null")), 401},
		{"azp of another kind", withClerk(owner([]string{party})), 401},
		{"azp without a host", withClerk(owner("https://")), 401},
		{"no azp, ended",
			withClerk(sign(t, clerkKey, nil, sessionOf("user_owner").with(claims{"azp": nil, "exp": now.Unix() - 60}))), 401},
		{"no azp, other key", withClerk(sign(t, otherKey, nil, sessionOf("user_owner").with(claims{"azp": nil}))), 401},
		{"no azp, other user", withClerk(sign(t, clerkKey, nil, sessionOf("user_other").with(claims{"azp": nil}))), 404},
	} {
		for _, path := range []string{"/store/store_a/customers", "/api/stores/store_a/customers",
			"/api/stores/store_a/customers.csv"} {
			if got := x.get(t, path, c.who, fromAnywhere); got.StatusCode != c.want {
				t.Errorf("%s, %s: %d, want %d: %.200s", c.name, path, got.StatusCode, c.want, got.text)
			}
		}
	}
	note := "/store/store_a/customers/1/notes"
	if got := x.send(t, "POST", note, "text=Called", withClerk(owner(nil)),
		withHeader("Sec-Fetch-Site", "cross-site")); got.StatusCode != 403 {
		t.Errorf("from a page of another site: %d %s", got.StatusCode, got.text)
	}
}

// The same URL is the same however somebody writes it.
func TestOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://app.example.com":          "https://app.example.com",
		"https://app.example.com/":         "https://app.example.com",
		"HTTPS://App.Example.COM":          "https://app.example.com",
		"https://app.example.com:443":      "https://app.example.com",
		"https://app.example.com:443/":     "https://app.example.com",
		"https://app.example.com:8443":     "https://app.example.com:8443",
		"http://app.example.com:443":       "http://app.example.com:443",
		"http://localhost:80":              "http://localhost",
		"http://localhost:3000/":           "http://localhost:3000",
		"https://app.example.com/sign-in":  "https://app.example.com",
		"https://app.example.com?x":        "https://app.example.com",
		"https://bücher.example":           "https://xn--bcher-kva.example",
		"https://under_score.example":      "https://under_score.example",
		"http://[::1]:3000":                "http://[::1]:3000",
		"http://[2001:DB8::1]:80/":         "http://[2001:db8::1]",
		"capacitor://localhost":            "capacitor://localhost",
		"chrome-extension://abcdefghijklm": "chrome-extension://abcdefghijklm",
		" https://app.example.com ":        "https://app.example.com",
		"app.example.com":                  "",
		"localhost:3000":                   "",
		"app.example.com:443":              "",
		"//app.example.com":                "",
		"https://":                         "",
		"https:///x":                       "",
		"https://:443":                     "",
		"https://*.example.com":            "",
		"*":                                "",
		"null":                             "",
		"":                                 "",
		`"https://app.example.com"`:        "",
	} {
		if got, ok := core.Origin(text); got != want || ok != (want != "") {
			t.Errorf("%q: %q %t, want %q", text, got, ok, want)
		}
	}
	for text, want := range map[string]string{
		"https://Clerk.Example.com/":             "https://clerk.example.com",
		"https://clerk.example.com:443":          "https://clerk.example.com",
		"https://market.example/__clerk/":        "https://market.example/__clerk",
		"https://market.example/__Clerk":         "https://market.example/__Clerk",
		"clerk.example.com":                      "clerk.example.com",
		"https://clerk.example.com.evil.example": "https://clerk.example.com.evil.example",
		"":                                       "",
	} {
		if got := core.SameForm(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A header full of cookies takes no longer than the few that are checked.
func BenchmarkHostileCookies(b *testing.B) {
	s := access.NewSessions(core.Clerk{Key: &clerkKey.PublicKey, Issuer: issuer}, func() time.Time { return now }, nil)
	full := func(token func(int) string) *http.Request {
		r := &http.Request{Header: http.Header{}}
		for i := 0; len(r.Header.Get("Cookie")) < 60<<10; i++ {
			withSession(fmt.Sprint("_", i), token(i))(r)
		}
		return r
	}
	forged := sign(b, otherKey, nil, sessionOf("user_owner"))
	for name, r := range map[string]*http.Request{
		"forged":  full(func(i int) string { return forged + strings.Repeat("A", i%4) + fmt.Sprint(i) }),
		"rubbish": full(func(i int) string { return fmt.Sprint("a.b.", i) }),
		"long":    full(func(int) string { return strings.Repeat("a", 20<<10) + "." + "." + strings.Repeat("b", 20<<10) }),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if id, _ := s.FirstUser(b.Context(), access.ClerkTokens(r)); id != "" {
					b.Fatal(id)
				}
			}
		})
	}
}

// Each value is tried once, in the order in which the browser sends them.
func TestClerkTokens(t *testing.T) {
	r := &http.Request{
		Header: http.Header{
			"Cookie": {"a=1; __session=x; __session_1=y; __session=x; __session=z; __session_=w; __client_uat_1=5; " +
				"rollcall_session=v", "__session_2=u"}}}
	if got, want := access.ClerkTokens(r), []string{"x", "y", "z", "w", "u"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
