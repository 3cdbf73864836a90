package customers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/mail"
	"rollcall/store/pg"
)

var drawnCampaigns = []string{"camp_a", "camp_b"}

// ago is a time at, just before or just after one that decides how engaged someone is.
func (d draw) ago() time.Time {
	days := []int{14, 60, 180, 15, 21, 30, 45}[d.IntN(7)]
	return d.edge().Truncate(24*time.Hour).Add(12*time.Hour).AddDate(0, 0, -days).Add(
		time.Duration(d.IntN(3)-1) * time.Microsecond)
}

// time is one of those that rules about days or engagement may just meet; nil but for some percent.
func (d draw) time(percent int) *time.Time {
	at := d.edge()
	if d.chance(50) {
		at = d.ago()
	}
	if !d.chance(percent) {
		return nil
	}
	return &at
}

// mail draws mails to all customers of the store "s", what became of them, and who may be mailed.
func (w witness) mail(t testing.TB, s *store.Store, d draw) {
	t.Helper()
	for _, table := range []string{"mail_events", "mails", "mail_consents", "mail_stops", "mail_settings"} {
		put(t, s, `DELETE FROM `+table)
	}
	put(t, s, `INSERT INTO mail_settings (store_id, soft_opt_in) VALUES ('s', $1)`, d.chance(40))
	rows, err := s.Pool.Query(t.Context(), `SELECT email FROM customers ORDER BY email`)
	if err != nil {
		t.Fatal(err)
	}
	emails, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, email := range emails {
		if d.chance(60) {
			put(t, s, `INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
				VALUES ('s', '', $1, $2, $3, now(), 'import', '1')`, email, d.one("marketing", "marketing", "tracking"),
				d.one("granted", "granted", "denied"))
		}
		if d.chance(15) {
			put(t, s, `INSERT INTO mail_stops (store_id, hash, campaign_id, reason, since)
				SELECT $1, `+store.AddressHash("$2::text")+`, CASE WHEN $3 = 'unsubscribed' THEN $4 ELSE '' END, $3, now()`,
				d.one("", "s", "other"), email, d.one("hard", "unsubscribed", "complained", "manual"), d.one("", "camp_a"))
		}
		for n := 0; d.chance(45); n++ {
			w.mails[email] = append(w.mails[email], d.mail(t, s, email, n)...)
		}
		w.mails[email] = append(w.mails[email], cameBack(w.mails[email], d.bought(t, s, email))...)
	}
	w.decide(t, s)
}

// mail draws a mail, and returns what counts of it.
func (d draw) mail(t testing.TB, s *store.Store, email string, n int) (all []happened) {
	t.Helper()
	campaign := d.one(append(drawnCampaigns, mail.Digest)...)
	class, status, at := d.one("marketing", "service", "test"), d.one("sent", "sent", "failed", "unknown", "skipped"),
		d.edge()
	counts := class != "test" && campaign != mail.Digest
	reason := map[string]string{"failed": d.one("hard", "soft", "ours"), "skipped": "consent"}[status]
	put(t, s, `
		INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, reason, due_at, not_after,
			claimed_at, sent_at)
		VALUES ('s', $1, $2, $3, 'a', $4, 1, $5, nullif($6, ''), now(), now(), $7::timestamptz,
			CASE WHEN $5 = 'sent' THEN $7::timestamptz END)`, email, class, campaign, fmt.Sprint(n), status, reason, at)
	add := func(is bool, was string, at time.Time) {
		if is && counts {
			all = append(all, happened{campaign, was, at})
		}
	}
	add(status == "sent", "sent", at)
	add(status == "failed" && reason != "ours", "bounced", at)
	if of := d.one("", "s", "other"); d.chance(20) {
		at := d.edge()
		put(t, s, `INSERT INTO mail_stops (store_id, hash, campaign_id, reason, since, mail_id)
			SELECT $2, `+store.AddressHash("email")+`, 'kind ' || id, 'unsubscribed', $3, id
			FROM mails WHERE email = $1 ORDER BY id DESC LIMIT 1`, email, of, at)
		add(of != "other", "unsubscribed", at)
	}
	for d.chance(40) {
		kind, verdict, machine, at := d.one("clicked", "bounced", "complained", "delivered"), "", d.chance(30), d.edge()
		if kind == "bounced" {
			verdict, machine = d.one("hard", "soft", "ours"), false
		}
		put(t, s, `INSERT INTO mail_events (source, event_id, mail_id, kind, at, verdict, machine)
			SELECT 'smtp', gen_random_uuid(), max(id), $2, $3, nullif($4, ''), $5 FROM mails WHERE email = $1`,
			email, kind, at, verdict, machine)
		add(kind != "delivered" && !machine && verdict != "ours" && status != "failed", kind, at)
	}
	return all
}

// bought draws what a customer bought until they were last active.
func (d draw) bought(t testing.TB, s *store.Store, email string) (all []time.Time) {
	t.Helper()
	var active *time.Time
	if err := s.Pool.QueryRow(t.Context(), `SELECT last_activity_at FROM customers WHERE email = $1`, email).
		Scan(&active); err != nil {
		t.Fatal(err)
	}
	for d.chance(60) {
		at := d.edge()
		if active == nil || at.After(*active) {
			continue
		}
		all = append(all, at)
		put(t, s, `
			INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version,
				kind, claim_paid, claim_amount, claim_currency, paid_at, customer_id, unattached)
			SELECT '', gen_random_uuid(), '4', '', '', '', 'checkout', true, 5, 'usd', $2, id, NULL
			FROM customers WHERE email = $1`, email, at)
	}
	return all
}

// cameBack are the first of times in the 7 days after each mail that was sent.
func cameBack(mails []happened, times []time.Time) (all []happened) {
	slices.SortFunc(times, time.Time.Compare)
	for _, m := range mails {
		i := slices.IndexFunc(times, m.at.Before)
		if m.was == "sent" && i >= 0 && !times[i].After(m.at.Add(7*day)) {
			all = append(all, happened{m.campaign, "came_back", times[i]})
		}
	}
	return all
}

// decide asks the claim who would get marketing mail.
func (w witness) decide(t testing.TB, s *store.Store) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx pgx.Tx) error {
		args := pg.Arguments{w.now}
		decide, err := mail.New(s, nil).Decide(t.Context(), tx, "s", &args)
		if err != nil {
			return err
		}
		rows, err := tx.Query(t.Context(), `
			SELECT c.id::text, d.skip IS NULL
			FROM customers c
			CROSS JOIN LATERAL (
				SELECT c.store_id, c.email, 0 AS id, 'marketing' AS class, '' AS campaign_id, 'none' AS step, '' AS occurrence,
					0 AS twin, 'infinity'::timestamptz AS not_after
			) m
			CROSS JOIN LATERAL (`+decide+`) d`, args...)
		if err != nil {
			return err
		}
		var id string
		var may bool
		_, err = pgx.ForEachRow(rows, []any{&id, &may}, func() error {
			w.mailable[id] = may
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
