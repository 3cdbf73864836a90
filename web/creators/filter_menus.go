package creators

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/internal/show"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// ages are the options for moments; the URL may hold others.
var ages = []core.Option{{Label: "Any time"}, {Value: "1d", Label: "1 day"}, {Value: "7d", Label: "7 days"},
	{Value: "30d", Label: "30 days"}, {Value: "90d", Label: "90 days"}, {Value: "365d", Label: "1 year"}}

var sorts = []core.Option{
	{Value: "-last_activity", Label: "Recently active"},
	{Value: "last_activity", Label: "Least recently active"},
	{Value: "-first_seen", Label: "Newest first"},
	{Value: "first_seen", Label: "Oldest first"},
	{Value: "-spent", Label: "Highest spend first"},
	{Value: "spent", Label: "Lowest spend first"},
	{Value: "name", Label: "Name, A to Z"},
	{Value: "-name", Label: "Name, Z to A"},
	{Value: "email", Label: "Email, A to Z"},
	{Value: "-email", Label: "Email, Z to A"},
}

// forecastSorts are only of stores of whose customers something is expected.
var forecastSorts = []core.Option{
	{Value: "-expected", Label: "Most expected first"},
	{Value: "expected", Label: "Least expected first"},
}

// filterGroup is a filter as people know it: one name, one chip, and the fields of the
// parameters that it is made of.
type filterGroup struct {
	Name, Label string
	Menus       []core.Menu
	Parts       []string // what is chosen, for people; none: it is not set
	URL         string   // the list without it
	Wrong       bool     // a value of it is not valid
}

// groupLabels are what groups of several parameters are called.
var groupLabels = map[string]string{"course": "Course", "spent": "Spent", "purchases": "Purchases",
	"first_seen": "Joined", "last_activity": "Last active",
	"mail": "Mail"}

// groupOf is the name and label of the group that a parameter belongs to.
func groupOf(p pg.Param) (name, label string) {
	if p.Group != "" {
		return p.Group, cmp.Or(groupLabels[p.Group], p.Label)
	}
	return p.Name, cmp.Or(p.Chip, p.Label)
}

// menus fills in the filters, with the values that are chosen.
func (p *customersPage) menus() {
	var all []filterGroup
	for _, f := range p.Filter.Params() {
		if !p.offers(f) {
			continue
		}
		name, label := groupOf(f)
		i := slices.IndexFunc(all, func(g filterGroup) bool { return g.Name == name })
		if i < 0 {
			i = len(all)
			all = append(all, filterGroup{Name: name, Label: label})
		}
		all[i].add(p.menu(f), p.Locale())
	}
	for _, g := range all {
		if len(g.Parts) == 0 && !g.Wrong || p.isTab(g.Name) {
			p.Filters = append(p.Filters, g)
			continue
		}
		var without []string
		for _, m := range g.Menus {
			without = append(without, m.Name, "")
		}
		g.URL = p.with(without...)
		p.Chips = append(p.Chips, g)
	}
	if p.Filter.Rule != "" {
		p.Chips = append(p.Chips, filterGroup{Name: "rule", Label: "Rule", Parts: []string{p.ruleText()},
			URL: p.with("rule", "")})
	}
	if p.Refused != nil {
		p.Wrong = p.trouble()
	}
	offered := sorts
	if p.Forecasts {
		offered = slices.Concat(sorts, forecastSorts)
	}
	p.Sorts = core.Menu{Options: offered}.Choose(p.Filter.Sort).Options
}

// offers tells whether the page has a control for a parameter: it is set, or there is
// something to choose.
func (p *customersPage) offers(f pg.Param) bool {
	return f.Label != "" && (*f.Value != "" ||
		!(f.Kind == customers.TagID && len(p.Store.Tags) == 0 || f.Kind == customers.SegmentID ||
			f.Kind == customers.CampaignID && len(p.Store.Campaigns) == 0 ||
			f.Kind == customers.Country && len(p.Store.Countries) == 0))
}

// ruleText is the filter's rule as a sentence; as it stands if it is none.
func (p *customersPage) ruleText() string {
	rule, err := customers.ParseRule(p.Filter.Rule)
	if err != nil {
		return p.Filter.Rule
	}
	return rule.Text(p.labels)
}

// menu is the control of a parameter.
func (p *customersPage) menu(f pg.Param) core.Menu {
	m := core.Menu{Param: f, Options: p.options(f)}
	value := filled(f.Kind, *f.Value, p.Shell)
	if f.Kind == pg.Moment && moment.IsDay(value) {
		m = m.Choose("")
		m.Chosen, m.Day = value, value
	} else {
		m = m.Choose(*f.Value)
		m.Chosen = value
	}
	if p.Refused != nil {
		m.Wrong = p.wrong(f)
	}
	return m
}

// wrong is why the value of a parameter is not valid; empty: it is. What was read first is refused first, but others
// may be wrong, too.
func (p *customersPage) wrong(f pg.Param) string {
	if f.Name == p.Refused.Name {
		return customers.Refusal(f.Kind, p.Refused.Reason, f.Choices, p.Locale())
	}
	for _, value := range f.Given() {
		if bad, is := errors.AsType[*pg.BadParam](f.Check(value)); is {
			return customers.Refusal(f.Kind, bad.Reason, f.Choices, p.Locale())
		}
	}
	return ""
}

// trouble is what is wrong with the filter. A field says it itself, unless it is in one of several chips: one is open.
func (p *customersPage) trouble() string {
	var groups int
	var all []string
	for _, g := range p.Chips {
		if g.Wrong {
			groups++
		}
		for _, m := range g.Menus {
			if m.Wrong != "" {
				all = append(all, cmp.Or(m.Chip, m.Label)+": "+m.Wrong+".")
			}
		}
	}
	switch groups {
	case 0:
		return refusals(p.Refused.Name)
	case 1:
		return "Correct what is marked above, or remove it."
	}
	return strings.Join(all, " ")
}

// refusals is what is wrong with a part of the list's address that no field is for.
func refusals(name string) string {
	switch name {
	case "rule":
		return "Rule: it is not written as rules are. Follow the link to it again, or clear the filters."
	case "cursor":
		return "The link to this part of the list is no longer valid. Begin at its start."
	case "sort":
		return "There is no such order. Choose one by the titles of the columns."
	case "limit":
		return fmt.Sprintf("A page has 1 to %d customers.", pg.MaxLimit)
	case "q":
		return "The search is too long. Use fewer words."
	}
	return "The address asks for “" + name + "”, which this list does not have."
}

// isTab tells whether the tab that is current says what a group of parameters says.
func (p *customersPage) isTab(group string) bool {
	return (group == "type" || group == "status") && slices.ContainsFunc(p.Tabs, func(t tab) bool { return t.On })
}

// add adds the control of a parameter to the group.
func (g *filterGroup) add(m core.Menu, locale *show.Locale) {
	g.Menus = append(g.Menus, m)
	g.Wrong = g.Wrong || m.Wrong != ""
	if m.Chosen != "" {
		g.Parts = append(g.Parts, chipPart(m, locale))
	}
}

// chipPart is what is chosen of a parameter, in the words of a chip.
func chipPart(m core.Menu, locale *show.Locale) string {
	if m.Group == "course" && m.Name == "completed" {
		return map[string]string{"yes": "completed", "no": "not completed"}[m.Chosen]
	}
	var texts []string
	if day, err := time.Parse(time.DateOnly, m.Day); err == nil {
		texts = append(texts, show.Day(day))
	}
	for _, o := range m.Options {
		if o.On && m.Day == "" {
			texts = append(texts, o.Label)
		}
	}
	for _, value := range m.Given() {
		if len(m.Options) == 0 {
			texts = append(texts, customers.Shown(m.Kind, value, locale))
		}
	}
	text := strings.Join(texts, " or ")
	before, after := phrase(m, m.Day != "" || strings.Contains(text, "-"))
	return before + text + after
}

// phrase is what stands before and after the value of a parameter; dated tells that a
// moment is a day and no age.
func phrase(m core.Menu, dated bool) (before, after string) {
	switch {
	case strings.HasSuffix(m.Name, "_min"):
		return "at least ", ""
	case strings.HasSuffix(m.Name, "_max"):
		return "at most ", ""
	case m.Kind != pg.Moment:
		return "", ""
	case strings.HasSuffix(m.Name, "_after") && dated:
		return "since ", ""
	case strings.HasSuffix(m.Name, "_after"):
		return "in the last ", ""
	case dated:
		return "before ", ""
	}
	return "more than ", " ago"
}

// options are a filter's values; none: an input.
func (p *customersPage) options(f pg.Param) []core.Option {
	orAny := []core.Option{{Label: "Any"}}
	switch f.Kind {
	case customers.CourseID:
		return append(orAny, sold(p.Store, "course")...)
	case customers.ProductID:
		return append(orAny, sold(p.Store, "")...)
	case customers.TagID:
		return append(orAny, tagged(p.Store)...)
	case customers.CampaignID:
		return append(orAny, mailing(p.Store)...)
	case customers.Country:
		return append(orAny, countries(p.Store, f.Given())...)
	case customers.SegmentID:
		return append(orAny, core.Option{Value: p.Filter.Segment,
			Label: cmp.Or(p.labels.Name(p.Filter.Segment), p.Filter.Segment)})
	case pg.Moment:
		return ages
	}
	return core.ChoicesOf(f)
}

// sold are a store's products of a kind; of all kinds if it is "".
func sold(in customers.StoreInfo, kind string) (options []core.Option) {
	for _, x := range in.Products {
		if kind == "" || x.Kind == kind {
			options = append(options, core.Option{Value: x.ID, Label: x.Title})
		}
	}
	return options
}

// mailing are a store's campaigns.
func mailing(in customers.StoreInfo) (options []core.Option) {
	for _, c := range in.Campaigns {
		options = append(options, core.Option{Value: c.ID, Label: c.Name})
	}
	return options
}

// countries are those that a store's customers live in, and those that are chosen, by name.
func countries(in customers.StoreInfo, chosen []string) (options []core.Option) {
	for _, code := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(in.Countries, chosen)))) {
		options = append(options, core.Option{Value: code, Label: customers.CountryName(code)})
	}
	slices.SortFunc(options, func(a, b core.Option) int { return cmp.Compare(a.Label, b.Label) })
	return options
}

// tagged are a store's tags.
func tagged(in customers.StoreInfo) (options []core.Option) {
	for _, t := range in.Tags {
		options = append(options, core.Option{Value: t.ID, Label: t.Name})
	}
	return options
}
