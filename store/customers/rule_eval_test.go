package customers

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/facts"
)

// witness decides rules by the API's JSON of a customer, and what the API says of them
// elsewhere. It knows nothing of SQL.
type witness struct {
	now      time.Time
	titles   map[string]string // of products
	segments map[string]Rule   // dynamic ones
	members  map[string][]string
	disputed map[string]bool // by id of customer
	noted    map[string]bool
	expected map[string][]forecast
	mailable map[string]bool
	mails    map[string][]happened // by address
}

// happened is what became of a mail to a customer.
type happened struct {
	campaign, was string
	at            time.Time
}

// forecast is what is expected of a customer in one currency.
type forecast struct {
	currency string
	alive    float64
	amount   int64
}

func (w witness) meets(c Customer, r Rule) bool {
	switch r.Group {
	case "all":
		return !slices.ContainsFunc(r.Rules, func(one Rule) bool { return !w.meets(c, one) })
	case "any":
		return slices.ContainsFunc(r.Rules, func(one Rule) bool { return w.meets(c, one) })
	case "none":
		return !slices.ContainsFunc(r.Rules, func(one Rule) bool { return w.meets(c, one) })
	}
	return w.leaf(c, r)
}

func (w witness) leaf(c Customer, r Rule) bool {
	p := r.Parts
	switch r.About {
	case "customer":
		return w.customer(c, p)
	case "enrollment":
		return fits(r, c.Courses, func(k Course) bool { return w.enrollment(k, p) })
	case "purchase":
		return fits(r, c.Purchases, func(k Purchase) bool { return w.purchase(k, p) })
	case "subscription":
		return fits(r, c.Subscriptions, func(k Subscription) bool { return w.subscription(k, p) })
	case "forecast":
		return slices.ContainsFunc(w.expected[c.ID], func(f forecast) bool {
			return oneOf(p["currency"], f.currency) && major(f.amount, f.currency) >= float(p["expected_min"], 0) &&
				100*f.alive >= float(p["alive_min"], 0) && 100*f.alive <= float(p["alive_max"], 100)
		})
	case "engagement":
		return c.Engagement != nil && slices.Contains(p["state"], c.Engagement.State)
	case "can_mail":
		return says(p["is"], w.mailable[c.ID])
	case "mail":
		return fits(r, w.mails[c.Email], func(h happened) bool {
			return oneOf(p["campaign"], h.campaign) && oneOf(p["was"], h.was) && w.during(&h.at, p["after"], p["before"])
		})
	case "product":
		return overlap(p["id"], c.ProductIDs)
	case "tag":
		return slices.ContainsFunc(c.Tags, func(t Tag) bool { return slices.Contains(p["id"], t.ID) })
	case "segment":
		if rule, dynamic := w.segments[p["id"][0]]; dynamic {
			return w.meets(c, rule)
		}
		return slices.Contains(w.members[p["id"][0]], c.ID)
	case "spent":
		return spentWithin(c, p)
	}
	return r.About == ""
}

// fits counts the rows that meet a leaf.
func fits[T any](r Rule, rows []T, meets func(T) bool) bool {
	n := 0
	for _, row := range rows {
		if meets(row) {
			n++
		}
	}
	least, most := float(r.Parts["times_min"], 1), float(r.Parts["times_max"], 1<<30)
	if r.Parts["times_min"] == nil && r.Parts["times_max"] != nil {
		least = 0
	}
	return float64(n) >= least && float64(n) <= most
}

func float(values []string, otherwise float64) float64 {
	if len(values) == 0 {
		return otherwise
	}
	n, _ := strconv.ParseFloat(values[0], 64)
	return n
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(one string) bool { return slices.Contains(b, one) })
}

// oneOf tells whether a value is one of those asked for, if any are.
func oneOf(asked []string, value string) bool {
	return len(asked) == 0 || slices.Contains(asked, value)
}

// says tells whether a question has the answer asked for, if any is.
func says(asked []string, yes bool) bool {
	return len(asked) == 0 || (asked[0] == "yes") == yes
}

// during tells whether a time is at or after one moment, and before another.
func (w witness) during(t *time.Time, after, before []string) bool {
	return (len(after) == 0 || t != nil && !t.Before(w.moment(after[0]))) &&
		(len(before) == 0 || t != nil && t.Before(w.moment(before[0])))
}

// moment reads ages in days, and times.
func (w witness) moment(text string) time.Time {
	if days, isAge := strings.CutSuffix(text, "d"); isAge {
		n, _ := strconv.Atoi(strings.TrimPrefix(days, "+"))
		if !strings.HasPrefix(days, "+") {
			n = -n
		}
		return w.now.Add(time.Duration(n) * 24 * time.Hour)
	}
	t, _ := time.Parse(time.RFC3339, text)
	return t
}

func (w witness) customer(c Customer, p map[string][]string) bool {
	_, domain, _ := strings.Cut(c.Email, "@")
	return oneOf(p["type"], c.Type) && oneOf(p["status"], c.Status) && oneOf(p["source"], text(c.Source.Kind)) &&
		oneOf(p["country"], text(c.Country)) &&
		w.during(c.FirstSeenAt, p["first_seen_after"], p["first_seen_before"]) &&
		w.during(c.LastActivityAt, p["last_activity_after"], p["last_activity_before"]) &&
		says(p["refunded"], len(c.Refunded) > 0) && says(p["disputed"], w.disputed[c.ID]) &&
		says(p["note"], w.noted[c.ID]) && oneOf(p["email_domain"], domain) && w.called(c, p["q"])
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// called tells whether a search finds the customer.
func (w witness) called(c Customer, q []string) bool {
	if len(q) == 0 {
		return true
	}
	words := strings.Fields(strings.ToLower(q[0]))
	in := func(text string) bool {
		lacks := func(word string) bool { return !strings.Contains(strings.ToLower(text), word) }
		return !slices.ContainsFunc(words, lacks)
	}
	ids := slices.Clone(c.ProductIDs)
	for _, k := range c.Courses {
		ids = append(ids, k.ID)
	}
	return in(text(c.Name)+" "+c.Email) || slices.ContainsFunc(ids, func(id string) bool {
		title, known := w.titles[id]
		return known && in(title)
	})
}

func (w witness) enrollment(k Course, p map[string][]string) bool {
	done := k.CompletedAt != nil || k.Progress >= 100
	return oneOf(p["course"], k.ID) && k.Progress >= float(p["progress_min"], 0) &&
		k.Progress <= float(p["progress_max"], 100) && says(p["completed"], done) &&
		w.during(k.EnrolledAt, p["enrolled_after"], p["enrolled_before"]) &&
		w.during(k.Progressed, p["progressed_after"], p["progressed_before"]) &&
		w.during(k.CompletedAt, p["completed_after"], p["completed_before"])
}

func (w witness) purchase(k Purchase, p map[string][]string) bool {
	of := oneOf(p["product"], text(k.ProductID))
	for _, line := range k.Lines {
		of = of || oneOf(p["product"], text(line.ProductID))
	}
	refunded := map[string]bool{"": true, "no": k.Refunded == 0, "yes": k.Refunded > 0,
		"partly": k.Refunded > 0 && k.Refunded < k.Amount}[strings.Join(p["refunded"], "")]
	return of && oneOf(p["currency"], k.Currency) && refunded &&
		major(k.Amount, k.Currency) >= float(p["amount_min"], 0) &&
		w.during(k.PurchasedAt, p["paid_after"], p["paid_before"])
}

func (w witness) subscription(k Subscription, p map[string][]string) bool {
	return (p["product"] == nil || overlap(p["product"], k.ProductIDs)) && oneOf(p["status"], k.Status) &&
		w.during(k.CurrentPeriodEnd, p["ends_after"], p["ends_before"]) && says(p["cancelling"], k.CancelAtPeriodEnd)
}

// major is an amount in major units.
func major(amount int64, currency string) float64 {
	n := float64(amount)
	for range facts.Digits(currency) {
		n /= 10
	}
	return n
}

// spentWithin tells whether what was spent in the currency asked for, or else in the one
// in which it is most, is within limits.
func spentWithin(c Customer, p map[string][]string) bool {
	most, known := 0.0, false
	for _, m := range c.TotalSpent {
		if n := major(m.Amount, m.Currency); oneOf(p["currency"], m.Currency) && (!known || n > most) {
			most, known = n, true
		}
	}
	return most >= float(p["min"], most) && most <= float(p["max"], most)
}
