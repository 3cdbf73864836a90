// Package checks looks for what is wrong: facts that are missing from lists, lists that differ from
// their facts, what a person's facts are.
package checks

import (
	"rollcall/store"
	"rollcall/store/pg"
)

// Reader looks for what is wrong. Safe for concurrent use.
type Reader struct {
	*pg.DB
	store *store.Store
}

// New returns the Reader of a store.
func New(s *store.Store) *Reader { return &Reader{s.DB, s} }
