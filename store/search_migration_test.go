package store_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver that goose takes
	"github.com/pressly/goose/v3"

	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/store/customers"
)

// migrator migrates a database up and down, version by version.
func migrator(t *testing.T, url string) *goose.Provider {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("../migrations"),
		goose.WithTableName("rollcall_migrations"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const beforeSearch = 14 // the migration before that of search

// Whoever was on a list before is found and sorted like those who come later.
func TestSearchMigrates(t *testing.T) {
	s, url := openURL(t)
	p := migrator(t, url)
	migrate := func(to func(context.Context) ([]*goose.MigrationResult, error)) {
		t.Helper()
		if _, err := to(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	migrate(func(ctx context.Context) ([]*goose.MigrationResult, error) { return p.DownTo(ctx, beforeSearch) })
	exec(t, url, `INSERT INTO customers (store_id, email, name) VALUES ('s1', 'a@x.example', 'Sean O’Neill'),
		('s1', 'b-c@x.example', NULL), ('s1', 'd@x.example', 'Émile'), ('s1', 'e@x.example', '山田 太郎'),
		('s1', 'f@x.example', 'Åsa')`)
	was := query(t, url, `SELECT words FROM customer_index ORDER BY customer_id`)
	if diff := cmp.Diff([]string{"sean o’neill a@x.example", "b-c@x.example", "emile d@x.example", "山田 太郎 e@x.example",
		"asa f@x.example"}, was); diff != "" {
		t.Error(diff)
	}
	migrate(p.Up)
	if diff := cmp.Diff([]string{"sean oneill a@x.example", "b c@x.example", "emile d@x.example", "山田太郎 e@x.example",
		"asa f@x.example"},
		query(t, url, `SELECT words FROM customer_words ORDER BY customer_id`)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Åsa", "b-c@x.example", "Émile", "Sean O’Neill", "山田 太郎"},
		list(t, s, customers.Filter{Store: "s1", Sort: "name"})); diff != "" {
		t.Error(diff)
	}
	migrate(func(ctx context.Context) ([]*goose.MigrationResult, error) { return p.DownTo(ctx, beforeSearch) })
	if diff := cmp.Diff(was, query(t, url, `SELECT words FROM customer_index ORDER BY customer_id`)); diff != "" {
		t.Error(diff)
	}
}

// A database that can have no ICU collation is told so, and what it needs.
func TestSearchNeedsICU(t *testing.T) {
	address := testdb.Postgres(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/") + "_ascii"
	if _, err := execute(t, address, `CREATE DATABASE `+name+
		` ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := execute(t, address, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	if _, err := migrations.Up(t.Context(), u.String()); err == nil ||
		!strings.Contains(err.Error(), "needs a Postgres built with ICU") {
		t.Errorf("%v", err)
	}
}
