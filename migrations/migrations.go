// Package migrations holds the database schema: one embedded goose file per subject, applied in
// order under a lock.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed *.sql
var files embed.FS

// Newest is the version of the last migration.
func Newest() int64 {
	names, _ := fs.Glob(files, "*.sql")
	newest, err := goose.NumericComponent(slices.Max(names))
	if err != nil {
		panic(err) // cannot fail: our own file
	}
	return newest
}

// Status is a migration and when it was applied (empty: not yet).
type Status struct {
	Version   int64  `json:"version"`
	Name      string `json:"name"`
	AppliedAt string `json:"applied_at,omitempty"`
}

// DefaultWait is how long Up waits for another migration, or for the tables that one needs.
const DefaultWait = 10 * time.Minute

// Options of UpWith.
type Options struct {
	Wait    time.Duration // how long to wait for another migration, or for a table; 0: not at all
	Tell    func(Holder)  // called with the session it waits for, when that changes; may be nil
	Blocked func(Busy)    // called when a migration has to wait for its tables; may be nil
	Behind  func(Holder)  // called with a session whose transaction a step waits for; may be nil
	Applied func(Status)  // called after each migration; may be nil
	To      int64         // the last migration to apply; 0: the newest
}

// Up applies all missing migrations to the database at url and returns them. Several processes may
// call it at once; a lock lets one do the work. It waits for DefaultWait.
func Up(ctx context.Context, url string) ([]Status, error) {
	return UpWith(ctx, url, Options{Wait: DefaultWait})
}

// UpWith is Up with options. If the lock stays taken, the error is a *Locked, and nothing was changed;
// if the database belongs to another program, a *Foreign, or has objects of others, a *Taken, and neither. If a table
// stays in use, it is a *Busy: what was finished stays. All say what to do.
func UpWith(ctx context.Context, url string, o Options) (applied []Status, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("migrations.Up: %w", err)
		}
	}()
	db, err := open(url)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	ctx, unlock, err := o.lock(ctx, db)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := look(ctx, db)
	if err != nil {
		return nil, err
	}
	if s.table == formerTable {
		if err := moveOver(ctx, db); err != nil {
			return nil, err
		}
	}
	return o.run(ctx, db)
}

// Current lists all migrations with their state in the database at url. It writes nothing and does
// not wait for a running migration.
func Current(ctx context.Context, url string) (all []Status, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("migrations.Current: %w", err)
		}
	}()
	s, known, err := lookAt(ctx, url)
	if err != nil {
		return nil, err
	}
	for _, f := range known {
		st := Status{Version: f.version, Name: f.name}
		if at, ok := s.applied[f.version]; ok {
			st.AppliedAt = at.UTC().Format("2006-01-02T15:04:05Z")
		}
		all = append(all, st)
	}
	return all, nil
}

// Lag compares the database at url with the embedded files. It returns the versions that are not
// applied, and the applied ones that are unknown. It writes nothing and does not wait.
func Lag(ctx context.Context, url string) (missing []Status, unknown []int64, err error) {
	s, known, err := lookAt(ctx, url)
	if err != nil {
		return nil, nil, fmt.Errorf("migrations.Lag: %w", err)
	}
	missing, unknown = s.lag(known)
	return missing, unknown, nil
}

// LagOf is Lag over the connections of a pool.
func LagOf(ctx context.Context, pool *pgxpool.Pool) (missing []Status, unknown []int64, err error) {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	s, known, err := lookIn(ctx, db)
	if err != nil {
		return nil, nil, fmt.Errorf("migrations.LagOf: %w", err)
	}
	missing, unknown = s.lag(known)
	return missing, unknown, nil
}

func (s state) lag(known []file) (missing []Status, unknown []int64) {
	for _, f := range known {
		if _, ok := s.applied[f.version]; !ok {
			missing = append(missing, Status{Version: f.version, Name: f.name})
		}
		delete(s.applied, f.version)
	}
	return missing, slices.Sorted(maps.Keys(s.applied))
}

func lookAt(ctx context.Context, url string) (state, []file, error) {
	db, err := open(url)
	if err != nil {
		return state{}, nil, err
	}
	defer db.Close()
	return lookIn(ctx, db)
}

func lookIn(ctx context.Context, db *sql.DB) (state, []file, error) {
	all, err := sources()
	if err != nil {
		return state{}, nil, err
	}
	s, err := look(ctx, db)
	return s, all, err
}

// connectTimeout limits the connection attempt to one of several hosts.
const connectTimeout = 5 * time.Second

// applicationName identifies a migration's sessions in Postgres, unless the URL sets a name.
const applicationName = "rollcall migrate"

// open opens the database. It does not depend on sessions, so it works through a pooler.
func open(url string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = applicationName
	}
	return sql.OpenDB(connector{cfg}), nil
}
