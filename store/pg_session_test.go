package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/facts"
	"rollcall/internal/testing/ha"
	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/store/pg"
)

// wire stands between us and Postgres. Cut, it passes nothing on any more and
// closes nothing: to the server it looks as if our machine had vanished.
type wire struct {
	net.Listener
	mu  sync.Mutex
	cut bool
}

// newWire leads to the server of a database URL; its own URL is that of the wire.
func newWire(t *testing.T, database string) (*wire, string) {
	t.Helper()
	cfg, err := pgconn.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))
	if strings.HasPrefix(cfg.Host, "/") {
		network, address = "unix", filepath.Join(cfg.Host, fmt.Sprintf(".s.PGSQL.%d", cfg.Port))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l}
	var open sync.Map
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
	})
	go func() {
		for {
			ours, err := l.Accept()
			if err != nil {
				return
			}
			theirs, err := net.Dial(network, address)
			if err != nil {
				ours.Close()
				continue
			}
			open.Store(ours, nil)
			open.Store(theirs, nil)
			go w.pass(theirs, ours)
			go w.pass(ours, theirs)
		}
	}()
	u := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: l.Addr().String(),
		Path: cfg.Database}
	return w, u.String() + "?sslmode=disable"
}

func (w *wire) pass(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		cut := w.cut
		w.mu.Unlock()
		if !cut {
			_, failed := to.Write(buf[:n])
			err = errors.Join(err, failed)
		}
		if err != nil {
			return // and closes nothing
		}
	}
}

func (w *wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
}

// vanish lets a worker, which reaches the database by way of another address, vanish
// while it has an event in hand, and waits until its row is free.
func vanish(t *testing.T, database, way string) {
	direct, err := Open(t.Context(), database, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	in, err := direct.InsertEvents(t.Context(),
		[]NewEvent{{Source: "platform", EventID: "evt_1", Type: "store.upserted", OccurredAt: time.Now(),
			Payload: []byte(`{"type":"store.upserted","data":{"id":"s1","name":"S"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	w, through := newWire(t, way)
	s, err := Open(t.Context(), through, Options{Idle: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	inHand, done := make(chan bool), make(chan error)
	go func() {
		_, err := s.Apply(ctx, []int64{in[0].ID}, 0, func(e facts.Event) (facts.Set, error) {
			w.Cut()
			close(inHand)
			<-ctx.Done()
			return facts.Read(e)
		})
		done <- err
	}()
	<-inHand
	patience, stop := context.WithTimeout(t.Context(), 30*time.Second) // else the server waits for two hours
	defer stop()
	if _, err := direct.Pool.Exec(patience, `SELECT FROM webhook_events WHERE id = $1 FOR UPDATE`, in[0].ID); err != nil {
		t.Fatalf("the row is still held: %v", err)
	}
	if out, err := direct.Apply(t.Context(), []int64{in[0].ID}, 0, facts.Read); err != nil || out.Processed != 1 {
		t.Errorf("%+v %v", out, err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("the worker that vanished has applied it")
	}
}

// A machine that vanishes with an event in hand holds it for no longer than
// Options.Idle says: half a minute, unless told.
func TestVanishedWorkerFreesItsRows(t *testing.T) {
	database := testdb.Postgres(t)
	vanish(t, database, database)
	_, through := newWire(t, database)
	for url, want := range map[string]string{through: "30s", through + "&idle_in_transaction_session_timeout=7s": "7s"} {
		s, err := Open(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var got string
		if err := s.Pool.QueryRow(t.Context(), `SHOW idle_in_transaction_session_timeout`).Scan(&got); err != nil ||
			got != want {
			t.Errorf("%s %v, want %s", got, err, want)
		}
	}
}

// The same through a pooler, whose sessions are others' too.
func TestVanishedWorkerBehindPgBouncer(t *testing.T) {
	servers := testdb.Private(t)
	if _, err := migrations.Up(t.Context(), servers.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	pooler, err := ha.StartPgBouncer(t.Context(), servers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pooler.Stop(); err != nil {
			t.Error(err)
		}
	})
	vanish(t, servers.DatabaseURL, pooler.URL)
	s, err := Open(t.Context(), servers.DatabaseURL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var left int
	if err := s.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'`).Scan(
		&left); err != nil || left != 0 {
		t.Errorf("%d transactions are still open: %v", left, err)
	}
}

// What a session asks of a server over TCP: that it notices a client that is gone.
func TestSessionSettings(t *testing.T) {
	_, as := newRole(t)
	s, err := Open(t.Context(), as("right", ""), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got string
	err = s.Pool.QueryRow(t.Context(), `
		SELECT concat_ws(' ', current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),
			current_setting('tcp_keepalives_count'),
			current_setting('tcp_user_timeout'), current_setting('client_connection_check_interval'))`).Scan(&got)
	if want := "10 5 3 25000 10s"; err != nil || got != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
}

// That the server ended our session is an outage: the event is not to blame.
func TestEndedSessionIsAnOutage(t *testing.T) {
	database := testdb.Postgres(t)
	s, err := Open(t.Context(), database, Options{Idle: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, err := s.InsertEvents(t.Context(),
		[]NewEvent{{Source: "platform", EventID: "evt_1", Type: "store.upserted", OccurredAt: time.Now(),
			Payload: []byte(`{"type":"store.upserted","data":{"id":"s1","name":"S"}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), []int64{in[0].ID}, 0, func(e facts.Event) (facts.Set, error) {
		if _, err := s.Pool.Exec(t.Context(), `SELECT FROM webhook_events WHERE id = $1 FOR UPDATE`, in[0].ID); err != nil {
			t.Error(err)
		}
		return facts.Read(e)
	})
	if !pg.Unavailable(err) {
		t.Errorf("%v is no outage", err)
	}
	patient, err := Open(t.Context(), database, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer patient.Close()
	if out, err := patient.Apply(t.Context(), []int64{in[0].ID}, 0, facts.Read); err != nil || out.Processed != 1 ||
		out.Events[0].Attempt != 1 {
		t.Errorf("%+v %v", out, err)
	}
}

// Operators are told of sessions that hold rows and say nothing.
func TestHeldSessions(t *testing.T) {
	s := opened(t, testdb.Inbox(t, 1))
	for what, held := range map[string]int{`SELECT FROM webhook_events FOR UPDATE`: 1, `SELECT FROM webhook_events`: 0} {
		tx, err := s.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), what); err != nil {
			t.Fatal(err)
		}
		found, err := s.HeldSessions(t.Context(), 0)
		if err != nil || len(found) != held || held == 1 && (found[0].PID != int32(tx.Conn().PgConn().PID()) ||
			found[0].Tables != 1) {
			t.Errorf("%s: %+v %v", what, found, err)
		}
		if found, err := s.HeldSessions(t.Context(), pg.HeldLong); err != nil || len(found) != 0 {
			t.Errorf("%s: %+v %v, so soon", what, found, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Clocks of workers are compared with that of Postgres, and forgotten once they
// have gone.
func TestWorkerClocks(t *testing.T) {
	s := opened(t, testdb.Postgres(t))
	note := func(worker string, ahead time.Duration) {
		t.Helper()
		if err := s.NoteClock(t.Context(), worker, time.Now().Add(ahead)); err != nil {
			t.Fatal(err)
		}
	}
	note("a:1", -time.Hour)
	note("b:2", time.Minute)
	note("b:2", 24*time.Hour)
	clocks, err := s.WorkerClocks(t.Context())
	if err != nil || len(clocks) != 2 || clocks[0].Worker != "b:2" || clocks[0].Ahead.Round(time.Hour) != 24*time.Hour ||
		clocks[1].Ahead.Round(time.Hour) != -time.Hour {
		t.Errorf("%+v %v", clocks, err)
	}
	if _, err := s.Pool.Exec(t.Context(), `UPDATE worker_clocks SET seen_at = seen_at - interval '11 minutes'
		WHERE worker = 'b:2'`); err != nil {
		t.Fatal(err)
	}
	note("a:1", 0)
	var left int
	if err := s.Pool.QueryRow(t.Context(), `SELECT count(*) FROM worker_clocks`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d rows are left: %v", left, err)
	}
}

// newRole makes a role that may only read; as is the URL over TCP with its password
// right or wrong, of the database or another.
func newRole(t *testing.T) (owner *Store, as func(password, name string) string) {
	t.Helper()
	database := testdb.Postgres(t)
	owner, err := Open(t.Context(), database, Options{})
	if err != nil {
		t.Fatal(err)
	}
	role := fmt.Sprintf("reader_%d", time.Now().UnixNano())
	if _, err := owner.Pool.Exec(t.Context(), `CREATE ROLE `+role+` LOGIN PASSWORD 'right'`); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Pool.Exec(t.Context(), `GRANT SELECT ON ALL TABLES IN SCHEMA public TO `+role); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer owner.Close()
		for _, sql := range []string{`DROP OWNED BY ` + role, `DROP ROLE ` + role} {
			if _, err := owner.Pool.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	cfg, err := pgconn.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	return owner, func(password, name string) string {
		u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: fmt.Sprintf("127.0.0.1:%d", cfg.Port),
			Path: cmp.Or(name, cfg.Database)}
		return u.String()
	}
}

// Ready means able: to be connected is not enough.
func TestReadyMeansAble(t *testing.T) {
	owner, as := newRole(t)
	must := func(sql string) {
		t.Helper()
		if _, err := owner.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	event := NewEvent{Source: "platform", EventID: "evt_1", Type: "store.upserted", OccurredAt: time.Now(),
		Payload: []byte(`{}`)}
	for name, c := range map[string]struct{ url, want string }{
		"a role that may only read": {as("right", ""), "not_allowed"},
		"a wrong password":          {as("wrong", ""), "refused"},
		"no such database":          {as("right", "nowhere"), "refused"},
		"the owner":                 {owner.Pool.Config().ConnString(), "ok"},
	} {
		s, err := Open(t.Context(), c.url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Ready(t.Context())
		if got := pg.Trouble(err); got != c.want || err != nil && strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.want)
		}
		if _, err := s.InsertEvents(t.Context(), []NewEvent{event}); c.want != "ok" && !pg.Unavailable(err) {
			t.Errorf("%s: %v is the sender's fault", name, err)
		}
	}
	// Tables that only charts read keep no receiver from its work.
	narrow, err := Open(t.Context(), as("right", ""), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer narrow.Close()
	role := narrow.Pool.Config().ConnConfig.User
	must(`GRANT INSERT ON webhook_events TO ` + role + `; GRANT INSERT, UPDATE ON webhook_deliveries TO ` + role)
	if err := narrow.Ready(t.Context()); err != nil {
		t.Errorf("what receiving needs is granted: %v", err)
	}
	// A full disk, as the server tells of it. A write that succeeded is trusted for a
	// while, but not once another has failed.
	if err := owner.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	must(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
		CREATE TRIGGER full_disk BEFORE INSERT ON webhook_events FOR EACH ROW EXECUTE FUNCTION full_disk()`)
	event.EventID = "evt_2"
	if _, err := owner.InsertEvents(t.Context(), []NewEvent{event}); !pg.Unavailable(err) {
		t.Errorf("a full disk: %v", err)
	}
	if err := owner.Ready(t.Context()); pg.Trouble(err) != "full" {
		t.Errorf("%v", err)
	}
	must(`DROP TRIGGER full_disk ON webhook_events`)
	if err := owner.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	var n int
	if err := owner.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_events WHERE type = 'readiness.probe'`).Scan(
		&n); err != nil || n != 0 {
		t.Errorf("%d probes stayed: %v", n, err)
	}
}
