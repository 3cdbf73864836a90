package core

import (
	"cmp"
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

	"rollcall/internal/show"
	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/inbox"
	"rollcall/store/reasons"
)

// functions are the functions of all templates that do not depend on the reader; see
// press for the others.
func (s *Site) functions() template.FuncMap {
	all := template.FuncMap{
		"asset":    s.Hashes.URL,
		"icon":     icon,
		"percent":  percent,
		"stamp":    func(t any) string { return momentOf(t).UTC().Format(time.RFC3339) },
		"initials": Initials,
		"hue":      hue,
		"typeicon": typeIcon,
		"pictures": func() bool { return s.Cfg.Pictures },
		"kind":     func(kind string) string { return show.Types[kind] },
		"source":   func(kind *string) string { return SourceNames[*kind] },
		"country":  func(code *string) string { return customers.CountryName(*code) },
		"path":     url.PathEscape,
		"by":       by,
		"heard":    heard,
		"plain":    func(word string) string { return strings.ReplaceAll(word, "_", " ") },
		"at":       func(t time.Time) *time.Time { return &t },
		"called":   Called,
		"options":  options,
		"fields":   fields,
		"field":    newField,
		"skiptext": mail.ReasonText,
		"deref":    func(v *float64) float64 { return *v },
		"whole":    func(v *float64) int64 { return int64(*v) },
	}
	maps.Copy(all, s.adminFunctions())
	return all
}

// activities are the labels of customers' last activities.
var activities = map[string]string{
	"enrollment":      "Course enrollment",
	"progress":        "Course progress",
	"completion":      "Course completed",
	"course_purchase": "Course purchase",
	"purchase":        "Purchase",
	"subscription":    "Subscription",
	"payment":         "Subscription payment",
	"sign_in":         "Signed in",
	"":                "Active",
}

// SourceNames are the labels of customers' sources.
var SourceNames = map[string]string{
	"free_course":      "Free course",
	"course_purchase":  "Course purchase",
	"product_purchase": "Product purchase",
	"subscription":     "Subscription",
}

// by is the author of a note, as shown.
func by(author string, names map[string]string) string {
	kind, id, _ := strings.Cut(author, ":")
	switch kind {
	case "user":
		return cmp.Or(names[id], "team member "+id)
	case "token":
		return "API token " + id
	case "campaign":
		if names[id] == "" {
			return "a campaign that is gone"
		}
		return "the campaign “" + names[id] + "”"
	}
	return "an operator"
}

// heard is where a fact that came by no event comes from.
func heard(o store.Origin) string {
	switch o.Via {
	case "export":
		return "Imported from a file"
	case "invoice":
		return "Copied from an invoice"
	}
	return "Imported by a backfill"
}

func percent(progress float64) string { return strconv.FormatFloat(math.Floor(progress), 'f', -1, 64) }

// products are the titles of a customer's products that are not courses, and of
// plans, each once.
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

// Called is the name that a customer is shown by.
func Called(c customers.Customer) string {
	if c.Name != nil && *c.Name != "" {
		return *c.Name
	}
	if c.Anonymous() {
		return "Deleted customer"
	}
	return c.Email
}

// Initials are a customer's first letters: of first and last name, or of the address.
func Initials(c customers.Customer) string {
	name := ""
	if c.Name != nil {
		name = *c.Name
	}
	return monogram(name, c.Email)
}

// monogram are the first letters of a name's first and last word; of otherwise, if it
// has none.
func monogram(name, otherwise string) string {
	words := strings.FieldsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !strings.ContainsRune("'’ʼ.", r)
	})
	words = slices.DeleteFunc(words, func(word string) bool { return firstLetter(word) == "?" }) // signs and marks alone
	if len(words) == 0 {
		words = []string{otherwise}
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

// hues is the number of colours for initials in style.css.
const hues = 12

// hue is the number of a customer's colour, derived from the address.
func hue(email string) string {
	h := fnv.New32a()
	h.Write([]byte(email))
	return fmt.Sprintf("hue-%d", h.Sum32()%hues)
}

// tab is a link in the navigation.
type tab struct{ Name, URL, Label string }

var Tabs = []tab{
	{"health", "/admin", "Overview"},
	{"events", "/admin/events", "Events"},
	{"unattached", "/admin/unattached", "Missing"},
	{"backfills", "/admin/backfills", "Backfills"},
	{"mail", "/admin/mail", "Mail"},
	{"stores", "/admin/stores", "Stores"},
	{"queues", MonitoringPath, "Queues"},
}

// adminFunctions are the functions of the operators' templates.
func (s *Site) adminFunctions() template.FuncMap {
	return template.FuncMap{
		"tabs":    func() []tab { return Tabs },
		"lasted":  show.Lasted,
		"waited":  func(t time.Time) string { return show.Lasted(s.Cfg.Now().Sub(t)) },
		"visible": show.VisibleLines,
		"reason":  reasonLabel,
		"sender":  store.SourceLabel,
		"person":  func(who string) string { return strings.TrimPrefix(strings.TrimPrefix(who, "email:"), "user:") },
		"stands":  func(standing string) string { return standings[standing] },
		"seconds": func(s float64) string { return show.Lasted(time.Duration(s * float64(time.Second))) },
		"rate":    func(n float64) string { return show.Number(int64(n)) + " a second" },
		"tries":   func(n int) string { return show.Plural(n, "attempt") },
		"capital": func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
		"done": func(b store.BackfillStream) string {
			return show.Number(b.Chunks-b.Open) + " of " + show.Number(b.Chunks)
		},
	}
}

// reasonLabel is what a reason for a missing fact is called.
func reasonLabel(code string) string {
	reason, _ := reasons.Find(code)
	return reason.Label
}

// standings are the labels of an event fact's standing.
var standings = map[string]string{
	inbox.Stands:  "current",
	inbox.Partly:  "partly replaced by a newer event",
	inbox.Newer:   "replaced by a newer event",
	inbox.Named:   "only mentioned",
	inbox.NotKept: "not applied",
}

// field is an input of a form, as the template "mail-field" has it.
type field struct{ Name, Label, Value, Wrong, Example string }

// newField is a field of a form; wrong has what is wrong with some of its fields, by their names.
func newField(name, label, value string, wrong map[string]string, example string) field {
	return field{name, label, value, wrong[name], example}
}
