package web

import (
	"net/http"
	"slices"
)

// The pages for operators, under /admin.

// adminPage is what each of them has.
type adminPage struct {
	Here    string // which of tabs it belongs to
	Title   string
	Version string
}

func (s *Site) adminPage(here, title string) adminPage { return adminPage{here, title, s.cfg.Version} }

// audit writes down what an operator did, and from where.
func (s *Site) audit(r *http.Request, what string, more ...any) {
	s.cfg.Log.Info(what, slices.Concat([]any{"who", admitted(r).name(), "from", s.client(r).Addr()}, more)...)
}
