// Package pg is what Postgres needs: connections, transactions, kinds of errors,
// parameters, cursors and the parts of a WHERE clause.
package pg

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// walkBudget is how many rows a list walks in its own order for one page.
	walkBudget = 15_000
	// countTimeout is how long Postgres may count for one question. A list of a
	// million customers takes about a second on a small machine.
	countTimeout = 10 * time.Second
)

// DB is a pool of connections to Postgres. Safe for concurrent use.
type DB struct {
	Pool    *pgxpool.Pool
	Exports chan struct{} // one for each connection that exports use right now
	schema  int64
	Idle    time.Duration // how long a transaction may wait for us
	Written *writeProbe

	WalkBudget   int
	CountTimeout time.Duration
}

// Connection says how to connect.
type Connection struct {
	Conns int32 // most connections; 0: pgx's default, the larger of 4 and the number of cores
	// Schema is the version of the newest migration that the program needs to be Ready.
	Schema int64
	// Idle is how long Postgres keeps a transaction open that waits for this
	// program, which may be gone: 30 s if it is 0.
	Idle time.Duration
}

// Connect connects to the database at url (a postgres:// URL or a key=value
// string). It does not wait for the server: a database that is away shows at the
// first use, so that a receiver can start and answer 503 meanwhile.
func Connect(ctx context.Context, url string, c Connection) (*DB, error) {
	c.Idle = cmp.Or(c.Idle, idleLimit)
	pool, err := newPool(ctx, url, c)
	if err != nil {
		return nil, err
	}
	return &DB{
		Pool: pool, Exports: make(chan struct{}, max(1, pool.Config().MaxConns/4)), schema: c.Schema, Idle: c.Idle,
		Written: &writeProbe{}, WalkBudget: walkBudget, CountTimeout: countTimeout,
	}, nil
}

// Apart is the same database with so many connections of its own.
func (db *DB) Apart(ctx context.Context, conns int32) (*DB, error) {
	pool, err := newPool(ctx, db.Pool.Config().ConnString(), Connection{Conns: conns, Idle: db.Idle})
	if err != nil {
		return nil, err
	}
	apart := *db
	apart.Pool = pool
	return &apart, nil
}

// Close waits for connections in use and closes the pool.
func (db *DB) Close() { db.Pool.Close() }

// Ping tells whether Postgres answers.
func (db *DB) Ping(ctx context.Context) error { return db.Pool.Ping(ctx) }

// Conns is how many connections to Postgres db may have.
func (db *DB) Conns() int { return int(db.Pool.Config().MaxConns) }

// Querier is a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// InTx runs do in a transaction that does not outlive its client for long.
func (db *DB) InTx(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, IdleIn(db.Idle)); err != nil {
			return err
		}
		return do(tx)
	})
}

// Bounded is a transaction that reads as of one moment, and each of whose
// statements Postgres ends after a time, whatever becomes of this process. To begin
// it takes one round trip, and its limit is the transaction's, so that a pooler of
// transactions may be in between.
func Bounded(statement time.Duration) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: fmt.Sprintf(
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = %d", statement.Milliseconds())}
}

// Snapshot runs do on one snapshot of the database, in which nothing can be written.
// A transaction of ours commits facts and customers together, so whatever does
// not fit together in a snapshot is a difference, whoever is at work meanwhile.
func (db *DB) Snapshot(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan`); err != nil {
			return err
		}
		return do(tx)
	})
}
