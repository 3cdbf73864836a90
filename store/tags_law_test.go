package store_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/store"
	"rollcall/store/bulk"
	"rollcall/store/customers"
	"rollcall/store/segments"
	"rollcall/store/tags"
)

// The law: in whatever order people are tagged, noted and put into segments, one by one or
// many at once, move, merge, swap addresses and are erased, tags are renamed and merged, and
// all is rebuilt, everybody ends with what they were given. What erasing changes:
//
//   - Whoever has or had the address goes with all that they were given, wherever they live,
//     before or after: also who is told of only later to have had it before the erasure. Who
//     comes there after it stays, and has their own.
//   - Who shares an address with the erased, but never had the erased one, stays, and so does
//     what was given to that address: of two who merged, no one can tell whose it was. Only
//     here the order counts. Who is erased before they merge takes all of theirs along.
//   - What nobody was given, nobody has.
func TestMarksDoNotDependOnOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rapid.Check(t, func(r *rapid.T) {
		c := newCrowd(h, r)
		acts := c.draw()
		for _, act := range rapid.Permutation(acts).Draw(r, "order") {
			c.told = append(c.told, act.name)
			act.do()
		}
		c.finish()
		c.wantMarks("at the end")
		if where := rapid.SampledFrom(append(addresses, "")).Draw(r, "erased"); where != "" {
			only := drawStore(r)
			c.told = append(c.told, where+" is erased "+only)
			c.eraseFrom(where, only)
			c.wantMarks("after the last erasure")
		}
		c.rebuild()
		c.wantMarks("after the last rebuild")
	})
}

// crowd are people of store s1, who live alone at first: a to c have an account, d and e
// never move. A to C are a to c as guests, before they had their accounts: what they bought
// names their first address. It goes along with the account, and back once that is erased, unless
// that address was erased from the store since.
type crowd struct {
	*house
	r          *rapid.T
	e          teller
	tags       *tags.Tags
	list       string            // a static segment, which is watched
	vip        string            // the tag into which the others are merged
	home       map[string]string // where people live who are not erased
	lived      map[string][]string
	erased     []string // addresses
	erasedHere []string // from this store only
	had        map[string][]string
	told       []string
}

var (
	crowdAtFirst = []string{"a", "b", "c", "d", "e", "A", "B", "C"}
	addresses    = []string{"a", "b", "c", "d", "e", "f"}
)

type act struct {
	name string
	do   func()
}

func newCrowd(h *house, r *rapid.T) *crowd {
	h.empty(r)
	for _, table := range []string{"customer_tags", "deleted_tags", "tags", "segments", "bulk_actions", "customer_notes"} {
		h.exec(r, `DELETE FROM `+table)
	}
	c := &crowd{house: h, r: r, tags: tags.New(h.store), home: map[string]string{}, lived: map[string][]string{},
		had: map[string][]string{}}
	var events []store.NewEvent
	for i, who := range crowdAtFirst {
		at := strings.ToLower(who)
		if at != who && rapid.Bool().Draw(r, "no "+who) {
			continue
		}
		c.home[who], c.lived[who] = at, []string{at}
		switch {
		case at != who:
			events = append(events, c.e.sale("pi_"+at, at+"@x.example", `{"storeId":"s1","productId":"p"}`))
		case i < 3:
			events = append(events, c.e.user("user_"+who, who+"@x.example", "verified"),
				c.e.enrolled("c1", `"user_id":"user_`+who+`"`))
		default:
			events = append(events, c.e.enrolled("c1", `"email":"`+who+`@x.example"`))
		}
	}
	events = rapid.Permutation(events).Draw(r, "who is older")
	c.tell(r, events, plan{batch: 1, workers: 1})
	g, err := segments.New(h.store).Create(context.Background(), "s1",
		segments.Segment{Name: "list", Kind: segments.Static, Watched: true}, "admin")
	c.must(err)
	c.list = g.ID
	return c
}

func (c *crowd) must(err error) {
	if err != nil {
		c.r.Fatalf("after %v: %v", c.told, err)
	}
}

// draw draws what happens. Nobody moves to where somebody leaves: what is left behind there
// depends on who comes first. But two may swap.
func (c *crowd) draw() (acts []act) {
	acts = append(acts, c.moves()...)
	for range rapid.IntRange(0, 2).Draw(c.r, "erasures") {
		where := rapid.SampledFrom(addresses).Draw(c.r, "erased meanwhile")
		only := drawStore(c.r)
		acts = append(acts, act{where + " is erased " + only, func() { c.eraseFrom(where, only) }})
	}
	for range rapid.IntRange(1, 8).Draw(c.r, "marks") {
		who := rapid.SampledFrom(crowdAtFirst).Draw(c.r, "who")
		what := rapid.SampledFrom([]string{"VIP", "late", "list", "note"}).Draw(c.r, "what")
		if rapid.Bool().Draw(c.r, "many at once") && what != "note" {
			acts = append(acts, act{"bulk " + what, func() { c.markAll(what) }})
			continue
		}
		acts = append(acts, act{who + " gets " + what, func() { c.mark(who, what) }})
	}
	all := segments.New(c.store)
	return append(acts,
		act{"merge", c.merge}, act{"rename", c.rename}, act{"rebuild", c.rebuild},
		act{"work", func() { _, err := bulk.New(c.store).Step(context.Background()); c.must(err) }},
		act{"look", func() { _, err := all.Look(context.Background(), 0); c.must(err) }})
}

func (c *crowd) moves() (acts []act) {
	movers := crowdAtFirst[:3]
	if rapid.Bool().Draw(c.r, "two swap") {
		acts = append(acts, c.move("a and b swap", "a", "b", "b", "a"))
		movers = movers[2:]
	}
	for _, who := range movers {
		if where := rapid.SampledFrom([]string{who, "d", "e", "f"}).Draw(c.r, who+" moves to"); where != who {
			acts = append(acts, c.move(who+" moves to "+where, who, where))
		}
	}
	return acts
}

// move is people who move, each to the address behind them, all at once. It happened before
// all erasures, and is told of sooner or later, or happens when it is told of.
func (c *crowd) move(name string, moves ...string) act {
	var events []store.NewEvent
	for to := range slices.Chunk(moves, 2) {
		events = append(events, c.e.user("user_"+to[0], to[1]+"@x.example", "verified"))
	}
	now := rapid.Bool().Draw(c.r, name+" now")
	if now {
		name += " now"
	}
	return act{name, func() {
		for i := range events {
			if now {
				events[i].OccurredAt = time.Now()
			}
		}
		c.tell(c.r, events, plan{batch: len(events), workers: 1})
		var lost []string
		for to := range slices.Chunk(moves, 2) {
			switch who, where := to[0], to[1]; {
			case !c.here(who):
			case !now && slices.Contains(c.erased, where):
				lost = append(lost, who)
			case !now && slices.Contains(c.erasedHere, where):
				delete(c.home, who)
				if guest := strings.ToUpper(who); c.home[guest] == who {
					delete(c.home, guest)
				}
			default:
				c.home[who], c.lived[who] = where, append(c.lived[who], where)
				if guest := strings.ToUpper(who); c.here(guest) {
					c.home[guest] = where
				}
			}
		}
		c.gone(lost)
	}}
}

// drawStore is the only store that somebody is erased from; empty: all.
func drawStore(r *rapid.T) string {
	return rapid.SampledFrom([]string{"", "s1", "s2"}).Draw(r, "erased from")
}

// eraseFrom erases all who have or had an address, or from one store those who have it.
func (c *crowd) eraseFrom(where, only string) {
	c.erase(c.r, store.Erasing{Email: where + "@x.example", Store: only})
	switch only {
	case "s1":
		c.erasedHere = append(c.erasedHere, where)
		for _, w := range crowdAtFirst {
			if c.home[w] == where {
				delete(c.home, w)
			}
		}
	case "":
		c.erased = append(c.erased, where)
		var who []string
		for _, w := range crowdAtFirst {
			if c.here(w) && slices.Contains(c.lived[w], where) {
				who = append(who, w)
			}
		}
		c.gone(who)
	}
}

// gone are people who are erased. What they had goes, unless others share their address.
func (c *crowd) gone(who []string) {
	left := map[string]string{}
	for _, w := range who {
		left[w] = c.home[w]
		delete(c.home, w)
	}
	for _, w := range who {
		for _, other := range crowdAtFirst {
			if c.home[other] == left[w] {
				c.had[other] = append(c.had[other], c.had[w]...)
			}
		}
	}
	for _, w := range who {
		guest := strings.ToUpper(w)
		switch {
		case !c.here(guest) || c.home[guest] == w:
		case slices.Contains(c.erasedHere, w):
			delete(c.home, guest)
		default:
			c.home[guest], c.had[guest] = w, nil
		}
	}
}

// here tells whether somebody is not erased.
func (c *crowd) here(who string) bool { return c.home[who] != "" }

// id is who a person is now.
func (c *crowd) id(who string) string {
	return c.lines(c.r, `
		SELECT customer_id::text
		FROM enrollments
		WHERE person IN ('user:user_`+who+`', 'email:`+who+`@x.example')
		UNION ALL
		SELECT customer_id::text
		FROM payments
		WHERE upper(id) = 'PI_`+who+`'`)[0]
}

func (c *crowd) mark(who, what string) {
	if !c.here(who) {
		return
	}
	c.had[who] = append(c.had[who], what)
	c.give(c.id(who), what)
}

func (c *crowd) give(id, what string) {
	ctx := context.Background()
	switch what {
	case "note":
		_, err := customers.New(c.store).AddNote(ctx, "s1", id, customers.NewNote{Body: "note", Author: "admin"})
		c.must(err)
	case "list":
		c.must(segments.New(c.store).Include(ctx, "s1", id, c.list, "admin"))
	default:
		c.must(c.tags.Put(ctx, "s1", id, c.tagged(what), "admin"))
	}
}

// tagged is the id of a tag, whatever has become of it.
func (c *crowd) tagged(name string) string {
	if name == "VIP" && c.vip != "" || name == "late" && c.vip == "merged" {
		name = "VIP"
	}
	for _, renamed := range []string{name, "very important"} {
		if found := c.lines(c.r, `SELECT id FROM tags WHERE name = '`+renamed+`'`); len(found) > 0 && (renamed == name ||
			name == "VIP") {
			return found[0]
		}
	}
	id, err := c.tags.Ensure(context.Background(), "s1", name, "admin")
	c.must(err)
	return id
}

// markAll marks some, later: when the workers come to it.
func (c *crowd) markAll(what string) {
	who := rapid.SliceOfNDistinct(rapid.SampledFrom(crowdAtFirst), 1, 4, rapid.ID[string]).Draw(c.r, "these")
	if who = slices.DeleteFunc(who, func(w string) bool { return !c.here(w) }); len(who) == 0 {
		return
	}
	o := bulk.Order{Action: bulk.Add, Target: c.list}
	if what != "list" {
		o.Target = c.tagged(what)
		if c.vip == "" && what == "late" {
			what, o.Target = "VIP", c.tagged("VIP") // the other may be merged before the workers come
		}
	}
	for _, w := range who {
		c.had[w] = append(c.had[w], what)
		id, err := strconv.ParseInt(c.id(w), 10, 64)
		c.must(err)
		o.Customers = append(o.Customers, id)
	}
	_, err := bulk.New(c.store).Start(context.Background(), "s1", o, "admin")
	c.must(err)
}

func (c *crowd) merge() {
	late, vip := c.tagged("late"), c.tagged("VIP")
	c.must(c.tags.Merge(context.Background(), "s1", late, vip))
	c.vip = "merged"
}

func (c *crowd) rename() {
	c.must(c.tags.Rename(context.Background(), "s1", c.tagged("VIP"), "very important"))
}

func (c *crowd) rebuild() {
	if diff, err := c.store.Rebuild(context.Background(), "", nil); err != nil || diff.Sum() != 0 {
		c.r.Fatalf("after %v: rebuild: %+v %v", c.told, diff, err)
	}
}

func (c *crowd) finish() {
	for worked := true; worked; {
		var err error
		worked, err = bulk.New(c.store).Step(context.Background())
		c.must(err)
	}
	_, err := segments.New(c.store).Look(context.Background(), 0)
	c.must(err)
	c.must(c.store.FinishErasures(context.Background(), 0, store.EraseOptions{}))
}

// wantMarks checks that everybody has what they were given, by every way to ask.
func (c *crowd) wantMarks(when string) {
	want := map[string]bool{}
	for who, home := range c.home {
		for _, what := range c.had[who] {
			if what == "late" || what == "VIP" {
				what = "very important"
			}
			want[home+"@x.example "+what] = true
		}
	}
	name := `CASE WHEN %[1]s = '` + c.list + `' THEN 'list' ELSE (SELECT name FROM tags WHERE id = %[1]s) END`
	for from, sql := range map[string]string{
		"customer_tags": `SELECT email || ' ' || ` + fmt.Sprintf(name, "tag_id") + ` FROM customer_tags
			UNION SELECT email || ' note' FROM customer_notes`,
		"the index": `SELECT email || ' ' || ` + fmt.Sprintf(name, "tag") + `
			FROM customers c JOIN customer_index i ON i.customer_id = c.id CROSS JOIN unnest(tags) tag
			UNION SELECT email || ' note' FROM customer_notes`,
	} {
		got := map[string]bool{}
		for _, line := range c.lines(c.r, sql) {
			got[line] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			c.r.Fatalf("%s, by %s, after\n%s\n(-want +got):\n%s", when, from, strings.Join(c.told, "\n"), diff)
		}
	}
	if stray := c.lines(c.r, `SELECT email FROM watched_members WHERE email NOT IN (
		SELECT email FROM customer_tags WHERE tag_id = '`+c.list+`')`); len(stray) > 0 {
		c.r.Fatalf("%s, after %v: watched without being in the segment: %v", when, c.told, stray)
	}
	if gone := c.lines(c.r, `SELECT kind FROM segment_moves WHERE kind = 'out'`); len(gone) > 0 {
		c.r.Fatalf("%s, after %v: someone left the segment, in which all stay", when, c.told)
	}
}
