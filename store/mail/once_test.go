package mail_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	sending "rollcall/mail"
	"rollcall/store/mail"
	"rollcall/store/pg"
)

// A mail is begun once, by the worker that claimed it; what another says became of it is not written.
func TestBegunOnce(t *testing.T) {
	t.Parallel()
	m := shop(t, due("", ""), due("", ""), `UPDATE mails SET class = 'service'`)
	turn := take(t, m, noon)
	b, err := m.Claim(t.Context(), turn, noon, 100)
	if err != nil || len(b.Mails) != 2 {
		t.Fatal(b, err)
	}
	other := mail.Turn{Store: "s1", Worker: "w2"}
	if begins(t, m, other, &b.Mails[0]) || !begins(t, m, turn, &b.Mails[0]) || begins(t, m, turn, &b.Mails[0]) {
		t.Error("it is begun by another, or twice, or not at all")
	}
	finish := func(turn mail.Turn, o sending.Outcome) {
		t.Helper()
		done := mail.Done{Mail: b.Mails[0], Provider: "smtp", At: noon, Outcome: o}
		if _, err := m.Next(t.Context(), turn, []mail.Move{{Done: &done}}, "smtp"); err != nil {
			t.Fatal(err)
		}
	}
	finish(other, sending.Outcome{Status: sending.Failed, Reason: "refused"})
	want(t, m, `SELECT concat_ws(' ', status, reason, tries) FROM mails ORDER BY id`, "sending 1", "sending 0")
	finish(turn, sending.Outcome{Status: sending.Sent})
	finish(turn, sending.Outcome{Status: sending.Due, Reason: "later"}) // what is sent stays sent
	exec(t, m, `UPDATE mails SET claimed_by = 'w0' WHERE id = 2`)
	if err := m.Release(t.Context(), turn, mail.End{}); err != nil {
		t.Fatal(err)
	}
	want(t, m, `SELECT concat_ws(' ', status, reason, tries) FROM mails ORDER BY id`, "sent 1", "sending 0")
}

// A lane that ends gives back what was not begun, and nothing that may have gone.
func TestReleaseOfWhatWasBegun(t *testing.T) {
	t.Parallel()
	m := shop(t, due("", ""), due("", ""), `UPDATE mails SET class = 'service'`)
	turn := take(t, m, noon)
	b, err := m.Claim(t.Context(), turn, noon, 100)
	if err != nil || !begins(t, m, turn, &b.Mails[0]) {
		t.Fatal(b, err)
	}
	if err := m.Release(t.Context(), turn, mail.End{}); err != nil {
		t.Fatal(err)
	}
	want(t, m, `SELECT concat_ws(' ', status, claimed_by) FROM mails ORDER BY id`, "sending w1", "due")
}

// What may have gone before is in doubt still when its recipient leaves before it is begun again; other mail is not
// sent.
func TestLeftBeforeTheRepeat(t *testing.T) {
	t.Parallel()
	for reason, then := range map[string]string{"": "skipped stopped", "later": "skipped stopped",
		"asked": "unknown stopped", "again": "unknown again"} {
		m := shop(t, due(", reason, claimed_at", fmt.Sprintf(", nullif('%s', ''), '2026-03-10T11:00:00Z'", reason)))
		turn := take(t, m, noon)
		b, err := m.Claim(t.Context(), turn, noon, 100)
		if err != nil || len(b.Mails) != 1 {
			t.Fatal(reason, b, err)
		}
		exec(t, m, stop("s1", "unsubscribed"))
		if begins(t, m, turn, &b.Mails[0]) {
			t.Errorf("%q: it goes to one who left", reason)
		}
		want(t, m, `SELECT status || ' ' || reason FROM mails`, then)
	}
}

// What is to be tried again waits longer each time, until it would be too late; what a person asked for stays so.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, reason, want string }{
		"the first time":         {`SELECT`, "later", "due later 12:02"},
		"the third":              {`UPDATE mails SET tries = 2`, "later", "due later 12:08"},
		"too late":               {`UPDATE mails SET not_after = due_at + interval '1 minute'`, "later", "failed soft 12:02"},
		"the server is away":     {`UPDATE mails SET not_after = due_at`, "trouble", "due trouble 12:00"},
		"asked for":              {`UPDATE mails SET reason = 'asked'`, "later", "due asked 12:02"},
		"asked for, and is away": {`UPDATE mails SET reason = 'asked'`, "trouble", "due asked 12:00"},
	} {
		m := shop(t, due("", ""), `UPDATE mails SET class = 'service'`, c.sql)
		turn := take(t, m, noon)
		b, err := m.Claim(t.Context(), turn, noon, 100)
		if err != nil || !begins(t, m, turn, &b.Mails[0]) {
			t.Fatal(name, b, err)
		}
		done := mail.Done{Mail: b.Mails[0], Provider: "smtp", At: noon,
			Outcome: sending.Outcome{Status: sending.Due, Reason: c.reason}}
		if _, err := m.Next(t.Context(), turn, []mail.Move{{Done: &done}}, "smtp"); err != nil {
			t.Fatal(err)
		}
		want(t, m, `SELECT concat_ws(' ', status, reason, to_char(due_at AT TIME ZONE 'UTC', 'HH24:MI')) FROM mails`, c.want)
	}
}

// A mail in doubt is sent again when a person says so, once, and only if it may go; the worker that had it says nothing
// of it any more. Any other mail is left alone.
func TestSendAgain(t *testing.T) {
	t.Parallel()
	doubt := due(", status, claimed_at, claimed_by, started_at", ", 'unknown', '2026-03-09', 'w1', now()")
	at := noon.Add(5 * 24 * time.Hour) // it would have been too late
	m := shop(t, doubt, due("", ""))
	again := func(store string, id int64) error { return m.SendAgain(t.Context(), store, id, at) }
	conflict := new(pg.Conflict)
	if err := again("s2", 1); !errors.Is(err, pg.ErrNotFound) {
		t.Errorf("another store's: %v", err)
	}
	if err := again("s1", 2); !errors.As(err, &conflict) {
		t.Errorf("one that is due: %v", err)
	}
	exec(t, m, stop("s1", "unsubscribed"))
	if err := again("s1", 1); !errors.As(err, &conflict) {
		t.Errorf("to one who left: %v", err)
	}
	const all = `SELECT concat_ws(' ', status, reason, claimed_by, started_at IS NULL, not_after > due_at) FROM mails
		ORDER BY id`
	want(t, m, all, "unknown w1 f t", "due t t")
	exec(t, m, `DELETE FROM mail_stops`)
	if err := again("s1", 1); err != nil {
		t.Fatal(err)
	}
	if err := again("s1", 1); !errors.As(err, &conflict) {
		t.Errorf("a second time: %v", err)
	}
	turn := mail.Turn{Store: "s1", Worker: "w1"}
	late := mail.Done{Mail: mail.Claimed{ID: 1}, Provider: "smtp", At: noon,
		Outcome: sending.Outcome{Status: sending.Sent}}
	if _, err := m.Next(t.Context(), turn, []mail.Move{{Done: &late}}, "smtp"); err != nil {
		t.Fatal(err)
	}
	want(t, m, all, "due asked t t", "due t t")
	exec(t, m, `DELETE FROM mails WHERE id = 2`)
	if got := claim(t, m, at); len(got) != 1 || !begins(t, m, turn, &got[0]) {
		t.Errorf("%+v", got)
	}
}

// What may have been taken by one provider goes by no other, and is shown as unknown with the one that may have it.
// What a person has sent again goes by the one there is.
func TestInDoubtElsewhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ reason, provider, sender, want string }{
		"the same":       {"again", "resend", "resend", "sending again resend"},
		"another":        {"again", "resend", "smtp", "unknown again resend"},
		"the mailbox":    {"again", "mailbox", "resend", "unknown again mailbox"},
		"asked for":      {"asked", "resend", "smtp", "sending asked smtp"},
		"never in doubt": {"later", "resend", "smtp", "sending smtp"},
	} {
		m := shop(t, due(", reason, provider, claimed_at", fmt.Sprintf(", '%s', '%s', '2026-03-10T11:00:00Z'", c.reason,
			c.provider)), `UPDATE mails SET class = 'service'`)
		turn := take(t, m, noon)
		b, err := m.Claim(t.Context(), turn, noon, 100)
		if err != nil || len(b.Mails) != 1 {
			t.Fatal(name, b, err)
		}
		send, err := m.Next(t.Context(), turn, []mail.Move{{Begin: &b.Mails[0]}}, c.sender)
		if goes := c.want[:7] == "sending"; err != nil || send[b.Mails[0].ID] != goes {
			t.Errorf("%s: goes %v, %v", name, send, err)
		}
		want(t, m, `SELECT concat_ws(' ', status, reason, provider) FROM mails`, c.want)
	}
}

// A mail in doubt stays in doubt, counted from its first request, whatever becomes of the repeat, until it is known to
// be sent. It is never said to be skipped or failed.
func TestDoubtStays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql, status, reason string
		begun               bool
		want                string
	}{
		"no more now":     {`SELECT`, "due", "later", true, "due again 11:00 resend"},
		"a wrong key":     {`SELECT`, "due", "trouble", true, "due again 11:00 resend"},
		"no answer":       {`SELECT`, "due", "again", true, "due again 11:00 resend"},
		"refused":         {`SELECT`, "failed", "ours", true, "unknown again 11:00 resend"},
		"taken":           {`SELECT`, "sent", "", true, "sent 11:00 resend"},
		"the text gone":   {`SELECT`, "failed", "ours", false, "unknown again 11:00 resend"},
		"not allowed":     {`SELECT`, "skipped", "not_allowed", false, "unknown again 11:00 resend"},
		"the database":    {`SELECT`, "due", "", false, "due again 11:00 resend"},
		"too late by now": {`UPDATE mails SET not_after = due_at`, "due", "later", true, "unknown again 11:00 resend"},
	} {
		m := shop(t, due(", reason, provider, claimed_at", ", 'again', 'resend', '2026-03-10T11:00:00Z'"),
			`UPDATE mails SET class = 'service'`, c.sql)
		turn := take(t, m, noon)
		b, err := m.Claim(t.Context(), turn, noon, 100)
		if err != nil || len(b.Mails) != 1 {
			t.Fatal(name, b, err)
		}
		done, sender := mail.Done{Mail: b.Mails[0], Provider: "resend", At: noon,
			Outcome: sending.Outcome{Status: c.status, Reason: c.reason}}, "resend"
		if !c.begun {
			done.Provider, sender = "smtp", "smtp"
		} else if _, err := m.Next(t.Context(), turn, []mail.Move{{Begin: &b.Mails[0]}}, sender); err != nil {
			t.Fatal(name, err)
		}
		if _, err := m.Next(t.Context(), turn, []mail.Move{{Done: &done}}, sender); err != nil {
			t.Fatal(name, err)
		}
		got := `SELECT concat_ws(' ', status, reason, to_char(claimed_at AT TIME ZONE 'UTC', 'HH24:MI'), provider) FROM mails`
		if want(t, m, got, c.want); t.Failed() {
			t.Fatal(name)
		}
		if err := m.Release(t.Context(), turn, mail.End{}); err != nil {
			t.Fatal(name, err)
		}
		if c.want[:3] == "due" {
			late := noon.Add(23 * time.Hour)
			if got := claim(t, m, late); len(got) > 0 {
				t.Errorf("%s: repeated when its key may be gone: %+v", name, got)
			}
			want(t, m, got, "unknown again 11:00 resend")
		}
	}
}
