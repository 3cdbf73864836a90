package store

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EventFilter is a question for a list of events; the zero value asks for all.
type EventFilter struct {
	Source  string
	Status  string
	Type    string
	EventID string // the sender's id, or the inbox's
	Error   string // part of why an event failed, is to be tried again, or was ignored
	Since   string // moments, see parseMoment: received then or later, and before
	Until   string
	Cursor  string // where the page before ended
	Limit   int    // most events on the page
}

// eventSort is the only order of events: newest first.
const eventSort = "-id"

// params are the fields by the names of their query parameters.
func (f *EventFilter) params() map[string]*string {
	return map[string]*string{
		"source": &f.Source,
		"status": &f.Status,
		"type":   &f.Type,
		"id":     &f.EventID,
		"error":  &f.Error,
		"since":  &f.Since,
		"until":  &f.Until,
		"cursor": &f.Cursor,
	}
}

// ParseEventFilter reads the query parameters of a list of events; its errors
// are *BadParam. Empty parameters count as absent, as forms send them.
func ParseEventFilter(q url.Values) (EventFilter, error) {
	var f EventFilter
	err := readParams(q, f.params(), &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// Values are the query parameters that ask for f.
func (f EventFilter) Values() url.Values {
	q := url.Values{}
	for name, value := range f.params() {
		if *value != "" {
			q.Set(name, *value)
		}
	}
	if f.Limit != 0 && f.Limit != DefaultLimit {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// Narrow tells whether f asks for fewer than all events.
func (f EventFilter) Narrow() bool { return f != EventFilter{Cursor: f.Cursor, Limit: f.Limit} }

// At is f with ages counted back from a time: the same events, whenever they
// are asked for.
func (f EventFilter) At(now time.Time) EventFilter {
	for _, moment := range []*string{&f.Since, &f.Until} {
		if ages.MatchString(*moment) {
			*moment = before(now, *moment).UTC().Format(time.RFC3339Nano)
		}
	}
	return f
}

// before is the time that an age is before another.
func before(now time.Time, age string) time.Time {
	n, err := strconv.Atoi(age[:len(age)-1])
	if err != nil {
		panic(err) // five digits at most
	}
	switch age[len(age)-1] {
	case 'h':
		return now.Add(-time.Duration(n) * time.Hour)
	case 'd':
		return now.AddDate(0, 0, -n)
	}
	return now.AddDate(0, 0, -7*n)
}

// check fills in the default and finds where the page before ended.
func (f EventFilter) check() (EventFilter, *position, error) {
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	for _, err := range []error{
		oneOf("source", f.Source, sources...),
		oneOf("status", f.Status, statuses...),
		checkMoment("since", f.Since),
		checkMoment("until", f.Until),
	} {
		if err != nil {
			return f, nil, err
		}
	}
	for name, value := range f.params() {
		if !storable(*value) {
			return f, nil, badParam(name, "holds characters that are none")
		}
	}
	after, err := decodeCursor(f.Cursor, eventSort)
	return f, after, err
}

// meets adds what f asks of an event e.
func (f EventFilter) meets(w *conditions) {
	w.addIf("e.source = $?", f.Source)
	w.addIf("e.status = $?", f.Status)
	w.addIf("e.type = $?", f.Type)
	if f.EventID != "" {
		w.add("(e.event_id = $? OR e.id = "+w.arg(inboxID(f.EventID))+")", f.EventID)
	}
	w.addIf("e.last_error ILIKE '%' || $? || '%'", likeLiteral.Replace(f.Error))
	w.addMoment("e.received_at >= ", f.Since)
	w.addMoment("e.received_at < ", f.Until)
}

// likeLiteral makes of a text a pattern for itself.
var likeLiteral = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// inboxID is the id in the inbox that ref may be, or 0, which is nobody's.
func inboxID(ref string) int64 {
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// open lists the statuses with an index to themselves that f may be about; nil
// if it may be about others.
func (f EventFilter) open() []string {
	if f.Error == "" && (f.Status == "" || f.Status == "processed") {
		return nil
	}
	return slices.DeleteFunc([]string{"pending", "failed", "ignored"}, func(status string) bool { return f.Status != "" && f.Status != status })
}
