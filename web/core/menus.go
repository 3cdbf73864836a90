package core

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"rollcall/store/pg"
)

// Tile is a count that links to the customers it counts.
type Tile struct {
	Label, URL string
	N          int64
	Known      bool // false: N would take too long to count
	On         bool
}

// Menu is a control for one parameter of a filter.
type Menu struct {
	pg.Param
	Options []Option // none: an input for a number
	Chosen  string
	Wrong   string // why Chosen is not valid; empty if it is
}

// mostBoxes is the longest list of options that is drawn as boxes to tick.
const mostBoxes = 60

// Boxes tells whether the options are boxes to tick, as several may be chosen.
func (m Menu) Boxes() bool { return m.Multi && len(m.Options) > 0 && len(m.Options) <= mostBoxes }

// Inputs are the values of the inputs of a menu without options: one more than are
// chosen if there may be several.
func (m Menu) Inputs() []string {
	if m.Multi && m.Chosen != "" {
		return append(pg.Lines(m.Chosen), "")
	}
	return []string{m.Chosen}
}

// Option is a value of a Menu.
type Option struct {
	Value, Label string
	On           bool
}

// optionsHTML are options as HTML. A page with menus has hundreds, and a template takes
// several times as long for each.
func optionsHTML(all []Option) template.HTML {
	var out strings.Builder
	for _, o := range all {
		selected := ""
		if o.On {
			selected = " selected"
		}
		fmt.Fprintf(&out, "<option value=\"%s\"%s>%s</option>\n", template.HTMLEscapeString(o.Value), selected,
			template.HTMLEscapeString(o.Label))
	}
	return template.HTML(out.String()) //nolint:gosec // escaped
}

// Chip is an active filter; URL is the list without it.
type Chip struct{ Label, URL string }

// Choose selects a value, or several on lines of their own, and adds an option for each
// that has none.
func (m Menu) Choose(value string) Menu {
	m.Chosen = value
	m.Options = slices.Clone(m.Options)
	chosen := []string{value}
	if m.Multi && value != "" {
		chosen = pg.Lines(value)
	}
	for i := range m.Options {
		m.Options[i].On = slices.Contains(chosen, m.Options[i].Value)
	}
	for _, v := range chosen {
		known := slices.ContainsFunc(m.Options, func(o Option) bool { return o.Value == v })
		if nothing := m.Multi && v == ""; !known && !nothing && len(m.Options) > 0 {
			m.Options = append(m.Options, Option{v, v, true})
		}
	}
	return m
}

// ChoicesOf are the values that a parameter allows, as options.
func ChoicesOf(p pg.Param) (options []Option) {
	for _, c := range p.Choices {
		options = append(options, Option{Value: c.Value, Label: c.Label})
	}
	return options
}
