package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/store/tags"
)

// beside has a transaction under way while do runs, commits it once do waits for it, and
// returns the error of do.
func beside(t testing.TB, url, transaction string, do func() error) error {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, `BEGIN;`+transaction); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- do() }()
	for len(query(t, url, `SELECT 'waits' FROM pg_stat_activity WHERE datname = current_database()
		AND wait_event_type = 'Lock'`)) == 0 {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
	}
	if _, err := conn.Exec(ctx, `COMMIT`); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// A tag that is taken off a customer who moves just then is gone, and one that is put on
// goes with them.
func TestTagsBesideAMove(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 1)
	vip := tag(t, s, url, "p00@x.example", "VIP")
	late := tag(t, s, url, "p00@x.example", "late")
	own, id := tags.New(s), idAt(t, url, "s1", "p00@x.example")
	err := beside(t, url, `
		UPDATE customers SET email = 'q@x.example';
		UPDATE customer_tags SET email = 'q@x.example'`, func() error {
		return own.Take(t.Context(), "s1", id, vip)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT tag_id FROM customer_tags UNION ALL SELECT unnest(tags) FROM customer_index`, late, late)
	if err := own.Take(t.Context(), "s1", id, late); err != nil {
		t.Fatal(err)
	}
	if err := beside(t, url, `UPDATE customers SET email = 'r@x.example'`, func() error {
		return own.Put(t.Context(), "s1", id, late, "admin")
	}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT email || ' ' || tag_id FROM customer_tags`, "r@x.example "+late)
}
