package main

import (
	"fmt"
	"time"

	"rollcall/internal/moment"
)

// since is a time, as a day, a time, or how long ago.
type since struct{ at *time.Time }

// UnmarshalText reads what is typed behind --since.
func (s *since) UnmarshalText(text []byte) error {
	at, span, ok := readTime(string(text))
	if !ok {
		return fmt.Errorf("%q is no time: write a day (2026-01-12), a time (2026-01-12T10:00:00Z) or how long ago (90d, 36h)", text)
	}
	if span > 0 {
		at = time.Now().UTC().Add(-span).Truncate(time.Second)
	}
	s.at = &at
	return nil
}

// expires is a time to come, as a day, a time, or how long from now.
type expires struct{ at *time.Time }

// UnmarshalText reads what is typed behind --expires.
func (x *expires) UnmarshalText(text []byte) error {
	at, span, ok := readTime(string(text))
	if !ok {
		return fmt.Errorf("%q is no time: write how long from now (90d, 36h), the day at whose beginning it ends (2027-01-12, UTC), or a time (2027-01-12T10:00:00Z)", text)
	}
	if span > 0 {
		at = time.Now().UTC().Add(span).Truncate(time.Second)
	}
	x.at = &at
	return nil
}

// readTime reads a day, a time, or a span (90d, 36h), which alone is above zero.
func readTime(text string) (at time.Time, span time.Duration, ok bool) {
	if at, ok = moment.Parse(text); ok {
		return at, 0, true
	}
	span, ok = moment.ParseSpan(text)
	return at, span, ok
}

// deref is the zero value of what is not there.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
