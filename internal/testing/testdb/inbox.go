package testdb

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// Inbox returns the URL of a database with n events, of every source, status and type.
func Inbox(t testing.TB, n int) string {
	t.Helper()
	url := Postgres(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		_, err = conn.Exec(t.Context(), `
			INSERT INTO webhook_events (source, event_id, type, account, api_version, livemode, occurred_at, payload, status,
				processed_at, last_error, attempts)
			SELECT
				(ARRAY['stripe', 'clerk', 'platform'])[1 + i % 3],
				'evt_' || i,
				(ARRAY['user.created', 'invoice.paid'])[1 + i / 3 % 2],
				'acct_1',
				'2023-10-16',
				true,
				to_timestamp(1767225600 + i),
				'{"b": 1,  "a":"<\u0000>"}',
				(ARRAY['processed', 'processed', 'ignored', 'failed', 'pending'])[1 + i % 5],
				CASE WHEN i % 5 IN (0, 1, 2) THEN now() END,
				CASE WHEN i % 5 IN (2, 3) THEN 'why' END,
				(i + 1) % 5
			FROM generate_series(0, $1::int - 1) i`, n)
	}
	if err == nil {
		err = conn.Close(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}
