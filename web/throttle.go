package web

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often a wrong token may be sent: by one client, and by all together.
const (
	triesAtOnce    = 10
	tryEvery       = 6 * time.Second // one more after this; also what Retry-After says
	allTriesAtOnce = 100
	allTryEvery    = time.Second

	triesKept  = time.Hour // at least, unless too many fail
	maxClients = 10_000    // of a generation, some megabyte
)

// throttle slows down those who try tokens. Nobody is made to wait in a
// handler: who has failed too often is not listened to for a while. Those who
// have not failed are always heard, or a stranger could lock everybody out.
type throttle struct {
	mu  sync.Mutex
	all *rate.Limiter
	// Those who failed, in two generations: when the young one is full, or old
	// enough, it takes the other's place, and whoever is in that is forgotten.
	young, old map[netip.Prefix]*rate.Limiter
	began      time.Time // the young one
}

func newThrottle() *throttle {
	return &throttle{
		all:   rate.NewLimiter(rate.Every(allTryEvery), allTriesAtOnce),
		young: map[netip.Prefix]*rate.Limiter{},
	}
}

// try asks whether what a client sent is right, and counts it if not. It does
// not ask (heard is false) if the client failed too often of late; while all
// together did, one failure is too often.
func (t *throttle) try(client netip.Prefix, now time.Time, right func() bool) (ok, heard bool) {
	t.mu.Lock() // while asking too: tries sent at once must not all be the last one
	defer t.mu.Unlock()
	failures := t.failures(client, now)
	if failures != nil && (failures.TokensAt(now) < 1 || t.all.TokensAt(now) < 1) {
		return false, false
	}
	if right() {
		return true, true
	}
	if failures == nil {
		failures = rate.NewLimiter(rate.Every(tryEvery), triesAtOnce)
	}
	t.young[client] = failures
	failures.AllowN(now, 1)
	t.all.AllowN(now, 1)
	return false, true
}

// failures is what is left to a client who failed, nil for others.
func (t *throttle) failures(client netip.Prefix, now time.Time) *rate.Limiter {
	if len(t.young) >= maxClients || now.Sub(t.began) >= triesKept {
		t.young, t.old, t.began = map[netip.Prefix]*rate.Limiter{}, t.young, now
	}
	if f := t.young[client]; f != nil {
		return f
	}
	return t.old[client]
}

// client is where a request comes from: one address of IPv4, or all those that
// one household or server has of IPv6. A proxy that we trust says who asked it;
// what others write into the header is worth nothing.
func (s *Site) client(r *http.Request) netip.Prefix {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // zero, as on a Unix socket: all are one
	at := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(at); i-- {
		hop, err := readHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // the trusted one that let this through has to answer for it
		}
		at = hop
	}
	bits := 32
	if at.Is6() {
		bits = 64
	}
	network, _ := at.WithZone("").Prefix(bits) // fails for the zero one, which is what is meant
	return network
}

// readHop reads an address as proxies write it, some with a port.
func readHop(text string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap(), nil
	}
	at, err := netip.ParseAddr(text)
	return at.Unmap(), err
}

// trusts tells whether an address is one of our own proxies.
func (s *Site) trusts(at netip.Addr) bool {
	for _, network := range s.cfg.TrustedProxies {
		if network.Contains(at.WithZone("")) {
			return true
		}
	}
	return false
}
