package migrations

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/pressly/goose/v3/lock"
)

// lockEvery is how often a lock that another has is asked for.
const lockEvery = 200 * time.Millisecond

// txLock is goose's advisory lock, by the same id, but held by a transaction:
// goose's own is a session's, which behind a pooler may be locked on one
// connection and unlocked on another.
type txLock struct{ tx *sql.Tx }

// Lock waits for its turn. It asks again and again, as one that waits within a
// statement would keep the other's CREATE INDEX CONCURRENTLY waiting for it.
func (l *txLock) Lock(ctx context.Context, db *sql.DB) (err error) {
	if l.tx, err = db.BeginTx(ctx, nil); err != nil {
		return err
	}
	// Whatever the server's setting: the transaction idles while others work.
	if _, err := l.tx.ExecContext(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
		return errors.Join(err, l.tx.Rollback())
	}
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		var mine bool
		if err := l.tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", lock.DefaultLockID).Scan(&mine); err != nil {
			return errors.Join(err, l.tx.Rollback())
		}
		if mine {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), l.tx.Rollback())
		}
	}
}

// Unlock ends the transaction, if its context has not done so.
func (l *txLock) Unlock(context.Context, *sql.DB) error {
	if err := l.tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}
