// Package customers reads the customer lists: filters, figures, exports, explanations
// and timelines. It writes only notes, tokens and ended sessions.
package customers

import (
	"time"

	"rollcall/store"
	"rollcall/store/pg"
)

// Reader reads customers. Safe for concurrent use.
type Reader struct {
	*pg.DB
	store *store.Store
	now   func() time.Time // from which ages in filters count
}

// New returns the Reader of a store.
func New(s *store.Store) *Reader { return &Reader{s.DB, s, time.Now} }

// At is the Reader for which it is now: its lists are those of that time, as far as they
// follow from what is stored today.
func (s *Reader) At(now time.Time) *Reader {
	return &Reader{s.DB, s.store, func() time.Time { return now }}
}
