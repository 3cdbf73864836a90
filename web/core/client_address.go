package core

import (
	"net/http"
	"net/netip"
	"strings"

	"rollcall/internal/proxies"
)

// ByHTTPS tells whether the visitor uses https: directly, through a trusted proxy
// that says so, or because PUBLIC_URL allows nothing else.
func (s *Site) ByHTTPS(r *http.Request) bool {
	if r.TLS != nil || strings.HasPrefix(s.Cfg.PublicURL, "https:") {
		return true
	}
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",") // of several proxies the first
	return s.Cfg.TrustedProxies.Has(proxies.Peer(r)) && strings.EqualFold(strings.TrimSpace(proto), "https")
}

// Client is the network that a request comes from: an IPv4 address or an IPv6 /64,
// which one household or server has. Only trusted proxies' headers count.
func (s *Site) Client(r *http.Request) netip.Prefix {
	at := s.Cfg.TrustedProxies.Client(r)
	bits := 32
	if at.Is6() {
		bits = 64
	}
	network, _ := at.Prefix(bits) // fails for the zero address, and returns the zero prefix
	return network
}
