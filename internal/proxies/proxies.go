// Package proxies finds who sent a request that came through proxies.
package proxies

import (
	"net/http"
	"net/netip"
	"strings"
)

// Trusted are the networks of proxies whose headers are believed.
type Trusted []netip.Prefix

// Client is the address that a request comes from: the last that no trusted proxy has. It is zero for
// a Unix socket.
func (t Trusted) Client(r *http.Request) netip.Addr {
	at := Peer(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && t.Has(at); i-- {
		hop, err := ReadHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // a trusted proxy passed a malformed header
		}
		at = hop
	}
	return at.WithZone("")
}

// Has tells whether an address is a trusted proxy's.
func (t Trusted) Has(at netip.Addr) bool {
	for _, network := range t {
		if network.Contains(at.WithZone("")) {
			return true
		}
	}
	return false
}

// Peer is the address of the connection, often a proxy's. All connections on a Unix socket have the
// zero address.
func Peer(r *http.Request) netip.Addr {
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
