package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// sources are those that an event can come from, statuses what can become of it.
var (
	sources  = []string{"stripe", "clerk", "platform"}
	statuses = []string{"pending", "processed", "ignored", "failed"}
)

// Event is a row of the inbox. Its JSON is the API's.
type Event struct {
	ID          int64           `json:"id"`
	Source      string          `json:"source"`
	EventID     string          `json:"event_id"` // the sender's
	Type        string          `json:"type"`
	Account     string          `json:"account"`
	APIVersion  string          `json:"api_version"`
	Livemode    *bool           `json:"livemode"` // nil where the source has no such notion
	OccurredAt  time.Time       `json:"occurred_at"`
	ReceivedAt  time.Time       `json:"received_at"`
	Status      string          `json:"status"`
	Attempts    int             `json:"attempts"`
	LastError   *string         `json:"last_error"`
	ProcessedAt *time.Time      `json:"processed_at"`
	Payload     json.RawMessage `json:"payload,omitempty"` // byte for byte as sent; only where one event is asked for
}

// EventFilter is a question for a list of events; the zero value asks for all.
type EventFilter struct {
	Source string
	Status string
	Type   string
	Cursor string // where the page before ended
	Limit  int    // most events on the page
}

// eventSort is the only order of events: newest first.
const eventSort = "-id"

// ParseEventFilter reads the query parameters of a list of events; its errors
// are *BadParam.
func ParseEventFilter(q url.Values) (EventFilter, error) {
	var f EventFilter
	err := readParams(q, map[string]*string{
		"source": &f.Source,
		"status": &f.Status,
		"type":   &f.Type,
		"cursor": &f.Cursor,
	}, &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// check fills in the default and finds where the page before ended.
func (f EventFilter) check() (EventFilter, *position, error) {
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	if err := oneOf("source", f.Source, sources...); err != nil {
		return f, nil, err
	}
	if err := oneOf("status", f.Status, statuses...); err != nil {
		return f, nil, err
	}
	after, err := decodeCursor(f.Cursor, eventSort)
	return f, after, err
}

// Events returns a page of the inbox, newest first and without payloads, and
// the cursor of the next one, empty at the end. What is wrong with f is a
// *BadParam.
func (s *Store) Events(ctx context.Context, f EventFilter) (events []Event, next string, err error) {
	defer wrap(&err, "store.Events")
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	sql, args := f.sql(after)
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, "", err
	}
	events, err = pgx.CollectRows(rows, scanEvent)
	if len(events) > f.Limit {
		events = events[:f.Limit]
		next = position{Sort: eventSort, ID: events[f.Limit-1].ID}.encode()
	}
	return events, next, err
}

// sql asks for one event more than the limit.
func (f EventFilter) sql(after *position) (string, []any) {
	w := &conditions{args: &arguments{}}
	w.addIf("e.status = $?", f.Status)
	before := int64(math.MaxInt64)
	if after != nil {
		before = after.ID
	}
	// The other statuses have an index to themselves.
	if f.Type != "" && (f.Status == "" || f.Status == "processed") {
		return f.typeSQL(before, w)
	}
	w.add("e.id < $?", before)
	w.addIf("e.source = $?", f.Source)
	w.addIf("e.type = $?", f.Type)
	return selectEvents("NULL::text") + `
		WHERE ` + w.String() + `
		ORDER BY e.id DESC
		LIMIT ` + w.arg(f.Limit+1), *w.args
}

// typeSQL looks a type up under each source that has it, as the index on types
// begins with the source. Without the condition at the end, Postgres, who takes
// source and type to be independent, would look for Clerk's types among all
// events of Stripe; its ORDER BY makes that condition one look into the index.
func (f EventFilter) typeSQL(before int64, w *conditions) (string, []any) {
	kind, end := w.arg(f.Type)+"::text", w.arg(before)
	among, limit := w.arg(f.among()), w.arg(f.Limit+1)
	return `
		SELECT e.*
		FROM unnest(` + among + `::text[]) AS s(name)
		CROSS JOIN LATERAL (` + selectEvents("NULL::text") + `
			WHERE e.source = s.name
			  AND e.type = ` + kind + `
			  AND e.id < ` + end + `
			  AND ` + w.String() + `
			ORDER BY e.id DESC
			LIMIT ` + limit + `
		) e
		WHERE ` + kind + ` = (
			SELECT x.type
			FROM webhook_events x
			WHERE x.source = s.name AND x.type >= ` + kind + `
			ORDER BY x.type
			LIMIT 1
		)
		ORDER BY e.id DESC
		LIMIT ` + limit, *w.args
}

// among lists the sources to look under.
func (f EventFilter) among() []string {
	if f.Source != "" {
		return []string{f.Source}
	}
	return sources
}

// selectEvents reads all that scanEvent scans; payload is SQL.
func selectEvents(payload string) string {
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
			` + payload + ` AS payload
		FROM webhook_events e`
}

func scanEvent(row pgx.CollectableRow) (e Event, err error) {
	var payload *string
	err = row.Scan(&e.ID, &e.Source, &e.EventID, &e.Type, &e.Account, &e.APIVersion, &e.Livemode, &e.OccurredAt, &e.ReceivedAt,
		&e.Status, &e.Attempts, &e.LastError, &e.ProcessedAt, &payload)
	e.OccurredAt, e.ReceivedAt, e.ProcessedAt = e.OccurredAt.UTC(), e.ReceivedAt.UTC(), utc(e.ProcessedAt)
	if payload != nil {
		e.Payload = json.RawMessage(*payload)
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
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil {
		id = 0 // nobody's
	}
	rows, err := s.pool.Query(ctx, selectEvents("e.payload::text")+`
		WHERE e.id = $1
		   OR e.source = ANY($2) AND e.event_id = $3
		ORDER BY
			e.id = $1 DESC,
			e.id DESC
		LIMIT 1`, id, sources, ref)
	if err != nil {
		return Event{}, err
	}
	event, err := pgx.CollectExactlyOneRow(rows, scanEvent)
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
func (s *Store) EventCounts(ctx context.Context) (map[string]int64, error) {
	return s.eventCounts(ctx, countExactly)
}

func (s *Store) eventCounts(ctx context.Context, exactly int64) (_ map[string]int64, err error) {
	defer wrap(&err, "store.EventCounts")
	var total, pending, failed, ignored int64
	// One statement, so that the figures are of one moment.
	err = s.pool.QueryRow(ctx, `
		WITH estimate AS MATERIALIZED (
			-- Rows per page as of the last ANALYZE, times the pages there are now.
			SELECT reltuples / greatest(relpages, 1) * (pg_relation_size(oid) / current_setting('block_size')::int) AS total
			FROM pg_class
			WHERE oid = 'webhook_events'::regclass
		)
		SELECT
			CASE WHEN estimate.total > $1 THEN estimate.total::bigint ELSE (SELECT count(*) FROM webhook_events) END,
			(SELECT count(*) FROM webhook_events WHERE status = 'pending'),
			(SELECT count(*) FROM webhook_events WHERE status = 'failed'),
			(SELECT count(*) FROM webhook_events WHERE status = 'ignored')
		FROM estimate`, exactly).Scan(&total, &pending, &failed, &ignored)
	return map[string]int64{
		"pending":   pending,
		"processed": max(0, total-pending-failed-ignored),
		"ignored":   ignored,
		"failed":    failed,
	}, err
}

// ReopenFilter says which closed events are to be applied again. All of what is
// set must fit.
type ReopenFilter struct {
	Statuses []string  // failed to retry; processed, ignored and failed to replay. Required
	IDs      []int64   // only these rows of the inbox; nil: not by id
	Source   string    // only of this source
	Type     string    // only of this type
	Since    time.Time // only received then or later
}

// reopenChunk is how many events one transaction of Reopen takes.
const reopenChunk = 5000

// Reopen makes closed events pending again and returns them, oldest first, for
// the caller to enqueue; the sweeper would find them too. It goes in chunks, so
// after an error those that are returned are open and the rest are as before.
// Attempts are kept: they tell Apply to look at everything that leans on the
// event, not only at what it changes.
func (s *Store) Reopen(ctx context.Context, f ReopenFilter) (opened []Waiting, err error) {
	defer wrap(&err, "store.Reopen")
	if err := f.check(); err != nil {
		return nil, err
	}
	var last, end int64
	// Events that are applied and closed again meanwhile must not come round.
	if err := s.pool.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM webhook_events`).Scan(&end); err != nil {
		return nil, err
	}
	for {
		chunk, err := s.reopen(ctx, f, last, end)
		if err != nil || len(chunk) == 0 {
			return opened, err
		}
		opened = append(opened, chunk...)
		last = chunk[len(chunk)-1].ID
	}
}

func (f ReopenFilter) check() error {
	if len(f.Statuses) == 0 {
		return badParam("status", "is missing: say whether failed, processed or ignored events are meant")
	}
	for _, status := range f.Statuses {
		if err := oneOf("status", status, "processed", "ignored", "failed"); err != nil {
			return err
		}
	}
	if !storable(f.Type) {
		return badParam("type", "holds characters that are none")
	}
	return oneOf("source", f.Source, sources...)
}

// reopen takes the next chunk of ids above after, up to end.
func (s *Store) reopen(ctx context.Context, f ReopenFilter, after, end int64) ([]Waiting, error) {
	w := &conditions{args: &arguments{}}
	w.add("id > $?", after)
	w.add("id <= $?", end)
	w.add("status = ANY($?)", f.Statuses)
	w.addIf("source = $?", f.Source)
	w.addIf("type = $?", f.Type)
	if f.IDs != nil {
		w.add("id = ANY($?)", f.IDs)
	}
	if !f.Since.IsZero() {
		w.add("received_at >= $?", f.Since)
	}
	rows, err := s.pool.Query(ctx, `
		WITH chosen AS (
			SELECT id
			FROM webhook_events
			WHERE `+w.String()+`
			ORDER BY id
			LIMIT `+w.arg(reopenChunk)+`
			FOR UPDATE
		)
		UPDATE webhook_events e
		SET
			status = 'pending',
			-- Not none: an event seen before attaches all that leans on it.
			attempts = LEAST(e.attempts, 1),
			attempted_at = NULL,
			last_error = NULL,
			processed_at = NULL,
			traceparent = NULL -- of a delivery that has long ended
		FROM chosen
		WHERE e.id = chosen.id
		RETURNING
			e.id,
			e.source,
			''`, *w.args...)
	if err != nil {
		return nil, err
	}
	chunk, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Waiting])
	slices.SortFunc(chunk, func(a, b Waiting) int { return cmp.Compare(a.ID, b.ID) })
	return chunk, err
}
