package inbox

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// However many events there are, a page of them is read along an index that has
// them in order: of the statuses with an index to themselves, of the types asked
// for, or of all. What else is asked for is looked at on the way. Where little
// of that is met, the walk ends after the store's walkBudget of rows, and so does
// the page, however short: its cursor says where to go on.

// maxWays is in how many kinds of events a type or a source is looked for; if
// there are more, all events are.
const maxWays = 200

// eventWalk reads events with ids from first on and below end.
type eventWalk struct {
	store.EventFilter
	args       pg.Arguments
	ways       string // SQL: a row for each range of an index
	of         string // what of an event e puts it into such a range
	first, end int64
	budget     int // rows, in each range
}

// walkEvents decides along which index to walk.
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

// along walks along kinds of events.
func (w *eventWalk) along(kinds []EventKind) {
	sources, types := make([]string, len(kinds)), make([]string, len(kinds))
	for i, k := range kinds {
		sources[i], types[i] = k.Source, k.Type
	}
	w.ways = "unnest(" + w.args.Add(sources) + "::text[], " + w.args.Add(types) + "::text[]) AS way(source, type)"
	w.of = "e.source = way.source AND e.type = way.type"
}

// SQL reads one event more than the limit in each range, of those that meet the
// filter, and the last one that was looked at if that is where the budget ended.
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

// step is an event that a walk came to.
type step struct {
	store.Event
	fits bool // it meets the filter
	last bool // the budget of its range ended with it
}

// read returns the page and where the next one begins, 0 at the end.
func (w *eventWalk) read(ctx context.Context, s *Reader) (page []store.Event, next int64, err error) {
	sql := w.SQL()
	// Planned for its very arguments: how many events a status has decides.
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
		if x.last { // what is further down has not all been looked at
			return page, x.ID, err
		}
	}
	return page, 0, err
}

// eventsNamed are the ids of the events that ref may mean: that of the inbox,
// or the sender's.
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

// EventKind is a type of a source's events.
type EventKind struct {
	Source string
	Type   string
}

// EventKinds lists those that there are events of, of the source and type that
// f asks for, in the order of their names. They are hopped through in the index.
func (s *Reader) EventKinds(ctx context.Context, f store.EventFilter) (_ []EventKind, err error) {
	defer pg.Wrap(&err, "store.EventKinds")
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
