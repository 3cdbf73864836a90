package migrations

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

const (
	// versionTable is Rollcall's own list of applied migrations.
	versionTable = "rollcall_migrations"
	// formerTable was that list before. It is goose's default name, so another program may use it.
	formerTable = "goose_db_version"
)

// state is the part of Rollcall's schema that a database has.
type state struct {
	table   string // the list of migrations; empty: none yet
	applied map[int64]time.Time
	begun   string // the last migration of several steps that was begun
}

// file is a migration.
type file struct {
	version int64
	name    string
	steps   bool     // it is not one transaction: a part of it may be there already
	creates []string // tables, views and indexes
	tables  []string // only the tables among them
}

// created matches what a migration creates.
var created = regexp.MustCompile(`(?m)^\s*CREATE (?:UNIQUE |MATERIALIZED )?(TABLE|VIEW|INDEX)(?: CONCURRENTLY)?` +
	`(?: IF NOT EXISTS)? (\w+)\s*(?:\(|AS\b|ON\b)`)

// sources lists the migrations by version.
func sources() ([]file, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var all []file
	for _, name := range names {
		f := file{name: name}
		if f.version, err = goose.NumericComponent(name); err != nil {
			return nil, err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		f.steps = strings.Contains(up, "-- +goose NO TRANSACTION")
		for _, m := range created.FindAllStringSubmatch(up, -1) {
			f.creates = append(f.creates, m[2])
			if m[1] == "TABLE" {
				f.tables = append(f.tables, m[2])
			}
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b file) int { return int(a.version - b.version) })
	return all, nil
}

// look reads the state of a database. It writes nothing and does not wait for running migrations.
// If the database belongs to another program, the error is a *Foreign; if it is Rollcall's, and has objects of others
// under names of later migrations, a *Taken.
func look(ctx context.Context, db *sql.DB) (s state, err error) {
	all, err := sources()
	if err != nil {
		return s, err
	}
	stands, err := standing(ctx, db, all)
	if err != nil {
		return s, err
	}
	var foreign []string
	switch {
	case stands.has(versionTable):
		s.table = versionTable
		if s.applied, err = appliedVersions(ctx, db, s.table); err == nil {
			s.begun, err = begun(ctx, db)
		}
	case stands.has(formerTable):
		var former state
		former.table = formerTable
		former.applied, err = appliedVersions(ctx, db, formerTable)
		switch {
		case len(former.applied) == 0: // an empty list proves nothing
		case former.ours(all, stands):
			s = former
		default:
			foreign = []string{formerTable}
		}
	}
	if err != nil {
		return state{}, err
	}
	return s, refused(s.clashes(all, stands), s.table == versionTable && len(s.applied) > 0, foreign)
}

// standing returns the objects with names used by Rollcall that exist in the schema of new tables.
func standing(ctx context.Context, db *sql.DB, all []file) (objects, error) {
	names := []string{versionTable, formerTable}
	for _, f := range all {
		names = append(names, f.creates...)
	}
	rows, err := db.QueryContext(ctx, `
		SELECT current_schema() IS NOT NULL, coalesce(relname, ''), coalesce(relkind, ''), coalesce(indexed, '')
		FROM (VALUES (1)) one
		LEFT JOIN (
			SELECT c.relname, c.relkind::text, i.indrelid::regclass::text AS indexed
			FROM pg_class c
			JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_index i ON i.indexrelid = c.oid
			WHERE n.nspname = current_schema() AND c.relname = ANY ($1::text[])
		) c ON true`, names)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	stands := objects{}
	for rows.Next() {
		var schema bool
		var o Object
		var kind string
		if err := rows.Scan(&schema, &o.Name, &kind, &o.Of); err != nil {
			return nil, err
		}
		if !schema {
			return nil, errors.New("no schema of the search_path exists: make it first (CREATE SCHEMA …)")
		}
		o.Kind = kinds[kind]
		stands[o.Name] = o
	}
	return stands, rows.Err()
}

// ours reports whether a list under goose's default name is Rollcall's: it only has our versions,
// and their tables exist.
func (s state) ours(all []file, stands objects) bool {
	known := maps.Clone(s.applied)
	for _, f := range all {
		if _, ok := s.applied[f.version]; !ok {
			continue
		}
		delete(known, f.version)
		if slices.ContainsFunc(f.tables, func(name string) bool { return !stands.has(name) }) {
			return false
		}
	}
	return len(known) == 0
}

// clashes returns the existing objects whose names pending migrations need and that no applied migration
// created, nor one that was interrupted between its steps.
func (s state) clashes(all []file, stands objects) (taken []Object) {
	own := map[string]bool{}
	for _, f := range all {
		if _, ok := s.applied[f.version]; ok || f.name == s.begun {
			for _, name := range f.creates {
				own[name] = true
			}
		}
	}
	for _, f := range all {
		for _, name := range f.creates {
			if o, ok := stands[name]; ok && !own[name] {
				own[name] = true // it is named once
				o.Migration = f.name
				taken = append(taken, o)
			}
		}
	}
	return taken
}

func appliedVersions(ctx context.Context, db *sql.DB, table string) (map[int64]time.Time, error) {
	rows, err := db.QueryContext(ctx, `
		SELECT version_id, tstamp
		FROM `+table+`
		WHERE is_applied AND version_id > 0
		ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	applied := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, err
		}
		applied[version] = at
	}
	return applied, rows.Err()
}

// begin notes in the comment of the list if the next migration has several steps: what stands of it
// later is ours, and not another program's.
func begin(ctx context.Context, db *sql.DB, p *goose.Provider) error {
	current, _, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	all, err := sources()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(f file) bool { return f.version > current })
	if i < 0 || !all[i].steps {
		return nil
	}
	_, err = db.ExecContext(ctx, `COMMENT ON TABLE `+versionTable+` IS '`+begunBefore+all[i].name+`'`)
	return err
}

const begunBefore = "the last migration of several steps that was begun: "

func begun(ctx context.Context, db *sql.DB) (name string, err error) {
	err = db.QueryRowContext(ctx, `SELECT coalesce(obj_description('`+versionTable+`'::regclass, 'pg_class'), '')`).
		Scan(&name)
	return strings.TrimPrefix(name, begunBefore), err
}

// moveOver copies our list to its new name, in one transaction. The old one stays for programs of
// an earlier version, which remain ready and find nothing to migrate.
func moveOver(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range []string{
		`ALTER TABLE ` + formerTable + ` RENAME TO ` + versionTable,
		`CREATE TABLE ` + formerTable + ` AS TABLE ` + versionTable,
		`COMMENT ON TABLE ` + formerTable + ` IS 'a copy of ` + versionTable + ` as it was when that got its name,
			for versions of Rollcall from before'`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}
