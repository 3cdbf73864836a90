package store_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"rollcall/store"
	"rollcall/store/bulk"
	"rollcall/store/tags"
)

// While people swap and change their addresses, tags are put on and taken off one by one,
// entries are checked and a tag is put on all and taken off them, no two transactions
// wait for each other, and nobody's tag is lost.
func TestBulkBesideOthers(t *testing.T) {
	t.Parallel()
	const pairs, rounds = 12, 25
	s, url := openURL(t)
	var e teller
	var events []store.NewEvent
	user := func(i int, email string) store.NewEvent {
		return e.user(fmt.Sprintf("user_%d", i), email+"@x.example", "verified")
	}
	for i := range 2 * pairs {
		events = append(events, user(i, fmt.Sprintf("p%d", i)), e.enrolled("c1", fmt.Sprintf(`"user_id":"user_%d"`, i)))
	}
	apply(t, s, events, 1)
	vip, one := tag(t, s, url, "p0@x.example", "VIP"), tag(t, s, url, "p0@x.example", "one")
	ids := query(t, url, `SELECT id::text FROM customers ORDER BY id`)
	ctx, bulks, single := t.Context(), bulk.New(s), tags.New(s)

	var moves [][]store.NewEvent
	for r := range rounds {
		var swap []store.NewEvent
		for i := range pairs {
			swap = append(swap, user(2*i, fmt.Sprintf("p%d", 2*i+(r+1)%2)), user(2*i+1, fmt.Sprintf("p%d", 2*i+r%2)))
		}
		moves = append(moves, swap)
	}
	var g errgroup.Group
	g.Go(func() error {
		for _, swap := range moves {
			apply(t, s, swap, 2)
		}
		return nil
	})
	g.Go(func() error {
		for r := range rounds * len(ids) {
			change := single.Put
			if r/len(ids)%2 == 1 {
				change = func(ctx context.Context, storeID, customer, id, _ string) error {
					return single.Take(ctx, storeID, customer, id)
				}
			}
			if err := change(ctx, "s1", ids[r%len(ids)], [2]string{vip, one}[r%2], "admin"); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		for r := range rounds {
			_, err := s.Pool.Exec(ctx, `UPDATE customer_index SET tags = '{x}' WHERE customer_id = $1`, ids[r%len(ids)])
			if err == nil {
				_, err = s.Rebuild(ctx, "", nil)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		for r := range rounds {
			a, err := bulks.Start(ctx, "s1", all([2]string{bulk.Add, bulk.Remove}[r%2], vip), "admin")
			for err == nil && !a.Ended() {
				if _, err = bulks.Step(ctx); err == nil {
					a, err = bulks.Action(ctx, "s1", a.ID)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()`, "0")
	wantSound(t, s)
	a := start(t, s, all(bulk.Add, vip))
	wantAction(t, a, "done", 2*pairs, 2*pairs, a.Changed)
	wantRows(t, url, `SELECT count(*)::text FROM customer_tags WHERE tag_id = '`+vip+`'`, strconv.Itoa(2*pairs))
}
