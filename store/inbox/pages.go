package inbox

import (
	"cmp"
	"context"
	"strings"

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
	paths      []path
	first, end int64
	budget     int // rows, in each range
}

// path is what a walk goes along: ranges of an index.
type path struct {
	n    int    // how many ranges
	ways string // SQL: a row for each range
	of   string // SQL: the condition that selects the range
	rows string // SQL: what has the rows
	id   string // SQL: the column in whose order they are
	fits string // SQL: what of the filter is not yet true of its rows; empty: all of it
}

// oneWay is the SQL for the ways of a path that has one range.
const oneWay = "(SELECT) AS way"

// alongEvents sets the walk to follow n ranges of events, which of selects.
func (w *eventWalk) alongEvents(n int, ways, of string) {
	w.paths = append(w.paths, path{n, ways, of, "webhook_events e", "e.id", ""})
}

// walkEvents chooses the indexes to walk along.
func (s *Reader) walkEvents(ctx context.Context, f store.EventFilter, after *pg.Position) (*eventWalk, error) {
	f, err := s.store.Located(ctx, f)
	if err != nil {
		return nil, err
	}
	w := &eventWalk{EventFilter: f}
	if w.first, w.end, err = s.store.Received(ctx, f); err != nil {
		return nil, err
	}
	if after != nil {
		w.end = min(w.end, after.ID)
	}
	rest := f
	switch open := f.Open(); {
	case f.EventID != "":
		err = w.named(ctx, s, f.EventID)
	case f.Query != "":
		rest.Query = ""
		err = w.named(ctx, s, f.Searched()...)
		w.search(f.Searched(), rest)
	case f.Store != "":
		rest.Store = ""
		w.search(f.OfStore(), rest)
	case open != nil || f.Status == "processed" && f.Error != "":
		w.withStatus(open...)
	case f.Source != "" || f.Type != "":
		var kinds []EventKind
		if kinds, err = s.EventKinds(ctx, f); len(kinds) <= maxWays {
			w.along(kinds)
		}
	}
	if w.paths == nil {
		w.alongEvents(1, oneWay, "true")
	}
	ways := 0
	for _, p := range w.paths {
		ways += p.n
	}
	w.budget = max(1, s.WalkBudget/max(1, min(ways, maxWays)))
	return w, err
}

// withStatus sets the walk to follow statuses that have an index.
func (w *eventWalk) withStatus(open ...string) {
	w.alongEvents(len(open), "unnest("+w.args.Add(open)+"::text[]) AS way(status)",
		"e.status = way.status AND e.status <> 'processed'")
}

// along sets the walk to follow kinds of events.
func (w *eventWalk) along(kinds []EventKind) {
	sources, types := make([]string, len(kinds)), make([]string, len(kinds))
	for i, k := range kinds {
		sources[i], types[i] = k.Source, k.Type
	}
	w.alongEvents(len(kinds),
		"unnest("+w.args.Add(sources)+"::text[], "+w.args.Add(types)+"::text[]) AS way(source, type)",
		"e.source = way.source AND e.type = way.type")
}

// named sets the walk to follow the events that ids may mean.
func (w *eventWalk) named(ctx context.Context, s *Reader, refs ...string) error {
	ids, err := s.eventsNamed(ctx, refs)
	w.alongEvents(1, oneWay, "e.id = ANY("+w.args.Add(ids)+")")
	return err
}

// search sets the walk to follow also the events that name any of what is searched for: those
// with its terms, and those that have no terms yet. All must meet the rest of the filter.
func (w *eventWalk) search(names store.Names, rest store.EventFilter) {
	terms := names.Terms()
	w.paths = append(w.paths, path{n: len(terms), ways: "unnest(" + w.args.Add(terms) + "::bigint[]) AS way(term)",
		of: "t.term = way.term", rows: "event_terms t JOIN webhook_events e ON e.id = t.event_id", id: "t.event_id"})
	found := len(w.paths)
	w.withStatus("pending")
	w.paths = append(w.paths, path{n: 1, ways: oneWay, of: "true",
		rows: "event_unindexed u JOIN webhook_events e ON e.id = u.event_id", id: "u.event_id"})
	fits := &pg.Conditions{Args: &w.args}
	rest.Meets(fits)
	for i := range w.paths {
		if w.paths[i].fits = fits.String(); i >= found {
			w.paths[i].fits += " AND " + names.InPayload(fits)
		}
	}
}

// SQL reads one matching event more than the limit in each range, and the last row
// read if the budget ended there.
func (w *eventWalk) SQL() string {
	budget, limit, first, end := w.args.Add(w.budget), w.args.Add(w.Limit+1), w.args.Add(w.first), w.args.Add(w.end)
	all := &pg.Conditions{Args: &w.args}
	if w.paths[0].fits == "" {
		w.Meets(all)
	}
	var steps []string
	for _, p := range w.paths {
		steps = append(steps, `
			SELECT step.*
			FROM `+p.ways+`
			CROSS JOIN LATERAL (
				SELECT
					e.id,
					e.fits,
					e.nth = `+budget+` AS last
				FROM (
					SELECT
						e.id,
						(`+cmp.Or(p.fits, all.String())+`) IS TRUE AS fits,
						row_number() OVER (ORDER BY `+p.id+` DESC) AS nth
					FROM `+p.rows+`
					WHERE `+p.of+`
					  AND `+p.id+` >= `+first+`
					  AND `+p.id+` < `+end+`
					ORDER BY `+p.id+` DESC
					LIMIT `+budget+`
				) e
				WHERE e.fits OR e.nth = `+budget+`
				ORDER BY e.id DESC
				LIMIT `+limit+`
			) step`)
	}
	return store.SelectEvents("NULL::text", "NULL::text", "page.fits", "page.last") + `
		JOIN (` + strings.Join(steps, `
			UNION ALL`) + `
		) page ON page.id = e.id
		ORDER BY e.id DESC, page.fits DESC, page.last` // of an event that several ranges have, the match first
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
	rows := pg.Query(ctx, s.Pool, sql, append([]any{pgx.QueryExecModeCacheDescribe}, w.args...)...)
	steps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (x step, err error) {
		x.Event, err = store.ScanEvent(row, &x.fits, &x.last)
		return x, err
	})
	page = []store.Event{}
	for i, x := range steps {
		if again := i > 0 && steps[i-1].ID == x.ID; x.fits && !again { // several ranges may have it
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

// eventsNamed are the ids of events that refs may mean: the inbox's ids or the senders'.
func (s *Reader) eventsNamed(ctx context.Context, refs []string) ([]int64, error) {
	return pg.Column[int64](ctx, s.Pool, `
		SELECT id
		FROM webhook_events
		WHERE id = ANY($1)
		   OR source = ANY($2) AND event_id = ANY($3)`, store.InboxIDs(refs), store.Sources, refs)
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
	return pg.Structs[EventKind](ctx, s.Pool, store.KindsSQL+`
		SELECT
			source,
			type
		FROM kinds
		WHERE ($1 = '' OR source = $1)
		  AND ($2 = '' OR type = $2)`, f.Source, f.Type)
}
