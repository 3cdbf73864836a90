package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Who has a chunk in hand, when it is to be tried again, and what was lost.

// OpenChunk takes a chunk in hand, for lease; ErrNotFound if it is not to be
// done now: it is done already or in other hands, its source is to be left alone
// for a while, or its run is not to go on. A run's first chunk sets it running.
func (s *Store) OpenChunk(ctx context.Context, backfill int64, number int, lease time.Duration) (c Chunk, err error) {
	defer pg.Wrap(&err, "store.OpenChunk(%d, %d)", backfill, number)
	_, err = s.Pool.Exec(ctx, `
		UPDATE backfills SET status = 'running', started_at = now(), moved_at = now()
		WHERE id = $1 AND status = 'queued'`, backfill)
	if err != nil {
		return c, err
	}
	c.Backfill, c.Number = backfill, number
	err = s.Pool.QueryRow(ctx, `
		UPDATE backfill_chunks k SET held_until = now() + $3::interval
		FROM backfills b
		WHERE b.id = k.backfill_id AND b.status = 'running'
		  AND k.backfill_id = $1 AND k.number = $2 AND k.done_at IS NULL
		  AND coalesce(k.held_until, '-infinity') <= now()
		  AND coalesce(k.not_before, '-infinity') <= now()
		RETURNING k.stream, k.cursor, k.attempts`, backfill, number, lease).Scan(&c.Stream, &c.Cursor, &c.Attempts)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, pg.ErrNotFound
	}
	if err != nil {
		return c, err
	}
	c.Run, err = s.Backfill(ctx, backfill)
	return c, err
}

// ReleaseChunk lets go of a chunk that was taken in hand and not tried.
func (s *Store) ReleaseChunk(ctx context.Context, c Chunk) (err error) {
	defer pg.Wrap(&err, "store.ReleaseChunk(%d, %d)", c.Backfill, c.Number)
	_, err = s.Pool.Exec(ctx, `UPDATE backfill_chunks SET held_until = NULL WHERE backfill_id = $1 AND number = $2
		AND done_at IS NULL`, c.Backfill, c.Number)
	return err
}

// MaxChunkAttempts is how often a chunk is tried before its run fails; it may
// then be resumed. With the back-off, about two hours.
const MaxChunkAttempts = 20

// ChunkFailed records why a chunk failed and that it is not to be tried again
// before after has passed. The last try allowed fails the run, with the reason;
// one that the source itself put off is not counted.
func (s *Store) ChunkFailed(ctx context.Context, c Chunk, cause error, after time.Duration, putOff bool) (err error) {
	defer pg.Wrap(&err, "store.ChunkFailed(%d, %d)", c.Backfill, c.Number)
	var attempts int
	err = s.Pool.QueryRow(ctx, `
		UPDATE backfill_chunks
		SET attempts = attempts + CASE WHEN $5 THEN 0 ELSE 1 END, last_error = $3, not_before = now() + $4::interval,
			held_until = NULL
		WHERE backfill_id = $1 AND number = $2 AND done_at IS NULL
		RETURNING attempts`, c.Backfill, c.Number, AsText(cause.Error()), after, putOff).Scan(&attempts)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil && attempts >= MaxChunkAttempts {
		err = s.FailBackfill(ctx, c.Backfill, fmt.Sprintf("failed after %d attempts: %v", attempts, cause))
	}
	return err
}

// FailBackfill ends a run that cannot go on, with the reason. It may be resumed
// when that is fixed.
func (s *Store) FailBackfill(ctx context.Context, id int64, reason string) (err error) {
	defer pg.Wrap(&err, "store.FailBackfill(%d)", id)
	_, err = s.Pool.Exec(ctx, `
		UPDATE backfills SET status = 'failed', ended_at = now(), reason = $2, started_at = coalesce(started_at, now())
		WHERE id = $1 AND status IN ('queued', 'running', 'paused')`, id, AsText(reason))
	return err
}

// WaitingChunk is an open chunk whose job may be lost.
type WaitingChunk struct {
	Backfill int64
	Number   int
}

// fewOverdue is how many chunks of a run are asked for again while others of it
// make progress: some stream of it may have been lost.
const fewOverdue = 16

// OverdueChunks lists up to limit open chunks that nobody has had in hand for
// grace and that are not to wait any longer: all of runs that show no progress,
// the first few of others. Their jobs may be lost.
func (s *Store) OverdueChunks(ctx context.Context, grace time.Duration, limit int) (_ []WaitingChunk, err error) {
	defer pg.Wrap(&err, "store.OverdueChunks")
	return pg.Structs[WaitingChunk](ctx, s.Pool, `
		SELECT k.backfill_id, k.number
		FROM backfills b
		CROSS JOIN LATERAL (
			SELECT *
			FROM backfill_chunks
			WHERE backfill_id = b.id AND done_at IS NULL
			  AND GREATEST(written_at, held_until) < now() - $1::interval
			  AND coalesce(not_before, '-infinity') <= now()
			ORDER BY number
			LIMIT CASE WHEN b.moved_at < now() - $1::interval THEN $2::int ELSE $3::int END
		) k
		WHERE b.status IN ('queued', 'running')
		ORDER BY k.backfill_id, k.number
		LIMIT $2`, grace, limit, fewOverdue)
}

// LastBackfill tells when somebody last started a run of a kind, and what time
// their last complete one reached; nil if there was none. Runs of others count
// for nothing: they may have been narrower.
func (s *Store) LastBackfill(ctx context.Context, kind, startedBy string) (started, asOf *time.Time, err error) {
	defer pg.Wrap(&err, "store.LastBackfill(%s)", kind)
	err = s.Pool.QueryRow(ctx, `
		SELECT max(created_at), max((options ->> 'as_of')::timestamptz) FILTER (WHERE status LIKE 'completed%')
		FROM backfills
		WHERE kind = $1 AND started_by = $2 AND NOT dry_run`, kind, startedBy).Scan(&started, &asOf)
	return started, asOf, err
}

// HeardAccounts lists the Connect accounts of stores whose sales we hear of.
func (s *Store) HeardAccounts(ctx context.Context) (_ []string, err error) {
	defer pg.Wrap(&err, "store.HeardAccounts")
	return pg.Column[string](ctx, s.Pool, `
		SELECT DISTINCT s.stripe_account_id
		FROM stores s
		WHERE s.stripe_account_id <> ''
		  AND (EXISTS (SELECT FROM payments p WHERE p.account = s.stripe_account_id)
			OR EXISTS (SELECT FROM subscriptions p WHERE p.account = s.stripe_account_id))
		ORDER BY 1`)
}

// AwaitEvents returns when no event waits to be applied, or after most: what
// happens now goes before what has happened long ago. busy reports whether any
// did, or came within the last second.
func (s *Store) AwaitEvents(ctx context.Context, most time.Duration) (busy bool, err error) {
	defer pg.Wrap(&err, "store.AwaitEvents")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(most); ; {
		var waiting bool
		err := s.Pool.QueryRow(ctx, `
			SELECT
				EXISTS (SELECT FROM webhook_events WHERE status = 'pending' AND attempts = 0),
				coalesce((SELECT received_at > now() - interval '1 s' FROM webhook_events ORDER BY id DESC LIMIT 1), false)`).Scan(
			&waiting, &busy)
		busy = busy || waiting
		if err != nil || !waiting || time.Now().After(end) {
			return busy, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return busy, ctx.Err()
		}
	}
}
