package store

import "time"

// SetWalkBudget makes lists give up walking after n rows, so that a short list
// is read as a long one is.
func (s *Store) SetWalkBudget(n int) { s.walkBudget = n }

// SetCountTimeout changes how long Postgres may count.
func (s *Store) SetCountTimeout(d time.Duration) { s.countTimeout = d }
