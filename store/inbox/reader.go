// Package inbox reads received events, and what each one changed.
package inbox

import (
	"rollcall/store"
	"rollcall/store/pg"
)

// Reader reads events. Safe for concurrent use.
type Reader struct {
	*pg.DB
	store *store.Store
}

// New returns the Reader of a store.
func New(s *store.Store) *Reader { return &Reader{s.DB, s} }
