package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"rollcall/store"
	"rollcall/store/customers"
)

// The law: whatever was told, an explanation adds up to the row, and every fact
// in it came from an event that is there.
func TestExplanationAddsUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rapid.Check(t, func(t *rapid.T) {
		events := drawStory(t)
		h.told(t, events, plan{batch: len(events), workers: 1})
		rows, err := h.pool.Query(context.Background(), `SELECT store_id, id::text FROM customers ORDER BY id`)
		if err != nil {
			t.Fatalf("%v", err)
		}
		all, err := collectPairs(rows)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, at := range all {
			c, err := customers.New(h.store).Customer(context.Background(), at[0], at[1])
			if err != nil {
				t.Fatalf("%v", err)
			}
			e, err := customers.New(h.store).Explain(context.Background(), at[0], at[1])
			if err != nil {
				t.Fatalf("%v", err)
			}
			if wrong := unexplained(c, e); len(wrong) > 0 {
				t.Fatalf("%s\n%+v\n%+v\ntold\n%s", strings.Join(wrong, "\n"), c, e, tell(events))
			}
		}
	})
}

func collectPairs(rows pgx.Rows) ([][2]string, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p [2]string, err error) {
		return p, row.Scan(&p[0], &p[1])
	})
}

// unexplained lists what an explanation leaves open of a customer.
func unexplained(c customers.Customer, e customers.Explanation) (wrong []string) {
	check := func(what string, want, got any) {
		if diff := cmp.Diff(want, got); diff != "" {
			wrong = append(wrong, what+" (-row +explained): "+diff)
		}
	}
	net, refunded := map[string]int64{}, map[string]int64{}
	for _, p := range e.Payments {
		check(p.Ref, p.Net.Amount, p.Gross.Amount-p.Refunded.Amount-p.Disputed.Amount)
		if p.Gross.Amount > 0 {
			net[p.Gross.Currency] += p.Net.Amount
			refunded[p.Gross.Currency] += p.Refunded.Amount
		}
	}
	check("spent", sumOf(c.TotalSpent), net)
	for currency, amount := range refunded {
		if amount == 0 {
			delete(refunded, currency)
		}
	}
	check("refunded", sumOf(c.Refunded), refunded)
	for _, t := range e.TotalSpent {
		check("total in "+t.Currency, t.Amount, t.Gross.Amount-t.Refunded.Amount-t.Disputed.Amount)
		check("payments in "+t.Currency, true, len(t.Because) > 0)
	}
	check("totals", c.TotalSpent, moneyOf(e.TotalSpent))
	check("courses", coursesOf(c), coursesOfExplanation(e))
	check("type", c.Type, typeOf(e))
	check("type", c.Type, e.Type.Value)
	check("type's facts", true, len(e.Type.Because) > 0)
	check("status", c.Status, e.Status.Value)
	check("what has not ended", c.Status == "active", len(e.Status.Because) > 0)
	check("source", c.Source, e.Source.Source)
	check("source's facts", true, len(e.Source.Because) > 0)
	check("email", c.Email, e.Email.Value)
	return slices.Concat(wrong, dangling(e), astray(e))
}

// astray lists facts whose explanation does not end at the store that they are in.
func astray(e customers.Explanation) (wrong []string) {
	check := func(ref string, r *customers.StoreReason) {
		switch {
		case r == nil:
			wrong = append(wrong, ref+" is in the store for no reason")
			return
		case r.StoreID != e.StoreID || r.Key == "" || r.Why == "":
			wrong = append(wrong, fmt.Sprintf("%s leads elsewhere: %+v", ref, r))
		}
		end := r.Key
		for i, l := range r.Links {
			from, to := l.Object, l.Subject
			if l.Relation == "store" {
				from, to = l.Subject, l.Object
			}
			if from != end && (i > 0 || l.Relation != "stripe") {
				wrong = append(wrong, fmt.Sprintf("%s: link %d does not begin at %s: %+v", ref, i, end, l))
			}
			end = to
			if len(l.Origins) == 0 || l.Since.IsZero() {
				wrong = append(wrong, fmt.Sprintf("%s: nobody told %+v", ref, l))
			}
		}
		if end != e.StoreID {
			wrong = append(wrong, fmt.Sprintf("%s: the links end at %s: %+v", ref, end, r))
		}
	}
	for _, f := range e.Payments {
		check(f.Ref, f.StoreBecause)
	}
	for _, f := range e.Enrollments {
		check(f.Ref, f.StoreBecause)
	}
	for _, f := range e.Subscriptions {
		check(f.Ref, f.StoreBecause)
	}
	return wrong
}

func sumOf(all []store.Money) map[string]int64 {
	sum := map[string]int64{}
	for _, m := range all {
		sum[m.Currency] += m.Amount
	}
	return sum
}

func moneyOf(all []customers.TotalReason) []store.Money {
	out := []store.Money{}
	for _, t := range all {
		out = append(out, t.Money)
	}
	return out
}

func coursesOf(c customers.Customer) (all []string) {
	for _, course := range c.Courses {
		all = append(all, course.ID+" "+course.Title+" true")
	}
	return all
}

func coursesOfExplanation(e customers.Explanation) (all []string) {
	for _, course := range e.Courses {
		all = append(all, fmt.Sprint(course.ID, " ", course.Title, " ", len(course.Because) > 0))
	}
	return all
}

func typeOf(e customers.Explanation) string {
	switch {
	case len(e.Subscriptions) > 0:
		return "subscription"
	case slices.ContainsFunc(e.Payments, func(p customers.PaymentFact) bool { return p.Gross.Amount > 0 }):
		return "paying"
	}
	return "lead"
}

// dangling lists refs that name no fact, addresses that nobody gave and origins
// that are no event of the inbox.
func dangling(e customers.Explanation) (wrong []string) {
	var all []store.Origin
	facts := map[string]bool{}
	note := func(ref string, origins []store.Origin) {
		if facts[ref] || len(origins) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s: twice, or from nowhere: %v", ref, origins))
		}
		facts[ref] = true
		all = append(all, origins...)
	}
	for _, p := range e.Payments {
		note(p.Ref, p.Origins)
		for _, r := range p.Refunds {
			all = append(all, r.Origins...)
		}
		for _, d := range p.Disputes {
			all = append(all, d.Origins...)
		}
	}
	for _, f := range e.Enrollments {
		note(f.Ref, f.Origins)
	}
	for _, f := range e.Subscriptions {
		note(f.Ref, f.Origins)
	}
	addressed := 0
	people := map[string]bool{}
	for _, p := range e.People {
		people[p.Ref] = true
		all = append(all, p.Origins...)
		if p.Email != e.Email.Value {
			wrong = append(wrong, p.Ref+" has another address: "+p.Email)
		}
	}
	for _, b := range e.Email.Because {
		addressed += len(b.Facts)
		if (b.Person == nil) != (b.Via == "given") ||
			(b.Proof == nil || b.Proof.Subject != strings.TrimPrefix(*b.Person, "user:") || b.Proof.Object != *b.Address) !=
				(b.Via != "address") ||
			b.Person != nil && !people[*b.Person] {
			wrong = append(wrong, fmt.Sprintf("whose address? %+v", b))
		}
	}
	if addressed != len(facts) {
		wrong = append(wrong, fmt.Sprintf("%d facts, %d addresses", len(facts), addressed))
	}
	for _, f := range e.Uncounted {
		if f.Reason == "" || f.Meaning == "" || facts[f.Ref] {
			wrong = append(wrong, fmt.Sprintf("uncounted: %+v", f))
		}
	}
	for _, refs := range refsOf(e) {
		for _, ref := range refs {
			if !facts[ref] {
				wrong = append(wrong, "no such fact: "+ref)
			}
		}
	}
	for _, o := range all {
		if len(o.Of) == 0 || o.Via == "event" && (o.Event == nil || o.Event.ID == nil || *o.Event.Status != "processed") ||
			o.Via == "backfill" || o.Via == "export" {
			wrong = append(wrong, fmt.Sprintf("from where? %+v %+v", o, o.Event))
		}
	}
	return wrong
}

func refsOf(e customers.Explanation) [][]string {
	all := [][]string{e.Type.Because, e.Status.Because, e.Source.Because}
	for _, t := range e.TotalSpent {
		all = append(all, t.Because)
	}
	for _, c := range e.Courses {
		all = append(all, c.Because)
	}
	for _, b := range e.Email.Because {
		all = append(all, b.Facts)
	}
	return all
}
