// Package store is the only one that speaks SQL. It keeps the inbox, the facts
// and the customers derived from them; see docs/architecture.md.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	idle          time.Duration // how long a transaction may wait for us
	written       *writeProbe
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
	// Idle is how long Postgres keeps a transaction open that waits for this
	// program, which may be gone: 30 s if it is 0.
	Idle time.Duration
}

// Open connects to the database at url (a postgres:// URL or a key=value
// string). It does not wait for the server: a
// database that is away shows at the first use, so that a receiver can start
// and answer 503 meanwhile.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	o.Idle = cmp.Or(o.Idle, idleLimit)
	pool, err := newPool(ctx, url, o)
	if err != nil {
		return nil, fmt.Errorf("store.Open: %w", err)
	}
	return &Store{
		pool: pool, exports: make(chan struct{}, max(1, pool.Config().MaxConns/4)),
		platformTypes: append([]string{}, o.PlatformTypes...), walkBudget: walkBudget, countTimeout: countTimeout, schema: o.Schema, idle: o.Idle, written: &writeProbe{},
	}, nil
}

// Close waits for connections in use and closes the pool.
func (s *Store) Close() { s.pool.Close() }

// Ping tells whether Postgres answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// Error is an error of a call to the store.
type Error struct {
	Call string // as store.Event("1")
	Err  error
}

func (e *Error) Error() string { return e.Call + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// wrap adds the call to *err, once per function: defer wrap(&err, "store.X(%d)", id).
func wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = &Error{fmt.Sprintf(format, args...), *err}
	}
}

// serversTrouble are the codes of errors, or their classes, that the server or its
// set-up is to blame for, whatever is asked of it.
var serversTrouble = []string{
	"08",             // connection
	"25P03", "25P04", // it ended our session, as we did not speak for too long
	"28",       // login refused
	"3D",       // no such database
	"42501",    // the role may not do this
	"53",       // out of disk, memory or connections
	"57P",      // it shuts down or starts up
	"58", "F0", // its disk or its configuration
	takesNoWrites,
}

// Unavailable tells whether err means that Postgres could not be reached, shut
// down in the middle, was not the primary, is not able to do what is asked of it or
// lacks the key of the erasures, so that trying again later is the cure.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrErasureKey) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return slices.ContainsFunc(serversTrouble, func(code string) bool { return strings.HasPrefix(pg.Code, code) })
	}
	return !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, ErrNotFound) && pgconn.SafeToRetry(err) ||
		isNetwork(err)
}

// Outdated tells whether err is of a schema that lacks a table, a column or a
// function: that of an older program. Trying again once it is migrated is the cure.
func Outdated(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "42703" || pg.Code == "42883")
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
