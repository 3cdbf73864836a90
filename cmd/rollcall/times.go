package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
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

// maxSpan is further away than anything that can be asked for.
const maxSpan = 100 * 365 * 24 * time.Hour

// readTime reads a day, a time, or a span (90d, 36h), which alone is above zero.
func readTime(text string) (at time.Time, span time.Duration, ok bool) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, text); err == nil {
			return at, 0, true
		}
	}
	span, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n int
		n, err = strconv.Atoi(days)
		span = time.Duration(n) * 24 * time.Hour
		if n > int(maxSpan/(24*time.Hour)) {
			return at, 0, false // the multiplication may have run over
		}
	}
	return at, span, err == nil && span > 0 && span <= maxSpan
}

// deref is the zero value of what is not there.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
