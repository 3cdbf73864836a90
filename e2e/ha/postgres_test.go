package ha

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/ha"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/webhooks"
)

// replicated starts a Postgres with the schema and a standby that follows it,
// and returns both with their common URL.
func replicated(t *testing.T) (primary, standby *embedded.Servers, both string) {
	t.Helper()
	primary = startServers(
		t, embedded.Options{Temporary: true, Settings: []string{"wal_level=replica", "max_wal_senders=4"}})
	if _, err := migrations.Up(t.Context(), primary.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	standby = startServers(t, embedded.Options{Temporary: true, StandbyOf: primary})
	u, err := url.Parse(primary.DatabaseTCPURL)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = primary.PostgresAddr + "," + standby.PostgresAddr
	u.RawQuery += "&target_session_attrs=read-write"
	return primary, standby, u.String()
}

func startServers(t *testing.T, o embedded.Options) *embedded.Servers {
	t.Helper()
	s, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, s.Stop)
	return s
}

// execute runs statements on a server, each on its own.
func execute(t *testing.T, s *embedded.Servers, statements ...string) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, sql := range statements {
		if _, err := pool.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// synchronously makes a primary wait for its standby before it says that
// something is committed.
var synchronously = []string{`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`}

// asynchronously ends that.
var asynchronously = []string{`ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`}

// The primary is killed and its standby promoted: with synchronous replication
// all that was acknowledged is there.
func TestPostgresFailover(t *testing.T) {
	t.Parallel()
	primary, standby, both := replicated(t)
	execute(t, primary, synchronously...)
	s := newSystem(t, both, primary.RedisURL, both)
	s.start("work")
	base := s.start("serve").url()
	s.survives(base, func() {
		if err := primary.KillPostgres(); err != nil {
			t.Fatal(err)
		}
		if err := ha.Promote(t.Context(), standby); err != nil {
			t.Fatal(err)
		}
	})
}

// Without its standby a synchronous primary acknowledges nothing, not even as a
// duplicate what it has itself by now. An asynchronous one does, and what it
// acknowledged last is lost when the standby takes over: so docs/scale.md says.
func TestStandby(t *testing.T) {
	t.Parallel()
	primary, standby, both := replicated(t)
	s := open(t, both)
	kept := func(id string) (store.Inserted, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		in, err := s.InsertEvents(
			ctx, []store.NewEvent{{Source: webhooks.Stripe, EventID: id, Type: "ping", OccurredAt: time.Now(),
				Payload: []byte(`{}`)}})
		if err != nil {
			return store.Inserted{}, err
		}
		return in[0], nil
	}
	execute(t, primary, synchronously...)
	ready(t, s)
	stopStandby(t, standby)
	if _, err := kept("evt_1"); err == nil {
		t.Error("acknowledged without the standby")
	}
	// Who stops waiting cancels: the primary then commits for itself alone.
	look := newSystem(t, "", "", primary.DatabaseURL)
	look.until("its row on the primary", `count(*) = 1 FROM webhook_events`)
	if in, err := kept("evt_1"); err == nil {
		t.Errorf("acknowledged as %+v: the row is on the primary alone", in)
	}
	startPostgres(t, standby)
	wait(t, "the standby", func() bool { in, err := kept("evt_1"); return err == nil && in.Duplicate })

	execute(t, primary, asynchronously...)
	stopStandby(t, standby)
	if _, err := kept("evt_2"); err != nil {
		t.Fatal(err)
	}
	if err := primary.KillPostgres(); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, standby)
	if err := ha.Promote(t.Context(), standby); err != nil {
		t.Fatal(err)
	}
	wait(t, "the new primary", func() bool { _, err := kept("evt_3"); return err == nil })
	now := newSystem(t, "", "", standby.DatabaseURL)
	if got := rows(t, now.pool, `SELECT event_id FROM webhook_events ORDER BY id`); got != `{"event_id":"evt_1"}`+"\n"+
		`{"event_id":"evt_3"}` {
		t.Errorf("the standby has %s", got)
	}
}

// A primary that takes no writes any more, though it has not ended: connections
// to it are thrown away, those that only look as well as those that write.
func TestFormerPrimary(t *testing.T) {
	t.Parallel()
	primary, standby, both := replicated(t)
	writer, watcher := open(t, both), open(t, both)
	ready(t, writer)
	ready(t, watcher)
	execute(t, primary, `ALTER SYSTEM SET default_transaction_read_only = on`, `SELECT pg_reload_conf()`)
	if err := ha.Promote(t.Context(), standby); err != nil {
		t.Fatal(err)
	}
	look := newSystem(t, "", "", primary.DatabaseURL)
	look.until("the end of the primary as such", `current_setting('transaction_read_only') = 'on'`)
	insert := func() error {
		_, err := writer.InsertEvents(t.Context(),
			[]store.NewEvent{{Source: webhooks.Stripe, EventID: "evt_1", Type: "ping", OccurredAt: time.Now(),
				Payload: []byte(`{}`)}})
		return err
	}
	if err := insert(); !pg.Unavailable(err) {
		t.Errorf("from the former primary: %v", err)
	}
	if err := insert(); err != nil {
		t.Errorf("the connection to the former primary was kept: %v", err)
	}
	if err := watcher.Ready(t.Context()); err == nil {
		t.Error("the former primary counts as ready")
	}
	ready(t, watcher)
}

func open(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ready looks as /readyz does, until all is well.
func ready(t *testing.T, s *store.Store) {
	t.Helper()
	wait(t, "a server that takes writes", func() bool { return s.Ready(context.Background()) == nil })
}

func stopStandby(t *testing.T, s *embedded.Servers) {
	t.Helper()
	if err := s.StopPostgres(); err != nil {
		t.Fatal(err)
	}
}

func startPostgres(t *testing.T, s *embedded.Servers) {
	t.Helper()
	if err := s.StartPostgres(t.Context()); err != nil {
		t.Fatal(err)
	}
}
