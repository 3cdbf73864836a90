package campaigns_test

import (
	"testing"

	"rollcall/store/campaigns"
)

// What all stores together may send counts in a preview as in the claim: what other stores sent, and what this one
// sends first.
func TestCapOfAllStoresInPreviews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.MailCap = 2
	w.exec(`UPDATE mail_settings SET cap_day = NULL, cap_week = 3`)
	w.exec(`INSERT INTO customers (store_id, email) VALUES ('s1', 'ann@x.example'), ('s1', 'bob@x.example'),
		('s1', 'cat@x.example'), ('s2', 'ann@x.example'), ('s2', 'bob@x.example')`)
	w.agreed("ann@x.example", "bob@x.example", "cat@x.example")
	w.exec(`INSERT INTO mails (store_id, email, class, campaign_id, step, version, due_at, not_after, occurrence, status,
			claimed_at, sent_at)
		SELECT 's2', CASE n WHEN 3 THEN 'bob' ELSE 'ann' END || '@x.example', 'marketing', 'other', 'a', 1, t, t, n::text,
			'sent', t, t
		FROM generate_series(1, 3) n, (SELECT $1::timestamptz - interval '6 days') AS x(t)`, w.now)
	one, two := w.once("One", 4), w.once("Two", 5)
	w.turn(one.ID, campaigns.Order{To: campaigns.On, Count: number(3)})
	w.wantLines(w.previewed(one.ID, w.now), "ann@x.example first once cap_all", "bob@x.example first once",
		"cat@x.example first once")
	w.wantLines(w.previewed(two.ID, w.now), "ann@x.example first once cap_all", "bob@x.example first once cap_all",
		"cat@x.example first once")
	w.turn(two.ID, campaigns.Order{To: campaigns.On, Count: number(3)})
	w.tick(0)
	w.send()
	w.want(`SELECT concat_ws(' ', email, priority, status, reason) FROM mails WHERE store_id = 's1' ORDER BY 1`,
		`ann@x.example 4 due cap_all
		ann@x.example 5 due cap_all
		bob@x.example 4 sent
		bob@x.example 5 due cap_all
		cat@x.example 4 sent
		cat@x.example 5 sent`)
}
