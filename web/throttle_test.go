package web

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/internal/testing/testdb"
	"rollcall/web/access"
	"rollcall/web/core"
)

func from(address string) as { return withHeader("X-Forwarded-For", address) }

// throttled is a site behind a proxy, and its clock.
func throttled(t *testing.T) (*site, *atomic.Int64) {
	clock := &atomic.Int64{}
	x := open(t, func(c *core.Config) {
		clerkSite(c)
		c.Now = func() time.Time { return now.Add(time.Duration(clock.Load())) }
	})
	x.sellersOf(t)
	return x, clock
}

// ways are all that a token can be tried by.
var ways = map[string]func(t *testing.T, x *site, token string, who ...as) answer{
	"bearer, API": func(t *testing.T, x *site, token string, who ...as) answer {
		return x.get(t, "/api/admin/events", append(who, withBearer(token))...)
	},
	"bearer, store": func(t *testing.T, x *site, token string, who ...as) answer {
		return x.get(t, "/api/stores/store_a/stats", append(who, withBearer(token))...)
	},
	"basic, queues": func(t *testing.T, x *site, token string, who ...as) answer {
		return x.get(t, "/monitoring/", append(who, withBasic(token))...)
	},
	"bearer, events": func(t *testing.T, x *site, token string, who ...as) answer {
		return x.send(t, "POST", "/api/admin/backfills", "", append(who, withBearer(token))...)
	},
	"form": func(t *testing.T, x *site, token string, who ...as) answer {
		return x.send(t, "POST", "/signin", "token="+token, who...)
	},
	"start page": func(t *testing.T, x *site, token string, who ...as) answer {
		return x.get(t, "/admin", append(who, withBearer(token))...)
	},
}

// Wrong tokens are soon refused unread, whichever way and on whichever route they
// come. The right one passes all the while, from the same address too.
func TestThrottle(t *testing.T) {
	for name, try := range ways {
		t.Run(name, func(t *testing.T) {
			x, _ := throttled(t)
			right := try(t, x, token, from("192.0.2.9")).StatusCode
			wrong := try(t, x, "wrong0", from("192.0.2.1")).StatusCode
			if wrong == right || wrong == 429 || right >= 500 {
				t.Fatalf("right %d, wrong %d", right, wrong)
			}
			check := func(token, address string, want int) {
				t.Helper()
				got := try(t, x, token, from(address))
				if got.StatusCode != want {
					t.Fatalf("%s from %s: %d, want %d", token, address, got.StatusCode, want)
				}
				if seconds, _ := strconv.Atoi(got.Header.Get("Retry-After")); want == 429 && seconds != 6 {
					t.Errorf("%v", got.Header)
				}
			}
			for i := range access.TriesOfClient.AtOnce - 1 {
				check("wrong"+strconv.Itoa(i), "192.0.2.1", wrong)
			}
			check("wrong", "192.0.2.1", 429)
			check(token, "192.0.2.1", right)
			check("wrong", "192.0.2.1", 429)
			check(token, "192.0.2.2", right)
			check("wrong", "192.0.2.2", wrong)
		})
	}
}

// Of IPv6 each /64 counts, and each /48.
func TestThrottleIPv6(t *testing.T) {
	x, _ := throttled(t)
	try := func(token, address string) int {
		return x.get(t, "/api/admin/events", withBearer(token), from(address)).StatusCode
	}
	for i := range access.TriesOfClient.AtOnce {
		if got := try("wrong", fmt.Sprintf("2001:db8:1:1::%x", i)); got != 401 {
			t.Fatalf("try %d of a /64: %d", i, got)
		}
	}
	if got := try("wrong", "2001:db8:1:1:ffff::1"); got != 429 {
		t.Errorf("one too many of a /64: %d", got)
	}
	for i := range access.TriesOfSite.AtOnce - access.TriesOfClient.AtOnce {
		if got := try("wrong", fmt.Sprintf("2001:db8:1:%x::1", 2+i)); got != 401 {
			t.Fatalf("try %d of a /48: %d", i, got)
		}
	}
	if got := try("wrong", "2001:db8:1:ffff::1"); got != 429 {
		t.Errorf("one too many of a /48: %d", got)
	}
	if got := try("wrong", "2001:db8:2:1::1"); got != 401 {
		t.Errorf("another /48: %d", got)
	}
	if got := try(token, "2001:db8:1:1::1"); got != 200 {
		t.Errorf("the right one: %d", got)
	}
}

// Two processes count together. While Redis is away each counts for itself.
func TestThrottleTogether(t *testing.T) {
	database, redis := testdb.Postgres(t), testdb.Redis(t)
	one, two := openOn(t, database, redis, clerkSite), openOn(t, database, redis, clerkSite)
	try := func(x *site) int {
		return x.get(t, "/api/admin/events", withBearer("wrong"), from("192.0.2.1")).StatusCode
	}
	for i := range access.TriesOfClient.AtOnce {
		if got := try([]*site{one, two}[i%2]); got != 401 {
			t.Fatalf("try %d: %d", i, got)
		}
	}
	if a, b := try(one), try(two); a != 429 || b != 429 {
		t.Errorf("one too many: %d and %d", a, b)
	}
	alone := openOn(t, database, "redis://127.0.0.1:1", clerkSite)
	for i := range access.TriesOfClient.AtOnce {
		if got := try(alone); got != 401 {
			t.Fatalf("without Redis, try %d: %d", i, got)
		}
	}
	if got := try(alone); got != 429 {
		t.Errorf("without Redis, one too many: %d", got)
	}
	if got := alone.get(t, "/api/admin/events", withBearer(token), from("192.0.2.1")); got.StatusCode != 200 {
		t.Errorf("without Redis, the right one: %d", got.StatusCode)
	}
}

func TestThrottleAnswers(t *testing.T) {
	x, _ := throttled(t)
	for range access.TriesOfClient.AtOnce {
		x.get(t, "/api/admin/events", withBearer("wrong"))
	}
	if got := x.get(t, "/api/admin/events", withBearer("wrong")); got.StatusCode != 429 ||
		got.code(t) != "too_many_requests" {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	// What cannot be guessed opens what it opened before, and so does what was
	// signed in already: there may be many behind one address.
	for name, who := range map[string]as{
		"store token": withBearer(x.token(t, "store_a").Secret),
		"Clerk":       withBearer(sign(t, clerkKey, nil, sessionOf("user_owner"))),
		"both":        both(withBearer("wrong"), withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))),
		"cookie":      withCookie(x.access.Admin.Sign(access.ForSession, now.Add(time.Hour))),
	} {
		if got := x.get(t, "/api/stores/store_a/stats", who); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
		}
	}
	for _, path := range []string{"/healthz", "/signin", "/assets/style.css"} { // nothing to be tried there
		if got := x.get(t, path, withBearer("wrong")); got.StatusCode != 200 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
	if got := x.get(t, "/api/stores/store_a/stats"); got.StatusCode != 401 {
		t.Errorf("without a token: %d", got.StatusCode)
	}
}

// Tries that are all sent at once are counted as those sent in a row.
func TestThrottleAtOnce(t *testing.T) {
	x, _ := throttled(t)
	var heard atomic.Int32
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if got := x.get(t, "/api/admin/events", withBearer("wrong")); got.StatusCode == 401 {
				heard.Add(1)
			}
		})
	}
	wg.Wait()
	if heard.Load() != int32(access.TriesOfClient.AtOnce) {
		t.Errorf("%d tries were heard", heard.Load())
	}
}

// While all together try too much, a client that failed once is refused, until
// there is time for one more. One that never did is heard.
func TestThrottleAll(t *testing.T) {
	x, clock := throttled(t)
	try := func(n int) int {
		return x.get(t, "/api/admin/events", withBearer("wrong"), from(fmt.Sprintf("10.0.0.%d", n))).StatusCode
	}
	for i := range access.TriesOfAll.AtOnce {
		if got := try(i); got != 401 {
			t.Fatalf("client %d: %d", i, got)
		}
	}
	x.redisAway()
	if never, again := try(200), try(200); never != 401 || again != 429 {
		t.Errorf("one too many: %d, then %d", never, again)
	}
	clock.Store(int64(access.TriesOfAll.Every))
	if one, more := try(1), try(2); one != 401 || more != 429 {
		t.Errorf("a second later: %d, then %d", one, more)
	}
}

// redisAway lets the throttle count by the site's clock alone.
func (x *site) redisAway() { x.access.Throttle.Away.Store(math.MaxInt64) }

// However many fail, not more than two generations are remembered, and those
// not for ever.
func TestThrottleForgets(t *testing.T) {
	th := access.NewThrottle(nil)
	try := func(n int, at time.Time) bool {
		return th.AllowsHere(strconv.Itoa(n), access.TryLimit{AtOnce: 1, Every: 24 * time.Hour}, at)
	}
	for i := range 3*access.MaxClients + 10 {
		try(i, now)
	}
	if len(th.Young) != 10 || len(th.Old) != access.MaxClients {
		t.Errorf("%d and %d are remembered", len(th.Young), len(th.Old))
	}
	if try(2*access.MaxClients, now) || !try(0, now) {
		t.Error("the wrong ones are remembered")
	}
	try(1, now.Add(access.TriesKept))
	if try(2, now.Add(2*access.TriesKept)); len(th.Young)+len(th.Old) != 2 {
		t.Errorf("%d and %d are remembered", len(th.Young), len(th.Old))
	}
}

// TestClient: where a request comes from, which only our own proxies may say.
func TestClient(t *testing.T) {
	x := &core.Site{
		Cfg: core.Config{
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, c := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:99", nil, "192.0.2.1/32"},
		{"192.0.2.1:99", []string{"198.51.100.7"}, "192.0.2.1/32"},
		{"10.0.0.1:99", nil, "10.0.0.1/32"},
		{"10.0.0.1:99", []string{"198.51.100.7"}, "198.51.100.7/32"},
		{"10.0.0.1:99", []string{"203.0.113.5, 198.51.100.7"}, "198.51.100.7/32"},
		{"10.0.0.1:99", []string{"203.0.113.5", "198.51.100.7 ,10.2.3.4"}, "198.51.100.7/32"},
		{"10.0.0.1:99", []string{"10.9.9.9, 10.2.3.4"}, "10.9.9.9/32"},
		{"10.0.0.1:99", []string{"198.51.100.7:1234"}, "198.51.100.7/32"},
		{"10.0.0.1:99", []string{"[2001:db8:1:2:3:4:5:6]:1234"}, "2001:db8:1:2::/64"},
		{"10.0.0.1:99", []string{"198.51.100.7, unknown"}, "10.0.0.1/32"},
		{"10.0.0.1:99", []string{""}, "10.0.0.1/32"},
		{"[::ffff:10.0.0.1]:99", []string{"::ffff:198.51.100.7"}, "198.51.100.7/32"},
		{"[fd00::1]:99", []string{"2001:db8:1:2:ffff::1"}, "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:99", nil, "fe80::/64"},
		{"@", []string{"198.51.100.7"}, "invalid Prefix"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header = c.peer, http.Header{"X-Forwarded-For": c.forwarded}
		if got := x.Client(r).String(); got != c.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}
