package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotMigrated is returned if the schema is missing or older than required.
var ErrNotMigrated = errors.New("the database schema is not current; run `rollcall migrate up`")

// errReadOnly is Ready's error for a server that takes no writes.
var errReadOnly = errors.New(
	"the server takes no writes: with several hosts in DATABASE_URL, add target_session_attrs=read-write")

// errNotAllowed is Ready's error for a role without a required privilege.
var errNotAllowed = errors.New("the role of DATABASE_URL lacks a privilege")

// Ready checks that Postgres can store a webhook: it answers, has the schema, and
// this role can write to the inbox.
func (db *DB) Ready(ctx context.Context) error {
	var migrated, writes bool
	var lacks []string
	err := db.Pool.QueryRow(ctx, `
		SELECT
			EXISTS (SELECT FROM rollcall_migrations WHERE is_applied AND version_id >= $1),
			current_setting('transaction_read_only') = 'off',
			ARRAY(
				SELECT needed.privilege || ' on ' || needed.name
				FROM (VALUES
					('webhook_events', 'SELECT'), ('webhook_events', 'INSERT'),
					('webhook_deliveries', 'INSERT'), ('webhook_deliveries', 'UPDATE')
				) AS needed(name, privilege)
				WHERE NOT has_table_privilege(needed.name, needed.privilege)
			)`, db.schema).Scan(&migrated, &writes, &lacks)
	switch {
	case Outdated(err):
		return ErrNotMigrated
	case err != nil:
		return err
	case !writes:
		db.Pool.Reset() // so that the next check finds the new primary
		return errReadOnly
	case !migrated:
		return ErrNotMigrated
	case len(lacks) > 0:
		return fmt.Errorf("%w: %s", errNotAllowed, strings.Join(lacks, ", "))
	}
	return db.Written.try(ctx, db)
}

// writeProbe writes to the inbox and rolls back, which shows whether the disk is
// full. It runs rarely, because each attempt leaves a dead row to vacuum.
type writeProbe struct {
	mu   sync.Mutex
	good time.Time // the last success
}

// writeProbeEvery is how long a successful write counts.
const writeProbeEvery = 10 * time.Second

// probeBytes is about the size of a compressed webhook, so that it needs as much room
// in the table.
const probeBytes = 2000

func (p *writeProbe) try(ctx context.Context, db *DB) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.good) < writeProbeEvery {
		return nil
	}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		// A number below all others leaves no gap in the ids of events.
		_, err := tx.Exec(ctx, `
			INSERT INTO webhook_events (id, source, event_id, type, occurred_at, payload)
			OVERRIDING SYSTEM VALUE
			VALUES ($1::bigint, 'platform', 'probe ' || $1::bigint, 'readiness.probe', now(),
				to_json(repeat(md5(($1::bigint)::text), $2 / 32)))`, -rand.Int64(), probeBytes)
		if err != nil {
			return err
		}
		return errTakenBack
	})
	if errors.Is(err, errTakenBack) {
		p.good, err = time.Now(), nil
	}
	return err
}

// Doubt makes the next check write again, because another write failed.
func (p *writeProbe) Doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good = time.Time{}
}

var errTakenBack = errors.New("written, and taken back")

// Trouble is one word for Ready's error: not_migrated, read_only, not_allowed (the
// role lacks a privilege), refused (login or database name), full (disk, memory or
// connections) or away; "ok" without an error.
func Trouble(err error) string {
	code := ""
	if pg, is := errors.AsType[*pgconn.PgError](err); is {
		code = pg.Code
	}
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotMigrated):
		return "not_migrated"
	case errors.Is(err, errReadOnly), code == takesNoWrites:
		return "read_only"
	case errors.Is(err, errNotAllowed), code == "42501":
		return "not_allowed"
	case strings.HasPrefix(code, "28"), strings.HasPrefix(code, "3D"):
		return "refused"
	case strings.HasPrefix(code, "53"):
		return "full"
	}
	return "away"
}
