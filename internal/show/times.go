package show

import (
	"sync"
	"time"
	_ "time/tzdata" // where the machine has no list of zones
)

const day = 24 * time.Hour

// ages are the units of Since, with their short forms.
var ages = []struct {
	size        time.Duration
	least       int // shorter ages are told in the next unit
	name, short string
}{
	{365 * day, 2, "year", "y"},
	{30 * day, 2, "month", "mo"},
	{7 * day, 2, "week", "w"},
	{day, 1, "day", "d"},
	{time.Hour, 1, "hour", "h"},
	{time.Minute, 1, "minute", "min"},
}

// Since says how long ago t was, up to years; of what is to come, the day.
func Since(now, t time.Time) string {
	return since(now, t, func(n int, name, _ string) string { return Plural(n, name) + " ago" })
}

// SinceShort is Since for a table: 2 h.
func SinceShort(now, t time.Time) string {
	return since(now, t, func(n int, _, short string) string { return Number(n) + nbsp + short })
}

func since(now, t time.Time, write func(n int, name, short string) string) string {
	d := now.Sub(t)
	for _, unit := range ages {
		if n := int(d / unit.size); n >= unit.least {
			return write(n, unit.name, unit.short)
		}
	}
	if d < -time.Minute {
		return "on " + Day(t)
	}
	return "just now"
}

// Day writes the day of t, in the zone that it has: 17 Nov 2026.
func Day(t time.Time) string { return t.Format("2 Jan 2006") }

// DayShort is Day without the year, if that is the one of now.
func DayShort(now, t time.Time) string {
	if now.In(t.Location()).Year() == t.Year() {
		return t.Format("2 Jan")
	}
	return Day(t)
}

// Moment writes t in the zone that it has: 17 Nov 2026, 14:04 CET.
func Moment(t time.Time) string { return t.Format("2 Jan 2006, 15:04 MST") }

// Exact is Moment with seconds.
func Exact(t time.Time) string { return t.Format("2 Jan 2006, 15:04:05 MST") }

var zones sync.Map // *time.Location by name

// Zone is a time zone by its name in the IANA database; nil if there is none.
func Zone(name string) *time.Location {
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location)
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil // there is no end of wrong names: they are not kept
	}
	zones.Store(name, zone)
	return zone
}
