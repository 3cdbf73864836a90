package creators

import (
	"cmp"
	"strings"

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

// menus fills in the menus, with the filter's values chosen, and the chips.
func (p *customersPage) menus() {
	for _, f := range p.Filter.Params() {
		if f.Label != "" && !(f.Kind == customers.TagID && *f.Value == "" && len(p.Store.Tags) == 0) {
			m := core.Menu{Param: f, Options: p.options(f)}.Choose(*f.Value)
			if p.Refused != nil && f.Name == p.Refused.Name {
				m.Wrong, p.Open = p.Refused.Reason, true
				p.Wrong = f.Label + ": " + p.Refused.Reason
			}
			p.Menus = append(p.Menus, m)
		}
	}
	p.Sorts = core.Menu{Options: sorts}.Choose(p.Filter.Sort).Options
	p.chips()
}

// options are a filter's values; none: an input.
func (p *customersPage) options(f pg.Param) []core.Option {
	switch f.Kind {
	case customers.CourseID:
		return p.sold("course")
	case customers.ProductID:
		return p.sold("")
	case customers.TagID:
		return p.tagged()
	case pg.Moment:
		return ages
	}
	return core.ChoicesOf(f)
}

// sold are the store's products of a kind; of all kinds if it is "".
func (p *customersPage) sold(kind string) []core.Option {
	options := []core.Option{{Label: "Any"}}
	for _, x := range p.Store.Products {
		if kind == "" || x.Kind == kind {
			options = append(options, core.Option{Value: x.ID, Label: x.Title})
		}
	}
	return options
}

// tagged are the store's tags; without any the menus are not shown.
func (p *customersPage) tagged() []core.Option {
	options := []core.Option{{Label: "Any"}}
	for _, t := range p.Store.Tags {
		options = append(options, core.Option{Value: t.ID, Label: t.Name})
	}
	return options
}

// chips makes a chip for each active filter.
func (p *customersPage) chips() {
	if p.Filter.Query != "" {
		p.Chips = append(p.Chips, core.Chip{Label: "“" + p.Filter.Query + "”", URL: p.with("q", "")})
	}
	for _, m := range p.Menus {
		if m.Chosen == "" {
			continue
		}
		var texts []string
		for _, o := range m.Options {
			if o.On {
				texts = append(texts, o.Label)
			}
		}
		text := cmp.Or(strings.Join(texts, " or "), m.Chosen)
		p.Open = true
		p.Chips = append(p.Chips, core.Chip{Label: cmp.Or(m.Chip, m.Label) + ": " + text, URL: p.with(m.Name, "")})
	}
}
