package webhooks

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
)

// quick is far below the five seconds go-redis waits for an answer.
const quick = 3 * time.Second

func TestServersDown(t *testing.T) {
	servers := testdb.Private(t)
	if _, err := migrations.Up(t.Context(), servers.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	b := open(t, servers.DatabaseURL, servers.RedisURL, nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(id string, code int, what string, rows int) {
		t.Helper()
		began := time.Now()
		got := b.deliver(t, id)
		if got.code != code || got.what != what || (got.header.Get("Retry-After") != "") != (code == 503) {
			t.Errorf("%s: %+v, want %d %s", id, got, code, what)
		}
		if took := time.Since(began); took > quick {
			t.Errorf("%s: answered after %s", id, took)
		}
		if rows >= 0 && len(b.rows(t)) != rows {
			t.Errorf("%s: %d rows, want %d", id, len(b.rows(t)), rows)
		}
	}
	expect("evt_1", 200, "accepted", 1)

	// A schema that is still to be migrated: its new columns are not there yet.
	must(b.exec(t, `ALTER TABLE webhook_events RENAME COLUMN traceparent TO elsewhere`))
	expect("evt_2", 200, "accepted", 2)
	must(b.exec(t, `ALTER TABLE webhook_events RENAME COLUMN elsewhere TO traceparent`))

	must(servers.StopRedis())
	expect("evt_4", 200, "accepted", 3)

	must(servers.StopPostgres())
	expect("evt_3", 503, unavailable, -1)
	expect("evt_3", 503, unavailable, -1)

	must(servers.StartPostgres(t.Context()))
	expect("evt_3", 200, "accepted", 4)
	must(servers.StartRedis(t.Context()))
	expect("evt_3", 200, "duplicate", 4)
}

// What the server cannot do, or not let this role do, is not the sender's fault: it
// is told to come back.
func TestServersTrouble(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	for n, code := range []string{"disk_full", "out_of_memory", "insufficient_privilege", "io_error", "config_file_error",
		"internal_error", "read_only_sql_transaction"} {
		for _, sql := range []string{
			`CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '` + code + `'; END $$`,
			`CREATE TRIGGER trouble BEFORE INSERT ON webhook_events FOR EACH ROW EXECUTE FUNCTION trouble()`,
		} {
			if err := b.exec(t, sql); err != nil {
				t.Fatal(err)
			}
		}
		id := fmt.Sprintf("evt_%d", n)
		if got := b.deliver(t, id); got.code != 503 || got.what != unavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %+v", code, got)
		}
		if err := b.exec(t, `DROP TRIGGER trouble ON webhook_events`); err != nil {
			t.Fatal(err)
		}
		if got := b.deliver(t, id); got.code != 200 || got.what != "accepted" {
			t.Errorf("after %s: %+v", code, got)
		}
	}
}

// mute is a server that takes connections and never answers.
func mute(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestRedisHangs(t *testing.T) {
	redis := mute(t)
	b := open(t, testdb.Postgres(t), "redis://"+redis.Addr().String(), nil)
	began := time.Now()
	for _, id := range []string{"evt_1", "evt_2", "evt_3"} {
		if got := b.deliver(t, id); got.code != 200 {
			t.Errorf("%+v", got)
		}
	}
	if took := time.Since(began); took > quick || len(b.rows(t)) != 3 {
		t.Errorf("%d rows after %s", len(b.rows(t)), took)
	}
	redis.Close() // or the receiver would take its time to close
}

func TestPostgresHangs(t *testing.T) {
	const patience = 500 * time.Millisecond
	impatient := func(c *Config) { c.InsertTimeout = patience }
	check := func(t *testing.T, b *bench) {
		t.Helper()
		began := time.Now()
		got := b.deliver(t, "evt_1")
		if got.code != 503 || got.what != unavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%+v", got)
		}
		if took := time.Since(began); took < patience || took > quick {
			t.Errorf("answered after %s", took)
		}
	}
	t.Run("at the connection", func(t *testing.T) {
		check(t, open(t, "postgres://nobody@"+mute(t).Addr().String()+"/nothing", testdb.Redis(t), impatient))
	})
	t.Run("at the insert", func(t *testing.T) {
		b := open(t, testdb.Postgres(t), testdb.Redis(t), impatient)
		conn, err := pgx.Connect(t.Context(), b.database)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE webhook_events"); err != nil {
			t.Fatal(err)
		}
		check(t, b)
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		// Postgres may have heard too late that nobody waits any more: the event
		// is kept once, whether by the first delivery or by this one.
		if got := b.deliver(t, "evt_1"); got.code != 200 || len(b.rows(t)) != 1 {
			t.Errorf("%+v with %d rows", got, len(b.rows(t)))
		}
	})
}
