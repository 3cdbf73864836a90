// Package customers reads the customer lists: filters, figures, exports, explanations
// and timelines. It writes only notes, tokens and ended sessions.
package customers

import (
	"rollcall/store"
	"rollcall/store/pg"
)

// Reader reads customers. Safe for concurrent use.
type Reader struct {
	*pg.DB
	store *store.Store
}

// New returns the Reader of a store.
func New(s *store.Store) *Reader { return &Reader{s.DB, s} }
