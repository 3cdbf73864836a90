package core

import (
	"net/http"
	"net/url"
)

// leadToSignIn sends a browser in which no operator is signed in to the form, and
// a script of ours with it: its page may have been open for long.
func leadToSignIn(w http.ResponseWriter, r *http.Request) {
	next := r.URL.RequestURI()
	if IsPart(r) {
		if at, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil {
			next = at.RequestURI()
		}
		w.Header().Set("HX-Redirect", signInPath(next))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, signInPath(next), http.StatusSeeOther)
}

func signInPath(next string) string { return Address("/signin", url.Values{"next": {next}}) }

// FailurePage is what failure.html shows.
type FailurePage struct {
	*Failure
	Creators bool   // whether it could be seen by creators, had they signed in
	SignIn   string // where they do, and come back from; empty if that is not known
	Next     string // where operators want to go once they have signed in
	Operator bool   // whether one asks: there is a start page for them
}
