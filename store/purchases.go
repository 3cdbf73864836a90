package store

import (
	"time"

	"rollcall/facts"
)

// What facts say of their buyers, and when what they say happened.

// purchase is a payment, a subscription or the like: a row that names people in one
// or several parts, but not in its key.
type purchase struct {
	RowKey
	fact  any       // which changes with its parts
	began time.Time // zero: long ago
	parts []part    // in the order in which they count
}

// part is what one kind of message tells of the buyer.
type part struct {
	*facts.Context
	at   time.Time // when what it tells happened
	told bool      // the object itself reports it, even if it names no one
	ends bool      // it reports an end
}

// clock tells when facts happened: those that an event tells, at its time; those
// of stored rows, as they say themselves.
type clock struct{ event *time.Time }

func at(event time.Time) clock { return clock{&event} }

var asStored clock

// of is when a group of a row's columns happened: as the event says that told
// them, else, as far as the row has a time of its own, then. The zero time is long ago.
func (c clock) of(v facts.Version, own *time.Time) time.Time {
	if c.event != nil {
		return *c.event
	}
	p, ok := v.Provenance()
	switch {
	case !ok:
		return time.Time{}
	case p.Via == "event":
		return p.At
	}
	return firstOf(own)
}

func (c clock) ofUser(f facts.User) time.Time {
	if c.event != nil {
		return *c.event
	}
	p, ok := f.Version.Provenance()
	switch {
	case ok && p.Via != "export": // its own time, even where it was read
		return p.At
	case ok:
		return time.Time{}
	}
	return firstOf(f.LastSeenAt)
}

// ofEnrollment is when a row began: its columns are told one by one.
func (c clock) ofEnrollment(f facts.Enrollment) time.Time {
	if c.event == nil && f.FirstSaidAt != nil {
		return *f.FirstSaidAt
	}
	return c.of(f.Version, f.EnrolledAt)
}

// firstOf is the first of the times that are there; none is long ago.
func firstOf(times ...*time.Time) time.Time {
	for _, t := range times {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

func (p *purchase) add(c *facts.Context, as part) {
	if c != nil {
		as.Context = c
		p.parts = append(p.parts, as)
	}
}
