package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"rollcall/store"
)

// The law of monotony: saying less takes nobody away. After any story, a message
// that leaves out what was known, or that adds another link, takes nobody off a
// list, lowers no type and no total, and ends nobody's course. Only refunds,
// disputes, ends, deletions, merges and erasures take away, and none of these is
// a weakening. More stories for each kind of weakening: -rapid.checks=300.
func TestSayingLessTakesNobodyAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, w := range weakenings {
		t.Run(w.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { h.weaken(t, w) })
		})
	}
	t.Run("several", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { h.weaken(t, weakenings...) })
	})
}

// A later message that names one course alone, and not the list, leaves the list as it
// was: on a sale, and on a subscription whose price names another product.
func TestCourseAloneLeavesTheList(t *testing.T) {
	s, url := openURL(t)
	var e teller
	subscription := func(metadata string) store.NewEvent {
		return e.stripe("customer.subscription.updated", "",
			`{"id":"sub_1","status":"active","customer":"cus_1","created":1772442000,
			"metadata":`+metadata+`,"items":{"data":[{"price":{"id":"price_1","unit_amount":900,"currency":"usd"}}]}}`)
	}
	apply(t, s, []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"One"}`),
		e.platform("product.upserted",
			`{"id":"plan","store_id":"s1","kind":"membership","title":"P","stripe_price_ids":["price_1"]}`),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s1","courseId":"c1","courseIds":"c1,c2"}`),
		subscription(`{"storeId":"s1","courseId":"c3","courseIds":"c3,c4"}`),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s1","courseId":"c1"}`),
		subscription(`{"storeId":"s1","courseId":"c3"}`),
		e.sale("pi_2", "bob@x.example", `{"storeId":"s1","courseId":"c5"}`),
	}, 1)
	wantRows(t, url, `
		SELECT id || ' ' || (SELECT string_agg(p ->> 'id', ' ' ORDER BY p ->> 'id') FROM jsonb_array_elements(sold) p)
		FROM (SELECT id, sold FROM payments UNION ALL SELECT id, sold FROM subscriptions) f
		ORDER BY 1`, "pi_1 c1 c2", "pi_2 c5", "sub_1 c3 c4 plan")
}

// weakeningsBegin is when they are told: after all of the story.
var weakeningsBegin = storyStart.Add(time.Hour)

// weaken tells a story, then one to three weakenings, one after the other, each
// of a kind drawn from those given.
func (h *house) weaken(t *rapid.T, kinds ...weakening) {
	story := append(drawCatalogue(t), drawStoryOf(t, true)...)
	h.told(t, story, plan{batch: len(story), workers: 1})
	before := h.everybody(t)
	told := slices.Clone(story)
	for i := range rapid.IntRange(1, 3).Draw(t, "weakenings") {
		w := rapid.SampledFrom(kinds).Draw(t, "kind")
		e, ok := w.draw(weakener{t: t, told: story, at: weakeningsBegin.Add(time.Duration(i) * time.Second), nth: i})
		if !ok { // the story has nothing to be weakened so
			continue
		}
		// One that is refused changes nothing, so it breaks no law.
		h.tell(t, []store.NewEvent{e}, plan{batch: 1, workers: 1})
		told = append(told, e)
		after := h.everybody(t)
		if lost := before.lostIn(after, w.moves); len(lost) > 0 {
			t.Fatalf("%s: %s\nby the last of\n%s", w.name, strings.Join(lost, "\n"), tell(told))
		}
		before = after
	}
}

// drawCatalogue draws what makes most of a story's facts somebody's, in some
// store: links to be weakened.
func drawCatalogue(t *rapid.T) (events []store.NewEvent) {
	for i, act := range []func(drawer) store.NewEvent{
		func(d drawer) store.NewEvent {
			return d.platform("store.upserted",
				`{"id":"store_1","name":"S","owner_user_id":"user_owner","stripe_account_id":"acct_1"}`)
		},
		func(d drawer) store.NewEvent {
			return d.platform("product.upserted",
				fmt.Sprintf(`{"id":"course_1","store_id":%q,"kind":"course","title":"C","stripe_price_ids":["price_1"]}`,
					d.pick("its store", "store_1", "user_owner")))
		},
		func(d drawer) store.NewEvent {
			return d.platform("product.upserted",
				fmt.Sprintf(`{"id":"course_2","store_id":%q,"kind":"membership","title":"C","stripe_price_ids":["price_2"]}`,
					d.pick("its store", "store_1", "user_owner")))
		},
		func(d drawer) store.NewEvent {
			return d.event("clerk", "user.created", "", userPayload("user_1", "Ann", d.at, address(d.email(), "verified")))
		},
	} {
		if d := (drawer{t: t, at: storyStart, nth: 90 + i}); d.pick("listed", "no", "yes", "yes") == "yes" {
			d.at = d.at.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "second")) * time.Second)
			events = append(events, act(d))
		}
	}
	return events
}

// standing is how a customer stands: what no weakening may lessen.
type standing struct {
	Store, Email string
	Type         string
	Spent        []store.Money
	Courses      []string
	Facts        []string // that make the customer
}

type everybody []standing

const everybodySQL = `
	SELECT json_build_object('store', store_id, 'email', email, 'type', type, 'spent', spent, 'courses',
		course_ids, 'facts', (
		SELECT coalesce(json_agg(fact ORDER BY fact), '[]')
		FROM (
			SELECT concat_ws(' ', 'payment', account, id) AS fact FROM payments WHERE customer_id = c.id
			UNION ALL
			SELECT concat_ws(' ', 'subscription', account, id) FROM subscriptions WHERE customer_id = c.id
			UNION ALL
			SELECT concat_ws(' ', 'enrollment', course_id, person) FROM enrollments WHERE customer_id = c.id
		) f
	))
	FROM customers c
	ORDER BY store_id, email`

// everybody reads all lists.
func (h *house) everybody(t fataler) everybody {
	rows, err := h.pool.Query(context.Background(), everybodySQL)
	if err != nil {
		t.Fatalf("%v", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c standing, err error) {
		var raw []byte
		if err := row.Scan(&raw); err != nil {
			return c, err
		}
		return c, json.Unmarshal(raw, &c)
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return all
}

// lostIn names what a later reading of the lists has less of.
func (all everybody) lostIn(after everybody, moves bool) (lost []string) {
	for _, c := range all {
		heirs := after.heirs(c, moves)
		if len(heirs) == 0 {
			lost = append(lost, fmt.Sprintf("%s left the list of %s", c.Email, c.Store))
			continue
		}
		for _, l := range c.lostIn(heirs) {
			lost = append(lost, fmt.Sprintf("%s in %s: %s", c.Email, c.Store, l))
		}
	}
	for key, amount := range all.totals() {
		if now := after.totals()[key]; now < amount {
			lost = append(lost, fmt.Sprintf("the total of %s fell from %d to %d", key, amount, now))
		}
	}
	return lost
}

// heirs are the customers that a customer has become: the one at the same
// address in the same store; where a weakening may move what guests did to the
// user who proved the address, those as well that now have a fact of theirs.
func (all everybody) heirs(c standing, moves bool) (heirs everybody) {
	for _, h := range all {
		has := func(fact string) bool { return slices.Contains(h.Facts, fact) }
		if h.Store == c.Store && (h.Email == c.Email || moves && slices.ContainsFunc(c.Facts, has)) {
			heirs = append(heirs, h)
		}
	}
	return heirs
}

var typeRank = map[string]int{"lead": 0, "paying": 1, "subscription": 2}

// lostIn names what a customer had that those they have become have not.
func (c standing) lostIn(heirs everybody) (lost []string) {
	best, courses, spent := 0, map[string]bool{}, map[string]int64{}
	for _, h := range heirs {
		best = max(best, typeRank[h.Type])
		for _, id := range h.Courses {
			courses[id] = true
		}
		for _, m := range h.Spent {
			spent[m.Currency] += m.Amount
		}
	}
	if best < typeRank[c.Type] {
		lost = append(lost, fmt.Sprintf("was %s, is %s", c.Type, heirs[0].Type))
	}
	for _, m := range c.Spent {
		if spent[m.Currency] < m.Amount {
			lost = append(lost, fmt.Sprintf("had spent %d %s, now %d", m.Amount, m.Currency, spent[m.Currency]))
		}
	}
	for _, id := range c.Courses {
		if !courses[id] {
			lost = append(lost, "lost the course "+id)
		}
	}
	return lost
}

// totals are what each store earned, by currency.
func (all everybody) totals() map[string]int64 {
	sum := map[string]int64{}
	for _, c := range all {
		for _, m := range c.Spent {
			sum[c.Store+" in "+m.Currency] += m.Amount
		}
	}
	return sum
}
