package store_test

import (
	"context"
	"errors"
	"testing"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/pg"
)

// A database restored without the key, or with another, brings nobody back: events
// wait until the right one is there.
func TestEraseWithoutKey(t *testing.T) {
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`)}, 1)
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	exec := func(sql string) {
		t.Helper()
		if _, err := execute(t, url, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE elsewhere AS SELECT * FROM erasure_key`)
	in, err := s.InsertEvents(t.Context(),
		[]store.NewEvent{e.sale("pi_2", "ann@x.example", `{"storeId":"s1","productId":"p"}`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range []string{`DELETE FROM erasure_key`, `INSERT INTO erasure_key (key) SELECT sha256('another')`} {
		exec(without)
		_, err := s.Apply(context.Background(), []int64{in[0].ID}, 0, facts.Read)
		if !errors.Is(err, store.ErrErasureKey) || !pg.Unavailable(err) {
			t.Errorf("%s: applied: %v", without, err)
		}
		if err := s.Erase(t.Context(), store.Erasing{Email: "bob@x.example"},
			store.EraseOptions{Read: facts.Read}); !errors.Is(err, store.ErrErasureKey) {
			t.Errorf("%s: erased: %v", without, err)
		}
		if _, err := s.Footprint(t.Context(), store.Erasing{Email: "bob@x.example"}, store.EraseOptions{}); !errors.Is(
			err, store.ErrErasureKey) {
			t.Errorf("%s: looked: %v", without, err)
		}
		wantRows(t, url, `SELECT status || ' ' || attempts FROM webhook_events ORDER BY id`, "processed 1", "pending 0")
	}
	exec(`UPDATE erasure_key SET key = (SELECT key FROM elsewhere)`)
	exec(`DROP TABLE elsewhere`)
	if _, err := s.Apply(t.Context(), []int64{in[0].ID}, 0, facts.Read); err != nil {
		t.Fatal(err)
	}
	unnamed(t, url, ann...)
}

// Where there are no tombstones, a lost key costs nothing: another is made.
func TestEraseMakesAKey(t *testing.T) {
	for _, lost := range []string{`DELETE FROM erasure_key`, `UPDATE erasure_key SET key = sha256('another')`} {
		var e teller
		s, url := openURL(t)
		if _, err := execute(t, url, lost); err != nil {
			t.Fatal(err)
		}
		apply(t, s, []store.NewEvent{e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`)}, 1)
		erase(t, s, store.Erasing{Email: "ann@x.example"})
		apply(t, s, []store.NewEvent{e.sale("pi_2", "ann@x.example", `{"storeId":"s1","productId":"p"}`)}, 1)
		unnamed(t, url, ann...)
		wantRows(t, url, `SELECT (sha256(key) = hash)::text FROM erasure_key, erasure_key_check`, "true")
	}
}
