package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"rollcall/cmd/rollcall/internal/demo"
	"rollcall/internal/show"
	"rollcall/store/customers"
)

// listed is how many customers of a list are printed.
const listed = 12

// printLists prints the lists of all stores, as the API gave them.
func printLists(w io.Writer, p *demo.Player) {
	now := time.Now()
	for _, s := range p.Scenario.Stores {
		l := p.Lists[s.Row["store"]]
		fmt.Fprintf(w, "\n%s  (%s)\n\n", s.Row["name"], s.Row["store"])
		t := table{head: []string{"NAME", "EMAIL", "TYPE", "STATUS", "SPENT", "LAST ACTIVITY"}, indent: "  "}
		for _, c := range l.Customers[:min(listed, len(l.Customers))] {
			t.add(deref(c.Name), c.Email, show.Types[c.Type], c.Status, orDash(monies(c.TotalSpent)), ago(now.Sub(deref(c.LastActivityAt))))
			if things := has(c); things != "" {
				t.add("  " + things)
			}
		}
		t.print(w)
		if more := len(l.Customers) - listed; more > 0 {
			fmt.Fprintf(w, "  … and %d more\n", more)
		}
		fmt.Fprintf(w, "\n  %s\n", statsText(l.Stats))
	}
	fmt.Fprintf(w, "\nNot expected on a list:\n")
	t := table{head: []string{"NAME", "EMAIL", "WHY"}, indent: "  "}
	for _, a := range p.Scenario.Absent {
		t.add(a["name"], a["email"], a["absent"])
	}
	t.print(w)
}

func statsText(s customers.Stats) string {
	return fmt.Sprintf("%s: %s, %d paying, %s; %d active; %s",
		count(int(s.Total), "customer"), count(int(s.Leads), "lead"), s.Paying, count(int(s.Subscribers), "subscriber"), s.Active, monies(s.Revenue))
}

// has is all that a customer has: courses, what else was bought, plans.
func has(c customers.Customer) string {
	prices := map[string]string{}
	for _, p := range c.Purchases {
		prices[deref(p.ProductID)] = " (" + priceText(p) + ")"
	}
	var parts []string
	for _, v := range c.Courses {
		parts = append(parts, fmt.Sprintf("%s %.3g %%", v.Title, v.Progress)+prices[v.ID])
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

func priceText(p customers.Purchase) string {
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

// printSent prints what was sent, and what became of it.
func printSent(w io.Writer, s demo.Sent, seed uint64) {
	fmt.Fprintf(w, `
Sent: %d webhooks in %d requests over %d connections, in random order (--seed %d),
  %d of them twice, %d before something they name, %d held back until all the
  others were through (the lists then had %d customers, now %d).
  One forged webhook was refused. Sent and worked through in %.1f s:
  %s.
`, s.Events, s.Requests, demo.Senders, seed, s.Doubled, s.Late, s.Held, s.Then, s.Now, s.Took.Seconds(), countsLine(s.Counts))
}
