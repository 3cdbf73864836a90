package value

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

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
	past    map[string]*past   // by currency
	fitting sync.WaitGroup     // of models
}

// computeSettings let one statement read all there is of a store, and the transaction wait while models are fitted. A
// small sample tells enough of the tables in between. Two connections work already: more processes would cost more than
// they save.
const computeSettings = `SET LOCAL statement_timeout = '120s'; SET LOCAL work_mem = '128MB'; SET LOCAL jit = off;
	SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL default_statistics_target = 10;
	SET LOCAL idle_in_transaction_session_timeout = '5min'`

// Compute computes the figures of a store as of now, and keeps them. It reads one snapshot, so what it keeps belongs
// together; others are not kept waiting. One at a time computes a store: computed is false if another does just now.
func (v *Values) Compute(ctx context.Context, store string, now time.Time) (computed bool, err error) {
	defer pg.Wrap(&err, "value.Compute(%q)", store)
	err = v.inSnapshot(ctx, "", func(tx pgx.Tx) error {
		c := computing{tx: tx, store: store, now: now, reports: map[string]*Report{}, readers: v.readers.At(now)}
		var snapshot string
		if err := tx.QueryRow(ctx, zoneSQL, store).Scan(&computed, &c.zone, &snapshot); err != nil || !computed {
			return err
		}
		return v.run(ctx, &c, snapshot)
	})
	return computed, err
}

// zoneSQL takes the store, and finds its time zone. It names the snapshot.
var zoneSQL = `
	SELECT
		pg_try_advisory_xact_lock(hashtextextended('value:' || $1::text, 0)),
		` + store.ZoneOf("$1") + `,
		pg_export_snapshot()`

// inSnapshot runs do in a transaction that sees a snapshot of another one; if it has no name, one of its own.
func (v *Values) inSnapshot(ctx context.Context, name string, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, v.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		settings := computeSettings
		if name != "" {
			settings = "SET TRANSACTION SNAPSHOT '" + name + "'; " + settings
		}
		if _, err := tx.Exec(ctx, settings); err != nil {
			return err
		}
		return do(tx)
	})
}

// run computes side by side, by two connections, what needs payments and what does not. With one connection alone it
// does one after the other.
func (v *Values) run(ctx context.Context, c *computing, snapshot string) error {
	p := people{tx: c.tx, computing: c, subscribed: make(chan subscribed, 1)}
	both, until := errgroup.WithContext(ctx)
	if v.Conns() < 2 {
		both.SetLimit(1)
		both.Go(func() error { return p.run(until) })
	} else {
		both.Go(func() error {
			return v.inSnapshot(until, snapshot, func(tx pgx.Tx) error {
				p.tx = tx
				return p.run(until)
			})
		})
	}
	both.Go(func() error { return c.payments(until, p.subscribed) })
	if err := both.Wait(); err != nil {
		return err
	}
	return c.keep(ctx, &p)
}

// payments computes what needs payments.
func (c *computing) payments(ctx context.Context, found <-chan subscribed) error {
	for _, made := range []table{{"value_days", daysSQL, c.args()}, {"value_buyers", buyersSQL, c.until()}} {
		if err := made.make(ctx, c.tx); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s := <-found:
		if err := c.take(ctx, s); err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context) error{
		c.months, c.cohorts, c.again, c.subscribers, c.forecast, c.groups, c.expected,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// table is a temporary table, and what fills it.
type table struct {
	name, sql string
	args      []any
}

func (t table) make(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, t.sql, t.args...); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "ANALYZE "+t.name)
	return err
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
	rows := pg.Query(ctx, c.tx, sql, args...)
	var currency string
	return pg.Each(rows, append([]any{&currency}, into...), func() {
		add(c.report(currency))
	})
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
func (c *computing) keep(ctx context.Context, p *people) error {
	if _, err := c.tx.Exec(ctx, `
		INSERT INTO value_stores (store_id, due_at, as_of, zone, courses, help, forecast_in)
		VALUES ($1, ((date_trunc('day', $2::timestamptz AT TIME ZONE $3) + $6::interval) AT TIME ZONE $3), $2, $3, $4, $5, $7)
		ON CONFLICT (store_id) DO UPDATE SET
			due_at = EXCLUDED.due_at,
			as_of = EXCLUDED.as_of,
			zone = EXCLUDED.zone,
			courses = EXCLUDED.courses,
			help = EXCLUDED.help,
			forecast_in = EXCLUDED.forecast_in`,
		c.store, c.now, c.zone, p.courses, p.help, nightly, c.forecastIn()); err != nil {
		return err
	}
	currencies, reports := []string{}, []Report{}
	for currency, r := range c.reports {
		currencies, reports = append(currencies, currency), append(reports, *r)
	}
	_, err := c.tx.Exec(ctx, `DELETE FROM value_reports WHERE store_id = $1 AND currency <> ALL($2)`, c.store, currencies)
	if err != nil {
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
