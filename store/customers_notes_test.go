package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

// idAt is the id of the customer at an address of a store.
func idAt(t testing.TB, url, storeID, email string) string {
	t.Helper()
	ids := query(t, url, `SELECT id::text FROM customers WHERE store_id = $1 AND email = $2`, storeID, email)
	if len(ids) != 1 {
		t.Fatalf("%d customers of %s at %s", len(ids), storeID, email)
	}
	return ids[0]
}

// mark writes a note about the customer at an address of store s1, and tags them with
// the same words.
func mark(t testing.TB, s *store.Store, url, email, words string) {
	t.Helper()
	jot(t, s, url, email, words)
	tag(t, s, url, email, words)
}

// jot writes a note about the customer at an address of store s1.
func jot(t testing.TB, s *store.Store, url, email, body string) customers.Note {
	t.Helper()
	n, err := customers.New(s).AddNote(t.Context(), "s1", idAt(t, url, "s1", email),
		customers.NewNote{Body: body, Author: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// noted are the notes about the customer at an address of store s1, the oldest first.
func noted(t testing.TB, s *store.Store, url, email string) string {
	t.Helper()
	notes, err := customers.New(s).Notes(t.Context(), "s1", idAt(t, url, "s1", email), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, n := range notes {
		text = n.Body + "," + text
	}
	return strings.TrimSuffix(text, ",")
}

// tag gives the customer at an address of store s1 a tag.
func tag(t testing.TB, s *store.Store, url, email, name string) (id string) {
	t.Helper()
	id, err := tags.New(s).Ensure(t.Context(), "s1", name, "admin")
	if err == nil {
		err = tags.New(s).Put(t.Context(), "s1", idAt(t, url, "s1", email), id, "admin")
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// tagged are the tags of the customer at an address of store s1, by name.
func tagged(t testing.TB, s *store.Store, url, email string) string {
	t.Helper()
	c, err := customers.New(s).Customer(t.Context(), "s1", idAt(t, url, "s1", email))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tag := range c.Tags {
		names = append(names, tag.Name)
	}
	return strings.Join(names, ",")
}

// wantNotes checks who has which notes, and tags of the same words, and that a rebuild
// leaves them alone.
func wantNotes(t testing.TB, s *store.Store, url string, want map[string]string) {
	t.Helper()
	for _, when := range []string{"then", "after a rebuild"} {
		got := map[string]string{}
		for email := range want {
			got[email] = noted(t, s, url, email)
			if tags := tagged(t, s, url, email); tags != got[email] {
				t.Errorf("%s: the notes of %s are %q, the tags %q", when, email, got[email], tags)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		if diff, err := s.Rebuild(t.Context(), "", nil); err != nil || diff.Sum() != 0 {
			t.Errorf("rebuild: %+v %v", diff, err)
		}
	}
}

// Messages in, notes where they belong.
func TestNotesFollow(t *testing.T) {
	var e teller
	a, b := e.user("user_a", "a@x.example", "verified"), e.user("user_b", "b@x.example", "verified")
	inA, inB := e.enrolled("c1", `"user_id":"user_a"`), e.enrolled("c1", `"user_id":"user_b"`)
	guestB := e.enrolled("c2", `"email":"b@x.example"`)
	saleA := e.sale("pi_1", "a@x.example", `{"storeId":"s1","productId":"p"}`)
	move := func(user, to string) store.NewEvent { return e.user(user, to+"@x.example", "verified") }
	for name, c := range map[string]struct {
		before, after []store.NewEvent // the notes are written in between, each called as its address
		want          map[string]string
	}{
		"a move": {[]store.NewEvent{a, inA}, []store.NewEvent{move("user_a", "c")},
			map[string]string{"c": "a"}},
		"two moves, one by one": {[]store.NewEvent{a, inA}, []store.NewEvent{move("user_a", "c"), move("user_a", "d")},
			map[string]string{"d": "a"}},
		"a move and back": {[]store.NewEvent{a, inA}, []store.NewEvent{move("user_a", "c"), move("user_a", "a")},
			map[string]string{"a": "a"}},
		"a merge, who moves is older": {[]store.NewEvent{a, inA, guestB}, []store.NewEvent{move("user_a", "b")},
			map[string]string{"b": "a,b"}},
		"a merge, who is there is": {[]store.NewEvent{guestB, a, inA}, []store.NewEvent{move("user_a", "b")},
			map[string]string{"b": "a,b"}},
		"three in one place": {[]store.NewEvent{a, inA, b, inB, e.enrolled("c1", `"email":"c@x.example"`)},
			[]store.NewEvent{move("user_a", "c"), move("user_b", "c")}, map[string]string{"c": "a,b,c"}},
		"a chain": {[]store.NewEvent{a, inA, b, inB},
			[]store.NewEvent{move("user_b", "c"), move("user_a", "b")}, map[string]string{"b": "a", "c": "b"}},
		"a guest comes along": {[]store.NewEvent{a, inA, saleA}, []store.NewEvent{move("user_a", "c")},
			map[string]string{"c": "a"}},
		"another address at Stripe": {
			[]store.NewEvent{a, inA, e.stripe("customer.created", "", `{"id":"cus_1","email":"a@x.example"}`),
				e.stripe("checkout.session.completed", "",
					`{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
						`"payment_intent":"pi_9","customer":"cus_1","metadata":{"storeId":"s1","productId":"p"}}`)},
			[]store.NewEvent{move("user_a", "c"), e.stripe("customer.updated", "", `{"id":"cus_1","email":"d@x.example"}`)},
			map[string]string{"c": "a", "d": ""}},
		"another store": {
			[]store.NewEvent{a, inA, e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`)},
			[]store.NewEvent{e.platform("enrollment.upserted", `{"course_id":"c9","store_id":"s2","user_id":"user_a"}`),
				move("user_a", "c")}, map[string]string{"c": "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := openURL(t)
			apply(t, s, c.before, 1)
			for _, email := range query(t, url, `SELECT email FROM customers WHERE store_id = 's1' ORDER BY email`) {
				mark(t, s, url, email, email[:1])
			}
			apply(t, s, c.after, 1)
			want := map[string]string{}
			for k, v := range c.want {
				want[k+"@x.example"] = v
			}
			wantNotes(t, s, url, want)
		})
	}
}

// In one transaction everybody's notes go at once: nobody's are taken for those
// of who comes to where they were.
func TestNotesFollowAllAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		younger string // who was told last
		to      map[string]string
	}{
		"a chain, the first older":  {"user_b", map[string]string{"user_a": "b", "user_b": "c"}},
		"a chain, the second older": {"user_a", map[string]string{"user_a": "b", "user_b": "c"}},
		"a swap":                    {"user_b", map[string]string{"user_a": "b", "user_b": "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := openURL(t)
			var e teller
			first := []store.NewEvent{e.user("user_a", "a@x.example", "verified"), e.enrolled("c1", `"user_id":"user_a"`)}
			second := []store.NewEvent{e.user("user_b", "b@x.example", "verified"), e.enrolled("c2", `"user_id":"user_b"`)}
			if c.younger == "user_a" {
				first, second = second, first
			}
			apply(t, s, append(first, second...), 1)
			mark(t, s, url, "a@x.example", "of a")
			mark(t, s, url, "b@x.example", "of b")
			apply(t, s, []store.NewEvent{e.user("user_a", c.to["user_a"]+"@x.example", "verified"),
				e.user("user_b", c.to["user_b"]+"@x.example", "verified")}, 2)
			wantNotes(t, s, url, map[string]string{c.to["user_a"] + "@x.example": "of a", c.to["user_b"] + "@x.example": "of b"})
		})
	}
}

// A customer whom nothing speaks of any more is gone; who comes back finds the
// notes as they were.
func TestNotesOutliveTheRow(t *testing.T) {
	s, url := openURL(t)
	var e teller
	sale := func(typ string) store.NewEvent {
		return e.sale("pi_1", "a@x.example", `{"storeId":"s1","productId":"p","productType":"`+typ+`"}`)
	}
	apply(t, s, []store.NewEvent{sale("course")}, 1)
	before := idAt(t, url, "s1", "a@x.example")
	mark(t, s, url, "a@x.example", "kept")
	apply(t, s, []store.NewEvent{sale("creator_plan")}, 1) // of the platform's own: nobody's customer
	wantRows(t, url, customersSQL)
	if _, err := customers.New(s).Notes(t.Context(), "s1", before, 0, 10); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("%v", err)
	}
	apply(t, s, []store.NewEvent{sale("course")}, 1)
	wantNotes(t, s, url, map[string]string{"a@x.example": "kept"})
}

// A note written while its customer moves goes with them.
func TestNoteDuringMove(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`)}, 1)
	id := idAt(t, url, "s1", "a@x.example")
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, `BEGIN; UPDATE customers SET email = 'b@x.example'`); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		_, err := customers.New(s).AddNote(ctx, "s1", id, customers.NewNote{Body: "in between", Author: "admin"})
		written <- err
	}()
	for len(query(t, url, `SELECT 'waits' FROM pg_stat_activity WHERE datname = current_database()
		AND wait_event_type = 'Lock'`)) == 0 {
		select {
		case err := <-written:
			t.Fatalf("the note did not wait: %v", err)
		default:
		}
	}
	if _, err := conn.Exec(ctx, `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT email || ' ' || body FROM customer_notes`, "b@x.example in between")
}

func TestNotes(t *testing.T) {
	s, url := openURL(t)
	ctx := t.Context()
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`), e.enrolled("c1", `"email":"b@x.example"`),
		e.platform("enrollment.upserted", `{"course_id":"c2","store_id":"s2","email":"a@x.example"}`)}, 1)
	id, other, elsewhere := idAt(t, url, "s1", "a@x.example"), idAt(t, url, "s1", "b@x.example"),
		idAt(t, url, "s2", "a@x.example")
	if none, err := customers.New(s).Notes(ctx, "s1", id, 0, 10); err != nil || none == nil || len(none) != 0 {
		t.Errorf("%v %v", none, err)
	}
	var notes []customers.Note
	for i, body := range []string{"  one\r\ntwo\n ", `<script>alert('x')</script> '; DROP TABLE customer_notes; -- $1 %s`,
		strings.Repeat("é", 5000)} {
		author := []string{"admin", "user:user_1", "token:7"}[i]
		n, err := customers.New(s).AddNote(ctx, "s1", id, customers.NewNote{Body: body, Author: author})
		if err != nil || n.Author != author || n.CreatedAt.IsZero() || !n.UpdatedAt.Equal(n.CreatedAt) {
			t.Fatalf("%+v %v", n, err)
		}
		notes = append([]customers.Note{n}, notes...)
	}
	if notes[2].Body != "one\ntwo" {
		t.Errorf("%q", notes[2].Body)
	}
	all, err := customers.New(s).Notes(ctx, "s1", id, 0, 10)
	if diff := cmp.Diff(notes, all); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	latest := fmt.Sprint(notes[0].ID)
	older, err := customers.New(s).Notes(ctx, "s1", id, notes[0].ID, 1)
	if diff := cmp.Diff(notes[1:2], older); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	edited, err := customers.New(s).EditNote(ctx, "s1", id, latest,
		customers.NewNote{Body: " better ", Author: "user:user_2"})
	if err != nil || edited.Body != "better" || edited.Author != "token:7" || edited.Editor != "user:user_2" ||
		!edited.UpdatedAt.After(edited.CreatedAt) {
		t.Errorf("%+v %v", edited, err)
	}

	for _, at := range []struct{ store, customer, note string }{
		{"s1", other, latest}, {"s2", id, latest}, {"s2", elsewhere, latest}, {"s1", id, "0"}, {"s1", id, "999"},
		{"s1", id, "x"}, {"s1", id, ""},
		{"s1", id, "1\x00"}, {"s1", "x", latest}, {"s1\x00", id, latest}, {"", id, latest},
		{"s1", "99999999999999999999", latest},
	} {
		if n, err := customers.New(s).EditNote(ctx, at.store, at.customer, at.note,
			customers.NewNote{Body: "mine now", Author: "admin"}); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%q: %+v %v", at, n, err)
		}
		if err := customers.New(s).DeleteNote(ctx, at.store, at.customer, at.note); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%q: %v", at, err)
		}
	}
	for _, at := range [][2]string{{"s2", id}, {"s1", elsewhere}, {"s1", "x"}, {"s1", "-1"}, {"\xff", id}} {
		if n, err := customers.New(s).Notes(ctx, at[0], at[1], 0, 10); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%q: %v %v", at, n, err)
		}
		if n, err := customers.New(s).AddNote(ctx, at[0], at[1], customers.NewNote{Body: "x", Author: "admin"}); !errors.Is(
			err, pg.ErrNotFound) {
			t.Errorf("%q: %v %v", at, n, err)
		}
	}
	for _, body := range []string{"", " \r\n\t ", "a\x00b", "\xff", strings.Repeat("x", 5001)} {
		var bad *pg.BadParam
		if n, err := customers.New(s).AddNote(ctx, "s1", id, customers.NewNote{Body: body, Author: "admin"}); !errors.As(
			err, &bad) || bad.Name != "body" {
			t.Errorf("%.10q: %v %v", body, n, err)
		}
		if n, err := customers.New(s).EditNote(ctx, "s1", id, latest,
			customers.NewNote{Body: body, Author: "admin"}); !errors.As(err, &bad) {
			t.Errorf("%.10q: %v %v", body, n, err)
		}
	}
	if n, err := customers.New(s).AddNote(ctx, "s1", id, customers.NewNote{Body: "x", Author: "somebody"}); err == nil {
		t.Errorf("an author who is none: %+v", n)
	}
	if err := customers.New(s).DeleteNote(ctx, "s1", id, latest); err != nil {
		t.Error(err)
	}
	left, err := customers.New(s).Notes(ctx, "s1", id, 0, 10)
	if diff := cmp.Diff(notes[1:], left); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}
