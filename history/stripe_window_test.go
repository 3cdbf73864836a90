package history

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rollcall/internal/testing/stripefake"
	"rollcall/store"
)

// The law of windows: however the objects lie in time, whatever the page's size
// and in whatever order the positions are read, each object is read once; and
// splitting costs next to nothing.
func TestEveryObjectOnce(t *testing.T) {
	fake := stripefake.New(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		account := fmt.Sprintf("acct_%d", run)
		seconds := rapid.SampledFrom([]int64{1, 3, 50, 500, 60_000_000}).Draw(t, "seconds")
		n := rapid.SampledFrom([]int{0, 1, 20, 60, 150}).Draw(t, "objects")
		times := rapid.SliceOfN(rapid.Int64Range(begin, begin+seconds), n, n).Draw(t, "times")
		c := config(fake)
		c.Options.Only, c.Options.Accounts = []string{"refunds"}, []string{account}
		since := int64(0)
		if rapid.Bool().Draw(t, "since") {
			since = rapid.Int64Range(begin, begin+seconds).Draw(t, "since")
			at := time.Unix(since, 0)
			c.Options.Since = &at
		}
		var want []string
		for i, created := range times {
			id := fmt.Sprintf("re_%03d", i)
			fake.Add(account, object("refund", id, created))
			if created >= since {
				want = append(want, id+" "+account)
			}
		}
		s, err := NewStripe(c)
		if err != nil {
			t.Fatal(err)
		}
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		got := readAll(t, s, limit, rapid.Uint64().Draw(t, "order"))
		var ids []string
		for _, item := range got.items {
			ids = append(ids, item.Place)
		}
		slices.Sort(ids)
		if !slices.Equal(ids, want) {
			t.Fatalf("got %d objects, want %d:\n%v\n%v", len(ids), len(want), ids, want)
		}
		if most := 1 + len(want)/limit + maxDepth + 1; got.pages > most {
			t.Errorf("%d pages for %d objects, at most %d are needed", got.pages, len(want), most)
		}
	})
}

// A long history is read by several workers at once, a short one in a row.
func TestSharedWork(t *testing.T) {
	fake := stripefake.New(t)
	c := config(fake)
	c.Options.Only = []string{"customers"}
	fake.Add("", customers(40, 60)...)
	if r := readAll(t, newStripe(t, c), 10, 1); r.pages > 6 {
		t.Errorf("%d pages for a small history", r.pages)
	}
	fake.Add("", customers(2000, 60)...)
	s := newStripe(t, c)
	// Whoever takes a position reads on in what follows it: how many can?
	plan, err := s.Read(t.Context(), position(""), 2)
	if err != nil {
		t.Fatal(err)
	}
	chains := plan.Next
	for i := 0; i < len(chains); i++ {
		page, err := s.Read(t.Context(), chains[i], 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Next) == 2 {
			chains = append(chains, page.Next[1])
		}
	}
	if len(chains) != maxDepth+1 {
		t.Errorf("%d workers can share the work, want %d", len(chains), maxDepth+1)
	}
}

// What is deleted or created while the list is read loses nothing else.
func TestChangesBetweenPages(t *testing.T) {
	fake := stripefake.New(t)
	fake.Add("", customers(60, 60)...)
	added := 0
	fake.Faults(stripefake.Faults{Answered: func(_ stripefake.Request, ids []string) {
		if len(ids) > 0 {
			fake.Remove("", ids[len(ids)-1]) // which the next page should begin behind
			added++
			fake.Add("", object("customer", fmt.Sprintf("cus_new%d", added), asOf.Unix()+int64(added)))
		}
	}})
	c := config(fake)
	c.Options.Only = []string{"customers"}
	seen := readAll(t, newStripe(t, c), 7, 1).seen()
	for i := range 60 {
		if id := fmt.Sprintf("cus_%04d", i); seen[id] != 1 {
			t.Errorf("%s was read %d times", id, seen[id])
		}
	}
	if n := len(fake.Requests()); added == 0 || n < 60/7*2-2 {
		t.Errorf("%d requests, %d changes: nothing was missing between the pages", n, added)
	}
}

// Within one second too, where reading again cannot be helped.
func TestDeletedWithinASecond(t *testing.T) {
	fake := stripefake.New(t)
	fake.Add("", customers(20, 0)...)
	removed := false
	fake.Faults(stripefake.Faults{Answered: func(_ stripefake.Request, ids []string) {
		if !removed && len(ids) > 0 {
			removed = true
			fake.Remove("", ids[len(ids)-1])
		}
	}})
	c := config(fake)
	c.Options.Only = []string{"customers"}
	seen := readAll(t, newStripe(t, c), 6, 1).seen()
	if len(seen) != 20 {
		t.Errorf("read %d of 20: %v", len(seen), seen)
	}
}

func TestPlan(t *testing.T) {
	fake := stripefake.New(t)
	c := config(fake)
	c.Options.Accounts = []string{"", "acct_1"}
	page, err := newStripe(t, c).Read(t.Context(), store.Position{}, 100)
	if err != nil || len(page.Items) != 0 || len(page.Next) != 2*len(StripeStreams()) || len(fake.Requests()) != 0 {
		t.Fatalf("%+v %v", page, err)
	}
	if want := (window{Until: asOf.Add(overlap).Unix()}); string(page.Next[0].Cursor) != string(want.position("").Cursor) {
		t.Errorf("begins at %s", page.Next[0].Cursor)
	}
	for _, bad := range []func(*StripeConfig){
		func(c *StripeConfig) { c.Key = "" },
		func(c *StripeConfig) { c.Mode = "both" },
		func(c *StripeConfig) { c.Options.Only = []string{"charges"} },
		func(c *StripeConfig) { c.Options.Accounts = []string{"1"} },
	} {
		c := config(fake)
		bad(&c)
		var refused *Refused
		if _, err := NewStripe(c); !errors.As(err, &refused) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func position(stream string) store.Position { return store.Position{Stream: stream} }
