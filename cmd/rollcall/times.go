package main

import (
	"fmt"
	"time"

	"rollcall/internal/moment"
)

// since is a time, as a day, a time, or how long ago.
type since struct{ at *time.Time }

// UnmarshalText reads what is typed behind --since.
func (s *since) UnmarshalText(text []byte) (err error) {
	s.at, err = timeAt(string(text), -1,
		"write a day (2026-01-12), a time (2026-01-12T10:00:00Z) or how long ago (90d, 36h)")
	return err
}

// expires is a time to come, as a day, a time, or how long from now.
type expires struct{ at *time.Time }

// UnmarshalText reads what is typed behind --expires.
func (x *expires) UnmarshalText(text []byte) (err error) {
	x.at, err = timeAt(string(text), 1, "write how long from now (90d, 36h), the day at whose beginning it ends "+
		"(2027-01-12, UTC), or a time (2027-01-12T10:00:00Z)")
	return err
}

// timeAt reads a time; a span leads from now into the past (-1) or the future (1). hint says what to
// write instead.
func timeAt(text string, direction time.Duration, hint string) (*time.Time, error) {
	if at, ok := moment.Parse(text); ok {
		return &at, nil
	}
	span, ok := moment.ParseSpan(text)
	if !ok {
		return nil, fmt.Errorf("%q is no time: %s", text, hint)
	}
	at := time.Now().UTC().Add(direction * span).Truncate(time.Second)
	return &at, nil
}

// deref is the zero value of what is not there.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
