package store_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/store"
)

// The law: to erase somebody in the middle of a story, and then to hear all of
// it, again or for the first time, in any order, ends as to erase them at its
// end; and what each store took is as if nobody had been erased.
func TestErasureDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rapid.Check(t, func(t *rapid.T) {
		events := drawStoryOf(t, true)
		who := rapid.SampledFrom([]store.Erasing{
			{Email: "ann@x.example"}, {Email: "bob@x.example"}, {Email: "CY@x.example"}, {Email: "dot@x.example"},
		}).Draw(t, "who")
		h.told(t, events, plan{batch: len(events), workers: 1})
		money := h.money(t)
		h.erase(t, who)
		want := h.erasedEnd(t, who)
		if diff := cmp.Diff(money, h.money(t)); diff != "" {
			t.Fatalf("erasing %+v after\n%s\nchanged what stores took (-before +after):\n%s", who, tell(events), diff)
		}
		for i := range 4 {
			p := plan{
				seed:    rapid.Uint64().Draw(t, fmt.Sprintf("order %d", i)),
				batch:   rapid.IntRange(1, 8).Draw(t, "batch"),
				workers: rapid.IntRange(1, 4).Draw(t, "workers"),
			}
			order := p.shuffle(events)
			when := rapid.IntRange(0, len(order)).Draw(t, "erased after")
			h.empty(t)
			h.tell(t, order[:when], p)
			h.erase(t, who)
			h.tell(t, append(order[when:], order[:when]...), p)
			if err := h.store.FinishErasures(context.Background(), 0, store.EraseOptions{}); err != nil {
				t.Fatalf("%v", err)
			}
			if diff := cmp.Diff(money, h.money(t)); diff != "" {
				t.Fatalf("erasing %+v after %d events, told in this order\n%s\nchanged what stores took (-never erased +now):\n%s",
					who, when, tell(order), diff)
			}
			if diff := cmp.Diff(want, h.erasedEnd(t, who)); diff != "" {
				t.Fatalf("erasing %+v after %d events, told in this order\n%s\nthe end differs (-erased at the end +now):\n%s", who,
					when, tell(order), diff)
			}
		}
	})
}

func (h *house) erase(t fataler, who store.Erasing) {
	if err := h.store.Erase(context.Background(), who, store.EraseOptions{Read: facts.Read}); err != nil {
		t.Fatalf("erase %+v: %v", who, err)
	}
}

var namelessPerson = regexp.MustCompile(`erased-[a-z2-7]{20}@`)

// erasedEnd is the end of a story somebody was erased from: a rebuild and an
// audit find nothing to mend, and nothing names the person.
func (h *house) erasedEnd(t fataler, who store.Erasing) []string {
	end := h.snapshot(t)
	diff, err := h.store.Rebuild(context.Background(), "", nil)
	if err != nil || diff.Sum() != 0 {
		t.Fatalf("a rebuild found differences: %+v %v\n%s", diff, err, cmp.Diff(end, h.snapshot(t)))
	}
	audit, err := h.store.AuditFacts(context.Background(), store.AuditOptions{Examples: 5})
	if err != nil || !audit.Clean() {
		t.Fatalf("an audit found differences: %+v %v", audit, err)
	}
	name := strings.ToLower(who.Email)
	for i, line := range end {
		if strings.Contains(strings.ToLower(line), name) {
			t.Fatalf("%s is still named: %s", name, line)
		}
		end[i] = namelessPerson.ReplaceAllString(line, "erased-person@")
	}
	return end
}

// money is what each store's customers paid, and got back, in each currency.
func (h *house) money(t fataler) []string {
	return h.lines(t, `
		SELECT store_id || ' ' || s.currency || ' ' || sum(s.amount)
		FROM customers
		CROSS JOIN LATERAL jsonb_to_recordset(spent) AS s(amount bigint, currency text)
		GROUP BY store_id, s.currency
		UNION ALL
		SELECT store_id || ' refunded ' || s.currency || ' ' || sum(s.amount)
		FROM customers
		CROSS JOIN LATERAL jsonb_to_recordset(refunded) AS s(amount bigint, currency text)
		GROUP BY store_id, s.currency
		ORDER BY 1`)
}
