// Package api serves the JSON API.
package api

import "rollcall/web/core"

// API serves the JSON API of a site.
type API struct{ *core.Site }

// New returns the API of s.
func New(s *core.Site) *API { return &API{s} }
