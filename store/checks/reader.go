// Package checks finds what is wrong: missing facts, lists that differ from their
// facts, and what is known about a person.
package checks

import (
	"rollcall/store"
	"rollcall/store/pg"
)

// Reader runs checks. Safe for concurrent use.
type Reader struct {
	*pg.DB
	store *store.Store
}

// New returns the Reader of a store.
func New(s *store.Store) *Reader { return &Reader{s.DB, s} }
