package pg

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What may stand behind DATABASE_URL: one server, several of which one takes
// writes, or a pooler. See docs/scale.md.

const (
	// connectTimeout bounds the try at one of several hosts, so that one that is
	// gone without a word leaves time for the next.
	connectTimeout = 3 * time.Second
	// pingTimeout is for connections that have been idle: after it they count as
	// those of a server that is gone.
	pingTimeout = 2 * time.Second
)

// newPool opens a pool whose connections outlive neither a failover nor the
// server's turning read-only. What the URL says goes before what is chosen here.
func newPool(ctx context.Context, url string, c Connection) (pool *pgxpool.Pool, err error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if c.Conns > 0 {
		cfg.MaxConns = c.Conns
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	if cfg.PingTimeout == 0 {
		cfg.PingTimeout = pingTimeout
	}
	told, err := pgconn.ParseConfig(url) // pgx's own takes its parameters out
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if told.RuntimeParams["default_query_exec_mode"] == "" {
		way := new(pooler)
		settings := prepare(c.Idle, cfg.ConnConfig.RuntimeParams)
		cfg.BeforeConnect = way.choose
		cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			if way.there {
				return nil
			}
			return settings(ctx, conn)
		}
	}
	cfg.ConnConfig.DialFunc = newDialer().DialContext
	keep := cfg.ConnConfig.OnPgError
	cfg.ConnConfig.OnPgError = func(conn *pgconn.PgConn, e *pgconn.PgError) bool {
		if e.Code == takesNoWrites {
			pool.Reset() // those that are idle lead to the same server
			return false
		}
		return keep(conn, e)
	}
	pool, err = pgxpool.NewWithConfig(ctx, cfg)
	return pool, err
}

// takesNoWrites is the code of the error of a server that takes no writes: it was the primary and
// is no more, or is to be none soon.
const takesNoWrites = "25006"

// pooler finds out whether a pooler stands between us and Postgres. In
// transaction mode it gives each transaction whichever connection is free, so a
// statement prepared before may not be there, or be another's: then what is
// remembered of a statement is its description alone, which is ours.
type pooler struct {
	mu    sync.Mutex
	known bool
	there bool
}

// choose sets how a connection to be made executes statements.
func (p *pooler) choose(ctx context.Context, cfg *pgx.ConnConfig) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known {
		if p.there, err = pooled(ctx, cfg.Copy()); err != nil {
			return err
		}
		p.known = true
	}
	if p.there {
		cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return nil
}

// pooled asks for the number of the process at the other end, which a pooler
// that hands connections around cannot know when it greets.
func pooled(ctx context.Context, cfg *pgx.ConnConfig) (_ bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var pid uint32
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeExec).Scan(&pid)
	return pid != conn.PgConn().PID(), err
}
