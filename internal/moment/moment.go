// Package moment reads times as people and senders write them.
package moment

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Parse reads a time (RFC 3339) or a day: its beginning, UTC.
func Parse(text string) (t time.Time, ok bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil && InReach(t) {
			return t, true
		}
	}
	return time.Time{}, false
}

// IsDay tells whether a text is a day and no time: 2026-01-31.
func IsDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// InReach tells whether the year of t has four digits, as JSON and Postgres require.
func InReach(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

// Age is how long before now a moment is.
type Age struct{ hours, days int }

var age = regexp.MustCompile(`^([0-9]{1,5})([hdw])$`)

// ParseAge reads an age: 12h, 30d, 6w.
func ParseAge(text string) (a Age, ok bool) {
	parts := age.FindStringSubmatch(text)
	if parts == nil {
		return a, false
	}
	n, _ := strconv.Atoi(parts[1]) // five digits at most
	switch parts[2] {
	case "h":
		a.hours = n
	case "d":
		a.days = n
	default:
		a.days = 7 * n
	}
	return a, true
}

// At is the moment that a text says: a time, a day, an age before now (30d), or one to
// come (+7d).
func At(text string, now time.Time) (t time.Time, ok bool) {
	ahead, future := strings.CutPrefix(text, "+")
	if a, ok := ParseAge(ahead); ok {
		if future {
			a = Age{-a.hours, -a.days}
		}
		return a.Before(now), true
	}
	return Parse(text)
}

// Interval is a as Postgres writes it.
func (a Age) Interval() string { return fmt.Sprintf("%d days %d hours", a.days, a.hours) }

// Before is the time that a is before now.
func (a Age) Before(now time.Time) time.Time {
	return now.AddDate(0, 0, -a.days).Add(-time.Duration(a.hours) * time.Hour)
}

// maxSpan is further away than anything that can be asked for.
const maxSpan = 100 * 365 * 24 * time.Hour

// ParseSpan reads a duration above zero: 90d, 36h, 1h30m.
func ParseSpan(text string) (span time.Duration, ok bool) {
	span, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n int
		n, err = strconv.Atoi(days)
		span = time.Duration(n) * 24 * time.Hour
		if n > int(maxSpan/(24*time.Hour)) {
			return 0, false // the multiplication may have run over
		}
	}
	return span, err == nil && span > 0 && span <= maxSpan
}
