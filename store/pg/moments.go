package pg

import (
	"regexp"
	"time"
)

// Ages matches moments counted back from now: 12h, 30d, 6w.
var Ages = regexp.MustCompile(`^[0-9]{1,5}[hdw]$`)

// ParseMoment parses a moment: a day (its beginning, UTC), a time, or an age. The
// result is SQL text with its cast; an age counts back from the database's now().
func ParseMoment(value string) (text, cast string, ok bool) {
	if Ages.MatchString(value) {
		unit := map[byte]string{'h': " hours", 'd': " days", 'w': " weeks"}[value[len(value)-1]]
		return value[:len(value)-1] + unit, "now() - $?::text::interval", true
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, value); err == nil && InReach(t) {
			return t.UTC().Format(time.RFC3339Nano), "$?::text::timestamptz", true
		}
	}
	return "", "", false
}

// InReach tells whether the year of t has four digits, as JSON and Postgres require.
func InReach(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

func checkMoment(name, value string) error {
	if _, _, ok := ParseMoment(value); value != "" && !ok {
		return Refuse(name, "%q is not allowed; give a day (2026-01-31), a time (2026-01-31T10:00:00Z) or an age (12h, 30d, 6w)", value)
	}
	return nil
}
