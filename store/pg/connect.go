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

// DATABASE_URL may name one server, several of which one is writable, or a pooler.
// See docs/scale.md.

const (
	// connectTimeout limits the attempt at one of several hosts, so that one that does
	// not answer leaves time for the next.
	connectTimeout = 3 * time.Second
	// pingTimeout is for idle connections: after it the server counts as gone.
	pingTimeout = 2 * time.Second
)

// newPool opens a pool that drops its connections after a failover and when the
// server turns read-only. Settings in the URL override the defaults here.
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
	told, err := pgconn.ParseConfig(url) // pgxpool removes the pool's parameters
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
			pool.Reset() // the idle ones lead to the same server
			return false
		}
		return keep(conn, e)
	}
	pool, err = pgxpool.NewWithConfig(ctx, cfg)
	return pool, err
}

// takesNoWrites is the error code of a server that is not, or no longer, the primary.
const takesNoWrites = "25006"

// pooler detects a pooler before Postgres. In transaction mode each transaction may
// get another connection, so a prepared statement may be missing or another client's.
// Then only the descriptions of statements are cached.
type pooler struct {
	mu    sync.Mutex
	known bool
	there bool
}

// choose sets how a new connection executes statements.
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

// pooled compares process ids: a pooler that shares connections cannot know the
// backend's when it greets.
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
