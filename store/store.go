// Package store is the only one that speaks SQL. It keeps the inbox, the facts
// and the customers derived from them; see DESIGN.md, or docs/architecture.md.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrNotFound is returned when the row asked for does not exist (or belongs to
// another store, which callers cannot tell apart).
var ErrNotFound = errors.New("not found")

// Store is a pool of connections to Postgres. Safe for concurrent use.
type Store struct {
	pool          *pgxpool.Pool
	exports       chan struct{} // one for each connection that exports use right now
	platformTypes []string
	walkBudget    int
	countTimeout  time.Duration
	schema        int64
}

// Options of Open.
type Options struct {
	Conns int32 // most connections; 0: pgx's default, the larger of 4 and the number of cores
	// Schema is the version of the newest migration that the program needs to be Ready.
	Schema int64
	// PlatformTypes are the product types (metadata productType or plan, or
	// Stripe price and product ids) whose sales are the platform's own and make
	// nobody a store's customer.
	PlatformTypes []string
}

// Open connects to the database at url (a postgres:// URL or a key=value
// string). It does not wait for the server: a
// database that is away shows at the first use, so that a receiver can start
// and answer 503 meanwhile.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	pool, err := newPool(ctx, url, o.Conns)
	if err != nil {
		return nil, fmt.Errorf("store.Open: %w", err)
	}
	return &Store{
		pool: pool, exports: make(chan struct{}, max(1, pool.Config().MaxConns/4)),
		platformTypes: append([]string{}, o.PlatformTypes...), walkBudget: walkBudget, countTimeout: countTimeout, schema: o.Schema,
	}, nil
}

// Close waits for connections in use and closes the pool.
func (s *Store) Close() { s.pool.Close() }

// Ping tells whether Postgres answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// ErrNotMigrated is returned when the database has no schema yet, or an older one
// than the program needs.
var ErrNotMigrated = errors.New("the database schema is not current; run `rollcall migrate up`")

// Ready tells whether Postgres answers, takes writes and has the schema.
func (s *Store) Ready(ctx context.Context) error {
	var migrated, writes bool
	err := s.pool.QueryRow(ctx, `
		SELECT
			EXISTS (SELECT FROM goose_db_version WHERE is_applied AND version_id >= $1),
			current_setting('transaction_read_only') = 'off'`, s.schema).Scan(&migrated, &writes)
	switch {
	case Outdated(err):
		return ErrNotMigrated
	case err != nil:
		return err
	case !writes:
		s.pool.Reset() // so that the next look is at whoever takes them by then
		return errReadOnly
	case !migrated:
		return ErrNotMigrated
	}
	return nil
}

// wrap adds the call to *err, once per function: defer wrap(&err, "store.X(%d)", id).
func wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf(format+": %w", append(args, *err)...)
	}
}

// Unavailable tells whether err means that Postgres could not be reached, shut
// down in the middle or was not the primary, so that trying again later is the
// cure.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// 08 connection, 53 resources, 57P shutdown and starting up.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P") || pg.Code == takesNoWrites
	}
	return !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, ErrNotFound) && pgconn.SafeToRetry(err) ||
		isNetwork(err)
}

// Outdated tells whether err is of a schema that lacks a table or a column: that
// of an older program. Trying again once it is migrated is the cure.
func Outdated(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "42703")
}

// outOfLocks tells whether Postgres's lock table was full.
func outOfLocks(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "53200"
}

// permanent tells whether Postgres refused the data itself (classes 22 and 23):
// trying the same again cannot help.
func permanent(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23"))
}

// lockNotAvailable tells whether err is a refusal of NOWAIT.
func lockNotAvailable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03"
}

// transient tells whether trying the same again may well succeed: the server
// was away, or refused a lock or a serialization.
func transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "40") || pg.Code == "55P03" || pg.Code == "57014") {
		return true
	}
	return Unavailable(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
