// Package creators holds the pages of those who have a store: their customers.
package creators

import "rollcall/web/core"

// Pages are the pages of a site for creators.
type Pages struct {
	*core.Site
	Live *Live
}

// New returns the pages of a site.
func New(s *core.Site) *Pages { return &Pages{s, newLive(s)} }
