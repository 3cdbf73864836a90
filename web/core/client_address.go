package core

import (
	"net/http"
	"net/netip"
	"strings"
)

// ByHTTPS tells whether the visitor uses https: directly, through a trusted proxy
// that says so, or because PUBLIC_URL allows nothing else.
func (s *Site) ByHTTPS(r *http.Request) bool {
	if r.TLS != nil || strings.HasPrefix(s.Cfg.PublicURL, "https:") {
		return true
	}
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",") // of several proxies the first
	return s.trusts(peer(r)) && strings.EqualFold(strings.TrimSpace(proto), "https")
}

// Client is the network that a request comes from: an IPv4 address or an IPv6 /64,
// which one household or server has. Only trusted proxies' headers count.
func (s *Site) Client(r *http.Request) netip.Prefix {
	at := peer(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(at); i-- {
		hop, err := ReadHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // a trusted proxy passed a malformed header
		}
		at = hop
	}
	bits := 32
	if at.Is6() {
		bits = 64
	}
	network, _ := at.WithZone("").Prefix(bits) // fails for the zero address, and returns the zero prefix
	return network
}

// peer is the address of the connection, often a proxy's. All connections on a Unix
// socket have the zero address.
func peer(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr().Unmap()
}

// ReadHop reads an address as proxies write it, some with a port.
func ReadHop(text string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap(), nil
	}
	at, err := netip.ParseAddr(text)
	return at.Unmap(), err
}

// trusts tells whether at is a trusted proxy.
func (s *Site) trusts(at netip.Addr) bool {
	for _, network := range s.Cfg.TrustedProxies {
		if network.Contains(at.WithZone("")) {
			return true
		}
	}
	return false
}
