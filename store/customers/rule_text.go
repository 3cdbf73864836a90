package customers

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/internal/show"
	"rollcall/store/pg"
)

// Labels are the words of a store's rules, for their reader: what the store calls the things that
// they name, by id, and how numbers and times are written.
type Labels struct {
	names  map[string]string
	locale *show.Locale   // nil: English
	zone   *time.Location // nil: UTC
}

// LabelsOf are the labels of all that a store's rule names, for the reader that the context knows.
func (s *Reader) LabelsOf(ctx context.Context, storeID string, r Rule) (labels Labels, err error) {
	defer pg.Wrap(&err, "customers.LabelsOf(%q)", storeID)
	labels = Labels{names: map[string]string{}, locale: show.LocaleIn(ctx)}
	if r.dated() {
		if labels.zone, err = s.zone(ctx, storeID); err != nil {
			return labels, err
		}
	}
	products := slices.Concat(r.values("enrollment", "course"), r.values("product", "id"),
		r.values("purchase", "product"), r.values("subscription", "product"))
	tags, segments, campaigns := r.values("tag", "id"), r.Segments(), r.values("mail", "campaign")
	if len(products)+len(tags)+len(segments)+len(campaigns) == 0 {
		return labels, nil
	}
	rows := pg.Query(ctx, s.Pool, `
		SELECT id, coalesce(nullif(title, ''), id) || CASE WHEN deleted_version <> '' THEN ' (deleted)' ELSE '' END
		FROM products
		WHERE id = ANY($2) AND $1 = ANY(store_ids)
		UNION ALL
		SELECT id, name FROM tags WHERE store_id = $1 AND id = ANY($3)
		UNION ALL
		SELECT id, name FROM segments WHERE store_id = $1 AND id = ANY($4)
		UNION ALL
		SELECT id, name FROM campaigns WHERE store_id = $1 AND id = ANY($5)`,
		storeID, products, tags, segments, campaigns)
	var id, label string
	err = pg.Each(rows, []any{&id, &label}, func() {
		labels.names[id] = label
	})
	for _, ready := range ReadySegments {
		labels.names[ready.ID] = ready.Name
	}
	return labels, err
}

// zone is the time zone of a store's pages, for the reader that the context knows; nil: it is for no page.
func (s *Reader) zone(ctx context.Context, storeID string) (*time.Location, error) {
	readers := show.ZoneIn(ctx)
	if readers == nil {
		return nil, nil
	}
	a, err := s.Around(ctx, "", storeID)
	return a.Zone(readers), err
}

// at is a time in the zone of its reader.
func (l Labels) at(t time.Time) time.Time { return t.In(cmp.Or(l.zone, time.UTC)) }

// Name is what the store calls a thing; empty if it is not known.
func (l Labels) Name(id string) string { return l.names[id] }

// of is the label of an id.
func (l Labels) of(id string) string {
	return cmp.Or(l.names[id], "“"+id+"” (unknown)")
}

// in is how numbers are written.
func (l Labels) in() *show.Locale { return cmp.Or(l.locale, show.English) }

// RuleText is a store's rule as a sentence.
func (s *Reader) RuleText(ctx context.Context, storeID string, r Rule) (string, error) {
	labels, err := s.LabelsOf(ctx, storeID, r)
	return r.Text(labels), err
}

// Text is the rule as a sentence: "Customers who are enrolled in Mixing Basics (progress at
// most 10%) and are not tagged VIP."
func (r Rule) Text(labels Labels) string {
	said := r.clauses(labels)
	if len(said) == 0 {
		return "All customers."
	}
	return "Customers who " + list(said, "and") + "."
}

// clauses are what is said of the customers; all of it holds.
func (r Rule) clauses(labels Labels) (said []string) {
	switch r.Group {
	case "all":
		for _, one := range r.Rules {
			said = append(said, one.clauses(labels)...)
		}
		return said
	case "any":
		for _, one := range r.Rules {
			said = append(said, together(one.clauses(labels)))
		}
		if len(said) == 1 {
			return said
		}
		return []string{"(" + list(said, "or") + ")"}
	case "none":
		for _, one := range r.Rules {
			said = append(said, one.opposites(labels)...)
		}
		return said
	}
	if thing := thingNamed(r.About); thing != nil {
		return thing.clauses(r, labels)
	}
	return nil
}

// opposites are what is said of those who do not meet the rule; all of it holds.
func (r Rule) opposites(labels Labels) (said []string) {
	if r.Group != "any" {
		return []string{negated(together(r.clauses(labels)))}
	}
	for _, one := range r.Rules {
		said = append(said, one.opposites(labels)...)
	}
	return said
}

// together is one clause of several that all hold.
func together(said []string) string {
	if len(said) == 1 {
		return said[0]
	}
	return "(" + list(said, "and") + ")"
}

// list is "a, b and c".
func list(texts []string, word string) string {
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " " + word + " " + texts[last]
}

// negated is the opposite of a clause.
func negated(said string) string {
	for _, swap := range [][2]string{{"may not get", "may get"}, {"have no address", "have an address"},
		{"have no ", "have a "}, {"are not ", "are "},
		{"have not ", "have "}, {"do not live ", "live "}} {
		if rest, ok := strings.CutPrefix(said, swap[0]); ok {
			return swap[1] + rest
		}
		if rest, ok := strings.CutPrefix(said, swap[1]); ok {
			return swap[0] + rest
		}
	}
	return "are not those who " + said
}

// named are the labels of values, joined by or.
func (p Part) named(values []string, labels Labels) string {
	var texts []string
	for _, v := range values {
		switch {
		case p.Kind == CourseID, p.Kind == ProductID, p.Kind == TagID, p.Kind == SegmentID, p.Kind == CampaignID:
			v = labels.of(v)
		case p.Choices != nil:
			for _, c := range p.Choices {
				if c.Value == v {
					v = c.Label
				}
			}
		case p.Kind == Currency:
			v = strings.ToUpper(v)
		default:
			v = Shown(p.Kind, v, labels.in())
		}
		texts = append(texts, v)
	}
	return list(texts, "or")
}

// clauses are those of a leaf.
func (t *Thing) clauses(r Rule, labels Labels) []string {
	switch t.Name {
	case "customer":
		return t.customerClauses(r, labels)
	case "spent":
		return []string{spentClause(r, labels)}
	case "product":
		return []string{"have bought or subscribed to " + t.Parts[0].named(r.Parts["id"], labels)}
	case "tag":
		return []string{"are tagged " + t.Parts[0].named(r.Parts["id"], labels)}
	case "engagement":
		return []string{"are " + strings.ToLower(t.Parts[0].named(r.Parts["state"], labels)) + " by engagement"}
	case "can_mail":
		return []string{map[string]string{"yes": "may get", "no": "may not get"}[r.Parts["is"][0]] + " marketing mail"}
	case "mail":
		return []string{t.mailClause(r, labels)}
	case "segment":
		return []string{"are in the segment " + t.Parts[0].named(r.Parts["id"], labels)}
	}
	return []string{t.rowsClause(r, labels)}
}

func spentClause(r Rule, labels Labels) string {
	var said []string
	for _, limit := range [][2]string{{"min", "at least "}, {"max", "at most "}} {
		if v := r.Parts[limit[0]]; v != nil {
			said = append(said, limit[1]+Shown(Amount, v[0], labels.in()))
		}
	}
	in := "in one currency"
	if v := r.Parts["currency"]; v != nil {
		in = strings.ToUpper(v[0])
	}
	return "have spent " + strings.Join(said, " and ") + " " + in
}

// customerTexts are the clauses about the customer's row: of a part, or of a part and its
// value.
var customerTexts = map[string]string{
	"type": "are ", "status": "are ", "source": "have the source ", "q": "are found by ",
	"first_seen_after": "have joined ", "first_seen_before": "have joined ",
	"last_activity_after": "have been active ", "last_activity_before": "have last been active ",
	"email_domain": "have an address at ", "country": "live in ",
	"refunded=yes": "have got money back", "refunded=no": "have not got money back",
	"disputed=yes": "have taken back a payment", "disputed=no": "have not taken back a payment",
	"note=yes": "have a note", "note=no": "have no note",
}

func (t *Thing) customerClauses(r Rule, labels Labels) (said []string) {
	for _, p := range t.Parts {
		values := r.Parts[p.Name]
		if len(values) == 0 {
			continue
		}
		whole, is := customerTexts[p.Name+"="+values[0]]
		switch text := customerTexts[p.Name]; {
		case is:
			said = append(said, whole)
		case p.Kind == pg.Moment:
			said = append(said, text+labels.moment(values[0], strings.HasSuffix(p.Name, "_after")))
		case p.Name == "q":
			said = append(said, text+"“"+values[0]+"”")
		default:
			said = append(said, text+p.named(values, labels))
		}
	}
	return said
}

// moment says when something was: since a moment, or before it.
func (l Labels) moment(value string, since bool) string {
	ahead, future := strings.CutPrefix(value, "+")
	_, relative := moment.ParseAge(ahead)
	switch age := l.age(ahead); {
	case relative && future && since:
		return "later than in " + age
	case relative && future:
		return "within the next " + age
	case relative && since:
		return "in the last " + age
	case relative:
		return "more than " + age + " ago"
	}
	t, _ := moment.Parse(value)
	t = l.at(t)
	day := show.Moment(t)
	if t.Format(time.TimeOnly) == "00:00:00" {
		day = show.Day(t)
	}
	if since {
		return "on or after " + day
	}
	return "before " + day
}

// dated tells whether a rule names a day or a time.
func (r Rule) dated() bool {
	for _, leaf := range r.Leaves() {
		for _, p := range thingNamed(leaf.About).Parts {
			for _, value := range leaf.Parts[p.Name] {
				_, age := moment.ParseAge(strings.TrimPrefix(value, "+"))
				if p.Kind == pg.Moment && !age {
					return true
				}
			}
		}
	}
	return false
}

// age writes an age in words: 30 days.
func (l Labels) age(age string) string {
	if age == "" {
		return ""
	}
	n, unit := age[:len(age)-1], map[byte]string{'h': "hour", 'd': "day", 'w': "week"}[age[len(age)-1]]
	if n != "1" {
		unit += "s"
	}
	return l.in().Grouped(n) + " " + unit
}

// rowsClause is the clause of a leaf about a thing with rows.
func (t *Thing) rowsClause(r Rule, labels Labels) string {
	of := t.Parts[0].named(r.Parts[t.Parts[0].Name], labels)
	with := t.qualities(r, labels)
	if len(with) > 0 {
		with = " (" + with + ")"
	}
	least, most := r.times()
	many := labels.times(least, most)
	switch {
	case t.Name == "forecast":
		of = "have a forecast" + before(" in ", of)
	case t.Name == "enrollment" && (many == "" || most == 0):
		of = "are enrolled in " + cmp.Or(of, "a course")
	case t.Name == "enrollment":
		of = "are enrolled in " + many + " of " + cmp.Or(of, "all courses")
	case t.Name == "purchase" && (many == "" || most == 0):
		of = "have bought " + cmp.Or(of, "something")
	case t.Name == "purchase":
		of = "have bought " + cmp.Or(of, "something") + " " + many + " times"
	case many == "" || most == 0:
		of = "have a subscription" + before(" to ", of)
	default:
		of = "have " + many + " subscriptions" + before(" to ", of)
	}
	if most == 0 {
		of = negated(of)
	}
	return of + with
}

// before is text after a word, if there is any.
func before(word, text string) string {
	if text == "" {
		return ""
	}
	return word + text
}

// times says how many; empty: one or more.
func (l Labels) times(least, most int) string {
	number := func(n int) string { return l.in().Number(int64(n)) }
	switch {
	case most < 0 && least == 1:
		return ""
	case most < 0:
		return "at least " + number(least)
	case least == 0:
		return "at most " + number(most)
	case least == most:
		return "exactly " + number(least)
	}
	return number(least) + " to " + number(most)
}

// qualities are what else is said of a leaf's rows.
func (t *Thing) qualities(r Rule, labels Labels) string {
	var all []string
	for _, p := range t.Parts[1:] {
		values := r.Parts[p.Name]
		if len(values) == 0 || p.SQL == "" {
			continue
		}
		label := strings.ToLower(p.Label)
		switch {
		case p.Kind == pg.Moment:
			word := strings.TrimSuffix(strings.TrimSuffix(label, " since"), " before")
			word = strings.TrimSuffix(word, " after")
			all = append(all, word+" "+labels.moment(values[0], strings.HasSuffix(p.Name, "_after")))
		case p.yesOrNo() && values[0] == "yes":
			all = append(all, label)
		case p.Choices != nil && values[0] == "no":
			all = append(all, "not "+label)
		case p.Name == "refunded":
			all = append(all, label+" "+strings.ToLower(p.named(values, labels)))
		default:
			all = append(all, label+" "+p.named(values, labels))
		}
	}
	return strings.Join(all, ", ")
}
