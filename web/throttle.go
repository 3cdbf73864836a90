package web

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

// tryLimit is how many wrong tokens may be sent at once, and after how long one more.
type tryLimit struct {
	atOnce int
	every  time.Duration
}

var (
	triesOfClient = tryLimit{10, tryEvery}        // an address of IPv4, a /64 of IPv6
	triesOfSite   = tryLimit{30, 2 * time.Second} // a /48 of IPv6, which has 65,536 of those
	triesOfAll    = tryLimit{100, time.Second}    // all clients together
)

const (
	triesKept  = time.Hour // at least, unless too many fail
	maxClients = 10_000    // of a generation, some megabyte

	triesPatience = 500 * time.Millisecond // with Redis
	triesAway     = 5 * time.Second        // after which Redis is asked again
)

// throttle limits wrong tokens. It is asked about wrong ones alone: the right one
// passes always, or anybody behind the same address could lock its owner out. All
// processes count together in Redis. Each counts for itself as well: what it knows
// to be too much is not asked about, and it is all there is while Redis is away.
type throttle struct {
	shared *redis_rate.Limiter
	away   atomic.Int64 // until when Redis is not asked, in Unix nanoseconds

	mu sync.Mutex
	// Those who failed, in two generations: when the young one is full, or old
	// enough, it takes the other's place, and what is in that is forgotten.
	young, old map[string]*rate.Limiter
	began      time.Time // the young one
}

func newThrottle(client redis.UniversalClient) *throttle {
	return &throttle{shared: redis_rate.NewLimiter(client), young: map[string]*rate.Limiter{}}
}

// wrong counts a wrong token; the error is that there were too many. While all
// together send too many, one is too many of a client, but for its first.
func (s *Site) wrong(r *http.Request) error {
	now, client := s.cfg.Now(), s.client(r)
	first := !s.throttle.known(client.String())
	ok := s.throttle.allows(r.Context(), client.String(), triesOfClient, now)
	if site, err := client.Addr().Prefix(48); ok && err == nil && client.Addr().Is6() {
		ok = s.throttle.allows(r.Context(), site.String(), triesOfSite, now)
	}
	if !ok || !s.throttle.allows(r.Context(), "all", triesOfAll, now) && !first {
		return errTooMany
	}
	return nil
}

// known tells whether a client failed before, at this process.
func (t *throttle) known(client string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.young[client] != nil || t.old[client] != nil
}

// allows counts one more of a client's, or of many clients'.
func (t *throttle) allows(ctx context.Context, of string, l tryLimit, now time.Time) bool {
	return t.allowsHere(of, l, now) && t.allowsEverywhere(ctx, of, l)
}

func (t *throttle) allowsHere(of string, l tryLimit, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.young) >= maxClients || now.Sub(t.began) >= triesKept {
		t.young, t.old, t.began = map[string]*rate.Limiter{}, t.young, now
	}
	failures := t.young[of]
	if failures == nil {
		failures = t.old[of]
	}
	if failures == nil {
		failures = rate.NewLimiter(rate.Every(l.every), l.atOnce)
	}
	t.young[of] = failures
	return failures.AllowN(now, 1)
}

// allowsEverywhere asks Redis. The client of Redis does not heed a context once it
// reads, so this waits beside it.
func (t *throttle) allowsEverywhere(ctx context.Context, of string, l tryLimit) bool {
	if time.Now().UnixNano() < t.away.Load() {
		return true
	}
	type answer struct {
		*redis_rate.Result
		error
	}
	answered := make(chan answer, 1)
	go func() {
		limit := redis_rate.Limit{Rate: 1, Period: l.every, Burst: l.atOnce}
		result, err := t.shared.Allow(context.WithoutCancel(ctx), "rollcall:tries:"+of, limit)
		answered <- answer{result, err}
	}()
	select {
	case a := <-answered:
		if a.error == nil {
			return a.Allowed > 0
		}
	case <-time.After(triesPatience):
	}
	t.away.Store(time.Now().Add(triesAway).UnixNano())
	return true
}
