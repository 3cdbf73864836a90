package value

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// nightly is when figures are computed, after midnight of the store's time zone of the next day.
const nightly = 27 * time.Hour

// Reports are what is kept of a store: one for each currency, that with the most money first.
type Reports struct {
	AsOf
	Courses    []Course
	Currencies []string // of all reports
	All        []Report // or the one that is asked for
}

// Of is the report of a currency; empty: the first. nil: there is none.
func (r Reports) Of(currency string) *Report {
	for i := range r.All {
		if currency == "" || r.All[i].Currency == currency {
			return &r.All[i]
		}
	}
	return nil
}

const readSQL = `
	SELECT
		s.due_at,
		s.as_of,
		s.zone,
		coalesce(s.courses, '[]'),
		ARRAY(SELECT r.currency FROM value_reports r WHERE r.store_id = s.store_id ORDER BY r.buyers DESC, r.currency),
		coalesce((
			SELECT jsonb_agg(r.report ORDER BY r.buyers DESC, r.currency)
			FROM value_reports r
			WHERE r.store_id = s.store_id
			  AND ($2::text IS NULL OR r.currency = coalesce(nullif($2, ''), (
				SELECT o.currency
				FROM value_reports o
				WHERE o.store_id = s.store_id
				ORDER BY o.buyers DESC, o.currency
				LIMIT 1
			  )))
		), '[]')
	FROM value_stores s
	WHERE s.store_id = $1`

// Read reads what is kept of a store. A store whose figures were never computed has none.
func (v *Values) Read(ctx context.Context, store string) (r Reports, err error) {
	return v.read(ctx, store, nil)
}

// ReadIn reads what is kept of a store in one currency; empty: in that of most buyers. Reports are large.
func (v *Values) ReadIn(ctx context.Context, store, currency string) (r Reports, err error) {
	return v.read(ctx, store, &currency)
}

func (v *Values) read(ctx context.Context, store string, currency *string) (r Reports, err error) {
	defer pg.Wrap(&err, "value.Read(%q)", store)
	r.Courses, r.All = []Course{}, []Report{}
	if !pg.Storable(store) {
		return r, nil
	}
	var asOf *time.Time
	var zone *string
	err = v.Pool.QueryRow(ctx, readSQL, store, currency).Scan(&r.Due, &asOf, &zone, &r.Courses, &r.Currencies,
		&r.All)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, nil
	}
	if asOf != nil {
		r.Time, r.Zone = asOf.UTC(), *zone
	}
	r.Due = r.Due.UTC()
	return r, err
}

// Ask has workers compute the figures of a store soon.
func (v *Values) Ask(ctx context.Context, store string) (err error) {
	defer pg.Wrap(&err, "value.Ask(%q)", store)
	if !pg.Storable(store) {
		return pg.ErrNotFound
	}
	_, err = v.Pool.Exec(ctx, `
		INSERT INTO value_stores (store_id, due_at) VALUES ($1, now())
		ON CONFLICT (store_id) DO UPDATE SET due_at = LEAST(value_stores.due_at, now())`, store)
	return err
}

// retryAfter is how long a store waits whose figures could not be computed.
const retryAfter = 10 * time.Minute

// dueSQL is one of the stores that have been due longest: two workers seldom meet.
const dueSQL = `
	SELECT store_id, now()
	FROM (SELECT store_id FROM value_stores WHERE due_at <= now() ORDER BY due_at LIMIT 100) due
	ORDER BY random()
	LIMIT 1`

// Step computes the figures of a store that is due, and reports whether there was one. The rows say what is due,
// so a worker that dies loses nothing. A store that fails is not in the way of the others. One that a person asks for
// while it is computed fails as well, by the snapshot: it is computed once more at once.
func (v *Values) Step(ctx context.Context) (worked bool, err error) {
	var store string
	var now time.Time // of Postgres: workers' clocks differ
	err = v.Pool.QueryRow(ctx, dueSQL).Scan(&store, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err == nil {
		worked, err = v.Compute(ctx, store, now)
	}
	if err != nil && store != "" && (pg.TimedOut(err) || !pg.Transient(err)) {
		_, later := v.Pool.Exec(context.WithoutCancel(ctx), `
			UPDATE value_stores SET due_at = now() + $2::interval WHERE store_id = $1`, store, retryAfter)
		err = errors.Join(err, later)
	}
	return worked, err
}
