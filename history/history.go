// Package history reads data that Stripe, Clerk and Convex hold: lists of Stripe's and Clerk's
// APIs, and exports of Convex. It reads page by page from positions that survive a restart, and
// returns facts for the store.
package history

import (
	"fmt"
	"time"
)

// Later is the error of a source that asks for a pause.
type Later struct {
	After time.Duration
	Err   error
}

func (e *Later) Error() string {
	return fmt.Sprintf("%v (asked to wait %v)", e.Err, e.After.Round(time.Second))
}
func (e *Later) Unwrap() error { return e.Err }

// Refused is an error that a retry cannot fix. Its text says what is wrong and what to do.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return e.Reason }

func refused(format string, args ...any) error { return &Refused{fmt.Sprintf(format, args...)} }
