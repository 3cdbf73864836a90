package core

import (
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// Origin returns the origin of a URL as browsers write it, and so Clerk's "azp":
// scheme and host in lower case, and the port unless it is the scheme's usual
// one. It drops what follows the host. ok is false if the text has no scheme or
// no host, or a wildcard for one: no browser sends such an origin.
func Origin(text string) (origin string, ok bool) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme == "" || u.Hostname() == "" || strings.Contains(u.Host, "*") {
		return "", false
	}
	host := strings.ToLower(u.Hostname())
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	if strings.Contains(host, ":") { // IPv6
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != usualPorts[u.Scheme] {
		host += ":" + port
	}
	return u.Scheme + "://" + host, true // Parse has put the scheme in lower case
}

var usualPorts = map[string]string{"http": "80", "https": "443"}

// SameForm is a URL or an origin in the form in which two of them are compared:
// an origin as browsers write it, and a path without a slash at its end. What is
// neither stays as it is, and equals nothing that Clerk writes.
func SameForm(text string) string {
	origin, ok := Origin(text)
	if !ok {
		return text
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return text
	}
	return origin + strings.TrimRight(u.EscapedPath(), "/")
}
