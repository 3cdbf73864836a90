package store_test

import (
	"testing"

	"rollcall/store/customers"
)

const beforeTies = 16 // the migration before those of ties and sums

// What a lost revocation left open is closed, and sums that no list could show are
// shown.
func TestTiesAndSumsMigrate(t *testing.T) {
	s, url := openURL(t)
	p := migrator(t, url)
	if _, err := p.DownTo(t.Context(), beforeTies); err != nil {
		t.Fatal(err)
	}
	exec(t, url,
		`INSERT INTO stores (id, owner_user_id, version) VALUES ('s1', 'user_1', '2026-01-12T10:00:00.000000Z 21 msg_b'),
			('s2', 'user_1', '2026-01-12T10:00:00.000000Z 21 msg_d')`)
	exec(t, url, `INSERT INTO links (relation, subject, object, since, hearsay) VALUES
		('owner', 's1', 'user_1', '2026-01-12T10:00:00.000000Z 21 msg_b', false),
		('owner', 's1', '', '2026-01-12T10:00:00.000000Z 21 msg_a', false),
		('owner', 's2', 'user_1', '2026-01-12T10:00:01.000000Z 21 msg_d', false),
		('owner', 's2', '', '2026-01-12T10:00:00.000000Z 21 msg_c', false)`)
	exec(t, url, `INSERT INTO customers (store_id, email, first_seen_at, last_activity_at, type, spent, spent_rank) VALUES
		('s2', 'a@x.example', now(), now(), 'paying',
			'[{"amount":18446744073709551614,"currency":"eur"},{"amount":5,"currency":"usd"}]', 184467440737095516),
		('s2', 'b@x.example', now(), now(), 'paying', '[{"amount":7,"currency":"usd"}]', 0.07)`)
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT id || ' ' || coalesce(owner_user_id, 'none') FROM stores ORDER BY id`, "s1 none", "s2 user_1")
	wantRows(t, url, `SELECT spent::text FROM customers ORDER BY email`,
		`[{"amount": 9223372036854775807, "currency": "eur"}, {"amount": 5, "currency": "usd"}]`,
		`[{"amount": 7, "currency": "usd"}]`)
	if got := list(t, s, customers.Filter{Store: "s2", Sort: "email"}); len(got) != 2 {
		t.Errorf("listed: %q", got)
	}
	if figures, err := customers.New(s).Stats(t.Context(), customers.Filter{Store: "s2"}); err != nil ||
		len(figures.Revenue) != 2 || figures.Revenue[1].Amount != 12 {
		t.Errorf("%+v %v", figures, err)
	}
	if _, err := p.DownTo(t.Context(), beforeTies); err != nil {
		t.Fatal(err)
	}
}
