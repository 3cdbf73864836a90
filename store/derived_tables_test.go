package store

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/testdb"
)

// An entry that is corrected while its customer is being tagged has the tag.
func TestEntriesAreSettledBesideTags(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), testdb.Postgres(t)
	s, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, sql := range []string{
		`INSERT INTO customers (id, store_id, email, type, status, courses, purchases, subscriptions, spent, refunded)
		OVERRIDING SYSTEM VALUE
		VALUES (1, 's1', 'a@x.example', 'lead', 'active', '[]', '[]', '[]', '[]', '[]')`,
		`UPDATE customer_words SET words = 'wrong'`,
	} {
		if _, err := s.Pool.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, `
		BEGIN;
		SELECT FROM customer_index FOR NO KEY UPDATE;
		INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		VALUES ('s1', 'a@x.example', 'tag_1', 'admin')`); err != nil {
		t.Fatal(err)
	}
	settled := make(chan error)
	go func() {
		wrong, err := s.settleKept(ctx, "s1")
		if wrong != 1 {
			t.Errorf("%d corrected", wrong)
		}
		settled <- err
	}()
	for waits := false; !waits; {
		if err := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(ctx, `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	var entry string
	if err := s.Pool.QueryRow(ctx, `SELECT w.words || ' ' || i.tags::text FROM customer_index i
		JOIN customer_words w USING (customer_id)`).Scan(&entry); err != nil ||
		entry != "a@x.example {tag_1}" {
		t.Errorf("%q %v", entry, err)
	}
}
