package web

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"rollcall/store"
	"rollcall/store/customers"
)

// functions are what templates may call.
func (s *Site) functions() template.FuncMap {
	all := template.FuncMap{
		"asset":    s.hashes.url,
		"money":    money,
		"count":    func(n int64) string { return english.Sprint(n) },
		"plural":   plural,
		"percent":  percent,
		"ago":      func(t *time.Time) string { return ago(s.cfg.Now(), *t) },
		"stamp":    func(t *time.Time) string { return t.UTC().Format(time.RFC3339) },
		"day":      func(t *time.Time) string { return t.UTC().Format("2 January 2006") },
		"moment":   func(t *time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
		"initials": initials,
		"hue":      hue,
		"products": products,
		"pictures": func() bool { return s.cfg.Pictures },
		"kind":     func(kind string) string { return kinds[kind] },
		"did":      func(activity string) string { return activities[activity] },
		"source":   func(kind *string) string { return sourceNames[*kind] },
		"path":     url.PathEscape,
		"event":    func(kind string) string { return happenings[kind] },
		"by":       by,
		"heard":    heard,
		"plain":    func(word string) string { return strings.ReplaceAll(word, "_", " ") },
		"at":       func(t time.Time) *time.Time { return &t },
		"called":   called,
	}
	maps.Copy(all, s.adminFunctions())
	return all
}

var english = message.NewPrinter(language.AmericanEnglish)

// kinds are what a creator calls the types of customers.
var kinds = map[string]string{"lead": "Lead", "paying": "Customer", "subscription": "Subscriber"}

// activities are what a customer did last, as derived.
var activities = map[string]string{
	"enrollment":      "Course enrollment",
	"progress":        "Course progress",
	"completion":      "Course completed",
	"course_purchase": "Course purchase",
	"purchase":        "Purchase",
	"subscription":    "Subscription",
	"payment":         "Subscription payment",
	"sign_in":         "Sign-in",
	"":                "Active",
}

// sourceNames are the kinds of what brought a customer.
var sourceNames = map[string]string{
	"free_course":      "Free course",
	"course_purchase":  "Course purchase",
	"product_purchase": "Product purchase",
	"subscription":     "Subscription",
}

// happenings are the kinds of what a timeline tells.
var happenings = map[string]string{
	"first_seen":            "First seen",
	"enrolled":              "Enrolled",
	"completed":             "Completed",
	"enrollment_ended":      "Enrollment ended",
	"bought":                "Bought",
	"refunded":              "Refunded",
	"refund_failed":         "Refund failed",
	"dispute_opened":        "Payment disputed",
	"dispute_won":           "Dispute won",
	"dispute_lost":          "Dispute lost",
	"dispute_closed":        "Dispute closed",
	"subscription_started":  "Subscribed",
	"subscription_paid":     "Paid for the subscription",
	"subscription_renewed":  "Renewed",
	"subscription_past_due": "Renewal not paid",
	"subscription_paused":   "Subscription paused",
	"subscription_canceled": "Canceled, runs to the end of its period",
	"subscription_ended":    "Subscription ended",
	"merged":                "Joined with another address",
	"note":                  "Note",
	"signed_in":             "Signed in",
}

// by is who wrote a note.
func by(author string) string {
	kind, id, _ := strings.Cut(author, ":")
	switch kind {
	case "user":
		return "team member " + id
	case "token":
		return "a program, with token " + id
	}
	return "an operator"
}

// heard tells where a fact comes from, where that is no event.
func heard(o store.Origin) string {
	switch o.Via {
	case "export":
		return "an export that was imported"
	case "invoice":
		return "a copy on an invoice"
	}
	return "a backfill"
}

// notations are how the currencies with a home of their own are written there.
var notations = map[string]language.Tag{
	"eur": language.German,
	"gbp": language.BritishEnglish,
	"jpy": language.Japanese,
	"chf": language.MustParse("de-CH"),
	"sek": language.Swedish,
	"nok": language.Norwegian,
	"dkk": language.Danish,
	"pln": language.Polish,
	"czk": language.Czech,
	"huf": language.Hungarian,
	"brl": language.BrazilianPortuguese,
	"inr": language.MustParse("en-IN"),
}

// money writes an amount as its buyers do: $299.00, 2.900,00 €, ¥5,800.
func money(m store.Money) string {
	lang, ok := notations[m.Currency]
	if !ok {
		lang = language.AmericanEnglish
	}
	return FormatMoney(m, lang)
}

// plural is "1 course" or "2 courses".
func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return english.Sprint(n) + " " + what
}

func percent(progress float64) string { return strconv.FormatFloat(math.Floor(progress), 'f', -1, 64) }

// ago tells how long ago t was, as people say it.
func ago(now, t time.Time) string {
	const day = 24 * time.Hour
	d := now.Sub(t)
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{365 * day, "year"}, {30 * day, "month"}, {7 * day, "week"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.size); n >= 1 {
			return plural(n, unit.name) + " ago"
		}
	}
	if d < -time.Minute {
		return "on " + t.UTC().Format("2 January 2006")
	}
	return "just now"
}

// products are the titles of what else a customer has, each once: things bought
// that are no courses, and plans.
func products(c customers.Customer) (titles []string) {
	add := func(title *string) {
		if title != nil && !slices.Contains(titles, *title) {
			titles = append(titles, *title)
		}
	}
	for _, p := range c.Purchases {
		if p.Kind != "course" {
			add(p.Title)
		}
	}
	for _, sub := range c.Subscriptions {
		add(sub.Plan)
	}
	return titles
}

// called is what a customer goes by.
func called(c customers.Customer) string {
	if c.Name != nil && *c.Name != "" {
		return *c.Name
	}
	if c.Anonymous() {
		return "Somebody erased"
	}
	return c.Email
}

// initials are the first letters of the first and the last name, or of the address.
func initials(c customers.Customer) string {
	name := ""
	if c.Name != nil {
		name = *c.Name
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' && r != '.' })
	if len(words) == 0 {
		words = []string{c.Email}
	}
	first := firstLetter(words[0])
	if last := words[len(words)-1]; len(words) > 1 {
		first += firstLetter(last)
	}
	return strings.ToUpper(first)
}

func firstLetter(word string) string {
	for _, r := range word {
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			return string(r)
		}
	}
	return "?"
}

// hues is how many colours style.css has for initials.
const hues = 12

// hue is a customer's own colour: it follows from the address, so that it stays.
func hue(email string) string {
	h := fnv.New32a()
	h.Write([]byte(email))
	return fmt.Sprintf("hue-%d", h.Sum32()%hues)
}
