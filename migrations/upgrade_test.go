package migrations_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/internal/testing/firstschema"
	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/store"
)

// upTo migrates a database to a version.
func upTo(t *testing.T, url string, version int64) {
	t.Helper()
	if _, err := migrations.UpWith(t.Context(), url, migrations.Options{Wait: deadline, To: version}); err != nil {
		t.Fatal(err)
	}
}

// atVersion is a small market in the first schema that had customers, migrated to a version.
func atVersion(t *testing.T, version int64) (url string) {
	t.Helper()
	url = testdb.Empty(t)
	if err := firstschema.Make(t.Context(), url, 200); err != nil {
		t.Fatal(err)
	}
	if version > 5 {
		upTo(t, url, version)
	}
	return url
}

// receives stores an event within the time that a receiver has for it.
func receives(t *testing.T, url, id string) {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	in, err := s.InsertEvents(ctx, []store.NewEvent{{
		Source: "stripe", EventID: id, Type: "a", OccurredAt: time.Now(), Payload: []byte(`{}`), Headers: []byte(`{}`),
	}})
	if err != nil || len(in) != 1 || in[0].ID == 0 {
		t.Errorf("%s is refused: %v %v", id, in, err)
	}
}

// waiting asks whether a migration waits for others' locks.
const waiting = `
	SELECT (count(*) > 0)::text
	FROM pg_stat_activity
	WHERE application_name = 'rollcall migrate' AND datname = current_database() AND wait_event_type = 'Lock'`

// A migration that waits for a table, because others use it for long, keeps no sender waiting; it
// goes on when they have ended. A receiver stores events whatever the version of the schema.
func TestWaitingMigrationRefusesNoWebhook(t *testing.T) {
	for _, c := range []struct {
		version int64
		table   string
	}{{5, "customers"}, {10, "webhook_events"}, {11, "webhook_events"}, {11, "payments"}, {13, "enrollments"},
		{25, "customer_index"}, {27, "customers"}, {32, "webhook_events"}, {34, "webhook_events"},
		{36, "customers"}, {44, "customers"}} {
		t.Run(strconv.Itoa(int(c.version))+" "+c.table, func(t *testing.T) {
			t.Parallel()
			url := atVersion(t, c.version)
			user := connect(t, url)
			if _, err := user.Exec(t.Context(), `BEGIN; LOCK TABLE `+c.table+` IN ROW EXCLUSIVE MODE`); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := migrations.UpWith(t.Context(), url, migrations.Options{Wait: deadline})
				ended <- err
			}()
			until(t, url, waiting, "true")
			receives(t, url, "evt_meanwhile")
			if _, err := user.Exec(t.Context(), `COMMIT`); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			receives(t, url, "evt_afterwards")
		})
	}
}

// A migration that gets no table says which transaction is the oldest, and what to do.
func TestTableStaysInUse(t *testing.T) {
	t.Parallel()
	url := atVersion(t, 10)
	user := connect(t, url)
	if _, err := user.Exec(t.Context(), `SET application_name = 'a long report'`); err != nil {
		t.Fatal(err)
	}
	if _, err := user.Exec(t.Context(), `BEGIN; LOCK TABLE webhook_events IN ACCESS SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	var blocked []string
	_, err := migrations.UpWith(t.Context(), url, migrations.Options{Wait: 0, Blocked: func(b migrations.Busy) {
		blocked = append(blocked, b.Migration)
	}})
	var busy *migrations.Busy
	if !errors.As(err, &busy) {
		t.Fatal(err)
	}
	for _, want := range []string{"0011_erasure.sql", "a long report", "pg_terminate_backend(", "run this again"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	if len(blocked) > 0 {
		t.Errorf("it says that it waits, and does not: %q", blocked)
	}
}

// An index that was being built when a migration ended is built again.
func TestUnfinishedIndex(t *testing.T) {
	t.Parallel()
	url := atVersion(t, 30)
	user := connect(t, url)
	if _, err := user.Exec(t.Context(), `BEGIN; LOCK TABLE payments IN ROW EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := migrations.Up(t.Context(), url)
		ended <- err
	}()
	until(t, url, waiting, "true")
	exec(t, url, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	var cancelled *pgconn.PgError
	if err := <-ended; !errors.As(err, &cancelled) || cancelled.Code != "57014" {
		t.Fatal(err)
	}
	const invalid = `SELECT count(*)::text FROM pg_index WHERE NOT indisvalid`
	wantText(t, user, invalid, "1")
	if _, err := user.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	wantText(t, user, invalid, "0")
	wantText(t, user, `SELECT count(*)::text FROM pg_class WHERE relname = 'payments_disputed'`, "1")
}

// What another program made beside our tables is not taken for what an interrupted migration left.
func TestForeignTableOfTheNextMigration(t *testing.T) {
	t.Parallel()
	url := atVersion(t, 25)
	exec(t, url, `CREATE TABLE tags (id int)`, `CREATE INDEX payments_disputed ON payments (id)`)
	before := relations(t, url)
	_, err := migrations.Up(t.Context(), url)
	var taken *migrations.Taken
	if !errors.As(err, &taken) || len(taken.Objects) != 2 {
		t.Fatal(err)
	}
	for _, want := range []string{
		"the table tags (0026_tags.sql makes one of this name)",
		"the index payments_disputed of the table payments (0031_disputed.sql makes one of this name)",
		"ALTER TABLE tags RENAME TO tags_before",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "belongs to another program") {
		t.Errorf("it calls Rollcall's own database another program's: %v", err)
	}
	if diff := cmp.Diff(before, relations(t, url)); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
	for _, o := range taken.Objects {
		exec(t, url, o.Rename()) // as it advises
	}
	if _, err := migrations.Up(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	wantText(t, connect(t, url), `
		SELECT count(*)::text
		FROM pg_class
		WHERE relname ~ '^(tags|payments_disputed)(_before)?$'`, "4")
}

// What an interrupted migration left is its own: it goes on.
func TestInterruptedMigrationGoesOn(t *testing.T) {
	t.Parallel()
	url := atVersion(t, 25)
	user := connect(t, url)
	if _, err := user.Exec(t.Context(), `BEGIN; LOCK TABLE customer_index IN ACCESS SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	var busy *migrations.Busy
	if _, err := migrations.UpWith(t.Context(), url, migrations.Options{}); !errors.As(err, &busy) {
		t.Fatal(err)
	}
	wantText(t, user, `SELECT count(*)::text FROM tags`, "0")
	if _, err := user.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), url); err != nil {
		t.Fatal(err)
	}
}

// A limit of the role's or the database's does not end what takes long.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	url := atVersion(t, 30)
	user := connect(t, url)
	for _, statement := range []string{
		`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = 2000', current_database()); END $$`,
		`BEGIN; LOCK TABLE payments IN ROW EXCLUSIVE MODE`,
	} {
		if _, err := user.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := migrations.Up(t.Context(), url)
		ended <- err
	}()
	until(t, url, `
		SELECT (count(*) > 0)::text
		FROM pg_stat_activity
		WHERE datname = current_database() AND state = 'active' AND query LIKE 'CREATE INDEX%'
		  AND clock_timestamp() - query_start > interval '3 seconds'`, "true")
	if _, err := user.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func wantText(t *testing.T, conn *pgx.Conn, query, want string) {
	t.Helper()
	var got string
	if err := conn.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
		t.Errorf("%s: %s %v, want %s", query, got, err, want)
	}
}
