package store

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/internal/moment"
	"rollcall/store/pg"
)

// Sources are those that an event can come from: those that report what customers do, and the
// providers of mail.
var Sources = slices.Concat([]string{"stripe", "clerk", "platform"}, facts.MailSources)

// SourceLabel is what a source is called.
func SourceLabel(source string) string {
	switch source {
	case "":
		return ""
	case "ses":
		return "SES"
	}
	return strings.ToUpper(source[:1]) + source[1:]
}

func sourceChoices() []pg.Choice {
	values := []string{"", "Any source"}
	for _, source := range Sources {
		values = append(values, source, SourceLabel(source))
	}
	return pg.Choices(values...)
}

// Event is a row of the inbox. Its JSON is the API's.
type Event struct {
	ID           int64      `json:"id"`
	Source       string     `json:"source"`
	EventID      string     `json:"event_id"` // the sender's
	Type         string     `json:"type"`
	Account      string     `json:"account"`
	APIVersion   string     `json:"api_version"`
	Livemode     *bool      `json:"livemode"` // nil where the source has no such notion
	OccurredAt   time.Time  `json:"occurred_at"`
	ReceivedAt   time.Time  `json:"received_at"`
	Status       string     `json:"status"`
	Attempts     int        `json:"attempts"`
	LastError    *string    `json:"last_error"`
	ProcessedAt  *time.Time `json:"processed_at"`
	PrunedAt     *time.Time `json:"pruned_at,omitempty"`    // when payload and headers were deleted; nil: they are there
	PrunedFor    *string    `json:"pruned_for,omitempty"`   // why: age or erasure
	DismissedBy  *string    `json:"dismissed_by,omitempty"` // who put the failed event to rest; nil: nobody
	DismissedWhy *string    `json:"dismissed_why,omitempty"`
	// Only where one event is asked for: the request's headers, which are kept
	// without those that open something, and the body, byte for byte as sent.
	Headers json.RawMessage `json:"headers,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Notes   []string        `json:"notes,omitempty"` // which fields were passed over, see PassedOver
}

// Mode is test or live; empty where the source has no such notion.
func (e Event) Mode() string {
	switch {
	case e.Livemode == nil:
		return ""
	case *e.Livemode:
		return "live"
	}
	return "test"
}

// Told converts the event for a Reader.
func (e Event) Told() facts.Event {
	return facts.Event{Source: e.Source, ID: e.EventID, Type: e.Type, Account: e.Account, Livemode: e.Livemode,
		OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, Payload: e.Payload}
}

// PassedOver reads the event once more and says in words which of its fields were
// passed over, as they could not be used. Of one that says nothing there are none.
func (e Event) PassedOver(read Reader) []string {
	if e.Payload == nil {
		return nil
	}
	set, err := read(e.Told())
	if err != nil {
		return nil
	}
	return set.Notes
}

// SelectEvents reads all columns that ScanEvent scans. Payload, headers and what more
// there is are SQL.
func SelectEvents(payload, headers string, more ...string) string {
	return `
		SELECT
			e.id,
			e.source,
			e.event_id,
			e.type,
			e.account,
			e.api_version,
			e.livemode,
			e.occurred_at,
			e.received_at,
			e.status,
			e.attempts,
			e.last_error,
			e.processed_at,
			e.pruned_at,
			e.pruned_for,
			e.dismissed_by,
			e.dismissed_why,
			` + strings.Join(append([]string{payload, headers}, more...), ",\n\t\t\t") + `
		FROM webhook_events e`
}

// OneEvent is ScanEvent for a row without more.
func OneEvent(row pgx.CollectableRow) (Event, error) { return ScanEvent(row) }

func ScanEvent(row pgx.CollectableRow, more ...any) (e Event, err error) {
	var payload, headers *string
	err = row.Scan(
		append([]any{&e.ID, &e.Source, &e.EventID, &e.Type, &e.Account, &e.APIVersion, &e.Livemode, &e.OccurredAt,
			&e.ReceivedAt,
			&e.Status, &e.Attempts, &e.LastError, &e.ProcessedAt, &e.PrunedAt, &e.PrunedFor, &e.DismissedBy, &e.DismissedWhy,
			&payload, &headers}, more...)...)
	e.OccurredAt, e.ReceivedAt, e.ProcessedAt, e.PrunedAt = e.OccurredAt.UTC(), e.ReceivedAt.UTC(), pg.UTC(e.ProcessedAt),
		pg.UTC(e.PrunedAt)
	if payload != nil {
		e.Payload = json.RawMessage(*payload)
	}
	if headers != nil {
		e.Headers = json.RawMessage(*headers)
	}
	return e, err
}

// SomeEvents is how many of the events that fail, or wait, are looked at.
const SomeEvents = 10_000

// KindsSQL hops through the sources and types of events in their index.
const KindsSQL = `
		WITH RECURSIVE kinds AS (
			(SELECT source, type FROM webhook_events ORDER BY source, type LIMIT 1)
			UNION ALL
			SELECT
				next.source,
				next.type
			FROM kinds k
			CROSS JOIN LATERAL (
				SELECT e.source, e.type
				FROM webhook_events e
				WHERE (e.source, e.type) > (k.source, k.type)
				ORDER BY e.source, e.type
				LIMIT 1
			) next
		)`

// FirstReceived is SQL for the id from which on events were received at a moment
// or later. Ids follow the order of arrival but for the length of an insert, so
// that it is found by halving: no index on the time has to be kept.
func FirstReceived(moment string) string {
	return `(
			WITH RECURSIVE search AS (
				SELECT
					coalesce(min(id), 0) AS low,
					coalesce(max(id), 0) + 1 AS high
				FROM webhook_events
				UNION ALL
				SELECT
					CASE WHEN e.received_at < ` + moment + ` THEN least(e.id + 1, s.high) ELSE s.low END,
					CASE WHEN e.received_at < ` + moment + ` THEN s.high ELSE (s.low + s.high) / 2 END
				FROM search s
				CROSS JOIN LATERAL (SELECT id, received_at FROM webhook_events WHERE id >= (s.low + s.high) / 2
					ORDER BY id LIMIT 1) e
				WHERE s.low < s.high
			)
			SELECT max(low) FROM search
		)`
}

// EventFilter is a question for a list of events; the zero value asks for all. Its JSON has
// the names of Params.
type EventFilter struct {
	Source    string `json:"source"`
	Status    string `json:"status"`
	Type      string `json:"type"`
	EventID   string `json:"id"`        // the sender's id, or the inbox's
	Query     string `json:"q"`         // addresses and ids that payloads name, or ids of events; any of them
	Store     string `json:"store"`     // a store that payloads name, or whose Stripe account they name
	Error     string `json:"error"`     // part of why an event failed, is to be tried again, or was ignored
	Dismissed string `json:"dismissed"` // yes: only those that were dismissed
	Since     string `json:"since"`     // moments, see parseMoment: received then or later, and before
	Until     string `json:"until"`
	Account   string `json:"-"` // of Store; see Located
	Cursor    string `json:"-"` // where the page before ended
	Limit     int    `json:"-"` // most events on the page
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
		{Name: "q", Value: &f.Query, Kind: pg.Text, // meets has its condition
			Label: "Search", Doc: "Only events that name this: an email address, or the id of an event, a payment, " +
				"an invoice, a checkout session, a Stripe customer or account, a subscription, a user, a product or a store. " +
				"Of several, separated by spaces, any may be named.", Example: "ann@example.com"},
		{Name: "store", Value: &f.Store, Kind: pg.Text, // meets has its condition
			Label: "Store", Doc: "Only events that name the store with this id, or its Stripe account.",
			Example: "store_aurora"},
		{Name: "source", Value: &f.Source, SQL: "e.source = $?", Choices: sourceChoices(),
			Label: "Source", Doc: "Only events from this source.", Example: "stripe"},
		{Name: "status", Value: &f.Status, SQL: "e.status = $?", Schema: "EventStatus",
			Choices: pg.Choices("", "Any status", "pending", "Pending", "failed", "Failed", "ignored", "Ignored", "processed",
				"Processed"),
			Label: "Status", Doc: "Only events with this status.", Example: "failed"},
		{Name: "type", Value: &f.Type, Kind: pg.Text, SQL: "e.type = $?",
			Label: "Type", Doc: "Only events of this type.", Example: "charge.refunded"},
		{Name: "error", Value: &f.Error, Kind: substring, SQL: "e.last_error ILIKE $?",
			Label: "Error contains", Doc: "Only events whose `last_error` contains this text.", Example: "deadlock"},
		{Name: "dismissed", Value: &f.Dismissed,
			SQL:     "e.status = 'ignored' AND (e.dismissed_by IS NOT NULL) = ($?::text = 'yes')",
			Choices: pg.Choices("", "Any", "yes", "Dismissed", "no", "Not needed"),
			Label:   "Dismissed", Doc: "Only ignored events that an operator dismissed after they failed, or only others.",
			Example: "yes"},
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
	w.AddParams(f.Params())
	if f.EventID != "" {
		w.Add("(e.event_id = $? OR e.id = "+w.Arg(InboxID(f.EventID))+")", f.EventID)
	}
	if f.Query != "" {
		w.SQL = append(w.SQL, f.Searched().meets(w, f.Searched()))
	}
	if f.Store != "" {
		w.SQL = append(w.SQL, f.OfStore().meets(w, nil))
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

// InboxIDs are the ids in the inbox that refs may be.
func InboxIDs(refs []string) (ids []int64) {
	for _, ref := range refs {
		ids = append(ids, InboxID(ref))
	}
	return ids
}

// Open lists the statuses with an index to themselves that f may be about; nil
// if it may be about others.
func (f EventFilter) Open() []string {
	if f.Error == "" && (f.Status == "" || f.Status == "processed") {
		return nil
	}
	return slices.DeleteFunc([]string{"pending", "failed", "ignored"}, func(status string) bool {
		return f.Status != "" && f.Status != status
	})
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
