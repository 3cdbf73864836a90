package value

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	model "rollcall/value"
)

// computing is the computation of a store's figures, in one snapshot.
type computing struct {
	tx      pgx.Tx
	store   string
	now     time.Time
	zone    string
	reports map[string]*Report // by currency
	readers *customers.Reader  // of the lists as of now
}

// computeSettings let one statement read all there is of a store, and the transaction wait while models are fitted. A
// small sample tells enough of the tables in between.
const computeSettings = `SET LOCAL statement_timeout = '120s'; SET LOCAL work_mem = '128MB'; SET LOCAL jit = off;
	SET LOCAL default_statistics_target = 10;
	SET LOCAL idle_in_transaction_session_timeout = '5min'`

// Compute computes the figures of a store as of now, and keeps them. It reads one snapshot, so what it keeps belongs
// together; others are not kept waiting. One at a time computes a store: computed is false if another does just now.
func (v *Values) Compute(ctx context.Context, store string, now time.Time) (computed bool, err error) {
	defer pg.Wrap(&err, "value.Compute(%q)", store)
	err = pgx.BeginTxFunc(ctx, v.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, computeSettings); err != nil {
			return err
		}
		c := computing{tx: tx, store: store, now: now, reports: map[string]*Report{}, readers: v.readers.At(now)}
		if err := tx.QueryRow(ctx, zoneSQL, store).Scan(&computed, &c.zone); err != nil || !computed {
			return err
		}
		return c.run(ctx)
	})
	return computed, err
}

// zoneSQL takes the store, and finds its time zone.
var zoneSQL = `
	SELECT
		pg_try_advisory_xact_lock(hashtextextended('value:' || $1::text, 0)),
		` + store.ZoneOf("$1")

func (c *computing) run(ctx context.Context) error {
	for _, made := range []struct {
		sql, table string
		args       []any
	}{
		{daysSQL, "value_days", c.args()},
		{buyersSQL, "value_buyers", c.until()},
		{subscriptionsSQL, "value_subscriptions", []any{c.store}},
		{movesSQL, "value_moves", c.until()},
	} {
		if _, err := c.tx.Exec(ctx, made.sql, made.args...); err != nil {
			return err
		}
		if _, err := c.tx.Exec(ctx, "ANALYZE "+made.table); err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context) error{
		c.months, c.cohorts, c.again, c.subscribers, c.forecast, c.groups, c.keep, c.help,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// args are the store, the time and the time zone.
func (c *computing) args() []any { return []any{c.store, c.now, c.zone} }

// until are the time and the time zone.
func (c *computing) until() []any { return []any{c.now, c.zone} }

// report is that of a currency.
func (c *computing) report(currency string) *Report {
	if c.reports[currency] == nil {
		c.reports[currency] = &Report{Currency: currency, Months: []Month{}, Cohorts: []Cohort{}, Groups: []Group{}}
	}
	return c.reports[currency]
}

// each runs a query whose first column is a currency, and has add read the rest of each row.
func (c *computing) each(ctx context.Context, sql string, args []any, into []any, add func(*Report)) error {
	rows, err := c.tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	var currency string
	_, err = pgx.ForEachRow(rows, append([]any{&currency}, into...), func() error {
		add(c.report(currency))
		return nil
	})
	return err
}

// lives runs a query about how long something lasted, or has lasted so far, by currency.
func (c *computing) lives(ctx context.Context, sql string) (map[string][]model.Lives, error) {
	all := map[string][]model.Lives{}
	var one model.Lives
	err := c.each(ctx, sql, c.until(), []any{&one.Time, &one.Ended, &one.N}, func(r *Report) {
		all[r.Currency] = append(all[r.Currency], one)
	})
	return all, err
}

// keep replaces what is kept of the store.
func (c *computing) keep(ctx context.Context) error {
	courses, err := c.courses(ctx)
	if err != nil {
		return err
	}
	if _, err := c.tx.Exec(ctx, `
		INSERT INTO value_stores (store_id, due_at, as_of, zone, courses, forecast_in)
		VALUES ($1, ((date_trunc('day', $2::timestamptz AT TIME ZONE $3) + $5::interval) AT TIME ZONE $3), $2, $3, $4, $6)
		ON CONFLICT (store_id) DO UPDATE SET
			due_at = EXCLUDED.due_at,
			as_of = EXCLUDED.as_of,
			zone = EXCLUDED.zone,
			courses = EXCLUDED.courses,
			forecast_in = EXCLUDED.forecast_in`, c.store, c.now, c.zone, courses, nightly, c.forecastIn()); err != nil {
		return err
	}
	currencies, reports := []string{}, []Report{}
	for currency, r := range c.reports {
		currencies, reports = append(currencies, currency), append(reports, *r)
	}
	if _, err := c.tx.Exec(ctx, `DELETE FROM value_reports WHERE store_id = $1 AND currency <> ALL($2)`, c.store,
		currencies); err != nil {
		return err
	}
	_, err = c.tx.Exec(ctx, `
		INSERT INTO value_reports (store_id, currency, buyers, report)
		SELECT $1, r ->> 'currency', coalesce((r #>> '{groups,0,n}')::bigint, 0), r FROM jsonb_array_elements($2) r
		ON CONFLICT (store_id, currency) DO UPDATE SET buyers = EXCLUDED.buyers, report = EXCLUDED.report`, c.store, reports)
	return err
}

// forecastIn is the currency of most buyers, of those in which something can be said; nil: of none.
func (c *computing) forecastIn() (in *string) {
	most := int64(0)
	for _, currency := range slices.Sorted(maps.Keys(c.reports)) {
		r := c.reports[currency]
		if n := r.Groups; r.Forecast.Again != nil && len(n) > 0 && n[0].N > most {
			in, most = &r.Currency, n[0].N
		}
	}
	return in
}
