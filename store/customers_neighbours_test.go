package store_test

import (
	"context"
	"errors"
	"testing"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// On every list, each customer's neighbours are those that the list shows beside it.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	l := openLists(t)
	l.fill(t, 60)
	for _, f := range []customers.Filter{{}, {Type: "lead"}, {Course: "shared"}, {NotCourse: "shared", Status: "active"},
		{Query: "a"}} {
		for i, sort := range allSorts {
			f.Store, f.Sort, f.Limit, l.Store.WalkBudget = "store_a", sort, 100, []int{5000, 3}[i%2]
			list := append(append([]string{""}, l.expected(f)...), "")
			for i, id := range list[1 : len(list)-1] {
				previous, next, err := customers.New(l.Store).Neighbours(context.Background(), f, id)
				if err != nil || previous != list[i] || next != list[i+2] {
					t.Fatalf("%+v: beside %s are %q and %q, not %q and %q: %v", f, id, previous, next, list[i], list[i+2], err)
				}
			}
		}
	}
}

// A customer of another store has no neighbours here.
func TestNeighboursOfOthers(t *testing.T) {
	t.Parallel()
	l := openLists(t)
	l.fill(t, 20)
	f := customers.Filter{Store: "store_b"}
	for _, id := range []string{l.expected(customers.Filter{Store: "store_a", Sort: "name"})[0], "999999", "x"} {
		if _, _, err := customers.New(l.Store).Neighbours(context.Background(), f, id); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
