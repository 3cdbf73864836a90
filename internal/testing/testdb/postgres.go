package testdb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/migrations"
)

// databases counts those handed out, for their names.
var databases atomic.Int64

// Postgres returns the URL of a database with the schema and nothing in it, of
// this test alone. It is dropped at the test's end, open connections or not.
func Postgres(t testing.TB) string {
	t.Helper()
	return database(t, func(s *servers, name string) error {
		template, err := s.migrated(t.Context())
		if err != nil {
			return err
		}
		return s.clone(t.Context(), name, template)
	})
}

// Empty returns the URL of a database without the schema, otherwise as Postgres
// does: for tests that restore one.
func Empty(t testing.TB) string {
	t.Helper()
	return database(t, func(s *servers, name string) error { return s.exec(t.Context(), "CREATE DATABASE "+name) })
}

// database makes one and sees to its end.
func database(t testing.TB, create func(*servers, string) error) string {
	t.Helper()
	s, err := get(t.Context())
	if err != nil {
		t.Fatalf("testdb.Postgres: %v", err)
	}
	name := fmt.Sprintf("rollcall_test_%s_%d", process, databases.Add(1))
	if err := create(s, name); err != nil {
		t.Fatalf("testdb.Postgres: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("testdb.Postgres: %v", err)
		}
	})
	return s.url(name)
}

// migrated returns the name of the database that the others are cloned from. The
// migrations run at the first call.
func (s *servers) migrated(ctx context.Context) (string, error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.template != "" {
		return shared.template, nil
	}
	if u, err := url.Parse(s.databaseURL); err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return "", errors.New("DATABASE_URL: the tests need it as a URL, postgres://…")
	}
	name := "rollcall_template_" + process
	if err := s.exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	if _, err := migrations.Up(ctx, s.url(name)); err != nil {
		return "", errors.Join(err, s.drop(ctx, name))
	}
	shared.template = name
	return name, nil
}

// clone makes a database like template. To copy files is twice as fast as the
// default (from Postgres 15 on), but on a server with fsync the two checkpoints
// it needs are not.
func (s *servers) clone(ctx context.Context, name, template string) error {
	statement := "CREATE DATABASE " + name + " TEMPLATE " + template
	if s.own != nil && s.databaseURL == s.own.DatabaseURL && s.own.PostgresMajor >= 15 {
		statement += " STRATEGY FILE_COPY"
	}
	return s.exec(ctx, statement)
}

// url returns the URL of a database on the server.
func (s *servers) url(database string) string {
	u, err := url.Parse(s.databaseURL)
	if err != nil {
		panic(err) // migrated has parsed it
	}
	u.Path = "/" + database
	return u.String()
}

// drop removes a database and cuts off who is still connected to it.
func (s *servers) drop(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

// exec runs one statement of the server's administration on a connection of its
// own, so that tests in parallel do not wait for each other.
func (s *servers) exec(ctx context.Context, statement string) (err error) {
	conn, err := pgx.Connect(ctx, s.databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
