package core

import "net/http"

// Audience says who may use a route.
type Audience int

// The audiences of routes.
const (
	Anyone  Audience = iota // probes, and people who are about to sign in
	Admins                  // operators: the admin token, or a session made from it
	Sellers                 // all who may see the store in the path, admins included
	Known                   // all who are signed in or sent a token, with a store or without
)

// Handler answers a request, or returns an error that Explain understands.
type Handler func(w http.ResponseWriter, r *http.Request) error
