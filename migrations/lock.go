package migrations

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pressly/goose/v3/lock"
)

// lockEvery is the interval of attempts to get a lock that is taken.
const lockEvery = 200 * time.Millisecond

// Holder is the Postgres session that holds the migration lock.
type Holder struct {
	PID         int
	Application string
	Client      string    // address; empty: the same machine as Postgres, or unknown
	Since       time.Time // zero: unknown
}

func (h Holder) String() string {
	s := fmt.Sprintf("process %d of Postgres (%s", h.PID, cmp.Or(h.Application, "without a name"))
	if h.Client != "" {
		s += ", from " + h.Client
	}
	if !h.Since.IsZero() {
		s += ", since " + h.Since.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return s + ")"
}

// Locked is the error of waiting too long for another migration.
type Locked struct {
	Holder Holder
	Waited time.Duration
}

func (e *Locked) Error() string {
	return fmt.Sprintf("another migration has held the lock for all of the %s that this one waited: %s. "+
		"Nothing was changed. If it is at work, wait for it (--wait 1h). If it is stuck, end it and run this again: "+
		"psql \"$DATABASE_URL\" -c 'SELECT pg_terminate_backend(%d)'", e.Waited, e.Holder, e.Holder.PID)
}

// lock waits for the lock and returns a function that releases it. If the lock is lost, the
// returned context ends.
//
// It uses the id of goose's advisory lock, but a transaction holds it. Goose's own lock belongs to
// a session. Behind a pooler, a session may lock on one connection and unlock on another.
func (o Options) lock(ctx context.Context, db *sql.DB) (context.Context, func(), error) {
	bound := time.NewTimer(o.Wait)
	defer bound.Stop()
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	var reported Holder
	for {
		tx, err := tryLock(ctx, db)
		if err != nil {
			return nil, nil, err
		}
		if tx != nil {
			ctx, unlock := hold(ctx, tx)
			return ctx, unlock, nil
		}
		h, held, err := holder(ctx, db)
		if err != nil {
			return nil, nil, err
		}
		if held && h != reported {
			if reported = h; o.Tell != nil {
				o.Tell(h)
			}
		}
		select {
		case <-tick.C:
		case <-bound.C:
			return nil, nil, &Locked{reported, o.Wait}
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// tryLock returns a transaction that holds the lock, or nil. It does not wait within a statement,
// as that would block the other's CREATE INDEX CONCURRENTLY.
func tryLock(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	var mine bool
	err = tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", lock.DefaultLockID).Scan(&mine)
	if err != nil || !mine {
		return nil, errAfter(tx, err)
	}
	if _, err = tx.ExecContext(ctx, beat); err != nil {
		return nil, errAfter(tx, err)
	}
	return tx, nil
}

// beat is a statement that takes no snapshot, and ends that of the one before it. CREATE INDEX
// CONCURRENTLY waits until each transaction with a snapshot ends, so it would wait for the lock's.
const beat = "SHOW transaction_isolation"

func holder(ctx context.Context, db *sql.DB) (h Holder, held bool, err error) {
	return oneHolder(db.QueryRowContext(ctx, `
		SELECT l.pid, coalesce(a.application_name, ''), coalesce(host(a.client_addr), ''), a.xact_start
		FROM pg_locks l
		LEFT JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory'
		  AND l.granted
		  AND l.objsubid = 1
		  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint`, lock.DefaultLockID))
}

// oneHolder reads a session; false: there is none.
func oneHolder(row *sql.Row) (h Holder, there bool, err error) {
	var since sql.NullTime
	err = row.Scan(&h.PID, &h.Application, &h.Client, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return h, false, nil
	}
	h.Since = since.Time
	return h, err == nil, err
}

// hold keeps the lock's transaction active, as Postgres ends an idle one. The returned context ends
// when the lock is lost.
func hold(ctx context.Context, tx *sql.Tx) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		tick := time.NewTicker(gone / 6)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := tx.ExecContext(ctx, beat); err != nil {
				cancel(fmt.Errorf("the lock of migrations was lost: what was not finished is undone, so run it again: %w", err))
				return
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		beating.Wait()
		tx.Rollback() // errors are harmless: it wrote nothing
	}
}

// errAfter ends a failed transaction.
func errAfter(tx driver.Tx, err error) error {
	if back := tx.Rollback(); !errors.Is(back, sql.ErrTxDone) {
		err = errors.Join(err, back)
	}
	return err
}
