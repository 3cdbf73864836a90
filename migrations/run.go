package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Busy is the error of a migration that did not get the locks it needs for a moment.
type Busy struct {
	Migration string
	Oldest    Holder // the oldest transaction: most likely the one that has the table
	Waited    time.Duration
}

func (e *Busy) Error() string {
	text := fmt.Sprintf("%s needs a table to itself for a moment, and did not get it in %s. ", e.Migration, e.Waited)
	if e.Oldest.PID == 0 {
		return text + "Run this again: what was finished stays"
	}
	return text + fmt.Sprintf("The oldest transaction is of %s. Wait until it has ended, or end it "+
		"(psql \"$DATABASE_URL\" -c 'SELECT pg_terminate_backend(%d)'), and run this again: what was finished stays",
		e.Oldest, e.Oldest.PID)
}

// run applies the missing migrations, one after the other. The caller holds the lock.
func (o Options) run(ctx context.Context, db *sql.DB) (applied []Status, err error) {
	root, err := fs.Sub(files, ".")
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, root, goose.WithTableName(versionTable))
	if err != nil {
		return nil, err
	}
	for {
		s, err := o.next(ctx, db, p)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return applied, nil
		}
		if lost := context.Cause(ctx); err != nil && lost != nil {
			err = lost
		}
		if err != nil {
			return applied, err
		}
		if applied = append(applied, s); o.Applied != nil {
			o.Applied(s)
		}
		if s.Version == o.To {
			return applied, nil
		}
	}
}

// next applies one migration. Where others hold a table, it lets them, and all who wait behind them,
// go first, and tries again.
func (o Options) next(ctx context.Context, db *sql.DB, p *goose.Provider) (Status, error) {
	var waited time.Duration // for locks: what it worked meanwhile does not count
	reported := false
	for pause := patience; ; pause = min(2*pause, 15*patience) {
		err := dropUnfinished(ctx, db)
		if err == nil {
			err = begin(ctx, db, p)
		}
		var done *goose.MigrationResult
		if err == nil {
			end := o.sayWaits(ctx, db)
			done, err = p.UpByOne(ctx)
			end()
		}
		if err == nil {
			return Status{Version: done.Source.Version, Name: done.Source.Path}, nil
		}
		if !inUse(err) {
			return Status{}, err
		}
		busy, err := blockedBy(ctx, db, err)
		waited += patience + pause
		if busy.Waited = waited.Round(time.Second); err != nil || busy.Waited >= o.Wait {
			return Status{}, errors.Join(err, busy)
		}
		if !reported && o.Blocked != nil {
			reported = true
			o.Blocked(*busy)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return Status{}, ctx.Err()
		}
	}
}

// inUse tells whether others kept a statement from its locks.
func inUse(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains([]string{
		"55P03", // waited too long
		"40P01", // a deadlock
	}, pg.Code)
}

// blockedBy says which migration could not go on, and which transaction is the oldest.
func blockedBy(ctx context.Context, db *sql.DB, failed error) (*Busy, error) {
	busy := &Busy{Migration: "the next migration"}
	if partial, is := errors.AsType[*goose.PartialError](failed); is {
		busy.Migration = partial.Failed.Source.Path
	}
	var err error
	busy.Oldest, _, err = oneHolder(db.QueryRowContext(ctx, `
		SELECT pid, application_name, coalesce(host(client_addr), ''), xact_start
		FROM pg_stat_activity
		WHERE datname = current_database()
		  AND xact_start IS NOT NULL
		  AND backend_type = 'client backend'
		  AND pid <> pg_backend_pid()
		  AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_stat_activity.pid AND l.locktype = 'advisory'
			AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint)
		ORDER BY xact_start
		LIMIT 1`, lock.DefaultLockID))
	return busy, err
}
