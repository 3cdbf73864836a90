package mail_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/facts"
	"rollcall/store"
	storemail "rollcall/store/mail"
)

// reported is a webhook of Resend about a mail.
func reported(mailID int64, nth int, kind, bounce string) store.NewEvent {
	at := monday.Add(time.Duration(nth) * time.Hour).Format(time.RFC3339)
	return event("resend", fmt.Sprintf("msg_%d_%d_%s", mailID, nth, kind), "email."+kind, at,
		fmt.Sprintf(`{"type":"email.%[1]s","created_at":%[2]q,"data":{"email_id":"re_%[3]d","tags":{"mail":"%[3]d"}%[4]s}}`,
			kind, at, mailID, bounce))
}

const (
	gone = `,"bounce":{"type":"Permanent","subType":"General","message":"550 5.1.1 no such user"}`
	full = `,"bounce":{"type":"Transient","subType":"MailboxFull","message":"452 4.2.2 full"}`
	spam = `,"bounce":{"type":"Permanent","subType":"General","message":"554 5.7.1 rejected as spam"}`
)

// settled settles all events, as of two weeks later or now.
func settled(t testing.TB, r *storemail.Recipients, at time.Time) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = r.Settle(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
}

// outcome is what providers' reports led to.
func outcome(t testing.TB, s *store.Store) []string {
	t.Helper()
	return append(stopsOf(t, s), lines(t, s, `
		SELECT concat_ws(' ', 'mail', email, status, sent_at AT TIME ZONE 'UTC') FROM mails
		UNION ALL
		SELECT concat_ws(' ', source, event_id, mail_id IS NOT NULL, kind, verdict, detail, settled_at IS NOT NULL)
		FROM mail_events
		UNION ALL
		SELECT concat_ws(' ', 'since', reason, since AT TIME ZONE 'UTC', mail_id) FROM mail_stops
		ORDER BY 1`)...)
}

// What providers report leads to the same mails and stops in any order, told twice and applied again,
// before or after the outcome of sending is written.
func TestSettling(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	var unknown, sent, complained, hard, ours int64
	var softs []int64
	begin := func() {
		for _, table := range []string{"webhook_events", "mail_events", "mails", "mail_stops"} {
			run(t, s, `DELETE FROM `+table)
		}
		run(t, s, `ALTER TABLE mails ALTER COLUMN id RESTART WITH 1`)
		unknown = mailTo(t, s, "s1", "p1@x.example", "marketing", "unknown")
		sent = mailTo(t, s, "s1", "p1@x.example", "marketing", "sent")
		complained = mailTo(t, s, "s1", "p2@x.example", "service", "sent")
		hard = mailTo(t, s, "s2", "p1@x.example", "marketing", "sent")
		ours = mailTo(t, s, "s1", "p2@x.example", "marketing", "sent")
		softs = nil
		for range 6 {
			softs = append(softs, mailTo(t, s, "s1", "p3@x.example", "marketing", "sent"))
		}
	}
	begin()
	events := []store.NewEvent{
		reported(unknown, 1, "delivered", ""), reported(sent, 1, "delivered", ""),
		reported(complained, 1, "complained", ""), reported(complained, 3, "complained", ""),
		reported(hard, 2, "bounced", gone), reported(ours, 1, "bounced", spam),
		reported(sent, 4, "opened", ""),
	}
	for i, id := range softs[:5] {
		events = append(events, reported(id, i+1, "bounced", full), reported(id, i+1, "delivery_delayed", ""))
	}
	want := []string{
		"p1@x.example///hard", "p2@x.example/s1//complained", "p3@x.example/s1//soft",
		"mail p1@x.example sent 2026-03-02 12:00:00", "mail p1@x.example sent 2026-03-02 12:00:00",
		"mail p1@x.example sent 2026-03-02 13:00:00",
	}
	var first []string
	for seed := range uint64(8) {
		begin()
		order := slices.Clone(events)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		run(t, s, `UPDATE mails SET status = 'sending' WHERE id = $1`, unknown)
		for i, e := range append(order, order...) {
			if apply(t, s, e); i%3 == 0 {
				settled(t, r, monday)
			}
		}
		run(t, s, `UPDATE mails SET status = 'unknown' WHERE id = $1`, unknown)
		settled(t, r, monday.Add(time.Hour))
		got := outcome(t, s)
		if first == nil {
			first = got
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Fatalf("%q is not in\n%q", line, got)
				}
			}
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("told in the order %s:\n%s", idsOf(order), diff)
		}
		run(t, s, `UPDATE mail_events SET settled_at = NULL`)
		settled(t, r, monday.Add(time.Hour))
		if diff := cmp.Diff(first, outcome(t, s)); diff != "" {
			t.Errorf("settled again:\n%s", diff)
		}
	}
}

// Who opened a mail is kept of those alone who agreed to be tracked by a store that tracks them.
func TestOpensNeedConsent(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	for _, c := range []struct {
		tracking, consent, class string
		want                     int
	}{
		{"identified", "granted", "marketing", 1}, {"identified", "denied", "marketing", 0},
		{"identified", "granted", "test", 0}, {"counted", "granted", "marketing", 0}, {"off", "granted", "marketing", 0},
	} {
		run(t, s, `DELETE FROM webhook_events`)
		run(t, s, `DELETE FROM mail_events`)
		run(t, s, `DELETE FROM mail_consents`)
		run(t, s, `INSERT INTO mail_settings (store_id, tracking) VALUES ('s1', $1)
			ON CONFLICT (store_id) DO UPDATE SET tracking = $1`, c.tracking)
		run(t, s, `INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
			VALUES ('s1', '', 'p1@x.example', 'tracking', $1, '2026-01-01', 'page', 'v')`, c.consent)
		id := mailTo(t, s, "s1", "p1@x.example", c.class, "sent")
		apply(t, s, reported(id, 1, "opened", ""))
		apply(t, s, reported(id, 1, "delivered", ""))
		settled(t, r, monday.Add(2*time.Hour))
		if got := lines(t, s, `SELECT kind FROM mail_events WHERE settled_at IS NOT NULL ORDER BY kind DESC`); len(got) !=
			1+c.want || got[0] != []string{"delivered", "opened"}[c.want] {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// A delivery between soft bounces begins to count anew, also if it is reported last; what bounces
// twice is one mail.
func TestSoftBouncesInARow(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	var ids []int64
	for range 6 {
		ids = append(ids, mailTo(t, s, "s1", "p3@x.example", "marketing", "sent"))
	}
	for i, id := range ids[:4] {
		apply(t, s, reported(id, i+1, "bounced", full), reported(id, i+20, "bounced", full))
	}
	if settled(t, r, monday); len(stopsOf(t, s)) > 0 {
		t.Errorf("four mails, each twice: %q", stopsOf(t, s))
	}
	apply(t, s, reported(ids[4], 50, "bounced", full))
	if settled(t, r, monday); !slices.Equal(stopsOf(t, s), []string{"p3@x.example/s1//soft"}) {
		t.Errorf("five: %q", stopsOf(t, s))
	}
	apply(t, s, reported(ids[5], 49, "delivered", ""))
	if settled(t, r, monday); len(stopsOf(t, s)) > 0 {
		t.Errorf("a delivery before the fifth: %q", stopsOf(t, s))
	}
}

// An event that has only the provider's id finds its mail once that is known; one of another
// program waits a week, and is done.
func TestEventsWaitForTheirMail(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	id := mailTo(t, s, "s1", "p1@x.example", "marketing", "unknown")
	at := monday.Add(time.Hour).Format(time.RFC3339)
	for _, message := range []string{"re_ours", "re_other"} {
		apply(t, s, event("resend", "msg_"+message, "email.bounced", at,
			`{"created_at":"`+at+`","data":{"email_id":"`+message+`"`+gone+`}}`))
	}
	if settled(t, r, monday); len(stopsOf(t, s)) > 0 {
		t.Errorf("of a mail that is not known: %q", stopsOf(t, s))
	}
	run(t, s, `UPDATE mails SET provider = 'resend', provider_id = 're_ours' WHERE id = $1`, id)
	settled(t, r, monday)
	open := func() []string { return lines(t, s, `SELECT event_id FROM mail_events WHERE settled_at IS NULL`) }
	if got := stopsOf(t, s); !slices.Equal(got, []string{"p1@x.example///hard"}) ||
		!slices.Equal(open(), []string{"msg_re_other"}) {
		t.Errorf("stops %q, open %q", got, open())
	}
	if settled(t, r, monday.Add(8*24*time.Hour)); len(open()) > 0 {
		t.Errorf("a week later: %q", open())
	}
}

// What a provider reports of a mail of another program that shares the account is not of ours which has its id: ours
// did not go by that provider, or has another id there. It does not count for the brake either.
func TestReportsOfOtherPrograms(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	for name, set := range map[string]string{
		"kept in the mailbox": `provider = 'mailbox', provider_id = NULL`,
		"another provider":    `provider = 'postmark', provider_id = NULL`,
		"another id":          `provider = 'resend', provider_id = 're_ours'`,
		"never sent": `provider = 'resend', provider_id = NULL, status = 'skipped', reason = 'stopped',
			sent_at = NULL`,
		"begun after it": `provider = 'resend', provider_id = NULL, tries = 1, status = 'unknown', sent_at = NULL,
			claimed_at = claimed_at + interval '126 minutes'`,
		"by SMTP, after it": `tries = 1, claimed_at = claimed_at + interval '126 minutes'`,
		"made after it": `provider = 'resend', provider_id = NULL, tries = 2,
			made_at = made_at + interval '126 minutes'`,
		"kept, and named here": `provider = 'mailbox', provider_id = 're_named'`,
	} {
		id := mailTo(t, s, "s1", "p1@x.example", "marketing", "sent")
		run(t, s, `UPDATE mails SET `+set+` WHERE id = $1`, id)
		apply(t, s, reported(id, 1, "bounced", gone), reported(id, 2, "complained", ""))
		settled(t, r, monday)
		if got := stopsOf(t, s); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
		if got := lines(t, s, `SELECT event_id FROM mail_events WHERE mail_id IS NOT NULL`); len(got) > 0 {
			t.Errorf("%s: %q still name the mail", name, got)
		}
		run(t, s, `DELETE FROM mail_stops`)
	}
	for name, set := range map[string]string{
		"its own id":       `provider = 'resend', provider_id = 're_' || id`,
		"no id":            `provider = 'resend', provider_id = NULL, status = 'unknown', sent_at = NULL`,
		"by SMTP":          `provider = 'smtp', provider_id = 'queued4711'`,
		"tried once again": `provider = 'resend', provider_id = 're_last', tries = 2`,
		"by a slow clock":  `provider = 'resend', provider_id = NULL, claimed_at = claimed_at + interval '64 minutes'`,
		"its own id, and a wrong clock": `provider = 'resend', provider_id = 're_' || id,
			claimed_at = claimed_at + interval '1 day'`,
		"begun again after it": `provider = 'resend', provider_id = NULL, tries = 2, status = 'unknown', sent_at = NULL,
			claimed_at = claimed_at + interval '1 day'`,
	} {
		id := mailTo(t, s, "s1", "p1@x.example", "marketing", "sent")
		run(t, s, `UPDATE mails SET `+set+` WHERE id = $1`, id)
		apply(t, s, reported(id, 1, "bounced", gone))
		settled(t, r, monday)
		if got := stopsOf(t, s); !slices.Equal(got, []string{"p1@x.example///hard"}) {
			t.Errorf("%s: %q", name, got)
		}
		run(t, s, `DELETE FROM mail_stops`)
	}
}

// A mail that is to be repeated is sent already if the provider reports on it, and is not repeated. One that was never
// tried is left alone, and what names it waits until it was.
func TestReportsOfWhatIsDue(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	repeated, never := mailTo(t, s, "s1", "p1@x.example", "service", "due"), mailTo(t, s, "s1", "p2@x.example", "service",
		"due")
	run(t, s, `UPDATE mails SET provider = NULL, provider_id = NULL`)
	run(t, s, `UPDATE mails SET provider = 'resend', reason = 'again', tries = 1, claimed_at = $2 WHERE id = $1`, repeated,
		monday)
	apply(t, s, reported(repeated, 1, "delivered", ""), reported(never, 1, "bounced", gone))
	settled(t, r, monday)
	status := `SELECT concat_ws(' ', email, status, reason) FROM mails ORDER BY id`
	if got := lines(t, s, status); !slices.Equal(got, []string{"p1@x.example sent", "p2@x.example due"}) ||
		len(stopsOf(t, s)) > 0 {
		t.Errorf("%q, stops %q", got, stopsOf(t, s))
	}
	run(t, s, `UPDATE mails SET status = 'unknown', provider = 'resend', claimed_at = $2 WHERE id = $1`, never, monday)
	settled(t, r, monday)
	if got := lines(t, s, status); !slices.Equal(got, []string{"p1@x.example sent", "p2@x.example sent"}) ||
		!slices.Equal(stopsOf(t, s), []string{"p2@x.example///hard"}) {
		t.Errorf("once it was tried: %q, stops %q", got, stopsOf(t, s))
	}
}

// A test of a mail that is reported on stops no one.
func TestReportsOfTests(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	id := mailTo(t, s, "s1", "p1@x.example", "test", "unknown")
	apply(t, s, reported(id, 1, "bounced", gone), reported(id, 2, "complained", ""))
	settled(t, r, monday)
	if got := append(stopsOf(t, s), lines(t, s, `SELECT status FROM mails`)...); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("%q", got)
	}
}

// A report that says who got the mail is about a mail to them, however they are written; with the mail's own id at the
// provider it need not say so.
func TestReportsNameTheRecipient(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	for name, c := range map[string]struct {
		set, to string
		stops   int
	}{
		"them":                   {`NULL`, `,"to":["P1@x.example"]` + gone, 1},
		"them, by name":          {`NULL`, `,"to":["Pia <p1@x.example>"]` + gone, 1},
		"them, with escapes":     {`NULL`, `,"to":["Pia \u003cp1@x.example\u003e"]` + gone, 1},
		"no one":                 {`NULL`, gone, 1},
		"another":                {`NULL`, `,"to":["p2@x.example"]` + gone, 0},
		"one whose end is alike": {`NULL`, `,"to":["xp1@x.example"]` + gone, 0},
		"another, of its own id": {`'re_' || id`, `,"to":["old@x.example"]` + gone, 1},
	} {
		id := mailTo(t, s, "s1", "p1@x.example", "marketing", "sent")
		run(t, s, `UPDATE mails SET provider = 'resend', provider_id = `+c.set+` WHERE id = $1`, id)
		apply(t, s, reported(id, 1, "bounced", c.to))
		settled(t, r, monday)
		if got := stopsOf(t, s); len(got) != c.stops {
			t.Errorf("%s: %q", name, got)
		}
		run(t, s, `DELETE FROM mail_stops`)
	}
}

// So it is with what SES and Mailgun report, each in its own shape.
func TestReportsNameTheRecipientInTheirShapes(t *testing.T) {
	t.Parallel()
	s, r := recipients(t)
	at := monday.Add(time.Hour).Format(time.RFC3339)
	for source, shape := range map[string]string{
		"ses": `{"Type":"Notification","Message":"{\"eventType\":\"Bounce\",\"mail\":{\"tags\":{\"mail\":[\"%[1]d\"]},
			\"destination\":[\"%[2]s\"]},\"bounce\":{\"bounceType\":\"Permanent\",\"bounceSubType\":\"General\",
			\"timestamp\":\"%[3]s\",\"bouncedRecipients\":[{\"emailAddress\":\"%[2]s\",\"status\":\"5.1.1\"}]}}"}`,
		"mailgun": `{"event-data":{"id":"ev_%[1]d","timestamp":"%[3]s","recipient":"%[2]s","severity":"permanent",
			"user-variables":{"mail":"%[1]d"},"delivery-status":{"enhanced-code":"5.1.1"}}}`,
	} {
		for to, stops := range map[string]int{"P1@x.example": 1, "p2@x.example": 0, "xp1@x.example": 0} {
			id := mailTo(t, s, "s1", "p1@x.example", "marketing", "sent")
			run(t, s, `UPDATE mails SET provider = $2, provider_id = NULL WHERE id = $1`, id, source)
			payload := strings.NewReplacer("\n", "", "\t", "").Replace(fmt.Sprintf(shape, id, to, at))
			apply(t, s, event(source, fmt.Sprint(source, id), map[string]string{"ses": "Bounce", "mailgun": "failed"}[source],
				at, payload))
			settled(t, r, monday)
			if got := stopsOf(t, s); len(got) != stops {
				t.Errorf("%s, to %s: %q", source, to, got)
			}
			run(t, s, `DELETE FROM mail_stops`)
		}
	}
}

// A report that comes after an erasure still stops the address, under its hash: who comes back is not mailed. What is
// of another mail, or no longer kept, stops no one.
func TestReportsAfterAnErasure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set, kind, bounce string
		want              []string
	}{
		"complained": {`provider = 'resend', provider_id = NULL`, "complained", "",
			[]string{"p1@x.example/s1//complained"}},
		"no such address": {`provider = 'resend', provider_id = 're_' || id`, "bounced", gone,
			[]string{"p1@x.example///hard"}},
		"delivered":          {`provider = 'resend', provider_id = NULL`, "delivered", "", nil},
		"another provider":   {`provider = 'postmark', provider_id = NULL`, "complained", "", nil},
		"never sent":         {`status = 'skipped', reason = 'stopped', sent_at = NULL`, "complained", "", nil},
		"after three months": {`provider = 'resend', provider_id = NULL`, "complained", "", nil},
	} {
		s, r := recipients(t)
		id := mailTo(t, s, "s1", "p1@x.example", "marketing", "sent")
		run(t, s, `UPDATE mails SET `+c.set+` WHERE id = $1`, id)
		if err := s.Erase(t.Context(), store.Erasing{Email: "p1@x.example"},
			store.EraseOptions{Read: facts.Read}); err != nil {
			t.Fatal(err)
		}
		if name == "after three months" {
			run(t, s, `UPDATE erased_mails SET erased_at = now() - interval '91 days'`)
			if err := storemail.New(s, nil).Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		apply(t, s, reported(id, 1, c.kind, c.bounce), reported(id, 2, c.kind, c.bounce))
		settled(t, r, monday)
		run(t, s, `INSERT INTO customers (store_id, email) VALUES ('s1', 'p1@x.example') ON CONFLICT DO NOTHING`)
		if got := stopsOf(t, s); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
