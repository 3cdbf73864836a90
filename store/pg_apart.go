package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Apart returns a Store of the same database with so many connections of its own:
// whoever uses up those of s does not keep it waiting. Close both.
func (s *Store) Apart(ctx context.Context, conns int32) (*Store, error) {
	pool, err := newPool(ctx, s.pool.Config().ConnString(), Options{Conns: conns, Idle: s.idle})
	if err != nil {
		return nil, fmt.Errorf("store.Apart: %w", err)
	}
	apart := *s
	apart.pool = pool
	return &apart, nil
}

// Conns is how many connections to Postgres s may have.
func (s *Store) Conns() int { return int(s.pool.Config().MaxConns) }

// bounded is a transaction that reads as of one moment, and each of whose
// statements Postgres ends after a time, whatever becomes of this process. To begin
// it takes one round trip, and its limit is the transaction's, so that a pooler of
// transactions may be in between.
func bounded(statement time.Duration) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: fmt.Sprintf(
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = %d", statement.Milliseconds())}
}

// TimedOut tells whether Postgres ended a statement that took too long.
func TimedOut(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "57014"
}
