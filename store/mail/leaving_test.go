package mail_test

import (
	"testing"
	"time"

	"rollcall/facts"
	plain "rollcall/mail"
	"rollcall/store"
	"rollcall/store/mail"
)

// backAgain has ann be a customer of s1 again, who agreed to marketing, with a mail that is due.
var backAgain = []string{
	`INSERT INTO customers (store_id, email, type) VALUES ('s1', 'ann@x.example', 'lead') ON CONFLICT DO NOTHING`,
	`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		VALUES ('s1', '', 'ann@x.example', 'marketing', 'granted', now(), 'import', '9') ON CONFLICT DO NOTHING`,
	due("", ""),
}

// The link of a mail goes on working when its row is gone: with the person, by an erasure, or for its age. What it
// stops is known without naming anyone, and holds should they come back; they can undo it there. A link of the id alone
// changes nothing then.
func TestLeavingByMailsThatAreGone(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(*store.Store, *mail.Mails) error{
		"kept": func(*store.Store, *mail.Mails) error { return nil },
		"erased": func(s *store.Store, _ *mail.Mails) error {
			return s.Erase(t.Context(), store.Erasing{Email: "ann@x.example"}, store.EraseOptions{Read: facts.Read})
		},
		"pruned": func(_ *store.Store, m *mail.Mails) error {
			exec(t, m, `UPDATE mails SET made_at = now() - interval '2 years 1 day'`)
			return m.Prune(t.Context())
		},
		"of another by now, as a backup was restored": func(_ *store.Store, m *mail.Mails) error {
			exec(t, m, `UPDATE mails SET email = 'bob@x.example', campaign_id = 'c9'`)
			return nil
		},
	} {
		s := open(t, due("", ""))
		m, r := mail.New(s, nil), mail.NewRecipients(s)
		turn := take(t, m, noon)
		b, err := m.Claim(t.Context(), turn, noon, 100)
		if err != nil || len(b.Mails) != 1 {
			t.Fatal(b, err)
		}
		if _, err := m.Next(t.Context(), turn, []mail.Move{{Begin: &b.Mails[0]}}, "smtp"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Next(t.Context(), turn, []mail.Move{{Done: &mail.Done{Mail: b.Mails[0], Provider: "smtp", At: noon,
			Outcome: plain.Outcome{Status: plain.Sent}}}}, "smtp"); err != nil {
			t.Fatal(err)
		}
		keys, err := r.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ticket, ok := keys.ReadLeave(keys.Leave(b.Mails[0].Ticket("s1")))
		if err := gone(s, m); !ok || err != nil {
			t.Fatal(name, ok, err)
		}
		if name != "kept" {
			want(t, m, `SELECT email FROM mails WHERE email LIKE 'ann%'`)
			if standing, err := r.Standing(t.Context(), ticket); err != nil || standing.StoreName != "Ava's" ||
				standing.Class != "marketing" || standing.Campaign != "c1" || standing.Consent != "" || standing.Tracked {
				t.Errorf("%s: %+v %v", name, standing, err)
			}
		}
		if err := r.OneClick(t.Context(), ticket, noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if standing, err := r.Standing(t.Context(), ticket); err != nil || !standing.Stops(mail.ThisStore) {
			t.Errorf("%s, after leaving: %+v %v", name, standing, err)
		}
		stopsOfAnn := `SELECT store_id || '/' || campaign_id || '/' || reason FROM mail_stops WHERE hash = ` + hashOfAnn
		want(t, m, stopsOfAnn+` ORDER BY 1`, "s1//unsubscribed", "s1/c1/unsubscribed")
		want(t, m, `SELECT count(*)::text FROM mail_stops`, "2") // and of no one else
		exec(t, m, backAgain...)
		exec(t, m, `UPDATE mail_settings SET rest_until = '-infinity', lease_until = NULL`)
		if got := claim(t, m, noon); len(got) > 0 {
			t.Errorf("%s: %+v is mailed, who left", name, got)
		}
		if err := r.Resubscribe(t.Context(), ticket, true); err != nil {
			t.Fatal(err)
		}
		want(t, m, stopsOfAnn)
	}
}

// A recipient who lives at another address by now leaves at both.
func TestLeavingAfterAMove(t *testing.T) {
	t.Parallel()
	s := open(t, due("", ""))
	m, r := mail.New(s, nil), mail.NewRecipients(s)
	c := claim(t, m, noon)[0]
	exec(t, m, `UPDATE mails SET email = 'bob@x.example'`)
	hashes := `SELECT email FROM customers WHERE ` + store.AddressHash("email") + ` IN (SELECT hash FROM mail_stops)
		ORDER BY email`
	for _, scope := range []string{mail.ThisKind, mail.ThisStore, mail.AllStores} {
		if err := r.Unsubscribe(t.Context(), c.Ticket("s1"), scope, noon); err != nil {
			t.Fatal(err)
		}
		want(t, m, hashes, "ann@x.example", "bob@x.example")
		if err := r.Resubscribe(t.Context(), c.Ticket("s1"), true); err != nil {
			t.Fatal(err)
		}
		want(t, m, hashes)
	}
}

// A recipient whose mail is not stored any more, and who has another address by now, leaves at both, and comes back at
// both: whether their user has another, or they are one with another customer. Others who have the address now do not.
func TestLeavingAfterAMoveByMailsThatAreGone(t *testing.T) {
	t.Parallel()
	for name, moved := range map[string]string{
		"moved": `INSERT INTO links (relation, subject, object, since, hearsay)
			VALUES ('address', 'user_1', 'ann@x.example', '', false)`,
		"merged": `INSERT INTO customer_merges (store_id, from_id, from_email, into_id, into_email)
			SELECT 's1', 77, 'ann@x.example', id, 'between@x.example' FROM customers WHERE email = 'new@x.example'`,
	} {
		s := open(t, due("", ""),
			`INSERT INTO customers (store_id, email) VALUES ('s1', 'new@x.example'), ('s2', 'new@x.example')`,
			`INSERT INTO users (id, email, version, deleted_version) VALUES ('user_1', 'new@x.example', '1', '')`, moved)
		m, r := mail.New(s, nil), mail.NewRecipients(s)
		ticket := claim(t, m, noon)[0].Ticket("s1")
		exec(t, m, `DELETE FROM mails`)
		hashes := `SELECT store_id || ' ' || email FROM customers WHERE ` + store.AddressHash("email") + ` IN (
			SELECT hash FROM mail_stops WHERE store_id = 's1') ORDER BY 1`
		if err := r.OneClick(t.Context(), ticket, noon); err != nil {
			t.Fatal(err)
		}
		want(t, m, hashes, "s1 ann@x.example", "s1 new@x.example", "s2 new@x.example")
		want(t, m, `SELECT DISTINCT store_id FROM mail_stops`, "s1")
		if err := r.Resubscribe(t.Context(), ticket, true); err != nil {
			t.Fatal(name, err)
		}
		want(t, m, hashes)
	}
}

// Who wants no news any more gets none of the mail's kind either, from this store, also if it is of service by then;
// other service still comes. It is one press, so it counts once. Back again, both come.
func TestNoNewsEndsTheKind(t *testing.T) {
	t.Parallel()
	for press, stops := range map[[2]string][]string{
		{mail.ThisStore, "service"}:   {"s1/", "s1/c1"},
		{mail.AllStores, "service"}:   {"/", "s1/c1"},
		{mail.ThisStore, "marketing"}: {"s1/", "s1/c1"},
		{mail.AllStores, "marketing"}: {"/", "s1/c1"},
	} {
		scope := press[0]
		s := open(t, due("", ""), due("", ""), due("", ""), `UPDATE mails SET class = '`+press[1]+`'`,
			`UPDATE mails SET campaign_id = 'c9' WHERE id = 3`)
		m, r := mail.New(s, nil), mail.NewRecipients(s)
		ticket := plain.Ticket{Mail: 1}
		if err := r.Unsubscribe(t.Context(), ticket, scope, noon); err != nil {
			t.Fatal(err)
		}
		exec(t, m, `UPDATE mails SET class = 'service'`)
		const all = `SELECT store_id || '/' || campaign_id FROM mail_stops ORDER BY 1`
		want(t, m, all, stops...)
		want(t, m, `SELECT count(*)::text FROM `+mail.Story("unsubscribed")+` r`, "1")
		if got, err := r.Standing(t.Context(), ticket); err != nil || !got.Stops(mail.ThisKind) || !got.StopsNews() {
			t.Errorf("%s: %+v %v", scope, got, err)
		}
		if got := claim(t, m, noon); len(got) != 1 || got[0].ID != 3 {
			t.Errorf("%s: %+v is mailed", scope, got)
		}
		if err := r.Resubscribe(t.Context(), ticket, scope == mail.AllStores); err != nil {
			t.Fatal(err)
		}
		want(t, m, all)
	}
}

// Mail again from one store lifts what was stopped there. That no store shall send news stays, unless all are asked
// for.
func TestBackAtOneStore(t *testing.T) {
	t.Parallel()
	s := open(t, due("", ""), due("", ""), `UPDATE mails SET store_id = 's2' WHERE id = 2`)
	m, r := mail.New(s, nil), mail.NewRecipients(s)
	ava, bob := plain.Ticket{Mail: 1}, plain.Ticket{Mail: 2}
	for _, do := range []error{
		r.Unsubscribe(t.Context(), bob, mail.ThisStore, noon),
		r.Unsubscribe(t.Context(), bob, mail.AllStores, noon),
		r.Unsubscribe(t.Context(), ava, mail.ThisStore, noon),
		r.Resubscribe(t.Context(), ava, false),
	} {
		if do != nil {
			t.Fatal(do)
		}
	}
	const all = `SELECT store_id || '/' || campaign_id FROM mail_stops ORDER BY 1`
	want(t, m, all, "/", "s2/", "s2/c1")
	if err := r.Resubscribe(t.Context(), ava, true); err != nil {
		t.Fatal(err)
	}
	want(t, m, all, "s2/", "s2/c1")
}

// The page offers mail again only if it comes: where a consent is missing, it does not.
func TestWhatResumes(t *testing.T) {
	t.Parallel()
	const none, no = `DELETE FROM mail_consents`, `UPDATE mail_consents SET state = 'denied'`
	for name, c := range map[string]struct {
		class, scope     string
		sql              []string
		resumes, refuses bool
	}{
		"they agreed":                 {"marketing", mail.ThisStore, nil, true, false},
		"they said no":                {"marketing", mail.ThisStore, []string{no}, false, true},
		"no word":                     {"marketing", mail.ThisStore, []string{none}, false, false},
		"no word, and they paid":      {"marketing", mail.ThisStore, []string{none, paying, soft}, true, false},
		"a lead where paid is enough": {"marketing", mail.ThisStore, []string{none, soft}, false, false},
		"no, though they paid":        {"marketing", mail.ThisStore, []string{no, paying, soft}, false, true},
		"service, which needs none":   {"service", mail.ThisKind, []string{no}, true, true},
		"service, and news stopped":   {"service", mail.ThisStore, []string{no}, true, true},
		"service of no kind, but news stopped": {"service", mail.ThisStore, []string{no,
			`UPDATE mails SET campaign_id = ''`}, false, true},
	} {
		s := open(t, append([]string{due("", ""), `UPDATE mails SET class = '` + c.class + `'`}, c.sql...)...)
		r := mail.NewRecipients(s)
		ticket := plain.Ticket{Mail: 1}
		if err := r.Unsubscribe(t.Context(), ticket, c.scope, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Standing(t.Context(), ticket); err != nil || got.Resumes() != c.resumes ||
			got.Refuses() != c.refuses {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}
