package store

import (
	"encoding/json"
	"strings"
	"time"

	"rollcall/facts"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Sources are those that an event can come from.
var Sources = []string{"stripe", "clerk", "platform"}

// Event is a row of the inbox. Its JSON is the API's.
type Event struct {
	ID          int64      `json:"id"`
	Source      string     `json:"source"`
	EventID     string     `json:"event_id"` // the sender's
	Type        string     `json:"type"`
	Account     string     `json:"account"`
	APIVersion  string     `json:"api_version"`
	Livemode    *bool      `json:"livemode"` // nil where the source has no such notion
	OccurredAt  time.Time  `json:"occurred_at"`
	ReceivedAt  time.Time  `json:"received_at"`
	Status      string     `json:"status"`
	Attempts    int        `json:"attempts"`
	LastError   *string    `json:"last_error"`
	ProcessedAt *time.Time `json:"processed_at"`
	PrunedAt    *time.Time `json:"pruned_at,omitempty"`  // when payload and headers were taken away; nil: they are there
	PrunedFor   *string    `json:"pruned_for,omitempty"` // why: age or erasure
	// Only where one event is asked for: the request's headers, which are kept
	// without those that open something, and the body, byte for byte as sent.
	Headers json.RawMessage `json:"headers,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Notes   []string        `json:"notes,omitempty"` // which fields were passed over, see PassedOver
}

// Told converts the event for a Reader.
func (e Event) Told() facts.Event {
	return facts.Event{Source: e.Source, ID: e.EventID, Type: e.Type, Account: e.Account, Livemode: e.Livemode, OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, Payload: e.Payload}
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
			` + strings.Join(append([]string{payload, headers}, more...), ",\n\t\t\t") + `
		FROM webhook_events e`
}

// OneEvent is ScanEvent for a row without more.
func OneEvent(row pgx.CollectableRow) (Event, error) { return ScanEvent(row) }

func ScanEvent(row pgx.CollectableRow, more ...any) (e Event, err error) {
	var payload, headers *string
	err = row.Scan(append([]any{&e.ID, &e.Source, &e.EventID, &e.Type, &e.Account, &e.APIVersion, &e.Livemode, &e.OccurredAt, &e.ReceivedAt,
		&e.Status, &e.Attempts, &e.LastError, &e.ProcessedAt, &e.PrunedAt, &e.PrunedFor, &payload, &headers}, more...)...)
	e.OccurredAt, e.ReceivedAt, e.ProcessedAt, e.PrunedAt = e.OccurredAt.UTC(), e.ReceivedAt.UTC(), pg.UTC(e.ProcessedAt), pg.UTC(e.PrunedAt)
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
				CROSS JOIN LATERAL (SELECT id, received_at FROM webhook_events WHERE id >= (s.low + s.high) / 2 ORDER BY id LIMIT 1) e
				WHERE s.low < s.high
			)
			SELECT max(low) FROM search
		)`
}
