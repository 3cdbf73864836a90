package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"rollcall/internal/proxies"
	"rollcall/store/pg"
	"rollcall/web/access"
	"rollcall/web/core"
)

// Whatever a link says, one leads on within this site: as browsers read it.
func FuzzLocalPath(f *testing.F) {
	for _, next := range []string{"/", "/store/a/customers?q=%2f", "//x.example", `/\x.example`, "/\t/x.example",
		"https://x.example", "javascript:alert(1)", "/%5cx", "/a//b", ""} {
		f.Add(next)
	}
	here := &url.URL{Scheme: "https", Host: "rollcall.example", Path: "/signin"}
	f.Fuzz(func(t *testing.T, next string) {
		got := core.LocalPath(next)
		// https://url.spec.whatwg.org: white space at the ends and tabs and line ends
		// anywhere are dropped, and a backslash is a slash.
		read := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(
			strings.Trim(
				got, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f"+
					"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f "))
		to, err := here.Parse(read)
		if err != nil || to.Host != here.Host || to.Scheme != here.Scheme || !strings.HasPrefix(read, "/") ||
			strings.HasPrefix(read, "//") {
			t.Errorf("%q leads to %q", next, got)
		}
	})
}

// A page of a list by ids: what is read can be asked for, the rest is refused in words.
func FuzzPageOf(f *testing.F) {
	for _, q := range []string{"", "limit=10&cursor=zz", "limit=0", "limit=1e2", "cursor=-1", "cursor=1y2p0ij32e8e7",
		"cursor=%zz", "a=b", "limit=&cursor="} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/api/admin/backfills", RawQuery: query}}
		p, err := core.PageOf(r)
		var bad *pg.BadParam
		var told *core.Failure
		switch {
		case err != nil && !errors.As(err, &bad) && !errors.As(err, &told):
			t.Errorf("%q: %T %v", query, err, err)
		case err == nil && (p.Limit < 1 || p.Limit > pg.MaxLimit || p.From < 0):
			t.Errorf("%q: %+v", query, p)
		}
	})
}

// FuzzVisitor reads what a stranger may write into the headers that say who asks.
func FuzzVisitor(f *testing.F) {
	for _, h := range []string{"Bearer x", "bearer  x", "Basic eDp5", "Basic !", "", "203.0.113.7, 10.0.0.1",
		"[2001:db8::1]:80", "fe80::1%eth0", "::ffff:10.0.0.1", "unknown"} {
		f.Add(h, h, h)
	}
	s := &core.Site{}
	f.Fuzz(func(t *testing.T, authorization, forwarded, cookie string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = http.Header{"Authorization": {authorization}, "X-Forwarded-For": {forwarded}, "Cookie": {cookie}}
		core.Presented(r)
		access.ClerkTokens(r)
		if at := s.Client(r); at.String() != "192.0.2.1/32" { // of httptest
			t.Errorf("X-Forwarded-For of a stranger is believed: %s", at)
		}
		proxies.ReadHop(forwarded)
	})
}
