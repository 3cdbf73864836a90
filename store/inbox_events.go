package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// sources are those that an event can come from.
var sources = []string{"stripe", "clerk", "platform"}

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

// told is the event as readers take it.
func (e Event) told() facts.Event {
	return facts.Event{Source: e.Source, ID: e.EventID, Type: e.Type, Account: e.Account, Livemode: e.Livemode, OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, Payload: e.Payload}
}

// PassedOver reads the event once more and says in words which of its fields were
// passed over, as they could not be used. Of one that says nothing there are none.
func (e Event) PassedOver(read Reader) []string {
	if e.Payload == nil {
		return nil
	}
	set, err := read(e.told())
	if err != nil {
		return nil
	}
	return set.Notes
}

// Events returns a page of the inbox, newest first and without payloads, and
// the cursor of the next one, empty at the end. A page may hold fewer events than
// the limit, or none, and not be the last: see walkBudget. What is wrong with f
// is a *BadParam.
func (s *Store) Events(ctx context.Context, f EventFilter) (events []Event, next string, err error) {
	defer wrap(&err, "store.Events")
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	w, err := s.walkEvents(ctx, f, after)
	if err != nil {
		return nil, "", err
	}
	events, end, err := w.read(ctx, s)
	if end > 0 {
		next = position{Sort: eventSort, ID: end}.encode()
	}
	return events, next, err
}

// selectEvents reads all that scanEvent scans. Payload, headers and what more
// there is are SQL.
func selectEvents(payload, headers string, more ...string) string {
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

// oneEvent is scanEvent for a row without more.
func oneEvent(row pgx.CollectableRow) (Event, error) { return scanEvent(row) }

func scanEvent(row pgx.CollectableRow, more ...any) (e Event, err error) {
	var payload, headers *string
	err = row.Scan(append([]any{&e.ID, &e.Source, &e.EventID, &e.Type, &e.Account, &e.APIVersion, &e.Livemode, &e.OccurredAt, &e.ReceivedAt,
		&e.Status, &e.Attempts, &e.LastError, &e.ProcessedAt, &e.PrunedAt, &e.PrunedFor, &payload, &headers}, more...)...)
	e.OccurredAt, e.ReceivedAt, e.ProcessedAt, e.PrunedAt = e.OccurredAt.UTC(), e.ReceivedAt.UTC(), utc(e.ProcessedAt), utc(e.PrunedAt)
	if payload != nil {
		e.Payload = json.RawMessage(*payload)
	}
	if headers != nil {
		e.Headers = json.RawMessage(*headers)
	}
	return e, err
}

// Event returns one event with its payload, by its id in the inbox or by the
// sender's. Of several that ref fits, the inbox's id wins, then the newest.
func (s *Store) Event(ctx context.Context, ref string) (_ Event, err error) {
	defer wrap(&err, "store.Event(%q)", ref)
	if !storable(ref) {
		return Event{}, ErrNotFound
	}
	rows, err := s.pool.Query(ctx, selectEvents("e.payload::text", "e.headers::text")+`
		WHERE e.id = $1
		   OR e.source = ANY($2) AND e.event_id = $3
		ORDER BY
			e.id = $1 DESC,
			e.id DESC
		LIMIT 1`, inboxID(ref), sources, ref)
	if err != nil {
		return Event{}, err
	}
	event, err := pgx.CollectExactlyOneRow(rows, oneEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return event, err
}

// countExactly is the number of events up to which they are counted one by one,
// which takes some tenths of a second.
const countExactly = 2_000_000

// EventCounts returns how many events there are of each status, all four always.
// Those that an operator acts on, pending and failed, are exact and read from an
// index that holds nothing else. Of the processed, the many, the figure is what
// remains of the total; above countExactly that total is Postgres' own estimate.
func (s *Store) EventCounts(ctx context.Context) (_ map[string]int64, err error) {
	defer wrap(&err, "store.EventCounts")
	counts, _, err := s.eventCounts(ctx, countExactly, nil)
	return counts, err
}

// countOften is up to how many events of a status are counted for those who ask
// every few seconds.
const countOften = 50_000

// RoughEventCounts are EventCounts for those who ask again and again: much
// sooner, and with more than countOften of a status not exact. These are named:
// there are about as many that are processed or ignored, and as many or more
// that are pending or have failed.
func (s *Store) RoughEventCounts(ctx context.Context) (counts map[string]int64, rough []string, err error) {
	defer wrap(&err, "store.RoughEventCounts")
	return s.eventCounts(ctx, countOften, ptr(countOften))
}

// eventCounts counts all events one by one up to exactly, and of each other
// status up to most.
func (s *Store) eventCounts(ctx context.Context, exactly int64, most *int) (_ map[string]int64, rough []string, err error) {
	var total, open, pending, failed, ignored int64
	var many bool
	// One statement, so that the figures are of one moment.
	err = s.pool.QueryRow(ctx, `
		WITH estimate AS MATERIALIZED (
			-- Rows per page as of the last ANALYZE, times the pages there are now.
			SELECT
				t.reltuples / greatest(t.relpages, 1) * (pg_relation_size(t.oid) / current_setting('block_size')::int) AS total,
				i.reltuples::bigint AS open
			FROM pg_class t
			CROSS JOIN pg_class i
			WHERE t.oid = 'webhook_events'::regclass
			  AND i.oid = 'webhook_events_open'::regclass
		)
		SELECT
			estimate.total > $1,
			CASE WHEN estimate.total > $1 THEN estimate.total::bigint ELSE (SELECT count(*) FROM webhook_events) END,
			estimate.open,
			(SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'pending' LIMIT $2) e),
			(SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'failed'  LIMIT $2) e),
			(SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'ignored' LIMIT $2) e)
		FROM estimate`, exactly, most).Scan(&many, &total, &open, &pending, &failed, &ignored)
	counts := map[string]int64{"pending": pending, "ignored": ignored, "failed": failed}
	for status, n := range counts {
		if most != nil && n >= int64(*most) {
			rough = append(rough, status)
		}
	}
	if slices.Contains(rough, "ignored") {
		counts["ignored"] = max(ignored, open-pending-failed)
	}
	if many {
		rough = append(rough, "processed")
	}
	counts["processed"] = max(0, total-counts["pending"]-counts["failed"]-counts["ignored"])
	slices.Sort(rough)
	return counts, rough, err
}

// EventsWithIDs returns those events of the inbox that have one of the ids,
// newest first and without payloads.
func (s *Store) EventsWithIDs(ctx context.Context, ids []int64) (_ []Event, err error) {
	defer wrap(&err, "store.EventsWithIDs(%d)", len(ids))
	rows, err := s.pool.Query(ctx, selectEvents("NULL::text", "NULL::text")+`
		WHERE e.id = ANY($1)
		ORDER BY e.id DESC`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, oneEvent)
}
