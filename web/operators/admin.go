package operators

import (
	"net/http"
	"slices"

	"rollcall/web/core"
)

// The pages for operators, under /admin.

// adminPage is what each of them has.
type adminPage struct {
	Here    string // which of tabs it belongs to
	Title   string
	Version string
}

func (s *Pages) adminPage(here, title string) adminPage { return adminPage{here, title, s.Cfg.Version} }

// audit writes down what an operator did, and from where.
func (s *Pages) audit(r *http.Request, what string, more ...any) {
	s.Cfg.Log.Info(what, slices.Concat([]any{"who", core.Admitted(r).Name(), "from", s.Client(r).Addr()}, more)...)
}
