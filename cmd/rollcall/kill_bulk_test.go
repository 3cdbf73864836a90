package main

import (
	"context"
	"slices"
	"testing"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/bulk"
	"rollcall/store/customers"
)

// A bulk action whose workers are killed, again and again, goes on where it was, changes
// each customer once, and counts exactly; so does the action that undoes it.
func TestBulkKilled(t *testing.T) {
	t.Parallel()
	url := testdb.Postgres(t)
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, sql := range []string{
		`INSERT INTO customers (store_id, email, type, status, courses, purchases, subscriptions, spent, refunded)
		SELECT 's1', 'p' || n || '@x.example', 'lead', 'active', '[]', '[]', '[]', '[]', '[]'
		FROM generate_series(1, 8000) n
		RETURNING ''`,
		`INSERT INTO tags (id, store_id, name, folded, created_by) VALUES ('tag_1', 's1', 'VIP', 'vip', 'admin')
		RETURNING ''`,
		`INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		SELECT store_id, email, 'tag_1', 'user:user_1' FROM customers WHERE id % 7 = 0
		RETURNING ''`,
	} {
		asked(t, url, sql)
	}
	k, own := newKiller(t, url), bulk.New(s)
	env := []string{"REDIS_URL=" + testdb.Redis(t), "LOG_LEVEL=error"}
	before := asked(t, url, tagged)

	added, err := own.Start(t.Context(), "s1",
		bulk.Order{Action: bulk.Add, Target: "tag_1", Filter: &customers.Filter{}}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	untilDone(t, k, own, added.ID, env)
	want := 8000 - len(before)
	if a, err := own.Action(t.Context(), "s1", added.ID); err != nil || a.Seen != 8000 || a.Changed != want {
		t.Errorf("%+v %v, want %d changed", a, err, want)
	}
	if n := len(asked(t, url, tagged)); n != 8000 {
		t.Errorf("%d customers have the tag", n)
	}
	undone, err := own.Undo(t.Context(), "s1", added.ID, "admin")
	if err != nil {
		t.Fatal(err)
	}
	untilDone(t, k, own, undone.ID, env)
	if a, err := own.Action(t.Context(), "s1", undone.ID); err != nil || a.Seen != want || a.Changed != want {
		t.Errorf("%+v %v, want %d changed", a, err, want)
	}
	if !slices.Equal(before, asked(t, url, tagged)) {
		t.Error("the undo left other tags than there were")
	}
	if off := asked(t, url, `SELECT c.email FROM customers c JOIN customer_index i ON i.customer_id = c.id
		WHERE i.tags <> tags_of(c.store_id, c.email)`); len(off) > 0 {
		t.Errorf("%d entries have other tags", len(off))
	}
}

const tagged = `SELECT concat_ws(' ', email, tag_id, tagged_by, tagged_at) FROM customer_tags ORDER BY 1`

// untilDone runs workers that are killed at some message to Postgres, until an action is
// done.
func untilDone(t *testing.T, k *killer, own *bulk.Bulk, id string, env []string) {
	t.Helper()
	seen := map[int]bool{}
	for at := 60; ; at += 2 {
		k.run(t, at, env, "work")
		a, err := own.Action(context.Background(), "s1", id)
		if err != nil {
			t.Fatal(err)
		}
		if seen[a.Seen] = true; a.Ended() {
			break
		}
	}
	if t.Logf("killed after %d different numbers of customers", len(seen)); len(seen) < 5 {
		t.Errorf("killed at %v only", seen)
	}
}
