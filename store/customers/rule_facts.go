package customers

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/store"
)

// factsOf are what is known of a customer that decides a leaf; empty: of a group.
func factsOf(r Rule, c Customer, labels Labels) string {
	var facts []string
	switch r.About {
	case "customer":
		facts = customerFacts(r, c, labels)
	case "enrollment":
		for _, k := range c.Courses {
			if asked := r.Parts["course"]; len(asked) == 0 || slices.Contains(asked, k.ID) {
				facts = append(facts, labels.course(k))
			}
		}
	case "purchase":
		for _, p := range c.Purchases {
			facts = append(facts, labels.purchase(p))
		}
	case "subscription":
		for _, s := range c.Subscriptions {
			facts = append(facts, labels.subscription(s))
		}
	case "product":
		for _, id := range c.ProductIDs {
			if slices.Contains(r.Parts["id"], id) {
				facts = append(facts, labels.of(id))
			}
		}
	case "spent":
		facts = labels.monies(c.TotalSpent)
	case "engagement":
		if c.Engagement != nil {
			facts = append(facts, c.Engagement.Label()+": "+c.Engagement.Why)
		}
	case "can_mail", "mail":
		return "" // they are not in the row; the customer's page lists them
	case "tag":
		for _, t := range c.Tags {
			facts = append(facts, t.Name)
		}
	}
	if len(facts) == 0 && r.About != "" && r.About != "segment" {
		return "none"
	}
	return strings.Join(facts, "; ")
}

func customerFacts(r Rule, c Customer, labels Labels) (facts []string) {
	for _, p := range thingNamed("customer").Parts {
		if r.Parts[p.Name] == nil {
			continue
		}
		switch p.Name {
		case "type":
			facts = append(facts, strings.TrimSuffix(p.named([]string{c.Type}, Labels{}), "s"))
		case "status":
			facts = append(facts, p.named([]string{c.Status}, Labels{}))
		case "source":
			if c.Source.Kind != nil {
				facts = append(facts, "source: "+p.named([]string{*c.Source.Kind}, Labels{}))
			}
		case "country":
			if c.Country != nil {
				facts = append(facts, CountryName(*c.Country))
			}
		case "first_seen_after", "first_seen_before":
			facts = append(facts, "joined "+labels.day(c.FirstSeenAt))
		case "last_activity_after", "last_activity_before":
			facts = append(facts, "last active "+labels.day(c.LastActivityAt))
		case "refunded":
			facts = append(facts, "refunded: "+orNone(labels.monies(c.Refunded)))
		case "email_domain", "q":
			facts = append(facts, c.Email)
		}
	}
	return slices.Compact(facts)
}

func orNone(facts []string) string {
	if len(facts) == 0 {
		return "none"
	}
	return strings.Join(facts, ", ")
}

func (l Labels) monies(all []store.Money) (facts []string) {
	for _, m := range all {
		facts = append(facts, l.in().Coded(m))
	}
	return facts
}

// day is a day, with the time of day: rules count in hours.
func (l Labels) day(t *time.Time) string {
	if t == nil {
		return "at no known time"
	}
	return show.Moment(l.at(*t))
}

func (l Labels) course(c Course) string {
	progress := l.in().Percentage(strconv.FormatFloat(c.Progress, 'f', -1, 64))
	fact := c.Title + ": " + progress + ", enrolled " + l.day(c.EnrolledAt)
	if c.CompletedAt != nil {
		fact += ", completed " + l.day(c.CompletedAt)
	}
	return fact
}

func (l Labels) purchase(p Purchase) string {
	amount := func(n int64) string { return l.in().Coded(store.Money{Amount: n, Currency: p.Currency}) }
	title := "a payment"
	if p.Title != nil {
		title = *p.Title
	}
	fact := title + ": " + amount(p.Amount) + ", " + l.day(p.PurchasedAt)
	if p.Refunded > 0 {
		fact += ", refunded " + amount(p.Refunded)
	}
	return fact
}

func (l Labels) subscription(s Subscription) string {
	plan := "a plan"
	if s.Plan != nil {
		plan = *s.Plan
	}
	fact := plan + ": " + thingNamed("subscription").part("status").named([]string{s.Status}, Labels{})
	if s.CurrentPeriodEnd != nil {
		fact += ", period ends " + l.day(s.CurrentPeriodEnd)
	}
	if s.CancelAtPeriodEnd {
		fact += ", canceled"
	}
	return fact
}
