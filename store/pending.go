package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Waiting is an inbox row that waits to be applied.
type Waiting struct {
	ID          int64
	Source      string
	Traceparent string // as NewEvent has it
}

// Overdue lists up to limit pending events, oldest first, that should have been
// applied by now: no worker tried them within grace of their arrival, or of their
// next attempt by the queue's back-off. Their jobs may be lost.
func (s *Store) Overdue(ctx context.Context, grace time.Duration, limit int) (_ []Waiting, err error) {
	defer pg.Wrap(&err, "store.Overdue")
	rows, err := s.Pool.Query(ctx, `
		SELECT id, source, coalesce(traceparent, '')
		FROM webhook_events
		WHERE status = 'pending'
		  AND coalesce(attempted_at + LEAST(2 ^ attempts, 600) * interval '1.5 s', received_at) < now() - $1::interval
		ORDER BY id
		LIMIT $2`, grace, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Waiting])
}
