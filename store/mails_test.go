package store_test

import (
	"errors"
	"testing"

	"rollcall/store"
)

const (
	// mailsToAll are mails of two keys to each customer.
	mailsToAll = `INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after)
		SELECT store_id, email, 'marketing', 'c1', 'a', o, 1, now(), now() FROM customers, unnest(ARRAY['x', 'y']) o`
	sentFrom = `UPDATE mails SET status = 'sent', sent_at = now(), claimed_at = now()
		WHERE occurrence = 'x' AND email LIKE `
	whose = `SELECT concat_ws(' ', split_part(email, '@', 1), occurrence, status, CASE WHEN twin <> 0 THEN 'twin' END)
		FROM mails ORDER BY 1`
)

// Mails follow a customer to another address. Of two with one key, one is the twin of the other,
// which has the key: so no campaign can make it again.
func TestMailsFollow(t *testing.T) {
	t.Parallel()
	var e teller
	a, b := e.user("user_a", "a@x.example", "verified"), e.user("user_b", "b@x.example", "verified")
	inA, inB := e.enrolled("c1", `"user_id":"user_a"`), e.enrolled("c1", `"user_id":"user_b"`)
	move := func(user, to string) store.NewEvent { return e.user(user, to+"@x.example", "verified") }
	for name, c := range map[string]struct {
		before []store.NewEvent
		sql    string
		after  []store.NewEvent
		want   []string
	}{
		"a move": {[]store.NewEvent{a, inA}, sentFrom + `'a%'`, []store.NewEvent{move("user_a", "c")},
			[]string{"c x sent", "c y due"}},
		"a move and back": {[]store.NewEvent{a, inA}, sentFrom + `'a%'`,
			[]store.NewEvent{move("user_a", "c"), move("user_a", "a")}, []string{"a x sent", "a y due"}},
		"a merge, who moves had it": {[]store.NewEvent{a, inA, e.enrolled("c2", `"email":"b@x.example"`)}, sentFrom + `'a%'`,
			[]store.NewEvent{move("user_a", "b")}, []string{"b x due", "b x sent twin", "b y due", "b y due twin"}},
		"a merge, who is there had it": {[]store.NewEvent{a, inA, e.enrolled("c2", `"email":"b@x.example"`)},
			sentFrom + `'b%'`, []store.NewEvent{move("user_a", "b")},
			[]string{"b x due twin", "b x sent", "b y due", "b y due twin"}},
		"a chain": {[]store.NewEvent{a, inA, b, inB}, sentFrom + `'a%'`,
			[]store.NewEvent{move("user_b", "c"), move("user_a", "b")}, []string{"b x sent", "b y due", "c x due", "c y due"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := openURL(t)
			apply(t, s, c.before, 1)
			for _, sql := range []string{mailsToAll, c.sql} {
				if _, err := execute(t, url, sql); err != nil {
					t.Fatal(err)
				}
			}
			apply(t, s, c.after, 1)
			wantRows(t, url, whose, c.want...)
			wantRows(t, url, `SELECT 'twice: ' || occurrence FROM mails WHERE twin = 0
				GROUP BY campaign_id, step, email, occurrence HAVING count(*) <> 1`)
		})
	}
}

// An erasure removes the mails of a person; that they want none stays, without their name.
func TestMailsErased(t *testing.T) {
	t.Parallel()
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`),
		e.sale("pi_2", "bob@x.example", `{"storeId":"s1","productId":"p"}`)}, 1)
	for _, sql := range []string{mailsToAll,
		`INSERT INTO mailbox (mail_id, raw, at) SELECT id, 'To: ann@x.example', now() FROM mails WHERE email LIKE 'ann%'`,
		`INSERT INTO mail_events (source, event_id, mail_id, kind, at, detail)
			SELECT 'resend', id, id, 'bounced', now(), 'ann@x.example' FROM mails WHERE email LIKE 'ann%'`,
		`INSERT INTO mail_stops (store_id, hash, reason, since)
			SELECT '', ` + store.AddressHash(`'ann@x.example'`) + `, 'hard', now()`} {
		if _, err := execute(t, url, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	unnamed(t, url, ann...)
	wantRows(t, url, `SELECT email FROM mails ORDER BY id`, "bob@x.example", "bob@x.example")
	wantRows(t, url, `SELECT mail_id::text FROM mailbox`)
	wantRows(t, url, `SELECT reason FROM mail_stops WHERE hash = `+store.AddressHash(`'ann@x.example'`), "hard")
}

// Where people want no mail, a lost key is not replaced: their hashes would fit no address any more.
func TestStopsNeedTheKey(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	for _, sql := range []string{`INSERT INTO mail_stops (store_id, hash, reason, since)
		SELECT '', ` + store.AddressHash(`'ann@x.example'`) + `, 'hard', now()`, `DELETE FROM erasure_key`} {
		if _, err := execute(t, url, sql); err != nil {
			t.Fatal(err)
		}
	}
	err := s.Erase(t.Context(), store.Erasing{Email: "bob@x.example"}, store.EraseOptions{})
	if !errors.Is(err, store.ErrErasureKey) {
		t.Errorf("erased: %v", err)
	}
	wantRows(t, url, `SELECT 'made' FROM erasure_key`)
}
