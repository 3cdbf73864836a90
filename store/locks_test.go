package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store"
)

// A store's owner and a product that once was in the owner's store arrive at the same time, after the product has left:
// who enrolled before is listed.
func TestOwnerBesideAnEarlierHome(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	ctx := t.Context()
	var e teller
	enrolled := func(course, email, home string) store.NewEvent {
		return e.platform("enrollment.upserted",
			`{"course_id":"`+course+`","email":"`+email+`","enrolled_at":"2026-01-12T09:00:00Z"`+home+`}`)
	}
	waits, ann := enrolled("c2", "waits@x.example", `,"store_id":"user_owner"`), enrolled("c1", "ann@x.example", "")
	there := e.platform("product.upserted", `{"id":"c1","kind":"course","title":"C","store_id":"user_owner"}`)
	gone := e.platform("product.upserted", `{"id":"c1","kind":"course","title":"C","store_id":""}`)
	owned := e.platform("store.upserted", `{"id":"s9","name":"S","owner_user_id":"user_owner"}`)
	apply(t, s, []store.NewEvent{gone, ann, waits}, 1)
	wantRows(t, url, customersSQL)
	in, err := s.InsertEvents(ctx, []store.NewEvent{owned, there})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	applying := func(id int64) {
		_, err := s.Apply(ctx, []int64{id}, 0, facts.Read)
		ended <- err
	}
	waiting := func(n int) bool {
		return len(query(t, url, `SELECT 'waits' FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock'`)) >= n
	}

	// The owner's transaction has looked for products, and waits to write its customer.
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, `BEGIN; INSERT INTO customers (store_id, email) VALUES ('s9', 'waits@x.example')`)
	if err != nil {
		t.Fatal(err)
	}
	go applying(in[0].ID)
	for !waiting(1) {
		if len(ended) > 0 {
			t.Fatalf("the owner's transaction did not wait: %v", <-ended)
		}
	}
	go applying(in[1].ID)
	for !waiting(2) && len(ended) == 0 {
	}
	if _, err := conn.Exec(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	wantRows(t, url, customersSQL, "s9 ann@x.example lead active", "s9 waits@x.example lead active")
}
