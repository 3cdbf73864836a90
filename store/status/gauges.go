package status

import (
	"context"
	"time"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5/pgxpool"

	"rollcall/store"
	"rollcall/store/pg"
)

// Queries of a metrics scrape, every few seconds and by every process. Each is cheap on
// millions of rows, and none waits for a lock.

// PoolStats are the statistics of the pool. It makes no query.
func (s *Reader) PoolStats() *pgxpool.Stat { return s.Pool.Stat() }

// EventGauges are EventCounts, but above countOften the processed are the rest of
// Postgres's estimate.
func (s *Reader) EventGauges(ctx context.Context) (counts map[string]int64, err error) {
	defer pg.Wrap(&err, "status.EventGauges")
	counts, _, err = s.CountEvents(ctx, countOften, nil)
	return counts, err
}

// Arrivals is how long a source's oldest pending event has waited, and when its last
// event came.
type Arrivals struct {
	Source string
	Oldest time.Duration // 0 if none is pending
	Last   *time.Time    // nil if none ever came
}

// pendingSample is how many of the oldest and of the newest pending events are read.
// With more than twice as many, Oldest is a minimum.
const pendingSample = 20_000

// arrived excludes pending events that an operator reopened and that were not tried
// since: when they came means nothing.
const arrived = "(attempts = 0 OR attempted_at IS NOT NULL)"

// arrivalsSQL reads the waiting time, and the last event by a look-up for each of a
// source's types, of which there are some dozens.
const arrivalsSQL = `
	WITH RECURSIVE pending AS MATERIALIZED (
		(SELECT source, received_at, attempts, attempted_at FROM webhook_events WHERE status = 'pending' ORDER BY id LIMIT $2)
		UNION ALL
		(SELECT source, received_at, attempts, attempted_at FROM webhook_events WHERE status = 'pending'
			ORDER BY id DESC LIMIT $2)
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

// Arrivals reads the Arrivals of each source.
func (s *Reader) Arrivals(ctx context.Context) (_ []Arrivals, err error) {
	defer pg.Wrap(&err, "status.Arrivals")
	return pg.Structs[Arrivals](ctx, s.Pool, arrivalsSQL, store.Sources, pendingSample)
}

// BackfillGauges are the totals of the runs of a kind with a status.
type BackfillGauges struct {
	Kind, Status string
	Runs         int64
	Seen         int64 // objects read
	Expected     int64 // objects to read, as far as the sources report that
	Errors       int64
	Moved        time.Time // the least recent sign of progress among the runs
}

// BackfillGauges counts the runs by kind and status, dry runs included.
func (s *Reader) BackfillGauges(ctx context.Context) (_ []BackfillGauges, err error) {
	defer pg.Wrap(&err, "status.BackfillGauges")
	return pg.Structs[BackfillGauges](ctx, s.Pool, `
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
}

// UnattachedCounts counts the missing facts by kind and reason; each combination is
// always present.
func (s *Reader) UnattachedCounts(ctx context.Context) (_ []store.UnattachedCount, err error) {
	defer pg.Wrap(&err, "status.UnattachedCounts")
	return store.UnattachedQuestion{Reasons: reasons.Missing()}.Count(ctx, s.Pool)
}

// ListGauges is the total length of all lists.
type ListGauges struct {
	Stores    int64
	Customers []FacetSize
}

// FacetSize is the number of customers with a type and status.
type FacetSize struct {
	Type, Status string
	Customers    int64
}

const listGaugesSQL = `
	SELECT split_part(facet, '/', 1), split_part(facet, '/', 2), sum(amount)::bigint
	FROM customer_figures
	WHERE figure = 'people'
	GROUP BY 1, 2`

// ListGauges sums the stored figures of all lists, without the changes of the last
// seconds, which are not yet folded in.
func (s *Reader) ListGauges(ctx context.Context) (g ListGauges, err error) {
	defer pg.Wrap(&err, "status.ListGauges")
	if err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM stores`).Scan(&g.Stores); err != nil {
		return g, err
	}
	g.Customers, err = pg.Structs[FacetSize](ctx, s.Pool, listGaugesSQL)
	return g, err
}

// MailGauges are what stands of mails in all stores.
type MailGauges struct {
	Due     int64 // that could go by now; above mostDue it is mostDue
	Unknown int64
	Braked  int64 // stores of which too much came back
	Held    int64 // stores that people paused
	Failing int64 // stores whose provider takes none
}

// mostDue is how many due mails are counted.
const mostDue = 100_000

// MailGauges counts mails that are due or in doubt, and stores that send none.
func (s *Reader) MailGauges(ctx context.Context) (g MailGauges, err error) {
	defer pg.Wrap(&err, "status.MailGauges")
	err = s.Pool.QueryRow(ctx, `
		SELECT
			(SELECT count(*) FROM (SELECT FROM mails WHERE status = 'due' AND due_at <= now() LIMIT $1) d),
			coalesce(sum((SELECT count(*) FROM mails m WHERE m.store_id = s.store_id AND m.status = 'unknown')), 0)::bigint,
			count(*) FILTER (WHERE paused_for <> 'hand'),
			count(*) FILTER (WHERE paused_for = 'hand'),
			count(*) FILTER (WHERE failing_since IS NOT NULL)
		FROM mail_settings s`, mostDue).Scan(&g.Due, &g.Unknown, &g.Braked, &g.Held, &g.Failing)
	return g, err
}
