// Package migrations holds the database schema: one goose file per subject,
// embedded, applied in order under a lock.
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
		panic(err) // a file of ours
	}
	return newest
}

// Status is one migration and when it was applied (empty: not yet).
type Status struct {
	Version   int64  `json:"version"`
	Name      string `json:"name"`
	AppliedAt string `json:"applied_at,omitempty"`
}

// Up applies every migration that is missing from the database at url and
// returns those it applied. Several processes may call it at once: a lock lets
// one work and the others find nothing left.
func Up(ctx context.Context, url string) ([]Status, error) {
	var applied []Status
	err := with(url, func(p *goose.Provider) error {
		results, err := p.Up(ctx)
		for _, r := range results {
			applied = append(applied, Status{Version: r.Source.Version, Name: r.Source.Path})
		}
		return err
	})
	if err != nil {
		return applied, fmt.Errorf("migrations.Up: %w", err)
	}
	return applied, nil
}

// Current lists all migrations with their state in the database at url.
func Current(ctx context.Context, url string) ([]Status, error) {
	var all []Status
	err := with(url, func(p *goose.Provider) error {
		states, err := p.Status(ctx)
		for _, s := range states {
			st := Status{Version: s.Source.Version, Name: s.Source.Path}
			if s.State == goose.StateApplied {
				st.AppliedAt = s.AppliedAt.UTC().Format("2006-01-02T15:04:05Z")
			}
			all = append(all, st)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrations.Current: %w", err)
	}
	return all, nil
}

// connectTimeout bounds the try at one of several hosts.
const connectTimeout = 5 * time.Second

// open opens the database. Nothing in it leans on a session, so that it works
// through a pooler too.
func open(url string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	return stdlib.OpenDB(*cfg), nil
}

// with opens the database and a goose provider over the embedded files.
func with(url string, do func(*goose.Provider) error) error {
	db, err := open(url)
	if err != nil {
		return err
	}
	defer db.Close()
	root, err := fs.Sub(files, ".")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, root, goose.WithLocker(&txLock{}))
	if err != nil {
		return err
	}
	return do(p)
}

// Lag compares the database at url with the embedded files: which of them are
// not applied there, and which versions are applied that are none of them. Unlike
// Current it writes nothing and waits for nobody.
func Lag(ctx context.Context, url string) (missing []Status, unknown []int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("migrations.Lag: %w", err)
		}
	}()
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, nil, err
	}
	applied, err := appliedVersions(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, nil, err
		}
		if !applied[version] {
			missing = append(missing, Status{Version: version, Name: name})
		}
		delete(applied, version)
	}
	return missing, slices.Sorted(maps.Keys(applied)), nil
}

// appliedVersions reads goose's table, if it is there.
func appliedVersions(ctx context.Context, url string) (map[int64]bool, error) {
	db, err := open(url)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	applied := map[int64]bool{}
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&there); err != nil || !there {
		return applied, err
	}
	rows, err := db.QueryContext(ctx, `SELECT version_id FROM goose_db_version WHERE is_applied AND version_id > 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return nil, err
		}
		applied[version] = true
	}
	return applied, rows.Err()
}
