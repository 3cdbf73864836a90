package mail

import "time"

// Hours are the hours of a store's day at which nothing is sent: from From until To. Both are the
// same: none are.
type Hours struct{ From, To int }

// quiet tells whether an hour of the day is one at which nothing is sent.
func (h Hours) quiet(hour int) bool {
	if h.From <= h.To {
		return hour >= h.From && hour < h.To
	}
	return hour >= h.From || hour < h.To
}

// Next is when a mail may be sent that is due at a moment: at the moment itself, or when the quiet
// hours end. Where clocks are put forward over that hour, it is the first moment behind.
func (h Hours) Next(at time.Time, zone *time.Location) time.Time {
	local := at.In(zone)
	if !h.quiet(local.Hour()) {
		return at
	}
	// By quarters of an hour, as zones and their changes are multiples of one.
	for t := local.Truncate(15 * time.Minute).Add(15 * time.Minute); ; t = t.Add(15 * time.Minute) {
		if !h.quiet(t.Hour()) {
			return t
		}
	}
}

// Last is the last moment before another at which a mail may be sent.
func (h Hours) Last(before time.Time, zone *time.Location) time.Time {
	t := before.Add(-time.Second)
	for h.quiet(t.In(zone).Hour()) {
		t = t.Add(-15 * time.Minute)
	}
	return t
}

// Day is the day of a zone in which a moment is: when it begins, and the next.
func Day(at time.Time, zone *time.Location) (begins, next time.Time) {
	y, m, d := at.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, zone), time.Date(y, m, d+1, 0, 0, 0, 0, zone)
}

// Zone is a time zone by its name; UTC if there is no such zone.
func Zone(name string) *time.Location {
	if zone, err := time.LoadLocation(name); err == nil && name != "" && name != "Local" {
		return zone
	}
	return time.UTC
}

// WarmUp is the most mails on the nth day, from 0, of a slow start: it doubles each day. 0: it is over.
func WarmUp(day int) int {
	if day < 0 || day >= 10 {
		return 0
	}
	return 50 << day
}

// Allowed is how many of a day's mails may have been sent by a moment, so that they are spread over
// the hours that are not quiet.
func Allowed(limit int, at time.Time, zone *time.Location, h Hours) int {
	begins, next := Day(at, zone)
	var open, gone time.Duration
	for t := begins; t.Before(next); t = t.Add(15 * time.Minute) {
		if h.quiet(t.In(zone).Hour()) {
			continue
		}
		open += 15 * time.Minute
		gone += min(max(at.Sub(t), 0), 15*time.Minute)
	}
	if open == 0 {
		return 0
	}
	return min(limit, int(float64(limit)*float64(gone)/float64(open))+1)
}
