package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"rollcall/cmd/rollcall/internal/show"
	"rollcall/cmd/rollcall/story"
	"rollcall/store"
)

// listed is how many customers of a list are printed.
const listed = 12

// printLists prints the lists of all stores, as the API gave them.
func printLists(w io.Writer, told story.Story, lists map[string]list) {
	now := time.Now()
	for _, s := range told.Stores {
		l := lists[s.ID]
		fmt.Fprintf(w, "\n%s  (%s)\n\n", s.Name, s.ID)
		t := table{head: []string{"NAME", "EMAIL", "TYPE", "STATUS", "SPENT", "LAST ACTIVITY"}, indent: "  "}
		for i, c := range l.customers {
			if i == listed {
				break
			}
			r := rowOf(c)
			t.add(r.name, r.email, show.Types[r.kind], r.status, orDash(r.spent), ago(now.Sub(r.lastActivity)))
			if things := has(c); things != "" {
				t.add("  " + things)
			}
		}
		t.print(w)
		if more := len(l.customers) - listed; more > 0 {
			fmt.Fprintf(w, "  … and %d more\n", more)
		}
		fmt.Fprintf(w, "\n  %s\n", statsText(l.stats))
	}
	fmt.Fprintf(w, "\nOn no list, and rightly so:\n")
	t := table{head: []string{"NAME", "EMAIL", "WHY"}, indent: "  "}
	for _, a := range told.Absent {
		t.add(a.Name, a.Email, a.Why)
	}
	t.print(w)
}

// kinds are the types as a creator reads them.

// has is all that a customer has: courses, what else was bought, plans.
func has(c store.Customer) string {
	prices := map[string]string{}
	for _, p := range c.Purchases {
		prices[deref(p.ProductID)] = " (" + priceText(p) + ")"
	}
	var parts []string
	for _, v := range c.Courses {
		parts = append(parts, courseText(v.Title, v.Progress)+prices[v.ID])
		delete(prices, v.ID)
	}
	for _, p := range c.Purchases {
		if price, left := prices[deref(p.ProductID)]; left {
			parts = append(parts, deref(p.Title)+price)
		}
	}
	for _, v := range c.Subscriptions {
		parts = append(parts, fmt.Sprintf("%s (%s)", deref(v.Plan), v.Status))
	}
	if len(c.Refunded) > 0 && len(c.Purchases) == 0 {
		parts = append(parts, monies(c.Refunded)+" refunded")
	}
	return strings.Join(parts, " · ")
}

func priceText(p store.Purchase) string {
	text := money(p.Amount, p.Currency)
	if p.Refunded > 0 {
		text += ", " + money(p.Refunded, p.Currency) + " refunded"
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// total is how many customers the lists of stores have.
func total(stores []story.Store, lists map[string]list) (n int) {
	for _, s := range stores {
		n += len(lists[s.ID].customers)
	}
	return n
}

// summary prints what was sent, and what became of it.
func (p *player) summary(w io.Writer, took time.Duration, then, now int, seed uint64) {
	fmt.Fprintf(w, `
Sent: %d webhooks in %d requests over %d connections, in random order (--seed %d),
  %d of them twice, %d before something they lean on, %d held back until all the
  others were through (the lists then had %d customers, now %d).
  One forged webhook was refused. Sent and worked through in %.1f s:
  %s.
`, p.events, p.requests, senders, seed, p.doubled, p.late, p.held, then, now, took.Seconds(), countsLine(p.counts))
}
