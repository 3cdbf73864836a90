// Package status reads the state of the system: counts, rates, deliveries, backfills,
// stores and watches. It writes only watches.
package status

import (
	"rollcall/store"
	"rollcall/store/pg"
)

// Reader reads the state of the system. Safe for concurrent use.
type Reader struct {
	*pg.DB
	store *store.Store
}

// New returns the Reader of a store.
func New(s *store.Store) *Reader { return &Reader{s.DB, s} }
