package status

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Sender is what came from a source in the last hour.
type Sender struct {
	Source   string
	Accepted int64
	Rejected int64
	Reason   string // of most that were rejected
	Failed   int64  // events
}

// senders reads the last hour of all sources.
func (s *Reader) senders(ctx context.Context, now time.Time) (_ []Sender, err error) {
	defer pg.Wrap(&err, "status.senders")
	return pg.Structs[Sender](ctx, s.Pool, sendersSQL, store.Sources, now.Add(-time.Hour), store.Kept)
}

const sendersSQL = `
	WITH outcomes AS (
		SELECT source, outcome, sum(count)::bigint AS n
		FROM webhook_minutes
		WHERE minute > $2
		GROUP BY source, outcome
	)
	SELECT
		s.source,
		coalesce((SELECT sum(n) FROM outcomes o WHERE o.source = s.source AND outcome = ANY($3)), 0)::bigint,
		coalesce((SELECT sum(n) FROM outcomes o WHERE o.source = s.source AND outcome <> ALL($3)), 0)::bigint,
		coalesce((SELECT outcome FROM outcomes o WHERE o.source = s.source AND outcome <> ALL($3)
			ORDER BY n DESC, outcome LIMIT 1), ''),
		coalesce((SELECT sum(count) FROM event_work w WHERE w.span = 'minute' AND w.at > $2 AND w.source = s.source
			AND w.outcome = 'failed'), 0)::bigint
	FROM unnest($1::text[]) WITH ORDINALITY AS s(source, nth)
	ORDER BY s.nth`

// RejectedFilter selects rejected deliveries. Empty fields select all.
type RejectedFilter struct {
	Source, Reason string
	Span           Span
}

// Rejected are rejected deliveries of one step that had the same reason.
type Rejected struct {
	At     time.Time // the step's beginning
	Source string
	Reason string
	Count  int64
}

// MostRejected is how many rows Rejected and Networks return.
const MostRejected = 200

// Rejected reads rejected deliveries by step, the newest first.
func (s *Reader) Rejected(ctx context.Context, f RejectedFilter, now time.Time) (_ []Rejected, err error) {
	defer pg.Wrap(&err, "status.Rejected")
	column, table := f.Span.counts()
	rows := pg.Query(ctx, s.Pool, `
		SELECT date_bin($2::interval, `+column+`, $1::timestamptz) AS at, source, outcome, sum(count)::bigint
		FROM `+table+`
		WHERE `+column+` >= $1
		  AND outcome <> ALL($3)
		  AND ($4 = '' OR source = $4)
		  AND ($5 = '' OR outcome = $5)
		GROUP BY 1, 2, 3
		ORDER BY 1 DESC, 4 DESC, 2, 3
		LIMIT $6`, f.Span.From(now), f.Span.Step, store.Kept, f.Source, f.Reason, MostRejected)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Rejected, err error) {
		r, err = pgx.RowToStructByPos[Rejected](row)
		r.At = r.At.UTC()
		return r, err
	})
}

// RejectedCount counts rejected deliveries of a source and a reason.
type RejectedCount struct {
	Source, Reason string
	Count          int64
}

// RejectedCounts adds up the rejected deliveries of a span, most first.
func (s *Reader) RejectedCounts(ctx context.Context, f RejectedFilter, now time.Time) (_ []RejectedCount, err error) {
	defer pg.Wrap(&err, "status.RejectedCounts")
	column, table := f.Span.counts()
	return pg.Structs[RejectedCount](ctx, s.Pool, `
		SELECT source, outcome, sum(count)::bigint
		FROM `+table+`
		WHERE `+column+` >= $1
		  AND outcome <> ALL($2)
		  AND ($3 = '' OR source = $3)
		  AND ($4 = '' OR outcome = $4)
		GROUP BY 1, 2
		ORDER BY 3 DESC, 1, 2`, f.Span.From(now), store.Kept, f.Source, f.Reason)
}

// Network is where rejected deliveries came from.
type Network struct {
	Network  string // as store.Counted has it
	Source   string
	Rejected int64
	Reason   string    // of most of them
	Last     time.Time // that was rejected
	Accepted int64     // other deliveries of the source from there
}

// Networks reads where the rejected deliveries of at most two days came from, most first.
func (s *Reader) Networks(ctx context.Context, f RejectedFilter, now time.Time) (_ []Network, err error) {
	defer pg.Wrap(&err, "status.Networks")
	rows := pg.Query(ctx, s.Pool, networksSQL, f.Span.From(now).Truncate(time.Hour), store.Kept, f.Source, f.Reason,
		MostRejected)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Network, err error) {
		n, err = pgx.RowToStructByPos[Network](row)
		n.Last = n.Last.UTC()
		return n, err
	})
}

const networksSQL = `
	SELECT
		network::text,
		source,
		sum(count) FILTER (WHERE rejected)::bigint AS n,
		(array_agg(outcome ORDER BY count DESC) FILTER (WHERE rejected))[1],
		max(last_at) FILTER (WHERE rejected),
		coalesce(sum(count) FILTER (WHERE outcome = ANY($2)), 0)::bigint
	FROM (
		SELECT *, outcome <> ALL($2) AND ($4 = '' OR outcome = $4) AS rejected
		FROM webhook_networks
		WHERE hour >= $1
		  AND ($3 = '' OR source = $3)
	) of
	GROUP BY network, source
	HAVING bool_or(rejected)
	ORDER BY n DESC, network, source
	LIMIT $5`

// Setup tells what of a first set-up is done.
type Setup struct {
	Stores   bool // some are known
	Imported bool // a backfill that a person began has ended
}

// setup reads what of a first set-up is done.
func (s *Reader) setup(ctx context.Context) (done Setup, err error) {
	defer pg.Wrap(&err, "status.setup")
	err = s.Pool.QueryRow(ctx, `
		SELECT
			EXISTS (SELECT FROM stores),
			EXISTS (
				SELECT
				FROM backfills
				WHERE status IN ('completed', 'completed_with_errors')
				  AND NOT dry_run
				  AND started_by <> $1
			)`, HourlySchedule).Scan(&done.Stores, &done.Imported)
	return done, err
}
