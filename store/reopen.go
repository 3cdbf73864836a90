package store

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/moment"
	"rollcall/store/pg"
)

// ReopenFilter says which closed events are to be applied again. All of what is
// set must fit.
type ReopenFilter struct {
	Statuses  []string  // failed to retry; processed, ignored and failed to replay. Required
	IDs       []int64   // only these rows of the inbox; nil: not by id
	Source    string    // only of this source
	Type      string    // only of this type
	EventID   string    // only the one that this names, as in EventFilter
	Query     string    // only those that name something, as in EventFilter
	Store     string    // only those of this store, as in EventFilter
	Error     string    // only those whose last error has this in it
	Dismissed string    // yes or no: only ignored ones that were dismissed, or were not
	Since     time.Time // only received then or later
	Until     time.Time // only received before

	// Of the rows' ids: only those above After, and up to Through if it is not
	// 0, so that many can be taken in portions of at most Most (0: all at once).
	After, Through int64
	Most           int

	account string // of Store
}

// LogValue is what a log may hold of f: by what events were chosen, and not the
// words typed for that, which may be somebody's address.
func (f ReopenFilter) LogValue() slog.Value {
	by := strings.Join(slices.Sorted(maps.Keys(f.asked().Values())), ",")
	return slog.GroupValue(slog.Any("statuses", f.Statuses), slog.String("by", by), slog.Int("ids", len(f.IDs)),
		slog.Any("rows", f.IDs[:min(len(f.IDs), 10)]),
		slog.Int64("after", f.After), slog.Int64("through", f.Through))
}

// MomentTime is a moment that is no age, or zero.
func MomentTime(text string) time.Time {
	t, _ := moment.Parse(text)
	return t
}

// asked is f as a filter of a list; statuses and ids are apart.
func (f ReopenFilter) asked() EventFilter {
	written := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	return EventFilter{Source: f.Source, Type: f.Type, EventID: f.EventID, Query: f.Query,
		Store: f.Store, Account: f.account, Error: f.Error, Dismissed: f.Dismissed,
		Since: written(f.Since), Until: written(f.Until)}
}

// ReopenChunk is how many events one transaction of Reopen takes.
const ReopenChunk = 5000

// Reopen makes closed events pending again and returns them, oldest first, for
// the caller to enqueue; the sweeper would find them too. It goes in chunks, so
// after an error those that are returned are open and the rest are as before.
// Attempts are kept: they tell Apply to look at everything that depends on the
// event, not only at what it changes. Events whose payload is gone are passed
// over: there is nothing to apply.
func (s *Store) Reopen(ctx context.Context, f ReopenFilter) (opened []Waiting, err error) {
	defer pg.Wrap(&err, "store.Reopen")
	return s.settle(ctx, f, `
			status = 'pending',
			-- Not none: an event seen before attaches all that leans on it.
			attempts = LEAST(e.attempts, 1),
			attempted_at = NULL,
			last_error = NULL,
			processed_at = NULL,
			dismissed_by = NULL,
			dismissed_why = NULL,
			traceparent = NULL -- of a delivery that has long ended`)
}

// settle sets columns of closed events, in chunks, and returns the events.
func (s *Store) settle(ctx context.Context, f ReopenFilter, set string, args ...any) (done []Waiting, err error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	// Events that are applied and closed again meanwhile must not come round.
	if f, err = s.bound(ctx, f); err != nil {
		return nil, err
	}
	for f.Most == 0 || len(done) < f.Most {
		limit := ReopenChunk
		if f.Most > 0 {
			limit = min(limit, f.Most-len(done))
		}
		chunk, err := s.settleChunk(ctx, f, limit, set, args)
		if err != nil || len(chunk) == 0 {
			return done, err
		}
		done = append(done, chunk...)
		f.After = chunk[len(chunk)-1].ID
	}
	return done, nil
}

// CountReopen counts, up to most, the events that Reopen would take, and names
// the last id there is now: with it as Through, none that come later are meant.
func (s *Store) CountReopen(ctx context.Context, f ReopenFilter, most int) (n, through int64, err error) {
	defer pg.Wrap(&err, "store.CountReopen")
	if err := f.check(); err != nil {
		return 0, 0, err
	}
	if f, err = s.bound(ctx, f); err != nil {
		return 0, 0, err
	}
	w := f.conditions()
	rows := pg.Query(ctx, s.Pool, `
		SELECT count(*)
		FROM (
			SELECT
			FROM webhook_events e
			WHERE e.payload IS NOT NULL
			  AND `+w.String()+`
			LIMIT `+w.Arg(most)+`
		) e`, append([]any{pgx.QueryExecModeCacheDescribe}, *w.Args...)...)
	n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
	return n, f.Through, err
}

// bound narrows the ids down to those there are, and to the times asked for.
func (s *Store) bound(ctx context.Context, f ReopenFilter) (ReopenFilter, error) {
	asked, err := s.Located(ctx, f.asked())
	if err != nil {
		return f, err
	}
	f.account = asked.Account
	first, end, err := s.Received(ctx, asked)
	if err != nil {
		return f, err
	}
	var last int64
	if err := s.Pool.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM webhook_events`).Scan(&last); err != nil {
		return f, err
	}
	if f.Through > 0 {
		last = min(last, f.Through)
	}
	f.After, f.Through = max(f.After, first-1), min(last, end)
	return f, nil
}

func (f ReopenFilter) check() error {
	if len(f.Statuses) == 0 {
		return pg.Refuse("status", "is missing: say whether failed, processed or ignored events are meant")
	}
	for _, status := range f.Statuses {
		if err := pg.OneOf("status", status, "processed", "ignored", "failed"); err != nil {
			return err
		}
	}
	_, _, err := f.asked().Check()
	return err
}

// conditions are what an event e must meet.
func (f ReopenFilter) conditions() *pg.Conditions {
	w := &pg.Conditions{Args: &pg.Arguments{}}
	w.Add("e.id > $?", f.After)
	w.Add("e.id <= $?", f.Through)
	if len(f.Statuses) == 1 { // an index has these in order
		w.Add("e.status = $?", f.Statuses[0])
	} else {
		w.Add("e.status = ANY($?)", f.Statuses)
	}
	if f.IDs != nil {
		w.Add("e.id = ANY($?)", f.IDs)
	}
	f.asked().Meets(w)
	return w
}

// settleChunk takes the next chunk. Places in set are $?.
func (s *Store) settleChunk(ctx context.Context, f ReopenFilter, limit int, set string, args []any) ([]Waiting, error) {
	w := f.conditions()
	set = w.Args.Fill(set, args)
	chunk, err := pg.Structs[Waiting](ctx, s.Pool, `
		WITH chosen AS (
			SELECT e.id
			FROM webhook_events e
			WHERE e.payload IS NOT NULL
			  AND `+w.String()+`
			ORDER BY e.id
			LIMIT `+w.Arg(limit)+`
			FOR UPDATE
		)
		UPDATE webhook_events e
		SET `+set+`
		FROM chosen
		WHERE e.id = chosen.id
		RETURNING
			e.id,
			e.source,
			''`, append([]any{pgx.QueryExecModeCacheDescribe}, *w.Args...)...)
	slices.SortFunc(chunk, func(a, b Waiting) int { return cmp.Compare(a.ID, b.ID) })
	return chunk, err
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
	r := ReopenFilter{Statuses: statuses, Source: f.Source, Type: f.Type, EventID: f.EventID, Query: f.Query,
		Store: f.Store, Error: f.Error, Dismissed: f.Dismissed}
	r.Since, r.Until = MomentTime(f.Since), MomentTime(f.Until)
	return r
}
