package mail_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/plans"
	"rollcall/store/mail"
)

// sentMails are mails of many stores, most of them sent, some long ago; those of some are kept in the mailbox.
var sentMails = []string{
	`INSERT INTO customers (store_id, email)
		SELECT 's' || i % 50, 'p' || i || '@x.example' FROM generate_series(1, 20000) i`,
	`INSERT INTO mail_settings (store_id) SELECT 's' || i FROM generate_series(0, 49) i ON CONFLICT DO NOTHING`,
	`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after, status, reason,
			claimed_at, sent_at, provider_id)
		SELECT 's' || i % 50, 'p' || i || '@x.example', 'marketing', 'c' || i % 50, 'a', 'o', 1, at, at + interval '1 day',
			status, CASE WHEN status IN ('failed', 'skipped') THEN 'hard' END,
			CASE WHEN status NOT IN ('due', 'skipped') THEN at END, CASE WHEN status = 'sent' THEN at END, 'm' || i
		FROM (
			SELECT i, now() - i % 100 * interval '1 day' AS at,
				(ARRAY['due', 'failed', 'skipped', 'unknown'])[i % 40] AS status FROM generate_series(1, 40000) i
		) x(i, at, few)
		CROSS JOIN LATERAL (SELECT coalesce(few, 'sent')) s(status)`,
	`INSERT INTO mailbox (mail_id, raw, at)
		SELECT id, 'x', sent_at FROM mails WHERE store_id < 's2' AND status = 'sent'`,
	`INSERT INTO mail_events (source, event_id, mail_id, kind, at)
		SELECT 'link', i::text, i, 'clicked', now() FROM generate_series(1, 20000) i`,
	`INSERT INTO mail_stops (store_id, hash, reason, since)
		SELECT 's' || i % 50, sha256(i::text::bytea), 'hard', now() FROM generate_series(1, 5000) i`,
	`VACUUM ANALYZE`,
}

// What the pages about the mail of a store read, they look up: not the mails of other stores, and of its own not those
// that were sent long ago.
func TestMailPagesLookUp(t *testing.T) {
	t.Parallel()
	s := open(t, sentMails...)
	pool, asked := plans.Record(t, s.Pool)
	s.Pool = pool
	mails, recipients := mail.New(s, nil), mail.NewRecipients(s)
	since := time.Now().AddDate(0, 0, -30)
	var id int64
	if err := pool.QueryRow(t.Context(), `SELECT id FROM customers WHERE store_id = 's3' LIMIT 1`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	asked.Plans(t)
	for name, ask := range map[string]func() error{
		"counts":           func() error { _, err := mails.Counts(t.Context(), "s3", since); return err },
		"rates":            func() error { _, err := mails.Rates(t.Context(), "s3"); return err },
		"missing":          func() error { _, _, err := mails.Missing(t.Context(), "s3"); return err },
		"unknown":          list(t, mails, mail.Filter{Store: "s3", Status: "unknown"}),
		"failed":           list(t, mails, mail.Filter{Store: "s3", Status: "failed"}),
		"failed from here": list(t, mails, mail.Filter{Store: "s3", Status: "failed", Before: 20000}),
		"of a person":      list(t, mails, mail.Filter{Store: "s3", Email: "p3@x.example"}),
		"a mail":           func() error { _, _, err := mails.Mail(t.Context(), 7); return err },
		"mailbox":          func() error { _, err := mails.Mailbox(t.Context(), "s11", 0, 20); return err },
		"mailbox from":     func() error { _, err := mails.Mailbox(t.Context(), "s11", 20000, 20); return err },
		"other's mailbox":  func() error { _, err := mails.Keeps(t.Context(), "s3"); return err },
		"kept":             func() error { _, err := mails.Kept(t.Context(), "s11", 11); return err },
		"stops":            func() error { _, err := recipients.Stops(t.Context(), "s3", id); return err },
	} {
		if err := ask(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all := asked.Plans(t)
		if len(all) == 0 {
			t.Errorf("%s asks nothing", name)
		}
		for _, plan := range all {
			if name == "counts" && plan.Uses("mails_of") {
				t.Error("counts read all that the store sent")
			}
		}
		for _, scan := range asked.Scans(t, all, "stores", "mail_settings", "worker_clocks") {
			t.Errorf("%s: %s", name, scan)
		}
	}
}

// What each part of the counts finds together is what is asked for.
func TestCounts(t *testing.T) {
	t.Parallel()
	s := open(t, append(sentMails, `UPDATE mails SET class = 'test' WHERE id % 11 = 0`,
		`UPDATE mails SET due_at = due_at + interval '20 hours' WHERE status = 'sent' AND id % 7 = 0`)...)
	since := time.Now().AddDate(0, 0, -30)
	for _, store := range []string{"", "s3", "none"} {
		got, err := mail.New(s, nil).Counts(t.Context(), store, since)
		if err != nil {
			t.Fatal(err)
		}
		rows, _ := s.Pool.Query(t.Context(), `
			SELECT store_id, status, coalesce(reason, ''), count(*)
			FROM mails
			WHERE $1 IN ('', store_id)
			  AND class <> 'test'
			  AND (due_at >= $2 OR status IN ('due', 'sending', 'unknown'))
			GROUP BY 1, 2, 3
			ORDER BY 1, 4 DESC, 2, 3`, store, since)
		want, err := pgx.CollectRows(rows, pgx.RowToStructByPos[mail.Count])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -want +got\n%s", store, diff)
		}
	}
}

func list(t *testing.T, m *mail.Mails, f mail.Filter) func() error {
	return func() error { _, err := m.List(t.Context(), f, 20); return err }
}
