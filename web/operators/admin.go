package operators

import (
	"net/http"
	"slices"

	"rollcall/web/core"
)

// adminPage is the data that all operators' pages have.
type adminPage struct {
	Here    string // the tab that it belongs to
	Title   string
	Version string
}

func (s *Pages) adminPage(here, title string) adminPage { return adminPage{here, title, s.Cfg.Version} }

// audit logs an operator's action and where it came from.
func (s *Pages) audit(r *http.Request, what string, more ...any) {
	s.Cfg.Log.Info(what, slices.Concat([]any{"who", core.Admitted(r).Name(), "from", s.Client(r).Addr()}, more)...)
}
