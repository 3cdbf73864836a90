package store_test

import (
	"context"
	"slices"
	"testing"

	"rollcall/store"
)

// Members come and go with the newest word about the store, and no row that
// leans on the store is touched for it.
func TestMembers(t *testing.T) {
	s, url := openURL(t)
	var e teller
	said := func(more string) store.NewEvent { return e.platform("store.upserted", `{"id":"s1"`+more+`}`) }
	may := func(user, id string) bool {
		t.Helper()
		may, err := s.MaySee(context.Background(), user, id)
		if err != nil {
			t.Fatal(err)
		}
		return may
	}
	first := said(`,"owner_user_id":"user_owner","member_user_ids":["user_a"]`)
	second := said(`,"owner_user_id":"user_owner","member_user_ids":["user_c","user_b"]`)
	less := said(``)
	third := said(`,"owner_user_id":null,"member_user_ids":[]`)
	apply(t, s, []store.NewEvent{e.sale("pi_1", "a@x.example", `{"storeId":"s1","productId":"p1"}`), first}, 1)
	rows := func() []string {
		return query(t, url, `SELECT xmin::text FROM customers UNION ALL SELECT xmin::text FROM payments`)
	}
	before := rows()
	apply(t, s, []store.NewEvent{second}, 1)
	if after := rows(); len(after) != 2 || !slices.Equal(after, before) {
		t.Errorf("new members rewrote rows: %q, %q", before, after)
	}
	for user, want := range map[string]bool{"user_owner": true, "user_a": false, "user_b": true, "user_c": true, "": false,
		"user_\x00": false, "USER_B": false} {
		if may(user, "s1") != want {
			t.Errorf("%q may: %v", user, !want)
		}
	}
	if may("user_owner", "s2") || may("user_owner", "") || may("user_owner", "s1\x00") {
		t.Error("the owner of one store sees another")
	}
	apply(t, s, []store.NewEvent{less}, 1)
	if !may("user_owner", "s1") || !may("user_b", "s1") {
		t.Error("they were left out, which is no news, and may not see it")
	}
	apply(t, s, []store.NewEvent{third}, 1)
	if may("user_owner", "s1") || may("user_b", "s1") {
		t.Error("they were withdrawn, and may see it still")
	}
	wantRows(t, url, `SELECT COALESCE(member_user_ids::text, 'none') FROM stores`, "{}")
}

// An older word about a store comes in vain.
func TestMembersInAnyOrder(t *testing.T) {
	s, url := openURL(t)
	var e teller
	older := e.platform("store.upserted", `{"id":"s1","member_user_ids":["user_gone"]}`)
	newer := e.platform("store.upserted", `{"id":"s1","member_user_ids":["user_b","user_a"]}`)
	apply(t, s, []store.NewEvent{newer}, 1)
	apply(t, s, []store.NewEvent{older}, 1)
	wantRows(t, url, `SELECT member_user_ids::text FROM stores`, "{user_a,user_b}")
}
