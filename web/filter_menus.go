package web

import (
	"cmp"
	"slices"
)

// menu is a choice of one parameter of the filter.
type menu struct {
	Name, Label string
	Chip        string // what its chip calls it; Label if empty
	Options     []option
	Typed       bool   // a number to be typed, not a choice
	Value       string // of what is typed
}

type option struct {
	Value, Label string
	On           bool
}

// chip is a part of the filter that is on, with the address of the list without it.
type chip struct{ Label, URL string }

// choices are the parameters with few values.
var choices = []menu{
	{Name: "type", Label: "Type", Options: []option{{Label: "Everybody"}, {Value: "lead", Label: "Leads"}, {Value: "paying", Label: "Customers"}, {Value: "subscription", Label: "Subscribers"}}},
	{Name: "status", Label: "Status", Options: []option{{Label: "Any"}, {Value: "active", Label: "Active"}, {Value: "inactive", Label: "Inactive"}}},
	{Name: "source", Label: "Came by", Options: []option{{Label: "Anything"}, {Value: "free_course", Label: "Free course"}, {Value: "course_purchase", Label: "Course purchase"}, {Value: "product_purchase", Label: "Product purchase"}, {Value: "subscription", Label: "Subscription"}}},
}

// ages are the moments to choose from; others may stand in the address.
var ages = []option{{Label: "Any time"}, {Value: "1d", Label: "1 day"}, {Value: "7d", Label: "7 days"}, {Value: "30d", Label: "30 days"}, {Value: "90d", Label: "90 days"}, {Value: "365d", Label: "1 year"}}

var moments = []menu{
	{Name: "first_seen_after", Label: "First seen within"},
	{Name: "first_seen_before", Label: "First seen before the last"},
	{Name: "last_activity_after", Label: "Active within"},
	{Name: "last_activity_before", Label: "Not active for"},
}

var sorts = []option{
	{Value: "-last_activity", Label: "Latest active first"},
	{Value: "last_activity", Label: "Longest inactive first"},
	{Value: "-first_seen", Label: "Newest first"},
	{Value: "first_seen", Label: "Oldest first"},
	{Value: "-spent", Label: "Most spent first"},
	{Value: "spent", Label: "Least spent first"},
	{Value: "name", Label: "Name, A to Z"},
	{Value: "-name", Label: "Name, Z to A"},
	{Value: "email", Label: "E-mail, A to Z"},
	{Value: "-email", Label: "E-mail, Z to A"},
}

// menus fills in the menus, with what is on chosen in them, and the chips.
func (p *customersPage) menus() {
	courses, products := p.sold("course"), p.sold("")
	all := slices.Clone(choices)
	all = append(all,
		menu{Name: "course", Label: "Enrolled in", Options: courses},
		menu{Name: "completed", Label: "… and completed it", Chip: "Course", Options: []option{{Label: "Either way"}, {Value: "yes", Label: "Completed"}, {Value: "no", Label: "Not completed"}}},
		menu{Name: "progress_min", Label: "… progress from, %", Chip: "Progress from", Typed: true},
		menu{Name: "progress_max", Label: "… progress to, %", Chip: "Progress to", Typed: true},
		menu{Name: "not_course", Label: "Not enrolled in", Options: courses},
		menu{Name: "product", Label: "Bought", Options: products},
		menu{Name: "not_product", Label: "Not bought", Options: products},
		menu{Name: "spent_min", Label: "Spent at least", Typed: true})
	for _, m := range moments {
		m.Options = ages
		all = append(all, m)
	}
	q := p.query()
	for _, m := range all {
		p.Menus = append(p.Menus, m.choose(q.Get(m.Name)))
	}
	p.Sorts = menu{Options: sorts}.choose(p.Filter.Sort).Options
	p.chips()
}

// choose puts a value on, as an option of its own if there is none.
func (m menu) choose(value string) menu {
	m.Value = value
	m.Options = slices.Clone(m.Options)
	known := false
	for i := range m.Options {
		m.Options[i].On = m.Options[i].Value == value
		known = known || m.Options[i].On
	}
	if !known && !m.Typed {
		m.Options = append(m.Options, option{value, value, true})
	}
	return m
}

// sold are the store's products of a kind, or (kind "") of all kinds.
func (p *customersPage) sold(kind string) []option {
	options := []option{{Label: "Any"}}
	for _, x := range p.Store.Products {
		if kind == "" || x.Kind == kind {
			options = append(options, option{Value: x.ID, Label: x.Title})
		}
	}
	return options
}

// chips says in words what of the filter is on.
func (p *customersPage) chips() {
	if p.Filter.Query != "" {
		p.Chips = append(p.Chips, chip{"“" + p.Filter.Query + "”", p.with("q", "")})
	}
	for _, m := range p.Menus {
		if m.Value == "" {
			continue
		}
		text := m.Value
		for _, o := range m.Options {
			if o.On {
				text = o.Label
			}
		}
		p.Open = true
		without := []string{m.Name, ""}
		if m.Name == "course" { // nothing is left to have completed
			without = append(without, "completed", "", "progress_min", "", "progress_max", "")
		}
		p.Chips = append(p.Chips, chip{cmp.Or(m.Chip, m.Label) + ": " + text, p.with(without...)})
	}
}
