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

// ErrNotFound is returned for a row that does not exist or belongs to another store;
// callers cannot distinguish the two.
var ErrNotFound = errors.New("not found")

// NotFound turns the error for no rows into ErrNotFound.
func NotFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// Conflict is a request that does not fit what is stored just now. Code is for programs;
// Reason is a sentence for people.
type Conflict struct{ Code, Reason string }

func (e *Conflict) Error() string { return e.Code + ": " + e.Reason }

// Conflicts is a *Conflict.
func Conflicts(code, format string, args ...any) error {
	return &Conflict{code, fmt.Sprintf(format, args...)}
}

// UniqueViolation tells whether a row like the new one exists.
func UniqueViolation(err error) bool { return HasCode(err, "23505") }

// ErrAgain asks to repeat the whole transaction with more locks.
var ErrAgain = errors.New("locks found missing on the way")

// Error adds the call to an error of the store.
type Error struct {
	Call string // for example store.Event("1")
	Err  error
}

func (e *Error) Error() string { return e.Call + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Wrap adds the call to *err; use it once per function: defer wrap(&err, "store.X(%d)", id).
func Wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = &Error{fmt.Sprintf(format, args...), *err}
	}
}

// Refusal is an error that lasts until an operator does what it says.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// serversTrouble are codes of errors, or their classes, that the server or its setup
// causes, whatever the statement.
var serversTrouble = []string{
	"08",             // connection
	"25P03", "25P04", // it ended an idle session
	"28",       // login refused
	"3D",       // no such database
	"42501",    // the role lacks a privilege
	"53",       // out of disk, memory or connections
	"57P",      // shutdown or startup
	"58", "F0", // its disk or its configuration
	takesNoWrites,
}

// Unavailable tells whether to try again later: Postgres was unreachable, shut down,
// not the primary or unable to work, or err is a Refusal.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.As(err, new(Refusal)) {
		return true
	}
	if errors.As(err, new(*pgconn.PgError)) {
		return HasCode(err, serversTrouble...)
	}
	return !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, ErrNotFound) && pgconn.SafeToRetry(err) ||
		isNetwork(err)
}

// Outdated tells whether the schema lacks a table, column or function, and so must be
// migrated first.
func Outdated(err error) bool { return HasCode(err, "42P01", "42703", "42883") }

// OutOfLocks tells whether Postgres's lock table was full.
func OutOfLocks(err error) bool { return HasCode(err, "53200") }

// Permanent tells whether Postgres refused the data itself (classes 22 and 23):
// trying again cannot help.
func Permanent(err error) bool { return HasCode(err, "22", "23") }

// Deadlocked tells whether Postgres ended the transaction because it and others waited
// for each other.
func Deadlocked(err error) bool { return HasCode(err, "40P01") }

// LockNotAvailable tells whether NOWAIT failed.
func LockNotAvailable(err error) bool { return HasCode(err, "55P03") }

// Transient tells whether trying again may succeed: the server was away, or refused a
// lock or a serialization.
func Transient(err error) bool {
	return HasCode(err, "40", "55P03", "57014") || Unavailable(err) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// TimedOut tells whether Postgres ended a slow statement.
func TimedOut(err error) bool { return HasCode(err, "57014") }

// HasCode tells whether Postgres answered with one of these codes, or one that begins with them.
func HasCode(err error, codes ...string) bool {
	pg, is := errors.AsType[*pgconn.PgError](err)
	return is && slices.ContainsFunc(codes, func(code string) bool { return strings.HasPrefix(pg.Code, code) })
}

// isNetwork tells whether a connection broke or was refused.
func isNetwork(err error) bool {
	return errors.As(err, new(*pgconn.ConnectError)) || errors.As(err, new(net.Error)) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
