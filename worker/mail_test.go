package worker

import (
	"context"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/smtpsink"
	sending "rollcall/mail"
	"rollcall/store"
	storemail "rollcall/store/mail"
)

// newMailSite makes a site with store s1, whose worker sends to a sink, and mails due to people.
func newMailSite(t *testing.T, to ...string) (*site, *smtpsink.Sink) {
	t.Helper()
	s, sink := newSite(t, nil), smtpsink.Start(t)
	smtp, err := sending.NewSMTP(sink.URL, "r.example")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smtp.Close)
	s.Worker.cfg.Mail = &Mail{Sender: smtp, From: mail.Address{Address: "mail@p.example"}, URL: "https://r.example"}
	for _, sql := range []string{
		`INSERT INTO stores (id, name, version) VALUES ('s1', 'Ava''s', '1')`,
		`INSERT INTO mail_settings (store_id, quiet_from, quiet_to) VALUES ('s1', NULL, NULL)`,
		`INSERT INTO mail_bodies (store_id, campaign_id, step, version, subject, markdown)
			VALUES ('s1', 'c1', 'a', 1, 'Hi {first_name}', 'Hello from {store}')`,
	} {
		s.exec(sql)
	}
	s.exec(`INSERT INTO customers (store_id, email, name) SELECT 's1', e, 'Ann Li' FROM unnest($1::text[]) e`, to)
	s.exec(`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after)
		SELECT 's1', e, 'service', 'c1', 'a', 'o', 1, now(), now() + interval '1 day' FROM unnest($1::text[]) e`, to)
	return s, sink
}

// selects compares what a query selects.
func (s *site) selects(sql string, want ...string) {
	s.Helper()
	rows, err := s.pool.Query(s.Context(), sql)
	if err != nil {
		s.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || !slices.Equal(got, want) {
		s.Errorf("%s: %q, want %q (%v)", sql, got, want, err)
	}
}

// turns takes turns until there is nothing to do.
func (s *site) turns() {
	s.Helper()
	m := s.mailer()
	for {
		worked, err := m.turn(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		if !worked {
			return
		}
	}
}

// What servers answer becomes rows; no mail is in the way of another.
func TestMailOutcomes(t *testing.T) {
	t.Parallel()
	s, sink := newMailSite(t, "ann@x.example", "bob@x.example", "cut-1@x.example", "data451-1@x.example",
		"data554.5.7.1-1@x.example", "rcpt421-1@x.example", "rcpt550.5.1.1-1@x.example", "rcpt552.5.2.2-1@x.example")
	s.turns()
	s.selects(`SELECT concat_ws(' ', split_part(email, '@', 1), status, reason, tries) FROM mails ORDER BY 1`,
		"ann sent 1", "bob sent 1", "cut-1 unknown cut 1", "data451-1 due later 1",
		"data554.5.7.1-1 failed ours 1", "rcpt421-1 due later 1", "rcpt550.5.1.1-1 failed hard 1",
		"rcpt552.5.2.2-1 failed soft 1")
	s.selects(`SELECT reason || ' ' || count(*) FROM mail_stops GROUP BY reason`, "hard 1")
	if n := sink.Count(); n != 3 {
		t.Errorf("the server accepted %d", n)
	}
	s.selects(`SELECT status FROM mails WHERE due_at > now() + interval '100 seconds' AND status = 'due'`, "due", "due")
	s.exec(`UPDATE mails SET due_at = now() WHERE status = 'due'`)
	s.exec(`UPDATE mails SET not_after = now() + interval '1 minute' WHERE email LIKE 'rcpt421%'`)
	s.turns()
	s.selects(`SELECT concat_ws(' ', split_part(email, '@', 1), status, reason) FROM mails WHERE tries > 1 ORDER BY 1`,
		"data451-1 due later", "rcpt421-1 failed soft")
}

// The link to unsubscribe says what outlives the mail's row: an erasure, or two years.
func TestMailSaysItsTicket(t *testing.T) {
	t.Parallel()
	s, sink := newMailSite(t, "ann@x.example")
	s.turns()
	keys, err := storemail.NewRecipients(s.cfg.Store).Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw := strings.ReplaceAll(string(sink.Log()[0].Raw), "=\r\n", "")
	_, link, _ := strings.Cut(raw, "https://r.example/mail/u/")
	ticket, _ := keys.ReadLeave(link[:strings.IndexAny(link, "\r\n\" ")])
	s.exec(`CREATE TABLE said AS SELECT $1::bytea AS hash`, ticket.Hash)
	s.selects(`SELECT (hash = `+store.AddressHash("'ann@x.example'")+`)::text FROM said`, "true")
	if ticket.Mail != 1 || ticket.Store != "s1" || ticket.Campaign != "c1" || ticket.Class != "service" {
		t.Errorf("%+v", ticket)
	}
}

// Of a provider that is away no mail has a fault: all stay due, the lane rests, and goes on by itself.
func TestMailProviderAway(t *testing.T) {
	t.Parallel()
	s, sink := newMailSite(t, "ann@x.example", "bob@x.example")
	there := s.Worker.cfg.Mail.Sender
	away, err := sending.NewSMTP("smtp://127.0.0.1:1?tls=off", "")
	if err != nil {
		t.Fatal(err)
	}
	s.Worker.cfg.Mail.Sender = away
	s.turns()
	s.selects(`SELECT status FROM mails`, "due", "due")
	s.selects(`SELECT (failing_since IS NOT NULL AND rest_until > now() AND trouble <> '')::text
		FROM mail_settings`, "true")
	s.exec(`UPDATE mail_settings SET rest_until = now()`)
	s.Worker.cfg.Mail.Sender = there
	s.turns()
	s.selects(`SELECT status FROM mails`, "sent", "sent")
	if n := sink.Count(); n != 2 {
		t.Errorf("the server accepted %d", n)
	}
	s.selects(`SELECT (failing_since IS NULL AND trouble = '')::text FROM mail_settings`, "true")
}

// Who leaves while mails go out gets none later than the dialogue that had begun.
func TestMailStopsWhileSending(t *testing.T) {
	t.Parallel()
	s, sink := newMailSite(t, "ann@x.example", "bob@x.example", "cat@x.example", "dan@x.example")
	// All are claimed at once; as the first is sent, all others leave.
	var left bool
	sink.Before = func(string) {
		if left {
			return
		}
		left = true
		s.exec(`INSERT INTO mail_stops (store_id, hash, reason, since)
			SELECT 's1', sha256((SELECT erasure_pad('5c')) || sha256((SELECT erasure_pad('36')) ||
				convert_to('address:' || email, 'UTF8'))), 'manual', now() FROM customers`)
	}
	s.mailer().oneLine(t, s)
	s.selects(`SELECT concat_ws(' ', status, reason) FROM mails ORDER BY id`,
		"sent", "skipped stopped", "skipped stopped", "skipped stopped")
}

// oneLine is a turn whose mails go one after the other.
func (m *mailer) oneLine(t *testing.T, s *site) {
	t.Helper()
	m.lines = 1
	if _, err := m.turn(s.Context()); err != nil {
		t.Fatal(err)
	}
}

// A store whose mails come back is paused, and another is not.
func TestMailBrakes(t *testing.T) {
	t.Parallel()
	var to []string
	for i := range 60 {
		name := "p"
		if i%10 == 0 {
			name = "rcpt550.5.1.1-"
		}
		to = append(to, name+string(rune('a'+i/26))+string(rune('a'+i%26))+"@x.example")
	}
	s, _ := newMailSite(t, to...)
	s.turns()
	s.selects(`SELECT paused_for FROM mail_settings`, "bounces")
	s.exec(`UPDATE mails SET status = 'due', reason = NULL, due_at = now(), sent_at = NULL, started_at = NULL`)
	s.turns()
	s.selects(`SELECT DISTINCT status FROM mails`, "due")
	if err := s.mailer().mails.Resume(context.Background(), "s1"); err != nil {
		t.Fatal(err)
	}
	s.turns()
	s.selects(`SELECT coalesce(paused_for, '') FROM mail_settings`, "") // those that do not exist are stopped by now
}

// asResend is a sender that is Resend by its name.
type asResend struct{ Sender }

func (asResend) Name() string { return "resend" }

// What a dead worker had begun is in doubt, unless its provider knows a mail that it has; the rest is sent.
func TestMailInterrupted(t *testing.T) {
	t.Parallel()
	s, sink := newMailSite(t, "ann@x.example", "bob@x.example", "cat@x.example", "dan@x.example")
	s.Worker.cfg.Mail.Sender = asResend{s.Worker.cfg.Mail.Sender}
	s.exec(`UPDATE mails SET status = 'sending', claimed_by = 'dead', claimed_at = now()`)
	s.exec(`UPDATE mails SET started_at = now(), provider = CASE WHEN email LIKE 'cat%' THEN 'resend' ELSE 'smtp' END
		WHERE email > 'b'`)
	s.exec(`UPDATE mails SET provider = 'resend', claimed_at = now() - interval '24 hours' WHERE email LIKE 'dan%'`)
	s.exec(`UPDATE mail_settings SET leased_by = 'dead', lease_until = now() - interval '1 s'`)
	s.turns()
	s.selects(`SELECT concat_ws(' ', split_part(email, '@', 1), status, reason) FROM mails ORDER BY 1`,
		"ann sent", "bob unknown interrupted", "cat sent", "dan unknown again")
	if n := sink.Count(); n != 2 {
		t.Errorf("%d accepted", n)
	}
}

// A lane that another worker has is left alone, and its mails too.
func TestMailLaneIsHeld(t *testing.T) {
	t.Parallel()
	s, sink := newMailSite(t, "ann@x.example")
	s.exec(`UPDATE mail_settings SET leased_by = 'other', lease_until = now() + interval '1 minute'`)
	s.turns()
	s.selects(`SELECT status FROM mails`, "due")
	if n := sink.Count(); n != 0 {
		t.Errorf("the server accepted %d", n)
	}
}

// Stores take turns: a large one is not in the way of a small one.
func TestMailTurns(t *testing.T) {
	t.Parallel()
	s, _ := newMailSite(t, "ann@x.example")
	s.exec(`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after)
		VALUES ('s2', 'bob@x.example', 'test', 'c1', 'a', 'o', 1, now(), now() + interval '1 day')`)
	m, first := s.mailer(), ""
	for range 2 {
		lane, ok, err := m.mails.Take(t.Context(), m.name, time.Now().Add(time.Minute))
		if err != nil || !ok || lane.Store == first {
			t.Fatal(lane, ok, err)
		}
		if first = lane.Store; m.mails.Release(t.Context(), lane, storemail.End{}) != nil {
			t.Fatal("not released")
		}
	}
}

// A server that takes no more connections than it has is no trouble: the line that was one too many ends, and its mail
// is due again.
func TestOneLineTooMany(t *testing.T) {
	t.Parallel()
	s, _ := newMailSite(t, "ann@x.example", "bob@x.example")
	m := s.mailer()
	m.Sender = full{}
	turn, ok, err := m.mails.Take(t.Context(), m.name, time.Now())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	b, err := m.mails.Claim(t.Context(), turn, time.Now(), 2)
	if err != nil || len(b.Mails) != 2 {
		t.Fatal(b, err)
	}
	l := &mailLane{mailer: m, Turn: turn, began: time.Now(), now: time.Now(), bodies: map[bodyKey]*sending.Body{},
		frames: map[sending.Around]*sending.Frame{}, leads: map[string]int64{},
		queue: make(chan storemail.Claimed, 2), moves: make(chan *lineMove)}
	if l.keys, err = l.links.Keys(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.queue <- b.Mails[0]
	l.queue <- b.Mails[1]
	close(l.queue) // a line that does not end by itself empties it, and the test fails instead of waiting
	go l.move(t.Context())
	l.line(t.Context(), MailLines+3)
	close(l.moves)
	if len(l.queue) != 1 || l.blocked() || m.lines != MailLines+3 {
		t.Errorf("%d mails wait for other lines, the turn is over: %v; %d lines", len(l.queue), l.blocked(), m.lines)
	}
	if err := l.finish(); err != nil {
		t.Fatal(err)
	}
	s.selects(`SELECT concat_ws(' ', status, tries) FROM mails ORDER BY id`, "due 1", "due 0")
}

// full is a server that takes no more connections.
type full struct{}

func (full) Name() string { return "smtp" }
func (full) Send(context.Context, sending.Message) sending.Outcome {
	return sending.Outcome{Status: sending.Due, Reason: sending.ReasonTrouble, Trouble: true, Answer: "421 too many"}
}
