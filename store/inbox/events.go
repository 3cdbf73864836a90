package inbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Events returns a page of the inbox, newest first and without payloads, and the
// cursor of the next one, empty at the end. A page that is not the last may hold fewer
// events than the limit, or none: see eventWalk. A filter that is not valid is a
// *pg.BadParam.
func (s *Reader) Events(ctx context.Context, f store.EventFilter) (events []store.Event, next string, err error) {
	defer pg.Wrap(&err, "inbox.Events")
	f, after, err := f.Check()
	if err != nil {
		return nil, "", err
	}
	w, err := s.walkEvents(ctx, f, after)
	if err != nil {
		return nil, "", err
	}
	events, end, err := w.read(ctx, s)
	if end > 0 {
		next = pg.Position{Sort: store.EventSort, ID: end}.Encode()
	}
	return events, next, err
}

// Event returns one event with its payload, by its id in the inbox or the sender's. If
// several match, the inbox's id wins, then the newest.
func (s *Reader) Event(ctx context.Context, ref string) (_ store.Event, err error) {
	defer pg.Wrap(&err, "inbox.Event(%q)", ref)
	if !pg.Storable(ref) {
		return store.Event{}, pg.ErrNotFound
	}
	return pg.One(ctx, s.Pool, store.OneEvent, store.SelectEvents("e.payload::text", "e.headers::text")+`
		WHERE e.id = $1
		   OR e.source = ANY($2) AND e.event_id = $3
		ORDER BY
			e.id = $1 DESC,
			e.id DESC
		LIMIT 1`, store.InboxID(ref), store.Sources, ref)
}

// EventsWithIDs returns the events with these ids, newest first and without payloads.
func (s *Reader) EventsWithIDs(ctx context.Context, ids []int64) (_ []store.Event, err error) {
	defer pg.Wrap(&err, "inbox.EventsWithIDs(%d)", len(ids))
	rows := pg.Query(ctx, s.Pool, store.SelectEvents("NULL::text", "NULL::text")+`
		WHERE e.id = ANY($1)
		ORDER BY e.id DESC`, ids)
	return pgx.CollectRows(rows, store.OneEvent)
}
