package web

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/internal/testing/testdb"
	"rollcall/web/access"
	"rollcall/web/core"
)

// signInByForm signs in as an operator by the form, and returns the cookie's value.
func (x *site) signInByForm(t testing.TB, token string) string {
	t.Helper()
	got := x.send(t, "POST", "/signin", "token="+strings.ReplaceAll(token, "'", "%27"))
	if got.StatusCode != 303 {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	return got.Cookies()[0].Value
}

// A copy of a cookie opens nothing once its session was signed out of, at no
// process; other sessions stay. A cookie made under another ADMIN_TOKEN is refused.
func TestSignOutEndsCopies(t *testing.T) {
	database, redis := testdb.Postgres(t), testdb.Redis(t)
	one, two := openOn(t, database, redis, nil), openOn(t, database, redis, nil)
	mine, other := one.signInByForm(t, token), one.signInByForm(t, token)
	if mine == other {
		t.Fatal("two sessions are one")
	}
	for _, x := range []*site{one, two} {
		for _, path := range []string{"/admin", "/monitoring/", "/api/admin/events"} {
			if got := x.get(t, path, withCookie(mine)); got.StatusCode != 200 {
				t.Errorf("signed in, %s: %d", path, got.StatusCode)
			}
		}
	}
	if got := one.send(t, "POST", "/signout", "", withCookie(mine)); got.StatusCode != 303 {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	for _, x := range []*site{one, two} {
		for path, want := range map[string]int{"/admin": 303, "/monitoring/": 401, "/api/admin/events": 401,
			"/api/stores/store_a/stats": 401} {
			if got := x.get(t, path, withCookie(mine)); got.StatusCode != want {
				t.Errorf("signed out, %s: %d, want %d", path, got.StatusCode, want)
			}
		}
		if got := x.get(t, "/api/admin/events", withCookie(other)); got.StatusCode != 200 {
			t.Errorf("another session: %d", got.StatusCode)
		}
		if got := x.get(t, "/api/admin/events", withCookie(mine), withBearer(token)); got.StatusCode != 200 {
			t.Errorf("with the token beside it: %d", got.StatusCode)
		}
	}
	changed := openOn(t, database, redis, func(c *core.Config) { c.AdminToken = "another token of 25" })
	if got := changed.get(t, "/api/admin/events", withCookie(other)); got.StatusCode != 401 {
		t.Errorf("the token was changed: %d", got.StatusCode)
	}
}

// Who signs out with a forged or an expired cookie adds nothing to the list of
// ended sessions; what has expired leaves it.
func TestEndedSessionsAreFew(t *testing.T) {
	x := open(t, nil)
	for _, cookie := range []string{"x", "9999999999.x.y", x.access.Admin.Sign(access.ForSession, now),
		x.access.Admin.Sign(access.ForLink, now.Add(time.Hour))} {
		x.send(t, "POST", "/signout", "", withCookie(cookie))
	}
	x.wantCount(t, `SELECT count(*) FROM ended_sessions`, 0)
	x.exec(t, `INSERT INTO ended_sessions (hash, expires_at) VALUES ('\x00', now() - interval '1 s'),
		('\x01', now() + interval '1 h')`)
	x.send(t, "POST", "/signout", "", withCookie(x.access.Admin.Sign(access.ForSession, now.Add(time.Hour))))
	x.wantCount(t, `SELECT count(*) FROM ended_sessions`, 2)
}

// While it cannot be known who has signed out, sessions open nothing.
func TestSessionsWithoutPostgres(t *testing.T) {
	x := open(t, nil)
	session := x.signInByForm(t, token)
	x.exec(t, `ALTER TABLE ended_sessions RENAME TO elsewhere`)
	if got := x.get(t, "/monitoring/", withCookie(session)); got.StatusCode != 503 {
		t.Errorf("%d", got.StatusCode)
	}
	if got := x.get(t, "/monitoring/", withBasic(token)); got.StatusCode != 200 {
		t.Errorf("the token: %d", got.StatusCode)
	}
}

// A page that waits for news hears no more once who looks may not: streams that
// are open end as new ones are refused.
func TestLiveEndsWithTheRight(t *testing.T) {
	for name, c := range map[string]struct {
		who func(t *testing.T, x *site) as
		end func(t *testing.T, x *site)
	}{
		"token revoked": {
			func(t *testing.T, x *site) as { return withBearer(x.token(t, "store_a").Secret) },
			func(t *testing.T, x *site) { x.exec(t, `UPDATE store_tokens SET revoked_at = now()`) },
		},
		"member removed": {
			func(t *testing.T, x *site) as { return withClerk(sign(t, clerkKey, nil, sessionOf("user_member"))) },
			func(t *testing.T, x *site) { x.exec(t, `UPDATE stores SET member_user_ids = '{}'`) },
		},
		"signed out": {
			func(t *testing.T, x *site) as { x.cookie = x.signInByForm(t, token); return withCookie(x.cookie) },
			func(t *testing.T, x *site) { x.send(t, "POST", "/signout", "", withCookie(x.cookie)) },
		},
		"Clerk's session over": {
			func(t *testing.T, x *site) as { return withClerk(sign(t, clerkKey, nil, sessionOf("user_owner"))) },
			func(t *testing.T, x *site) { x.clock.Store(int64(10 * time.Minute)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, clock := throttled(t)
			x.creators.Live.Check, x.clock = time.Millisecond, clock
			who := c.who(t, x)
			after := "/store/store_a/customers/live?after=" + x.after(t, "store_a", 99)
			stream := x.stream(t, after, who)
			if !stream.Scan() { // a line at once, so that it is known to be open
				t.Fatal("it is over at once")
			}
			c.end(t, x)
			for stream.Scan() {
				if strings.HasPrefix(stream.Text(), "data:") {
					t.Error(stream.Text())
				}
			}
			if got := x.get(t, after, who); got.StatusCode != 401 && got.StatusCode != 404 {
				t.Errorf("again: %d", got.StatusCode)
			}
		})
	}
}

// stream opens a page's news in the name of somebody.
func (x *site) stream(t *testing.T, path string, who as) *bufio.Scanner {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", x.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	who(r)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 {
		t.Fatalf("%d", res.StatusCode)
	}
	return bufio.NewScanner(res.Body)
}

// onWrite is a reader who does something when the first bytes come.
type onWrite struct {
	*httptest.ResponseRecorder
	once sync.Once
	do   func()
}

func (w *onWrite) Write(b []byte) (int, error) {
	w.once.Do(w.do)
	return w.ResponseRecorder.Write(b)
}

// An export that is under way ends when its reader may not have it any more.
func TestExportEndsWithTheRight(t *testing.T) {
	x := open(t, nil)
	x.creators.Live.Check = 0
	x.exec(t, `INSERT INTO stores (id, name, version) VALUES ('store_a', 'A', '1')`)
	x.exec(t, `INSERT INTO customers (store_id, email) SELECT 'store_a', 'buyer' || n || '@x.example'
		FROM generate_series(1000, 2000) n`)
	secret := x.token(t, "store_a").Secret
	for _, revoked := range []bool{false, true} {
		w := &onWrite{ResponseRecorder: httptest.NewRecorder(), do: func() {
			if revoked {
				x.exec(t, `UPDATE store_tokens SET revoked_at = now()`)
			}
		}}
		r := httptest.NewRequest("GET", "/api/stores/store_a/customers.csv?sort=email", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		cut := func() (cut bool) {
			defer func() { cut = recover() != nil }()
			x.ServeHTTP(w, r)
			return false
		}()
		if whole := strings.Contains(w.Body.String(), "buyer2000@"); cut != revoked || whole == revoked ||
			!strings.Contains(w.Body.String(), "id,email") {
			t.Errorf("revoked %t: cut off %t, whole %t: %d bytes, %.300s", revoked, cut, whole, w.Body.Len(), w.Body)
		}
	}
}

// A creator who signs out here is out, with every copy of every cookie of that session
// and however Clerk renews them. The session at the marketplace goes on; another one
// opens the lists again.
func TestCreatorsSignOut(t *testing.T) {
	database, redis := testdb.Postgres(t), testdb.Redis(t)
	one, two := openOn(t, database, redis, clerkSite), openOn(t, database, redis, clerkSite)
	one.sellersOf(t)
	const list = "/store/store_a/customers"
	of := func(session string, more claims) string {
		return sign(t, clerkKey, nil, sessionOf("user_owner").with(claims{"sid": session}).with(more))
	}
	old := of("sess_left", claims{"iat": now.Unix() - 7200, "nbf": now.Unix() - 7200, "exp": now.Unix() - 7140})
	fresh, other := of("sess_left", nil), of("sess_kept", nil)
	for _, who := range []as{withClerk(fresh), withClerk(other), withBearer(fresh)} {
		if got := one.get(t, list, who); got.StatusCode != 200 {
			t.Fatalf("signed in: %d", got.StatusCode)
		}
	}
	// The cookie has expired while the page was open.
	out := one.send(t, "POST", "/signout", "", withClerk(old))
	if out.StatusCode != 303 || out.Header.Get("Location") != "/signin?signed_out=1" {
		t.Fatalf("%d %v", out.StatusCode, out.Header)
	}
	if got := one.get(t, "/signin?signed_out=1"); !strings.Contains(got.text, "sign out there too") {
		t.Error(got.text)
	}
	for _, x := range []*site{one, two} {
		for _, who := range []as{withClerk(fresh), withBearer(fresh), withSession("_abc", fresh)} {
			if got := x.get(t, list, who); got.StatusCode != 401 || !strings.Contains(got.text, "You signed out here") {
				t.Errorf("signed out: %d %s", got.StatusCode, got.text)
			}
			if got := x.get(t, "/", who); got.StatusCode != 303 || got.Header.Get("Location") != "/signin" {
				t.Errorf("signed out, the start: %d %v", got.StatusCode, got.Header)
			}
		}
		for _, who := range []as{withClerk(other), both(withClerk(fresh), withSession("_abc", other))} {
			if got := x.get(t, list, who); got.StatusCode != 200 {
				t.Errorf("another session: %d", got.StatusCode)
			}
		}
	}
	before := `SELECT count(*) FROM ended_sessions`
	one.wantCount(t, before, 1)
	for _, who := range []as{withClerk(sign(t, otherKey, nil, sessionOf("user_owner"))), withClerk("a.b.c"), stranger} {
		one.send(t, "POST", "/signout", "", who)
	}
	one.wantCount(t, before, 1)
}
