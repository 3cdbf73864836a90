package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotFound is returned when the row asked for does not exist (or belongs to
// another store, which callers cannot tell apart).
var ErrNotFound = errors.New("not found")

// ErrAgain asks for the whole transaction to be tried again, with more locks
// than it knew of when it began.
var ErrAgain = errors.New("locks found missing on the way")

// Error is an error of a call to the store.
type Error struct {
	Call string // as store.Event("1")
	Err  error
}

func (e *Error) Error() string { return e.Call + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Wrap adds the call to *err, once per function: defer wrap(&err, "store.X(%d)", id).
func Wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = &Error{fmt.Sprintf(format, args...), *err}
	}
}

// Refusal is an error of our own that ends once an operator has done what it says.
type Refusal string

func (r Refusal) Error() string { return string(r) }

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
// down in the middle, was not the primary, is not able to do what is asked of it, or
// that we refuse for now, so that trying again later is the cure.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	var refusal Refusal
	if errors.As(err, &refusal) {
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

// OutOfLocks tells whether Postgres's lock table was full.
func OutOfLocks(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "53200"
}

// Permanent tells whether Postgres refused the data itself (classes 22 and 23):
// trying the same again cannot help.
func Permanent(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23"))
}

// LockNotAvailable tells whether err is a refusal of NOWAIT.
func LockNotAvailable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "55P03"
}

// Transient tells whether trying the same again may well succeed: the server
// was away, or refused a lock or a serialization.
func Transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "40") || pg.Code == "55P03" || pg.Code == "57014") {
		return true
	}
	return Unavailable(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// TimedOut tells whether Postgres ended a statement that took too long.
func TimedOut(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "57014"
}

// isNetwork tells a broken or refused connection from an answer of Postgres.
func isNetwork(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
