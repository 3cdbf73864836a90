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

// TryLimit allows a burst of wrong tokens, then one each interval.
type TryLimit struct {
	AtOnce int
	Every  time.Duration
}

var (
	TriesOfClient = TryLimit{10, core.TryEvery}   // an IPv4 address, an IPv6 /64
	TriesOfSite   = TryLimit{30, 2 * time.Second} // an IPv6 /48, which has 65,536 of those
	TriesOfAll    = TryLimit{100, time.Second}    // all clients together
)

const (
	TriesKept  = time.Hour // at least, unless MaxClients fail
	MaxClients = 10_000    // of a generation: about a megabyte

	redisTimeout = 500 * time.Millisecond // of a call
	redisRetry   = 5 * time.Second        // after a failed call
)

// Throttle limits wrong tokens. Right ones always pass: otherwise anyone behind the
// same address could lock their owner out. All processes count together in Redis.
// Each also counts alone: it asks Redis only below its own limits, and these remain
// while Redis is away. Safe for concurrent use.
type Throttle struct {
	shared *redis_rate.Limiter
	Away   atomic.Int64 // when Redis is asked again, in Unix nanoseconds

	mu sync.Mutex
	// Clients that failed, in two generations. When Young is full or old, it becomes
	// Old, and the clients in Old are forgotten.
	Young, Old map[string]*rate.Limiter
	began      time.Time // of Young
}

func NewThrottle(client redis.UniversalClient) *Throttle {
	return &Throttle{shared: redis_rate.NewLimiter(client), Young: map[string]*rate.Limiter{}}
}

// wrong counts a wrong token; the error says that there were too many. While all
// clients together exceed the limit, each may fail only once.
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

// known tells whether this process saw the client fail before.
func (t *Throttle) known(client string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Young[client] != nil || t.Old[client] != nil
}

// allows counts a try of a client or network, and tells whether the limit allows it.
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

// allowsEverywhere counts in Redis. Its client ignores contexts while it reads, so the
// call runs in a goroutine.
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
	case <-time.After(redisTimeout):
	}
	t.Away.Store(time.Now().Add(redisRetry).UnixNano())
	return true
}
