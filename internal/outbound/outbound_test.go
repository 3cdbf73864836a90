package outbound

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Only public addresses may be dialled, however they are written.
func TestPublicAddresses(t *testing.T) {
	for _, c := range []struct {
		addresses string
		public    bool
	}{
		{"1.1.1.1 93.184.216.34 172.32.0.1 100.128.0.1 2606:4700::1111 ::ffff:1.1.1.1 64:ff9b::1.1.1.1", true},
		{"127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 64:ff9b::127.0.0.1", false},                              // loopback
		{"168.63.129.16 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1", false}, // private
		// link-local, metadata
		{"169.254.1.1 169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe fe80::1%eth0", false},
		// metadata, unique-local, site-local, CGNAT
		{"fd00:ec2::254 fc00::1 fec0::1 100.64.0.1 100.127.255.255", false},
		// unspecified, IPv4-compatible
		{"0.0.0.0 0.1.2.3 :: ::1.1.1.1", false},
		// multicast, broadcast, reserved
		{"224.0.0.1 239.255.255.250 255.255.255.255 240.0.0.1 ff02::1 ff0e::1", false},
		{"192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 2001:db8::1 100::1 3fff::1", false}, // registries' own
		// translated, 6to4, Teredo, SRv6
		{"64:ff9b:1::1 2002:7f00:1::1 2002:a00:1::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 5f00::1", false},
	} {
		for text := range strings.FieldsSeq(c.addresses) {
			at := netip.MustParseAddr(text)
			err := newGuard(nil).check(at)
			if (err == nil) != c.public {
				t.Errorf("%s: %v", text, err)
			}
			if err != nil && (!strings.Contains(err.Error(), at.String()) || !strings.Contains(err.Error(), Setting+"=")) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// What the setting allows may be dialled, and what it does not name may not.
func TestAllowedNetworks(t *testing.T) {
	allowed := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}
	for text, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::10.1.2.3": true, "fd00:1::7": true,
		"10.2.0.1": false, "fd00:2::7": false, "127.0.0.1": false, "1.1.1.1": true,
	} {
		if err := newGuard(allowed).check(netip.MustParseAddr(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// serveAt answers on a loopback address of this machine by what it is told.
func serveAt(t *testing.T, address string, answer http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: answer}}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

const patience = 30 * time.Second

// A redirect leads no further than a URL does: a host that may be asked sends the
// client to one that may not, by its address or by a name.
func TestRedirects(t *testing.T) {
	inner := serveAt(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) { t.Error("what is not allowed was asked") })
	named := strings.Replace(inner, "127.0.0.1", "localhost", 1)
	for _, to := range []string{inner, named} {
		outer := serveAt(t, "127.0.0.2", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to, http.StatusFound)
		})
		c := NewClient(patience, []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")})
		if _, err := get(t, c, outer); err == nil || !strings.Contains(err.Error(), "is not a public address") {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// The name does not matter, but what it resolves to when it is dialled.
func TestNames(t *testing.T) {
	asked := 0
	url := serveAt(t, "127.0.0.1", func(w http.ResponseWriter, _ *http.Request) { asked++; io.WriteString(w, "hello") })
	named := strings.Replace(url, "127.0.0.1", "localhost", 1)
	for _, address := range []string{url, named} {
		_, err := get(t, NewClient(patience, nil), address)
		if err == nil || !strings.Contains(err.Error(), "ALLOWED_PRIVATE_NETWORKS=") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if asked > 0 {
		t.Error("it was asked all the same")
	}
	if text, err := get(t, NewClient(patience, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), named); err != nil ||
		text != "hello" {
		t.Errorf("%q %v", text, err)
	}
}

// A proxy of the environment would dial in our place, and not look.
func TestNoProxy(t *testing.T) {
	proxy := serveAt(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("ALL_PROXY", proxy)
	transport := NewClient(patience, nil).Transport.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("there is a proxy")
	}
	conn, err := transport.DialContext(context.Background(), "tcp", strings.TrimPrefix(proxy, "http://"))
	if err == nil {
		conn.Close()
		t.Error("loopback was dialled")
	}
}
