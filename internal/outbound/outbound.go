// Package outbound makes the HTTP client for addresses that somebody gave us to
// send to. It connects to public addresses alone, so that no such URL makes
// Rollcall ask what only its own network can reach: a database, a cloud's
// metadata, another service on this machine.
package outbound

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Setting is the name of the setting that allows networks, for errors.
const Setting = "ALLOWED_PRIVATE_NETWORKS"

const (
	connectTimeout = 5 * time.Second // for the connection, and again for TLS
	idleTimeout    = time.Minute
	maxIdle        = 2
)

// NewClient returns a client each of whose requests, redirects included, takes
// at most timeout. Besides public addresses it reaches the allowed networks.
//
// What counts is the address that is dialled: it is looked at after the name was
// resolved, for each connection, so a name that resolves otherwise the second time
// and a redirect gain nothing. Proxies of the environment are not used, as they
// would resolve names out of our sight.
func NewClient(timeout time.Duration, allowed []netip.Prefix) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, ControlContext: newGuard(allowed).control}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:           dialer.DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			ResponseHeaderTimeout: timeout,
			IdleConnTimeout:       idleTimeout,
			MaxIdleConns:          maxIdle,
			ForceAttemptHTTP2:     true,
		},
	}
}

// guard knows which addresses may be dialled: those that IANA's registries call
// globally reachable, and those allowed.
type guard struct{ *ssrf.Guardian }

func newGuard(allowed []netip.Prefix) guard {
	var v4, v6 []netip.Prefix
	for _, network := range allowed {
		if network.Addr().Is4() {
			v4 = append(v4, network)
		} else {
			v6 = append(v6, network)
		}
	}
	denied := slices.DeleteFunc(slices.Clone(clouds), func(p netip.Prefix) bool {
		return slices.ContainsFunc(allowed, func(a netip.Prefix) bool { return a.Overlaps(p) })
	})
	return guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV4Prefixes(denied...))}
}

// clouds are public addresses at which a cloud answers its own machines alone:
// Azure's platform endpoint.
var clouds = []netip.Prefix{netip.MustParsePrefix("168.63.129.16/32")}

// control is the dialer's: it is asked before each connection is made.
func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an IP address and a port", address)
	}
	return g.check(to.Addr())
}

// check refuses an address that is not public.
func (g guard) check(at netip.Addr) error {
	if g.SafeAddr(meant(at.WithZone(""))) == nil {
		return nil
	}
	return fmt.Errorf("%s is not a public address: if requests may go there, name its network in %s, as in %[2]s=%[3]s",
		at, Setting, network(meant(at.WithZone(""))))
}

// nat64 is the prefix by which hosts that have IPv6 alone reach those of IPv4
// (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// meant is the address that a connection ends at: IPv4 addresses are also written
// as IPv6, mapped or for a translator.
func meant(at netip.Addr) netip.Addr {
	if nat64.Contains(at) {
		b := at.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return at.Unmap()
}

// network is that of a single address.
func network(at netip.Addr) netip.Prefix { return netip.PrefixFrom(at, at.BitLen()) }
