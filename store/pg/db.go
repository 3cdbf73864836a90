// Package pg holds what all uses of Postgres share: connections, transactions, kinds
// of errors, parameters, cursors and WHERE clauses.
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
	// walkBudget is how many rows a list reads in its own order for one page.
	walkBudget = 15_000
	// countTimeout limits a count. A million customers take about a second on a small
	// machine.
	countTimeout = 10 * time.Second
	// exportPatience is how long the transaction of an export waits for its reader.
	exportPatience = time.Second
)

// DB is a pool of connections to Postgres. Safe for concurrent use.
type DB struct {
	Pool    *pgxpool.Pool
	Exports chan struct{} // holds one value for each connection that exports use
	schema  int64
	Idle    time.Duration // how long a transaction may wait for this program
	Written *writeProbe

	WalkBudget     int
	CountTimeout   time.Duration
	ExportPatience time.Duration
}

// Connection configures a connection.
type Connection struct {
	Conns int32 // maximum; 0: pgx's default, the larger of 4 and the number of cores
	// Schema is the version of the newest migration that Ready requires.
	Schema int64
	// Idle is how long Postgres keeps a transaction open that waits for this program;
	// 0: 30 s.
	Idle time.Duration
}

// Connect connects to the database at url (a postgres:// URL or a key=value string).
// It does not wait for the server: the first use reports an unavailable database, so
// that a receiver can start and answer 503.
func Connect(ctx context.Context, url string, c Connection) (*DB, error) {
	c.Idle = cmp.Or(c.Idle, idleLimit)
	pool, err := newPool(ctx, url, c)
	if err != nil {
		return nil, err
	}
	return &DB{
		Pool: pool, Exports: make(chan struct{}, max(1, pool.Config().MaxConns/4)), schema: c.Schema, Idle: c.Idle,
		Written: &writeProbe{}, WalkBudget: walkBudget, CountTimeout: countTimeout, ExportPatience: exportPatience,
	}, nil
}

// Apart is the same database with a pool of conns connections of its own.
func (db *DB) Apart(ctx context.Context, conns int32) (*DB, error) {
	pool, err := newPool(ctx, db.Pool.Config().ConnString(), Connection{Conns: conns, Idle: db.Idle})
	if err != nil {
		return nil, err
	}
	apart := *db
	apart.Pool = pool
	return &apart, nil
}

// Close waits for connections in use, then closes the pool.
func (db *DB) Close() { db.Pool.Close() }

// Ping checks that Postgres answers.
func (db *DB) Ping(ctx context.Context) error { return db.Pool.Ping(ctx) }

// Conns is the maximum number of connections.
func (db *DB) Conns() int { return int(db.Pool.Config().MaxConns) }

// Querier is a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Query runs a query. If it fails, its rows have the error, and whatever reads them returns it.
func Query(ctx context.Context, q Querier, sql string, args ...any) pgx.Rows {
	rows, _ := q.Query(ctx, sql, args...)
	return rows
}

// Each reads rows one by one into the same places, and calls each for them.
func Each(rows pgx.Rows, into []any, each func()) error {
	_, err := pgx.ForEachRow(rows, into, func() error {
		each()
		return nil
	})
	return err
}

// One runs a query, and reads its only row. The error is ErrNotFound if there is none.
func One[T any](ctx context.Context, q Querier, scan pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	one, err := pgx.CollectExactlyOneRow(Query(ctx, q, sql, args...), scan)
	return one, NotFound(err)
}

// Structs runs a query, and reads each of its rows into the fields of a struct, in their order.
func Structs[T any](ctx context.Context, q Querier, sql string, args ...any) ([]T, error) {
	return pgx.CollectRows(Query(ctx, q, sql, args...), pgx.RowToStructByPos[T])
}

// Column runs a query, and reads its only column.
func Column[T any](ctx context.Context, q Querier, sql string, args ...any) ([]T, error) {
	return pgx.CollectRows(Query(ctx, q, sql, args...), pgx.RowTo[T])
}

// InTx runs do in a transaction that Postgres ends soon after this program is gone.
func (db *DB) InTx(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, IdleIn(db.Idle)); err != nil {
			return err
		}
		return do(tx)
	})
}

// Bounded returns options for a read-only snapshot in which Postgres limits each
// statement, even if this process is gone. BEGIN takes one round trip, and the limit
// belongs to the transaction, so a pooler may be in between.
func Bounded(statement time.Duration) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: fmt.Sprintf(
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = %d", statement.Milliseconds())}
}

// Snapshot runs do in a read-only snapshot. Facts and customers are committed
// together, so whatever does not match in a snapshot is a real difference.
func (db *DB) Snapshot(ctx context.Context, do func(pgx.Tx) error) error {
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, db.Pool, snapshot, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
			SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan`); err != nil {
			return err
		}
		return do(tx)
	})
}
