package store

import (
	"cmp"
	"context"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/store/pg"
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

// EventSort is the only order of events: newest first.
const EventSort = "-id"

// substring is a kind of values that are sought in a text, whatever their case.
var substring = &pg.ParamKind{Schema: pg.Text.Schema, BuildSQL: func(value string) (string, string, bool) {
	return likeLiteral.Replace(value), "'%' || $? || '%'", true
}}

// Params are the filters.
func (f *EventFilter) Params() []pg.Param {
	return []pg.Param{
		{Name: "id", Value: &f.EventID, Kind: pg.Text, // meets has its condition
			Label: "Id", Doc: "Only the event with this id: the sender's id, or the id in the inbox.", Example: "evt_1Qx"},
		{Name: "source", Value: &f.Source, SQL: "e.source = $?",
			Choices: pg.Choices("", "Any source", "stripe", "Stripe", "clerk", "Clerk", "platform", "Platform"),
			Label:   "Source", Doc: "Only events from this source.", Example: "stripe"},
		{Name: "status", Value: &f.Status, SQL: "e.status = $?", Schema: "EventStatus",
			Choices: pg.Choices("", "Any status", "pending", "Pending", "failed", "Failed", "ignored", "Ignored", "processed", "Processed"),
			Label:   "Status", Doc: "Only events with this status.", Example: "failed"},
		{Name: "type", Value: &f.Type, Kind: pg.Text, SQL: "e.type = $?",
			Label: "Type", Doc: "Only events of this type.", Example: "charge.refunded"},
		{Name: "error", Value: &f.Error, Kind: substring, SQL: "e.last_error ILIKE $?",
			Label: "Error contains", Doc: "Only events whose `last_error` contains this text.", Example: "deadlock"},
		{Name: "since", Value: &f.Since, Kind: pg.Moment, SQL: "e.received_at >= $?",
			Label: "Received since", Doc: "Only events received at this time or later.", Example: "2026-01-12T10:00:00Z"},
		{Name: "until", Value: &f.Until, Kind: pg.Moment, SQL: "e.received_at < $?",
			Label: "Received before", Doc: "Only events received before this time.", Example: "12h"},
	}
}

// all are the filters, and where the page before ended.
func (f *EventFilter) all() []pg.Param { return append(f.Params(), pg.CursorParam(&f.Cursor)) }

// ParseEventFilter reads the query parameters of a list of events; its errors
// are *BadParam. Empty parameters count as absent, as forms send them.
func ParseEventFilter(q url.Values) (EventFilter, error) {
	var f EventFilter
	err := pg.ReadParams(q, f.all(), &f.Limit)
	if err == nil {
		f, _, err = f.Check()
	}
	return f, err
}

// Values are the query parameters that ask for f.
func (f EventFilter) Values() url.Values { return pg.ParamValues(f.all(), f.Limit) }

// Narrow reports whether f asks for fewer than all events.
func (f EventFilter) Narrow() bool { return pg.Given(f.Params()) }

// At is f with ages counted back from a time: the same events, whenever they
// are asked for.
func (f EventFilter) At(now time.Time) EventFilter {
	for _, bound := range []*string{&f.Since, &f.Until} {
		if age, ok := moment.ParseAge(*bound); ok {
			*bound = age.Before(now).UTC().Format(time.RFC3339Nano)
		}
	}
	return f
}

// Check fills in the default and finds where the page before ended.
func (f EventFilter) Check() (EventFilter, *pg.Position, error) {
	f.Limit = cmp.Or(f.Limit, pg.DefaultLimit)
	if err := pg.CheckParams(f.all()); err != nil {
		return f, nil, err
	}
	after, err := pg.DecodeCursor(f.Cursor, EventSort)
	return f, after, err
}

// Meets adds what f asks of an event e.
func (f EventFilter) Meets(w *pg.Conditions) {
	w.AddParams("", f.Params())
	if f.EventID != "" {
		w.Add("(e.event_id = $? OR e.id = "+w.Arg(InboxID(f.EventID))+")", f.EventID)
	}
}

// likeLiteral makes of a text a pattern for itself.
var likeLiteral = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// InboxID is the id in the inbox that ref may be, or 0, which is nobody's.
func InboxID(ref string) int64 {
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// Open lists the statuses with an index to themselves that f may be about; nil
// if it may be about others.
func (f EventFilter) Open() []string {
	if f.Error == "" && (f.Status == "" || f.Status == "processed") {
		return nil
	}
	return slices.DeleteFunc([]string{"pending", "failed", "ignored"}, func(status string) bool { return f.Status != "" && f.Status != status })
}

// Received are ids among which all events are that were received since f.Since
// and until f.Until: from first on, and below end.
func (s *Store) Received(ctx context.Context, f EventFilter) (first, end int64, err error) {
	first, end = 0, math.MaxInt64
	for _, bound := range []struct {
		moment, slack string
		id            *int64
	}{{f.Since, "-1 minute", &first}, {f.Until, "1 minute", &end}} {
		text, cast, ok := pg.ParseMoment(bound.moment)
		if !ok {
			continue
		}
		w := &pg.Conditions{Args: &pg.Arguments{}}
		w.Add(cast+" + "+w.Arg(bound.slack)+"::text::interval", text)
		if err := s.Pool.QueryRow(ctx, `SELECT `+FirstReceived(w.String()), *w.Args...).Scan(bound.id); err != nil {
			return first, end, err
		}
	}
	return first, end, nil
}

// Reopen is the ReopenFilter for the events that f asks for at a time, of the
// statuses given.
func (f EventFilter) Reopen(now time.Time, statuses ...string) ReopenFilter {
	f = f.At(now)
	if f.Status != "" {
		statuses = slices.DeleteFunc(statuses, func(status string) bool { return status != f.Status })
	}
	if f.Error != "" { // the processed have none
		statuses = slices.DeleteFunc(statuses, func(status string) bool { return status == "processed" })
	}
	r := ReopenFilter{Statuses: statuses, Source: f.Source, Type: f.Type, EventID: f.EventID, Error: f.Error}
	r.Since, r.Until = MomentTime(f.Since), MomentTime(f.Until)
	return r
}
