package store

// SetWalkBudget makes lists give up walking after n rows, so that a short list
// is read as a long one is.
func (s *Store) SetWalkBudget(n int) { s.walkBudget = n }
