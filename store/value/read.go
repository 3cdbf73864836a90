package value

import (
	"context"
	"encoding/json"
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
		ARRAY(
			SELECT (r.report - $3::text[])::text -- a text is made much faster than an array of jsonb
			FROM value_reports r
			WHERE r.store_id = s.store_id
			  AND ($2::text IS NULL OR r.currency = coalesce(nullif($2, ''), (
				SELECT o.currency
				FROM value_reports o
				WHERE o.store_id = s.store_id
				ORDER BY o.buyers DESC, o.currency
				LIMIT 1
			  )))
			ORDER BY r.buyers DESC, r.currency
		)
	FROM value_stores s
	WHERE s.store_id = $1`

// Read reads what is kept of a store. A store whose figures were never computed has none.
func (v *Values) Read(ctx context.Context, store string) (r Reports, err error) {
	return v.ReadPart(ctx, store, Part{})
}

// OnlyCohorts is all that ReadPart leaves out for a table of cohorts.
var OnlyCohorts = []string{"months", "groups", "again", "subscribers", "forecast"}

// ReadPart reads what is kept of a store in the currency of a part, with all months and groups: see Part. Reports are
// large, so it leaves out what no one will look at.
func (v *Values) ReadPart(ctx context.Context, store string, p Part, without ...string) (r Reports, err error) {
	defer pg.Wrap(&err, "value.Read(%q)", store)
	r.Courses, r.All = []Course{}, []Report{}
	if !pg.Storable(store) {
		return r, nil
	}
	return r, r.scan(v.Pool.QueryRow(ctx, readSQL, readArgs(store, p, without)...))
}

func readArgs(store string, p Part, without []string) []any {
	var currency *string
	if p.Currency != "" || p.One {
		currency = &p.Currency
	}
	return []any{store, currency, append([]string{}, without...)}
}

// scan reads the only row of readSQL. A store that has none has no reports.
func (r *Reports) scan(row pgx.Row) error {
	var asOf *time.Time
	var zone *string
	var reports []string
	err := row.Scan(&r.Due, &asOf, &zone, &r.Courses, &r.Currencies, &reports)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if asOf != nil {
		r.Time, r.Zone = asOf.UTC(), *zone
	}
	r.Due = r.Due.UTC()
	r.All = make([]Report, len(reports))
	for i, text := range reports {
		err = errors.Join(err, json.Unmarshal([]byte(text), &r.All[i]))
	}
	return err
}

// Page is what the page of a store shows.
type Page struct {
	Reports
	Help   []Help
	People []Expected // of whom most is expected
}

// Page reads all that the page of a store shows, with so many people, on one way there and back.
func (v *Values) Page(ctx context.Context, store string, p Part, people int) (all Page, err error) {
	defer pg.Wrap(&err, "value.Page(%q)", store)
	if !pg.Storable(store) {
		return all, nil
	}
	batch := &pgx.Batch{}
	batch.Queue(readSQL, readArgs(store, p, nil)...).QueryRow(all.scan)
	batch.Queue(keptHelpSQL, store).Query(func(rows pgx.Rows) (err error) {
		all.Help, err = scanHelp(rows)
		return err
	})
	f := PeopleFilter{Store: store, Currency: p.Currency, Sort: "-expected", Limit: people}
	batch.Queue(f.sql(false), f.args()...).Query(func(rows pgx.Rows) (err error) {
		all.People, _, err = f.scan(rows)
		return err
	})
	return all, v.Pool.SendBatch(ctx, batch).Close()
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
