// Package api answers programs in JSON.
package api

import "rollcall/web/core"

// API answers programs.
type API struct{ *core.Site }

// New returns the API of a site.
func New(s *core.Site) *API { return &API{s} }
