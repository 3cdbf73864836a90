package mail_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/storetest"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/mail"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// noon is a moment at which nothing is quiet in store s1, whose zone is UTC.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// shop opens a store s1 with customers ann, bob and cat, who agreed to marketing.
func shop(t testing.TB, sql ...string) *mail.Mails {
	t.Helper()
	return mail.New(open(t, sql...), nil)
}

func open(t testing.TB, sql ...string) *store.Store {
	t.Helper()
	return storetest.Open(t, append([]string{
		`INSERT INTO stores (id, name, version) VALUES ('s1', 'Ava''s', '1')`,
		`INSERT INTO mail_settings (store_id, postal_address) VALUES ('s1', '1 High Street')`,
		`INSERT INTO customers (store_id, email, name, type)
			SELECT 's1', n || '@x.example', initcap(n) || ' Li', 'lead' FROM unnest(ARRAY['ann', 'bob', 'cat']) n`,
		`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
			SELECT store_id, '', email, 'marketing', 'granted', '2026-01-01Z', 'import', '1' FROM customers`,
		`INSERT INTO mail_bodies (store_id, campaign_id, step, version, subject, markdown)
			VALUES ('s1', 'c1', 'a', 1, 'Hi {first_name}', 'Hello')`,
	}, sql...)...)
}

// due is SQL for a mail to ann that is due at noon; columns and their values replace or add to those.
func due(columns, values string) string {
	return `INSERT INTO mails (store_id, email, class, campaign_id, step, version, due_at, not_after, occurrence` +
		columns + `) VALUES ('s1', 'ann@x.example', 'marketing', 'c1', 'a', 1, '2026-03-10T12:00:00Z', '2026-03-13T12:00:00Z',
		'o' || lpad((SELECT count(*) FROM mails)::text, 3, '0')` + values + `)`
}

// exec runs statements.
func exec(t testing.TB, m *mail.Mails, sql ...string) {
	t.Helper()
	for _, q := range sql {
		if _, err := m.Pool.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// take takes a lane that must be there to be taken.
func take(t testing.TB, m *mail.Mails, at time.Time) mail.Turn {
	t.Helper()
	turn, ok, err := m.Take(t.Context(), "w1", at)
	if err != nil || !ok {
		t.Fatal("no lane to take", ok, err)
	}
	return turn
}

// claim takes the lane of s1 and claims what is due.
func claim(t testing.TB, m *mail.Mails, at time.Time) []mail.Claimed {
	t.Helper()
	b, err := m.Claim(t.Context(), take(t, m, at), at, 100)
	if err != nil {
		t.Fatal(err)
	}
	return b.Mails
}

// want compares what a query selects.
func want(t testing.TB, m *mail.Mails, sql string, want ...string) {
	t.Helper()
	rows, err := m.Pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, want %q (%v)", got, want, err)
	}
}
