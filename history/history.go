// Package history reads what the outsiders have kept: Stripe's and Clerk's
// lists, by their APIs, and exports of Convex. It reads page by page from
// positions that survive a restart, and says what it read in facts; what
// becomes of those is the store's business.
package history

import (
	"fmt"
	"time"
)

// Later is the error of a source that asks to be left alone for a while.
type Later struct {
	After time.Duration
	Err   error
}

func (e *Later) Error() string {
	return fmt.Sprintf("%v (asked to wait %v)", e.Err, e.After.Round(time.Second))
}
func (e *Later) Unwrap() error { return e.Err }

// Refused is the error that no further try can cure. Its text says to a person
// what is wrong and what to do.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return e.Reason }

func refused(format string, args ...any) error { return &Refused{fmt.Sprintf(format, args...)} }
