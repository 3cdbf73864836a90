package web

import (
	"net/http"
)

// start leads to the operators' pages; strangers come to the sign-in from there.
func (s *Server) start(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
	return nil
}
