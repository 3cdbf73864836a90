package status

import (
	"context"
	"time"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rollcall/store"
	"rollcall/store/pg"
)

// What a scrape of the metrics asks for, every few seconds and of every process:
// so each of these is cheap on tables of millions, and none waits for a lock.

// PoolStats tells how the connections are used. It asks nobody.
func (s *Reader) PoolStats() *pgxpool.Stat { return s.Pool.Stat() }

// EventGauges are EventCounts, but that above countOften the processed are what
// remains of an estimate of all: Postgres' own.
func (s *Reader) EventGauges(ctx context.Context) (counts map[string]int64, err error) {
	defer pg.Wrap(&err, "store.EventGauges")
	counts, _, err = s.CountEvents(ctx, countOften, nil)
	return counts, err
}

// Arrivals tells of a source how long its oldest pending event has waited, and
// when the last one came.
type Arrivals struct {
	Source string
	Oldest time.Duration // 0 if none is pending
	Last   *time.Time    // nil if none ever came
}

// pendingSample is how many pending events are looked at from either end. With
// more than twice as many, those in the middle are younger than the first and
// older than the last: then the oldest is at least as old as it is said to be.
const pendingSample = 20_000

// arrived is met by pending events but for those that an operator had applied
// again and nobody has tried since: they came long ago, which says nothing.
const arrived = "(attempts = 0 OR attempted_at IS NOT NULL)"

// arrivalsSQL tells how long events wait, and which came last. The last one
// is found by looking up each type of the source, of which there are some dozens.
const arrivalsSQL = `
	WITH RECURSIVE pending AS MATERIALIZED (
		(SELECT source, received_at, attempts, attempted_at FROM webhook_events WHERE status = 'pending' ORDER BY id LIMIT $2)
		UNION ALL
		(SELECT source, received_at, attempts, attempted_at FROM webhook_events WHERE status = 'pending' ORDER BY id DESC LIMIT $2)
	), types AS (
		SELECT s.source, (SELECT min(e.type) FROM webhook_events e WHERE e.source = s.source) AS type
		FROM unnest($1::text[]) AS s(source)
		UNION ALL
		SELECT t.source, (SELECT min(e.type) FROM webhook_events e WHERE e.source = t.source AND e.type > t.type)
		FROM types t
		WHERE t.type IS NOT NULL
	), latest AS (
		SELECT t.source, max((SELECT max(e.id) FROM webhook_events e WHERE e.source = t.source AND e.type = t.type)) AS id
		FROM types t
		GROUP BY t.source
	)
	SELECT
		l.source,
		coalesce(now() - (
			SELECT min(p.received_at)
			FROM pending p
			WHERE p.source = l.source AND ` + arrived + `
		), '0'),
		(SELECT e.received_at FROM webhook_events e WHERE e.id = l.id)
	FROM latest l`

// Arrivals tells of each source how its events come and wait.
func (s *Reader) Arrivals(ctx context.Context) (_ []Arrivals, err error) {
	defer pg.Wrap(&err, "store.Arrivals")
	rows, err := s.Pool.Query(ctx, arrivalsSQL, store.Sources, pendingSample)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Arrivals])
}

// BackfillGauges is how the runs of a kind stand that have a status.
type BackfillGauges struct {
	Kind, Status string
	Runs         int64
	Seen         int64 // objects looked at
	Expected     int64 // objects to look at, as far as the sources could tell
	Errors       int64
	Moved        time.Time // the last sign of progress of the run that has shown none for longest
}

// BackfillGauges counts the runs, by kind and status. Dry runs count too.
func (s *Reader) BackfillGauges(ctx context.Context) (_ []BackfillGauges, err error) {
	defer pg.Wrap(&err, "store.BackfillGauges")
	rows, err := s.Pool.Query(ctx, `
		SELECT
			kind,
			status,
			count(*),
			sum(seen)::bigint,
			coalesce(sum(expected), 0)::bigint,
			sum(errors)::bigint,
			CASE WHEN isfinite(min(moved_at)) THEN min(moved_at) ELSE now() END -- one that was just resumed
		FROM backfills
		GROUP BY kind, status`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[BackfillGauges])
}

// UnattachedCounts counts the facts that should be on a list and are on none, by
// kind and reason, all of them always.
func (s *Reader) UnattachedCounts(ctx context.Context) (_ []store.UnattachedCount, err error) {
	defer pg.Wrap(&err, "store.UnattachedCounts")
	return store.UnattachedQuestion{Reasons: reasons.Missing()}.Count(ctx, s.Pool)
}

// ListGauges is how long all lists are together.
type ListGauges struct {
	Stores    int64
	Customers []FacetSize
}

// FacetSize is how many customers have a type and a status.
type FacetSize struct {
	Type, Status string
	Customers    int64
}

const listGaugesSQL = `
	SELECT split_part(facet, '/', 1), split_part(facet, '/', 2), sum(amount)::bigint
	FROM customer_figures
	WHERE figure = 'people'
	GROUP BY 1, 2`

// ListGauges adds up the figures that are kept of each list; what changed since
// they were folded, some seconds ago, is not among them.
func (s *Reader) ListGauges(ctx context.Context) (g ListGauges, err error) {
	defer pg.Wrap(&err, "store.ListGauges")
	if err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM stores`).Scan(&g.Stores); err != nil {
		return g, err
	}
	rows, err := s.Pool.Query(ctx, listGaugesSQL)
	if err != nil {
		return g, err
	}
	g.Customers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[FacetSize])
	return g, err
}
