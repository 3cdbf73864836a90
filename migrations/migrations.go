// Package migrations holds the database schema: one goose file per subject,
// embedded, applied in order under a lock.
package migrations

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed *.sql
var files embed.FS

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

// with opens the database and a goose provider over the embedded files. Nothing
// in it leans on a session, so that it works through a pooler too.
func with(url string, do func(*goose.Provider) error) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	db := stdlib.OpenDB(*cfg)
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
