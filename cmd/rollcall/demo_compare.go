package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/cmd/rollcall/story"
	"rollcall/store"
)

// row is a customer in words: what the API says of one and what the story says
// are both brought to this, and compared word by word.
type row struct {
	name, email, kind, status, source string
	spent, refunded                   string
	courses, purchases, plans         []string
	firstSeen, lastActivity           time.Time
}

func (r row) fields() [][2]string {
	return [][2]string{
		{"name", r.name},
		{"type", r.kind},
		{"status", r.status},
		{"source", r.source},
		{"spent", r.spent},
		{"refunded", r.refunded},
		{"courses", strings.Join(r.courses, ", ")},
		{"purchases", strings.Join(r.purchases, ", ")},
		{"subscriptions", strings.Join(r.plans, ", ")},
		{"first seen", r.firstSeen.Format(time.RFC3339)},
		{"last activity", r.lastActivity.Format(time.RFC3339)},
	}
}

// rowOf is a customer as the API gives them.
func rowOf(c store.Customer) row {
	r := row{email: c.Email, name: deref(c.Name), kind: c.Type, status: c.Status, source: deref(c.Source.Kind),
		spent: monies(c.TotalSpent), refunded: monies(c.Refunded), firstSeen: deref(c.FirstSeenAt), lastActivity: deref(c.LastActivityAt)}
	for _, v := range c.Courses {
		r.courses = append(r.courses, courseText(v.Title, v.Progress))
	}
	for _, v := range c.Purchases {
		r.purchases = append(r.purchases, purchaseText(deref(v.Title), v.Amount, v.Refunded, v.Currency))
	}
	for _, v := range c.Subscriptions {
		r.plans = append(r.plans, deref(v.Plan)+" "+v.Status)
	}
	slices.Sort(r.courses)
	return r
}

// rowToBe is a customer as the story has them.
func rowToBe(c *story.Customer) row {
	r := row{email: c.Email, name: c.Name, kind: c.Type, status: c.Status, source: c.SourceKind,
		spent: monies(moneyOf(c.Spent)), refunded: monies(moneyOf(c.Refunded)), firstSeen: c.FirstSeen, lastActivity: c.LastActivity}
	for id, percent := range c.Courses {
		r.courses = append(r.courses, courseText(story.Title(id), percent))
	}
	for _, v := range c.Purchases {
		r.purchases = append(r.purchases, purchaseText(story.Title(v.Product), v.Amount, v.Refunded, v.Currency))
	}
	for _, v := range c.Subscriptions {
		r.plans = append(r.plans, story.Title(v.Product)+" "+v.Status)
	}
	slices.Sort(r.courses)
	return r
}

func courseText(title string, percent float64) string {
	return fmt.Sprintf("%s %.3g %%", title, percent)
}

func purchaseText(title string, amount, refunded int64, currency string) string {
	text := title + " " + money(amount, currency)
	if refunded > 0 {
		text += " (" + money(refunded, currency) + " refunded)"
	}
	return text
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func moneyOf(byCurrency map[string]int64) []store.Money {
	var out []store.Money
	for _, currency := range slices.Sorted(maps.Keys(byCurrency)) {
		out = append(out, store.Money{Amount: byCurrency[currency], Currency: currency})
	}
	return out
}

// compare lists every difference between the lists and the story.
func compare(told story.Story, lists map[string]list) (differences []string) {
	for _, s := range told.Stores {
		got := map[string]row{}
		for _, c := range lists[s.ID].customers {
			if _, twice := got[c.Email]; twice {
				differences = append(differences, fmt.Sprintf("%s: %s is on the list twice", s.Name, c.Email))
			}
			got[c.Email] = rowOf(c)
		}
		for _, c := range s.Customers {
			differences = append(differences, compareRow(s.Name, rowToBe(c), got)...)
			delete(got, c.Email)
		}
		for email := range got {
			differences = append(differences, fmt.Sprintf("%s: %s is on the list and should not be", s.Name, email))
		}
		differences = append(differences, compareStats(s, lists[s.ID].stats)...)
	}
	return differences
}

func compareRow(where string, want row, all map[string]row) (differences []string) {
	got, there := all[want.email]
	if !there {
		return []string{fmt.Sprintf("%s: %s is missing", where, want.email)}
	}
	is := got.fields()
	for i, f := range want.fields() {
		if is[i][1] != f[1] {
			differences = append(differences, fmt.Sprintf("%s: %s: %s is %q, the story says %q", where, want.email, f[0], is[i][1], f[1]))
		}
	}
	return differences
}

// compareStats compares a store's totals with those of the story's rows.
func compareStats(s story.Store, got store.Stats) (differences []string) {
	want, revenue := store.Stats{Total: int64(len(s.Customers))}, map[string]int64{}
	for _, c := range s.Customers {
		switch c.Type {
		case "lead":
			want.Leads++
		case "paying":
			want.Paying++
		case "subscription":
			want.Subscribers++
		}
		if c.Status == "active" {
			want.Active++
		}
		for currency, amount := range c.Spent {
			revenue[currency] += amount
		}
	}
	want.Revenue = moneyOf(revenue)
	if w, g := statsText(want), statsText(got); w != g {
		differences = append(differences, fmt.Sprintf("%s: the figures are %q, the story says %q", s.Name, g, w))
	}
	return differences
}

func statsText(s store.Stats) string {
	return fmt.Sprintf("%s: %s, %d paying, %s; %d active; %s",
		count(int(s.Total), "customer"), count(int(s.Leads), "lead"), s.Paying, count(int(s.Subscribers), "subscriber"), s.Active, monies(s.Revenue))
}

// compareCounts checks that every event is in the inbox once.
func (p *player) compareCounts(events []story.Event) (differences []string) {
	kept := int64(0)
	for _, n := range p.counts {
		kept += n
	}
	if kept != int64(len(events)) {
		differences = append(differences, fmt.Sprintf("the inbox holds %d events, the story has %d", kept, len(events)))
	}
	if p.counts["failed"] > 0 {
		differences = append(differences, fmt.Sprintf("%d events failed; `rollcall events list --status failed` tells why", p.counts["failed"]))
	}
	if p.accepted != len(events) {
		differences = append(differences, fmt.Sprintf("%d deliveries were answered as new, the story has %d events", p.accepted, len(events)))
	}
	return differences
}
