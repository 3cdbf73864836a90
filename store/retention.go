package store

import (
	"context"
	"time"

	"rollcall/store/pg"
)

// Payloads that are not kept for good. Their rows stay: a duplicate of an event
// is one however long ago it came.

// PruneOld takes the payloads from up to limit closed events that came longer ago
// than they are kept, by the clock of Postgres, the oldest first, and returns how many and when the last of them came:
// the next call may go on from there. One caller at a time does it; another one
// meanwhile finds nothing to do, and so does one behind the end.
func (s *Store) PruneOld(ctx context.Context, from time.Time, keep time.Duration, limit int) (
	pruned int, last time.Time, err error) {
	defer pg.Wrap(&err, "store.PruneOld")
	err = s.Pool.QueryRow(ctx, pruneSQL, from, keep, limit).Scan(&pruned, &last)
	return pruned, last.UTC(), err
}

const pruneSQL = `
	WITH turn AS MATERIALIZED (
		SELECT pg_try_advisory_xact_lock(hashtextextended('payloads', 0)) AS mine
	),
	old AS MATERIALIZED (
		SELECT id
		FROM webhook_events
		WHERE payload IS NOT NULL
		  AND status IN ('processed', 'ignored')
		  AND received_at >= $1
		  AND received_at < now() - $2::interval
		  AND (SELECT mine FROM turn)
		ORDER BY received_at
		LIMIT $3
		FOR UPDATE SKIP LOCKED -- one that is being replayed is not old
	),
	gone AS (
		UPDATE webhook_events e
		SET
			payload = NULL,
			headers = NULL,
			pruned_at = now(),
			pruned_for = 'age'
		WHERE e.id = ANY (ARRAY(SELECT id FROM old)) -- looked up one by one, however many
		RETURNING e.received_at
	)
	SELECT count(*), coalesce(max(received_at), $1) FROM gone`
