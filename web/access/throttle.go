package access

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"rollcall/web/core"
)

// TryLimit is how many wrong tokens may be sent at once, and after how long one more.
type TryLimit struct {
	AtOnce int
	Every  time.Duration
}

var (
	TriesOfClient = TryLimit{10, core.TryEvery}   // an address of IPv4, a /64 of IPv6
	TriesOfSite   = TryLimit{30, 2 * time.Second} // a /48 of IPv6, which has 65,536 of those
	TriesOfAll    = TryLimit{100, time.Second}    // all clients together
)

const (
	TriesKept  = time.Hour // at least, unless too many fail
	MaxClients = 10_000    // of a generation, some megabyte

	triesPatience = 500 * time.Millisecond // with Redis
	triesAway     = 5 * time.Second        // after which Redis is asked again
)

// Throttle limits wrong tokens. It is asked about wrong ones alone: the right one
// passes always, or anybody behind the same address could lock its owner out. All
// processes count together in Redis. Each counts for itself as well: what it knows
// to be too much is not asked about, and it is all there is while Redis is away.
type Throttle struct {
	shared *redis_rate.Limiter
	Away   atomic.Int64 // until when Redis is not asked, in Unix nanoseconds

	mu sync.Mutex
	// Those who failed, in two generations: when the young one is full, or old
	// enough, it takes the other's place, and what is in that is forgotten.
	Young, Old map[string]*rate.Limiter
	began      time.Time // the young one
}

func NewThrottle(client redis.UniversalClient) *Throttle {
	return &Throttle{shared: redis_rate.NewLimiter(client), Young: map[string]*rate.Limiter{}}
}

// wrong counts a wrong token; the error is that there were too many. While all
// together send too many, one is too many of a client, but for its first.
func (s *Access) wrong(r *http.Request) error {
	now, client := s.Cfg.Now(), s.Client(r)
	first := !s.Throttle.known(client.String())
	ok := s.Throttle.allows(r.Context(), client.String(), TriesOfClient, now)
	if site, err := client.Addr().Prefix(48); ok && err == nil && client.Addr().Is6() {
		ok = s.Throttle.allows(r.Context(), site.String(), TriesOfSite, now)
	}
	if !ok || !s.Throttle.allows(r.Context(), "all", TriesOfAll, now) && !first {
		return core.ErrTooMany
	}
	return nil
}

// known tells whether a client failed before, at this process.
func (t *Throttle) known(client string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Young[client] != nil || t.Old[client] != nil
}

// allows counts one more of a client's, or of many clients'.
func (t *Throttle) allows(ctx context.Context, of string, l TryLimit, now time.Time) bool {
	return t.AllowsHere(of, l, now) && t.allowsEverywhere(ctx, of, l)
}

func (t *Throttle) AllowsHere(of string, l TryLimit, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.Young) >= MaxClients || now.Sub(t.began) >= TriesKept {
		t.Young, t.Old, t.began = map[string]*rate.Limiter{}, t.Young, now
	}
	failures := t.Young[of]
	if failures == nil {
		failures = t.Old[of]
	}
	if failures == nil {
		failures = rate.NewLimiter(rate.Every(l.Every), l.AtOnce)
	}
	t.Young[of] = failures
	return failures.AllowN(now, 1)
}

// allowsEverywhere asks Redis. The client of Redis does not heed a context once it
// reads, so this waits beside it.
func (t *Throttle) allowsEverywhere(ctx context.Context, of string, l TryLimit) bool {
	if time.Now().UnixNano() < t.Away.Load() {
		return true
	}
	type answer struct {
		*redis_rate.Result
		error
	}
	answered := make(chan answer, 1)
	go func() {
		limit := redis_rate.Limit{Rate: 1, Period: l.Every, Burst: l.AtOnce}
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
	t.Away.Store(time.Now().Add(triesAway).UnixNano())
	return true
}
