package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

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
