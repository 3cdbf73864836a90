package mail

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Turn is the turn of a store, whose lane one worker has for itself.
type Turn struct{ Store, Worker string }

// ErrLaneLost is that another worker may have the lane by now.
var ErrLaneLost = errors.New("the lane was not renewed in time")

// lease is how long a worker has a lane without renewing it, and so how long mails wait if it dies. It may be shorter
// than a failover of Postgres: a mail that was begun is not begun again, one that was not cannot be begun any more by a
// worker that lost the lane, and that worker still writes what became of those that it sent.
const lease = 15 * time.Second

// Take takes the lane of the store whose turn it is: of those that may send and have mails due, the
// one that had none for longest. What another worker left when it died is settled first. ok is
// false if there is nothing to do.
func (m *Mails) Take(ctx context.Context, worker string, at time.Time) (l Turn, ok bool, err error) {
	defer pg.Wrap(&err, "mail.Take")
	l.Worker = worker
	err = m.InTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, takeSQL, worker, lease, at).Scan(&l.Store); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, settleSQL, l.Store, at)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Turn{}, false, nil
	}
	return l, err == nil, err
}

// takeSQL leaves those who rest alone. A store that is paused is taken for what a dead worker left.
const takeSQL = `
	UPDATE mail_settings
	SET
		lease_until = now() + $2::interval,
		leased_by = $1,
		turn_at = clock_timestamp()
	WHERE store_id = (
		SELECT s.store_id
		FROM mail_settings s
		WHERE (s.lease_until IS NULL OR s.lease_until < now())
		  AND (
			EXISTS (SELECT FROM mails m WHERE m.store_id = s.store_id AND m.status = 'sending')
			OR s.paused_for IS NULL
			AND s.rest_until <= now()
			AND EXISTS (
				SELECT
				FROM mails m
				WHERE m.store_id = s.store_id
				  AND m.status = 'due'
				  AND m.priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) -- one look into the index for each
				  AND m.due_at <= $3
			)
		  )
		ORDER BY s.turn_at
		LIMIT 1
		FOR NO KEY UPDATE SKIP LOCKED
	)
	RETURNING store_id`

// settleSQL settles mails that a worker had when it died: those that it had not begun to send are
// due, and so are those whose provider recognises a mail that it has. What may have been sent is
// not sent again; should that worker live after all, it still writes what became of it.
const settleSQL = `
	UPDATE mails
	SET
		status = CASE
			WHEN started_at IS NULL THEN 'due'
			WHEN provider IN ('resend', 'mailbox') AND claimed_at > $2::timestamptz - interval '23 hours' THEN 'due'
			ELSE 'unknown'
		END,
		reason = CASE
			WHEN started_at IS NULL THEN reason
			WHEN provider IN ('resend', 'mailbox') THEN 'again'
			ELSE 'interrupted'
		END,
		claimed_by = CASE WHEN started_at IS NULL OR provider IN ('resend', 'mailbox') THEN NULL ELSE claimed_by END,
		started_at = NULL
	WHERE store_id = $1
	  AND status = 'sending'`

// hold fails unless the worker has the lane, and keeps it from others until the transaction ends.
func (l Turn) hold(ctx context.Context, tx pgx.Tx) error {
	err := tx.QueryRow(ctx, `
		SELECT
		FROM mail_settings
		WHERE store_id = $1
		  AND leased_by = $2
		  AND lease_until > now()
		FOR NO KEY UPDATE`, l.Store, l.Worker).Scan()
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrLaneLost
	}
	return err
}

// Renew keeps the lane for another while; ErrLaneLost if it is another's.
func (m *Mails) Renew(ctx context.Context, l Turn) (err error) {
	defer pg.Wrap(&err, "mail.Renew(%q)", l.Store)
	tag, err := m.Pool.Exec(ctx, `
		UPDATE mail_settings
		SET lease_until = now() + $3::interval
		WHERE store_id = $1
		  AND leased_by = $2
		  AND lease_until > now()`, l.Store, l.Worker, lease)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrLaneLost
	}
	return err
}

// End is how a turn ended.
type End struct {
	Sent    bool          // the provider took a mail
	Refused bool          // it refused one
	Trouble string        // why it takes none
	Rest    time.Duration // how long the lane shall rest
}

// Release ends a turn. Mails that were claimed and not begun are due again. While the provider
// takes no mails the lane rests, longer each time, up to five minutes.
func (m *Mails) Release(ctx context.Context, l Turn, e End) (err error) {
	defer pg.Wrap(&err, "mail.Release(%q)", l.Store)
	return m.InTx(ctx, func(tx pgx.Tx) error {
		if err := l.hold(ctx, tx); err != nil {
			return err
		}
		var batch pgx.Batch
		batch.Queue(`
			UPDATE mails
			SET
				status = 'due',
				claimed_by = NULL
			WHERE store_id = $1
			  AND status = 'sending'
			  AND claimed_by = $2
			  AND started_at IS NULL`, l.Store, l.Worker)
		batch.Queue(`
			UPDATE mail_settings
			SET
				lease_until = NULL,
				leased_by = NULL,
				trouble = $2,
				failing_since = CASE WHEN $2 <> '' THEN coalesce(CASE WHEN NOT $3 THEN failing_since END, now()) END,
				failures = CASE WHEN $2 <> '' THEN CASE WHEN NOT $3 THEN failures ELSE 0 END + 1 ELSE 0 END,
				rest_until = now() + GREATEST($4::interval, CASE WHEN $2 <> '' THEN
					LEAST(interval '5 minutes', interval '5 seconds' * 2 ^ CASE WHEN NOT $3 THEN LEAST(failures, 10) ELSE 0 END)
				END)
			WHERE store_id = $1`, l.Store, e.Trouble, e.Sent, e.Rest)
		return tx.SendBatch(ctx, &batch).Close()
	})
}
