package store_test

import (
	"errors"
	"net"
	"net/url"
	"testing"

	"rollcall/internal/testing/testdb"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/pg"
)

// A host that is gone without a word, so that nothing refuses a connection to
// it, costs time and no more: the next one is tried.
func TestHostGone(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	u, err := url.Parse(testdb.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("host") == "" { // a server that the environment names
		q.Set("host", u.Hostname())
		q.Set("port", u.Port())
		u.Host = ""
	}
	_, port, err := net.SplitHostPort(mute.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	q.Set("host", "127.0.0.1,"+q.Get("host"))
	q.Set("port", port+","+q.Get("port"))
	q.Set("target_session_attrs", "read-write")
	u.RawQuery = q.Encode()
	s, err := store.Open(t.Context(), u.String(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// Ready is who has the migrations that they need; a database with older ones has
// nothing to be sent to.
func TestReadyNeedsTheSchema(t *testing.T) {
	t.Parallel()
	database := testdb.Postgres(t)
	for schema, want := range map[int64]error{0: nil, migrations.Newest(): nil, migrations.Newest() +
		1: pg.ErrNotMigrated} {
		s, err := store.Open(t.Context(), database, store.Options{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Ready(t.Context()); !errors.Is(err, want) {
			t.Errorf("schema %d: %v, want %v", schema, err, want)
		}
	}
}
