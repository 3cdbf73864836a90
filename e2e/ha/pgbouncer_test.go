package ha

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/ha"
	"rollcall/migrations"
)

// A PgBouncer in transaction mode stands before Postgres. It is killed and
// started again under load, and then Postgres is. Statements are prepared where
// this PgBouncer knows of them, and never by default.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	servers := startServers(t, embedded.Options{Temporary: true})
	major, minor, err := ha.PgBouncerVersion()
	if err != nil {
		t.Fatal(err)
	}
	none, prepared := "", "max_prepared_statements = 200"
	if major == 1 && minor < 21 {
		bounced(t, servers, none, "") // has no such setting
		return
	}
	bounced(t, servers, "max_prepared_statements = 0", "")
	bounced(t, servers, prepared, "")
	bounced(t, servers, prepared, "cache_statement")
}

// bounced tests a database of its own through a pooler of its own.
func bounced(t *testing.T, servers *embedded.Servers, setting, mode string) {
	t.Logf("PgBouncer with %q, pgx with %q", setting, mode)
	ctx := context.Background()
	pooler, err := ha.StartPgBouncer(ctx, servers, "default_pool_size = 8", "server_login_retry = 1", setting)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, pooler.Stop)
	through, err := url.Parse(pooler.URL)
	if err != nil {
		t.Fatal(err)
	}
	look, err := url.Parse(servers.DatabaseTCPURL)
	if err != nil {
		t.Fatal(err)
	}
	name := "bounced_" + mode
	execute(t, servers, "DROP DATABASE IF EXISTS "+name, "CREATE DATABASE "+name)
	through.Path, look.Path = "/"+name, "/"+name
	if mode != "" {
		through.RawQuery += "&default_query_exec_mode=" + mode
	}
	s := newSystem(t, through.String(), servers.RedisURL, look.String())
	s.does("migrate up")
	work, serve := s.start("work"), s.start("serve")
	base := serve.url()
	s.survives(base, func() {
		if err := pooler.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := pooler.Start(ctx); err != nil {
			t.Fatal(err)
		}
	})
	s.survives(base, func() {
		if err := servers.KillPostgres(); err != nil {
			t.Fatal(err)
		}
		if err := servers.StartPostgres(ctx); err != nil {
			t.Fatal(err)
		}
	})
	s.does("migrate status", "events list", "backfill start courses --follow", "rebuild", "audit",
		"token create --store store_1 --name pooled")
	for _, page := range []string{"/api/stores/store_1/customers?q=person&sort=-spent", "/api/stores/store_1/stats",
		"/api/admin/events"} {
		var answer struct{}
		get(t, base+page, &answer)
	}
	if lines := strings.Count(fetch(t, base+"/api/stores/store_1/customers.csv"), "\n"); lines != 1+people/3 {
		t.Errorf("the download has %d lines", lines)
	}
	serve.terminate()
	work.terminate()
	s.pool.Close()
}

// Several migrate at once through a pooler: one works, the others wait, and none
// leaves a lock behind.
func TestMigrateThroughPgBouncer(t *testing.T) {
	t.Parallel()
	servers := startServers(t, embedded.Options{Temporary: true})
	pooler, err := ha.StartPgBouncer(t.Context(), servers)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, pooler.Stop)
	results := make(chan int)
	for range 4 {
		go func() {
			applied, err := migrations.Up(context.Background(), pooler.URL)
			if err != nil {
				t.Error(err)
			}
			results <- len(applied)
		}()
	}
	total := 0
	for range 4 {
		total += <-results
	}
	all, err := migrations.Current(t.Context(), pooler.URL)
	if err != nil || total != len(all) {
		t.Errorf("%d migrations applied of %d, %v", total, len(all), err)
	}
	s := newSystem(t, pooler.URL, servers.RedisURL, servers.DatabaseURL)
	if left := rows(t, s.pool, `SELECT pid, mode FROM pg_locks WHERE locktype = 'advisory'`); left != "" {
		t.Errorf("locks left: %s", left)
	}
}
