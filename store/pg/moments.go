package pg

import (
	"strings"
	"time"

	"rollcall/internal/moment"
)

// ParseMoment parses a moment: a day (its beginning, UTC), a time, or an age. The
// result is SQL text with its cast; an age counts from the database's now().
func ParseMoment(value string) (text, cast string, ok bool) {
	ahead, future := strings.CutPrefix(value, "+")
	if age, ok := moment.ParseAge(ahead); ok && future {
		return age.Interval(), "now() + $?::text::interval", true
	} else if ok {
		return age.Interval(), "now() - $?::text::interval", true
	}
	t, ok := moment.Parse(value)
	if !ok {
		return "", "", false
	}
	return t.UTC().Format(time.RFC3339Nano), "$?::text::timestamptz", true
}

func checkMoment(name, value string) error {
	if _, _, ok := ParseMoment(value); value != "" && !ok {
		return Refuse(name, "%q is not allowed; give a day (2026-01-31), a time (2026-01-31T10:00:00Z) or an age "+
			"(12h, 30d, 6w; to come: +7d)", value)
	}
	return nil
}
