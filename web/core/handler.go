package core

import "net/http"

// Audience is who a route is for.
type Audience int

const (
	Anyone  Audience = iota // machines that ask how we are, and those who are about to sign in
	Admins                  // operators, with the admin token or a session made from it
	Sellers                 // whoever may see the store named by {store}, admins included
)

// Handler answers a request or returns why not; see failures.
type Handler func(w http.ResponseWriter, r *http.Request) error
