package web

import (
	"net/http"
)

// start redirects to the operators' pages.
func (s *Server) start(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
	return nil
}
