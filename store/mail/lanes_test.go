package mail_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sending "rollcall/mail"
	"rollcall/store/mail"
)

// A worker that lost its lane while it sent still writes what became of the mail, which is in doubt until then; and it
// begins none of the mails that it had claimed.
func TestLostLane(t *testing.T) {
	t.Parallel()
	m := shop(t, due("", ""), due("", "")+` RETURNING id`)
	exec(t, m, `UPDATE mails SET class = 'service'`)
	mine := take(t, m, noon)
	b, err := m.Claim(t.Context(), mine, noon, 100)
	if err != nil || len(b.Mails) != 2 {
		t.Fatal(b, err)
	}
	begin := func(i int) bool { return begins(t, m, mine, &b.Mails[i]) }
	if !begin(0) {
		t.Fatal("it may not go")
	}
	exec(t, m, `UPDATE mail_settings SET lease_until = now() - interval '1 s'`)
	_, err = m.Claim(t.Context(), mine, noon, 100)
	if renewed := m.Renew(t.Context(), mine); !errors.Is(err, mail.ErrLaneLost) || !errors.Is(renewed, mail.ErrLaneLost) {
		t.Errorf("its time is over, and it claims: %v, and renews: %v", err, renewed)
	}
	theirs, ok, err := m.Take(t.Context(), "w2", noon)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	const all = `SELECT concat_ws(' ', status, reason) FROM mails ORDER BY id`
	want(t, m, all, "unknown interrupted", "due")
	if begin(1) {
		t.Error("a mail goes that is no longer this worker's")
	}
	done := mail.Done{Mail: b.Mails[0], Provider: "smtp", At: noon, Outcome: sending.Outcome{Status: sending.Sent}}
	if _, err := m.Next(t.Context(), mine, []mail.Move{{Done: &done}}, "smtp"); err != nil {
		t.Fatal(err)
	}
	want(t, m, all, "sent", "due")
	_, claimed := m.Claim(t.Context(), mine, noon, 100)
	for what, err := range map[string]error{"claims": claimed, "renews": m.Renew(t.Context(), mine),
		"releases": m.Release(t.Context(), mine, mail.End{})} {
		if !errors.Is(err, mail.ErrLaneLost) {
			t.Errorf("it still %s: %v", what, err)
		}
	}
	want(t, m, all, "sent", "due")
	if again, err := m.Claim(t.Context(), theirs, noon.Add(time.Second), 100); err != nil || len(again.Mails) != 1 {
		t.Error(again, err)
	}
}

// What a claim takes goes in the order in which it is due, whatever the addresses are. Else a worker that is killed
// again and again would leave all mails to some addresses to the last, and the brake would take their bounces for many.
func TestOrderOfClaim(t *testing.T) {
	t.Parallel()
	m := shop(t, due("", ""), due("", ""), due("", ""), due("", ""), `UPDATE mails SET class = 'service', step = id::text`,
		`UPDATE mails SET email = (ARRAY['cat', 'bob', 'ann', 'bob'])[id] || '@x.example'`,
		`UPDATE mails SET due_at = due_at - interval '1 hour' WHERE id = 3`, `UPDATE mails SET priority = 1 WHERE id = 4`)
	var steps []string
	for _, c := range claim(t, m, noon) {
		steps = append(steps, c.Step)
	}
	if !slices.Equal(steps, []string{"4", "3", "1", "2"}) {
		t.Error(steps)
	}
}

// What is due later waits, also beside what is due now.
func TestWhatIsDueLaterWaits(t *testing.T) {
	t.Parallel()
	m := shop(t, due("", ""), due("", ""), `UPDATE mails SET class = 'service', step = id::text`,
		`UPDATE mails SET due_at = due_at + interval '1 microsecond' WHERE id = 2`)
	if got := claim(t, m, noon); len(got) != 1 || got[0].Step != "1" {
		t.Errorf("%+v", got)
	}
}

// What a worker had when it died: what it had not begun is due; what a provider recognises by its key is repeated,
// while that knows the key; of the rest it is not known whether it went.
func TestWhatADeadWorkerLeft(t *testing.T) {
	t.Parallel()
	var sql []string
	for _, provider := range []string{"", "smtp", "resend", "mailbox"} {
		for _, hours := range []int{22, 24} {
			sql = append(sql, due(", variant, status, claimed_at, claimed_by, started_at, provider, reason", fmt.Sprintf(
				", '%s %d', 'sending', '2026-03-10T12:00:00Z'::timestamptz - interval '%[2]d hours', 'w0', "+
					"CASE WHEN '%[1]s' <> '' THEN now() END, nullif('%[1]s', ''), 'asked'", provider, hours)))
		}
	}
	m := shop(t, sql...)
	take(t, m, noon)
	want(t, m, `SELECT concat_ws(' ', variant, status, reason, claimed_by, started_at IS NULL) FROM mails ORDER BY id`,
		" 22 due asked t", " 24 due asked t", "smtp 22 unknown interrupted w0 t", "smtp 24 unknown interrupted w0 t",
		"resend 22 due again t", "resend 24 unknown again t", "mailbox 22 due again t", "mailbox 24 unknown again t")
}

// begins tells whether a mail that was claimed may go.
func begins(t *testing.T, m *mail.Mails, l mail.Turn, c *mail.Claimed) bool {
	t.Helper()
	send, err := m.Next(t.Context(), l, []mail.Move{{Begin: c}}, "smtp")
	if err != nil {
		t.Fatal(err)
	}
	return send[c.ID]
}

// A mail that was claimed goes to no one who left since, nor to an address that is no longer the customer's: it is
// claimed anew for the address that is.
func TestLeftSinceTheClaim(t *testing.T) {
	t.Parallel()
	m := shop(t, due("", ""), due("", ""), due("", ""), `UPDATE mails SET class = 'service', email =
		(ARRAY['ann', 'bob', 'cat'])[id] || '@x.example'`)
	turn := take(t, m, noon)
	b, err := m.Claim(t.Context(), turn, noon, 100)
	if err != nil || len(b.Mails) != 3 {
		t.Fatal(b, err)
	}
	exec(t, m, strings.Replace(stop("s1", "manual"), "ann@", "bob@", 1),
		`UPDATE mails SET email = 'kat@x.example' WHERE email = 'cat@x.example'`)
	for i, may := range []bool{true, false, false} {
		if begins(t, m, turn, &b.Mails[i]) != may {
			t.Errorf("%s goes: %v", b.Mails[i].Email, !may)
		}
	}
	if err := m.Release(t.Context(), turn, mail.End{}); err != nil {
		t.Fatal(err)
	}
	want(t, m, `SELECT concat_ws(' ', email, status, reason) FROM mails ORDER BY id`, "ann@x.example sending",
		"bob@x.example skipped stopped", "kat@x.example due")
}
