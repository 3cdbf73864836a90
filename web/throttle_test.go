package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func from(address string) as { return withHeader("X-Forwarded-For", address) }

// throttled is a site behind a proxy, and its clock.
func throttled(t *testing.T) (*site, *atomic.Int64) {
	clock := &atomic.Int64{}
	x := open(t, func(c *Config) {
		clerkSite(c)
		c.Now = func() time.Time { return now.Add(time.Duration(clock.Load())) }
	})
	x.sellersOf(t)
	return x, clock
}

// Whoever sends wrong tokens is soon not listened to, whichever way and on
// whichever route; others are, and so is he after a while.
func TestThrottle(t *testing.T) {
	for name, try := range map[string]func(x *site, token string, who ...as) answer{
		"bearer, API": func(x *site, token string, who ...as) answer {
			return x.get(t, "/api/admin/events", append(who, withBearer(token))...)
		},
		"bearer, store": func(x *site, token string, who ...as) answer {
			return x.get(t, "/api/stores/store_a/stats", append(who, withBearer(token))...)
		},
		"basic, queues": func(x *site, token string, who ...as) answer {
			return x.get(t, "/monitoring/", append(who, withBasic(token))...)
		},
		"bearer, events": func(x *site, token string, who ...as) answer {
			return x.send(t, "POST", "/api/admin/backfills", "", append(who, withBearer(token))...)
		},
		"form": func(x *site, token string, who ...as) answer {
			return x.send(t, "POST", "/signin", "token="+token, who...)
		},
		"start page": func(x *site, token string, who ...as) answer {
			return x.get(t, "/admin", append(who, withBearer(token))...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, clock := throttled(t)
			right := try(x, token, from("192.0.2.9")).StatusCode
			wrong := try(x, "wrong0", from("192.0.2.1")).StatusCode
			if wrong == right || wrong == 429 || right >= 500 {
				t.Fatalf("right %d, wrong %d", right, wrong)
			}
			check := func(token, address string, want int) {
				t.Helper()
				got := try(x, token, from(address))
				if got.StatusCode != want {
					t.Fatalf("%s from %s: %d, want %d", token, address, got.StatusCode, want)
				}
				if seconds, _ := strconv.Atoi(got.Header.Get("Retry-After")); want == 429 && seconds != 6 {
					t.Errorf("%v", got.Header)
				}
			}
			for i := range triesAtOnce - 1 {
				check("wrong"+strconv.Itoa(i), "192.0.2.1", wrong)
			}
			check("wrong", "192.0.2.1", 429)
			check(token, "192.0.2.1", 429) // or he would learn it by trying
			check(token, "192.0.2.2", right)
			check("wrong", "192.0.2.2", wrong)
			clock.Store(int64(tryEvery - time.Second))
			check(token, "192.0.2.1", 429)
			clock.Store(int64(tryEvery))
			check(token, "192.0.2.1", right)
			check("wrong", "192.0.2.1", wrong)
			check(token, "192.0.2.1", 429)
		})
	}
}

func TestThrottleAnswers(t *testing.T) {
	x, _ := throttled(t)
	for range triesAtOnce {
		x.get(t, "/api/admin/events", withBearer("wrong"))
	}
	if got := x.get(t, "/api/admin/events", withBearer("wrong")); got.StatusCode != 429 || got.code(t) != "too_many_requests" {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	// What cannot be guessed opens what it opened before, and so does what was
	// signed in already: there may be many behind one address.
	for name, who := range map[string]as{
		"store token": withBearer(x.token(t, "store_a").Secret),
		"Clerk":       withBearer(sign(t, clerkKey, nil, sessionOf("user_owner"))),
		"both":        both(withBearer("wrong"), withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))),
		"cookie":      withCookie(x.admin.sign(forSession, now.Add(time.Hour))),
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
	if heard.Load() != triesAtOnce {
		t.Errorf("%d tries were heard", heard.Load())
	}
}

func network(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}

// While all together try too much, who failed once has to wait; who never did
// is heard.
func TestThrottleAll(t *testing.T) {
	th := newThrottle()
	wrong, right := func() bool { return false }, func() bool { return true }
	heard := func(n int, at time.Time, is func() bool) bool { _, heard := th.try(network(n), at, is); return heard }
	for i := range allTriesAtOnce {
		if !heard(i, now, wrong) {
			t.Fatalf("client %d is not heard", i)
		}
	}
	if heard(0, now, right) || !heard(allTriesAtOnce, now, right) {
		t.Error("one failure is not enough, or others are not heard")
	}
	if heard(1, now.Add(allTryEvery-time.Millisecond), wrong) || !heard(1, now.Add(allTryEvery), right) {
		t.Error("it takes more or less than the time for one try")
	}
	if !heard(allTriesAtOnce+1, now, wrong) || heard(allTriesAtOnce+1, now, wrong) {
		t.Error("a new client has one try")
	}
}

// However many fail, not more than two generations are remembered, and those
// not for ever.
func TestThrottleForgets(t *testing.T) {
	th := newThrottle()
	wrong := func() bool { return false }
	for i := range 3*maxClients + 10 {
		th.try(network(i), now, wrong)
	}
	if len(th.young) != 10 || len(th.old) != maxClients {
		t.Errorf("%d and %d are remembered", len(th.young), len(th.old))
	}
	if th.failures(network(2*maxClients), now) == nil || th.failures(network(0), now) != nil {
		t.Error("the wrong ones are remembered")
	}
	later := now.Add(2 * triesKept)
	th.failures(network(0), later)
	if th.failures(network(0), later.Add(triesKept)); len(th.young)+len(th.old) != 0 {
		t.Errorf("%d and %d are remembered", len(th.young), len(th.old))
	}
}

// TestClient: where a request comes from, which only our own proxies may say.
func TestClient(t *testing.T) {
	x := &Site{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
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
		if got := x.client(r).String(); got != c.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}
