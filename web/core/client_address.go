package core

import (
	"net/http"
	"net/netip"
	"strings"
)

// ByHTTPS tells whether the visitor came by https: to us, to a proxy that we trust
// and that says so, or because there is no other way (PUBLIC_URL).
func (s *Site) ByHTTPS(r *http.Request) bool {
	if r.TLS != nil || strings.HasPrefix(s.Cfg.PublicURL, "https:") {
		return true
	}
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",") // of several proxies the first
	return s.trusts(peer(r)) && strings.EqualFold(strings.TrimSpace(proto), "https")
}

// Client is where a request comes from: one address of IPv4, or all those that
// one household or server has of IPv6. A proxy that we trust says who asked it;
// what others write into the header is worth nothing.
func (s *Site) Client(r *http.Request) netip.Prefix {
	at := peer(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(at); i-- {
		hop, err := ReadHop(strings.TrimSpace(hops[i]))
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

// peer is who a request came from directly: often a proxy. It is the zero address
// on a Unix socket: all are one there.
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

// trusts tells whether an address is one of our own proxies.
func (s *Site) trusts(at netip.Addr) bool {
	for _, network := range s.Cfg.TrustedProxies {
		if network.Contains(at.WithZone("")) {
			return true
		}
	}
	return false
}
