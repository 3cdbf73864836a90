package web

import "net/http"

// audience is who a route is for.
type audience int

const (
	anyone  audience = iota // machines that ask how we are, and those who are about to sign in
	admins                  // operators, with the admin token or a session made from it
	sellers                 // whoever may see the store named by {store}, admins included
)

// handler answers a request or returns why not; see failures.
type handler func(w http.ResponseWriter, r *http.Request) error
