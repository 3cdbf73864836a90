package status

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// WatchChange is a change of a watch, to deliver as an alert: its JSON is the alert's.
type WatchChange struct {
	ChangeKey
	State    string    `json:"state"`
	Was      string    `json:"was"`
	Since    time.Time `json:"since"` // when the state began
	Detail   string    `json:"detail"`
	Fix      string    `json:"fix"`
	MadeAt   time.Time `json:"-"`
	Attempts int       `json:"-"` // to deliver it, this one included
}

// TakeAlert claims a change for delivery until a time. ErrNotFound if it was delivered,
// another worker has it, or it failed just now.
func (s *Reader) TakeAlert(ctx context.Context, k ChangeKey, now, until time.Time) (c WatchChange, err error) {
	defer pg.Wrap(&err, "status.TakeAlert(%q, %d)", k.Watch, k.Number)
	c.ChangeKey = k
	err = s.Pool.QueryRow(ctx, `
		UPDATE watch_changes
		SET
			held_until = $4,
			attempts = attempts + 1
		WHERE watch = $1
		  AND number = $2
		  AND alert = 'due'
		  AND coalesce(held_until, '-infinity') <= $3
		RETURNING
			state,
			was,
			since,
			detail,
			fix,
			made_at,
			attempts`, k.Watch, k.Number, now, until).Scan(&c.State, &c.Was, &c.Since, &c.Detail, &c.Fix, &c.MadeAt, &c.Attempts)
	if errors.Is(err, pgx.ErrNoRows) {
		err = pg.ErrNotFound
	}
	c.Since, c.MadeAt = c.Since.UTC(), c.MadeAt.UTC()
	return c, err
}

// AlertDelivered records that a change was delivered.
func (s *Reader) AlertDelivered(ctx context.Context, k ChangeKey, now time.Time) (err error) {
	defer pg.Wrap(&err, "status.AlertDelivered(%q, %d)", k.Watch, k.Number)
	_, err = s.Pool.Exec(ctx, `
		UPDATE watch_changes
		SET
			alert = 'delivered',
			delivered_at = $3,
			held_until = NULL,
			last_error = NULL
		WHERE watch = $1 AND number = $2 AND alert = 'due'`, k.Watch, k.Number, now)
	return err
}

// AlertFailed records why a delivery failed, and when to try again.
func (s *Reader) AlertFailed(ctx context.Context, k ChangeKey, cause error, until time.Time) (err error) {
	defer pg.Wrap(&err, "status.AlertFailed(%q, %d)", k.Watch, k.Number)
	_, err = s.Pool.Exec(ctx, `
		UPDATE watch_changes
		SET
			last_error = $3,
			held_until = $4
		WHERE watch = $1 AND number = $2 AND alert = 'due'`, k.Watch, k.Number, store.AsText(cause.Error()), until)
	return err
}

// DueAlerts lists up to limit changes that should have been delivered before a time,
// the oldest first: their jobs may be lost.
func (s *Reader) DueAlerts(ctx context.Context, before time.Time, limit int) (_ []ChangeKey, err error) {
	defer pg.Wrap(&err, "status.DueAlerts")
	return pg.Structs[ChangeKey](ctx, s.Pool, `
		SELECT watch, number
		FROM watch_changes
		WHERE alert = 'due'
		  AND coalesce(held_until, made_at) < $1
		ORDER BY made_at
		LIMIT $2`, before, limit)
}
