package mail_test

import (
	"testing"
	"time"

	"rollcall/store/mail"
)

// mall opens s1, and s2 where ann and bob are customers too, with a limit of all stores.
func mall(t *testing.T, most int, sql ...string) *mail.Mails {
	t.Helper()
	s := open(t, append([]string{
		`INSERT INTO stores (id, name, version) VALUES ('s2', 'Bo''s', '1')`,
		`INSERT INTO mail_settings (store_id, postal_address, cap_day, cap_week)
			VALUES ('s2', '2 High Street', NULL, NULL)`,
		`UPDATE mail_settings SET cap_day = NULL, cap_week = NULL`,
		`INSERT INTO customers (store_id, email, name, type) SELECT 's2', email, name, type FROM customers
			WHERE email < 'cat'`,
		`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
			SELECT 's2', '', email, kind, state, said_at, source, version FROM mail_consents`}, sql...)...)
	s.MailCap = most
	return mail.New(s, nil)
}

const (
	longer = `UPDATE mails SET not_after = '2026-03-30Z'`
	inS2   = `UPDATE mails SET store_id = 's2' WHERE status = 'sent'`
	twice  = sentToAnn + `'2026-03-05T10:00:00Z'::timestamptz, '2026-03-09Z']) t`
)

// What becomes of a mail to ann, of whom all stores together may ask twice in 7 days.
func TestCapOfAllStores(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  []string
		want string
	}{
		"two of another store": {[]string{twice, inS2}, "due cap_all 2026-03-12 10"},
		"one of each": {[]string{twice, `UPDATE mails SET store_id = 's2' WHERE claimed_at < '2026-03-06'`},
			"due cap_all 2026-03-12 10"},
		"two of its own": {[]string{twice}, "due cap_all 2026-03-12 10"},
		"three": {[]string{twice, inS2, longer,
			sentToAnn + `'2026-03-08Z'::timestamptz]) t`}, "due cap_all 2026-03-15 00"},
		"one": {[]string{twice, inS2, `DELETE FROM mails WHERE claimed_at < '2026-03-06'`}, "sending"},
		"longer ago": {[]string{twice, inS2,
			`UPDATE mails SET claimed_at = '2026-03-03T11:59:59Z'
				WHERE claimed_at < '2026-03-06'`}, "sending"},
		"of someone else": {[]string{twice, inS2,
			`UPDATE mails SET email = 'bob@x.example' WHERE status = 'sent'`}, "sending"},
		"of service": {[]string{twice, inS2,
			`UPDATE mails SET class = 'service' WHERE status = 'sent'`}, "sending"},
		"to service": {[]string{twice, inS2,
			`UPDATE mails SET class = 'service' WHERE status = 'due'`}, "sending"},
		"failed": {[]string{twice, inS2,
			`UPDATE mails SET status = 'failed', reason = 'hard', sent_at = NULL
				WHERE status = 'sent'`}, "sending"},
		"unknown": {[]string{twice, inS2,
			`UPDATE mails SET status = 'unknown', sent_at = NULL WHERE status = 'sent'`}, "due cap_all 2026-03-12 10"},
		"for too long":     {[]string{twice, inS2, `UPDATE mails SET not_after = '2026-03-12T09:00:00Z'`}, "skipped cap_all"},
		"and of the store": {[]string{twice, `UPDATE mail_settings SET cap_week = 2`}, "due cap 2026-03-12 10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mall(t, 2, append([]string{due("", "")}, c.sql...)...)
			claim(t, m, noon)
			want(t, m, `SELECT concat_ws(' ', status, reason,
				CASE WHEN status = 'due' THEN to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24') END)
				FROM mails ORDER BY id LIMIT 1`, c.want)
		})
	}
}

// Two stores that decide about the same addresses at the same moment send no more than one may that comes later.
func TestStoresThatClaimAtOnce(t *testing.T) {
	t.Parallel()
	m := mall(t, 1, due("", ""), due("", ""), `UPDATE mails SET email = 'bob@x.example' WHERE occurrence = 'o001'`,
		longer,
		`INSERT INTO mails (store_id, email, class, campaign_id, step, version, due_at, not_after, occurrence, priority)
			SELECT 's2', email, class, campaign_id, step, version, due_at, not_after, occurrence || '2', id FROM mails`,
		// Who has decided waits for the test before anyone sees it.
		`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$`,
		`CREATE TRIGGER wait BEFORE UPDATE ON mails FOR EACH ROW EXECUTE FUNCTION wait()`)
	tx, err := m.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(4711)`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	for range 2 {
		turn := take(t, m, noon)
		go func() {
			_, err := m.Claim(t.Context(), turn, noon, 100)
			ended <- err
		}()
	}
	for n := 0; n < 2; {
		if err := m.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	want(t, m, `SELECT concat_ws(' ', email, status, reason, count(*)) FROM mails GROUP BY email, status, reason
		ORDER BY email, status`, "ann@x.example due cap_all 1", "ann@x.example sending 1",
		"bob@x.example due cap_all 1", "bob@x.example sending 1")
}

// What waits for it is asked again when it counts no more.
func TestCapOfAllStoresEnds(t *testing.T) {
	t.Parallel()
	m := mall(t, 2, due("", ""), twice, inS2)
	turn := take(t, m, noon)
	for i, hours := range []int{0, 47} {
		b, err := m.Claim(t.Context(), turn, noon.Add(time.Duration(hours)*time.Hour), 100)
		if err != nil || len(b.Mails) != i {
			t.Errorf("%d mails are sent after %d hours, want %d (%v)", len(b.Mails), hours, i, err)
		}
	}
}
