package core

import (
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// Origin returns the origin of a URL as browsers write it, and so Clerk's "azp":
// scheme and host in lower case, and the port unless it is the default. ok is false
// without a scheme or host, and for a wildcard: browsers send no such origin.
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
	return u.Scheme + "://" + host, true // Parse lower-cases the scheme
}

var usualPorts = map[string]string{"http": "80", "https": "443"}

// SameForm normalises a URL or origin for comparisons: the origin as browsers write
// it, the path without a slash at its end. Other text stays as it is.
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
