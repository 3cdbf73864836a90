package inbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// A page of events is read along an ordered index: of statuses that have their own, of
// the requested types, or of all. Other conditions are checked on the way. Where
// matches are rare, the walk ends after walkBudget rows, and the page with it, however
// short: its cursor continues there.

// maxWays is the maximum number of kinds of events to walk along; with more, the walk
// is along all events.
const maxWays = 200

// eventWalk reads events with ids from first on and below end.
type eventWalk struct {
	store.EventFilter
	args       pg.Arguments
	ways       string // SQL: a row for each range of an index
	of         string // SQL: the column of an event e that selects the range
	first, end int64
	budget     int // rows, in each range
}

// walkEvents chooses the index to walk along.
func (s *Reader) walkEvents(ctx context.Context, f store.EventFilter, after *pg.Position) (*eventWalk, error) {
	w := &eventWalk{EventFilter: f, ways: "(SELECT) AS way", of: "true"}
	var err error
	if w.first, w.end, err = s.store.Received(ctx, f); err != nil {
		return nil, err
	}
	if after != nil {
		w.end = min(w.end, after.ID)
	}
	ways := 1
	switch open := f.Open(); {
	case f.EventID != "":
		ids, err := s.eventsNamed(ctx, f.EventID)
		if err != nil {
			return nil, err
		}
		w.of = "e.id = ANY(" + w.args.Add(ids) + ")"
	case open != nil || f.Status == "processed" && f.Error != "":
		w.ways, ways = "unnest("+w.args.Add(open)+"::text[]) AS way(status)", len(open)
		w.of = "e.status = way.status AND e.status <> 'processed'"
	case f.Source != "" || f.Type != "":
		kinds, err := s.EventKinds(ctx, f)
		if err != nil {
			return nil, err
		}
		if ways = len(kinds); ways <= maxWays {
			w.along(kinds)
		}
	}
	w.budget = max(1, s.WalkBudget/max(1, min(ways, maxWays)))
	return w, nil
}

// along sets the walk to follow kinds of events.
func (w *eventWalk) along(kinds []EventKind) {
	sources, types := make([]string, len(kinds)), make([]string, len(kinds))
	for i, k := range kinds {
		sources[i], types[i] = k.Source, k.Type
	}
	w.ways = "unnest(" + w.args.Add(sources) + "::text[], " + w.args.Add(types) + "::text[]) AS way(source, type)"
	w.of = "e.source = way.source AND e.type = way.type"
}

// SQL reads one matching event more than the limit in each range, and the last row
// read if the budget ended there.
func (w *eventWalk) SQL() string {
	budget, fits := w.args.Add(w.budget), &pg.Conditions{Args: &w.args}
	w.Meets(fits)
	return store.SelectEvents("NULL::text", "NULL::text", "page.fits", "page.last") + `
		JOIN (
			SELECT step.*
			FROM ` + w.ways + `
			CROSS JOIN LATERAL (
				SELECT
					e.id,
					e.fits,
					e.nth = ` + budget + ` AS last
				FROM (
					SELECT
						e.id,
						(` + fits.String() + `) IS TRUE AS fits,
						row_number() OVER (ORDER BY e.id DESC) AS nth
					FROM webhook_events e
					WHERE ` + w.of + `
					  AND e.id >= ` + w.args.Add(w.first) + `
					  AND e.id < ` + w.args.Add(w.end) + `
					ORDER BY e.id DESC
					LIMIT ` + budget + `
				) e
				WHERE e.fits OR e.nth = ` + budget + `
				ORDER BY e.id DESC
				LIMIT ` + w.args.Add(w.Limit+1) + `
			) step
		) page ON page.id = e.id
		ORDER BY e.id DESC`
}

// step is an event that a walk reached.
type step struct {
	store.Event
	fits bool // it matches
	last bool // the budget of its range ended with it
}

// read returns the page and where the next one begins; 0 at the end.
func (w *eventWalk) read(ctx context.Context, s *Reader) (page []store.Event, next int64, err error) {
	sql := w.SQL()
	// Planned for its arguments: the number of events with a status decides.
	rows, err := s.Pool.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, w.args...)...)
	if err != nil {
		return nil, 0, err
	}
	steps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (x step, err error) {
		x.Event, err = store.ScanEvent(row, &x.fits, &x.last)
		return x, err
	})
	page = []store.Event{}
	for _, x := range steps {
		if x.fits {
			page = append(page, x.Event)
		}
		if len(page) > w.Limit {
			return page[:w.Limit], page[w.Limit-1].ID, err
		}
		if x.last { // rows further down were not all read
			return page, x.ID, err
		}
	}
	return page, 0, err
}

// eventsNamed are the ids of events that ref may mean: the inbox's id or the sender's.
func (s *Reader) eventsNamed(ctx context.Context, ref string) ([]int64, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT id
		FROM webhook_events
		WHERE id = $1
		   OR source = ANY($2) AND event_id = $3`, store.InboxID(ref), store.Sources, ref)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// EventKind is a source and a type of event.
type EventKind struct {
	Source string
	Type   string
}

// EventKinds lists the kinds of events that match f's source and type, by name. It
// skips through the index.
func (s *Reader) EventKinds(ctx context.Context, f store.EventFilter) (_ []EventKind, err error) {
	defer pg.Wrap(&err, "inbox.EventKinds")
	rows, err := s.Pool.Query(ctx, store.KindsSQL+`
		SELECT
			source,
			type
		FROM kinds
		WHERE ($1 = '' OR source = $1)
		  AND ($2 = '' OR type = $2)`, f.Source, f.Type)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[EventKind])
}
