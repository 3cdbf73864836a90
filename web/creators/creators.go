// Package creators serves the pages of creators: their customers.
package creators

import "rollcall/web/core"

// Pages serves the creators' pages of a site.
type Pages struct {
	*core.Site
	Live     *Live
	zoneList zoneList
	counts   counts
}

// New returns the creators' pages of s.
func New(s *core.Site) *Pages { return &Pages{Site: s, Live: newLive(s)} }
