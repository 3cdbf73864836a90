package core

import (
	"net/http"
	"net/url"
)

// leadToSignIn sends a browser without an operator's session to the form. It also
// redirects htmx, whose page may have been open for long.
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

// Title is what a browser's tab shows.
func (p FailurePage) Title() string {
	switch p.Status {
	case http.StatusUnauthorized:
		return "Sign in"
	case http.StatusNotFound:
		return "Page not found"
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "Try again"
	}
	return "Error"
}

// SignedOut tells whether the visitor's session was signed out of here.
func (p FailurePage) SignedOut() bool { return p.Failure == ErrSignedOut }

// FailurePage is the data of failure.html.
type FailurePage struct {
	*Failure
	Creators bool   // whether creators could see it after signing in
	SignIn   string // where creators sign in and return from; empty if unknown
	Next     string // where operators return to after signing in
	Operator bool   // whether the visitor is an operator, who has a start page
}
