package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// backfillRests is how long a run may be without a sign of progress: longer
	// than a source may ask us to wait.
	backfillRests = 15 * time.Minute
	// someBackfills is how many of the newest runs are looked at.
	someBackfills = 500
)

// TroubledBackfill is a run that does not go on, or ended badly, and that no
// later one of the same kind and scope has made up for.
type TroubledBackfill struct {
	Backfill
	Stuck bool // nothing has moved for a while
}

// TroubledBackfills lists them, the newest first.
func (c *Checkup) TroubledBackfills(ctx context.Context) (out []TroubledBackfill, err error) {
	defer wrap(&err, "store.Checkup.TroubledBackfills")
	stuck := map[int64]bool{}
	found, err := collect(ctx, c, func(row pgx.CollectableRow) (b Backfill, err error) {
		var still bool
		err = row.Scan(&b.ID, &b.Kind, &b.Scope, &b.Options, &b.DryRun, &b.Status, &b.Reason, &b.Expected, &b.Seen, &b.Created, &b.Updated, &b.Unchanged,
			&b.Errors, &b.Customers, &b.ChunkSize, &b.StartedBy, &b.CreatedAt, &b.StartedAt, &b.EndedAt, &still)
		stuck[b.ID] = still
		return b, err
	}, `
		SELECT`+backfillColumns+`, status IN ('queued', 'running') AND moved_at < now() - $2::interval
		FROM (SELECT * FROM backfills ORDER BY id DESC LIMIT $3) b
		WHERE NOT dry_run
		  AND ($1 = '' OR scope = $1 OR kind NOT IN ('courses', 'subscriptions'))
		  AND (status IN ('failed', 'completed_with_errors', 'paused')
			OR status IN ('queued', 'running') AND moved_at < now() - $2::interval)
		  AND NOT EXISTS (
			SELECT
			FROM backfills later
			WHERE later.id > b.id
			  AND (later.kind, later.scope, later.dry_run) = (b.kind, b.scope, false)
			  AND later.status IN ('completed', 'completed_with_errors', 'running', 'queued')
		  )
		ORDER BY id DESC`, c.only, backfillRests, someBackfills)
	for _, b := range found {
		out = append(out, TroubledBackfill{b, stuck[b.ID]})
	}
	return out, err
}

// OtherMode are events of Stripe's that were ignored because of STRIPE_MODE, and
// could be applied still.
type OtherMode struct {
	Live, Test IgnoredEvents
	Taken      int64 // live events of Stripe's that were applied, among the newest of all
}

// IgnoredEvents are some that were ignored.
type IgnoredEvents struct {
	Count  int64
	Oldest *time.Time // when the first came; nil if there is none
}

// OtherMode counts them, among the newest events that were ignored.
func (c *Checkup) OtherMode(ctx context.Context) (o OtherMode, err error) {
	defer wrap(&err, "store.Checkup.OtherMode")
	err = c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT
				count(*) FILTER (WHERE livemode),
				min(received_at) FILTER (WHERE livemode),
				count(*) FILTER (WHERE NOT livemode),
				min(received_at) FILTER (WHERE NOT livemode),
				(
					SELECT count(*)
					FROM (SELECT * FROM webhook_events ORDER BY id DESC LIMIT $1) newest
					WHERE source = 'stripe'
					  AND livemode
					  AND status = 'processed'
				)
			FROM (SELECT * FROM webhook_events WHERE status = 'ignored' ORDER BY id DESC LIMIT $1) e
			WHERE source = 'stripe'
			  AND last_error LIKE '%STRIPE_MODE%'
			  AND payload IS NOT NULL -- else it cannot be replayed`, someEvents).Scan(&o.Live.Count, &o.Live.Oldest, &o.Test.Count, &o.Test.Oldest, &o.Taken)
	})
	o.Live.Oldest, o.Test.Oldest = utc(o.Live.Oldest), utc(o.Test.Oldest)
	return o, err
}

// UntoldChanges are changes of watches that nobody could be told of yet.
type UntoldChanges struct {
	Count int64
	Since *time.Time // of the oldest
	Error *string    // why, of the last try; nil: there was none
}

// UntoldChanges counts those that were tried in vain, or that nobody tries to tell.
func (c *Checkup) UntoldChanges(ctx context.Context) (u UntoldChanges, err error) {
	defer wrap(&err, "store.Checkup.UntoldChanges")
	err = c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT count(*), min(made_at), (array_agg(last_error ORDER BY made_at DESC))[1]
			FROM watch_changes
			WHERE alert = 'due' AND (last_error IS NOT NULL OR made_at < now() - interval '5 minutes')`).Scan(&u.Count, &u.Since, &u.Error)
	})
	u.Since = utc(u.Since)
	return u, err
}

// Unheard lists the sources that no event has ever come from.
func (c *Checkup) Unheard(ctx context.Context) (_ []string, err error) {
	defer wrap(&err, "store.Checkup.Unheard")
	return collect(ctx, c, pgx.RowTo[string], unheardSQL, sources)
}

const unheardSQL = `
	SELECT s.name
	FROM unnest($1::text[]) WITH ORDINALITY s(name, nth)
	WHERE NOT EXISTS (SELECT FROM webhook_events WHERE source = s.name)
	ORDER BY s.nth`
