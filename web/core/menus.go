package core

import (
	"slices"

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

// Option is a value of a Menu.
type Option struct {
	Value, Label string
	On           bool
}

// Chip is an active filter; URL is the list without it.
type Chip struct{ Label, URL string }

// Choose selects a value, and adds an option for it if there is none.
func (m Menu) Choose(value string) Menu {
	m.Chosen = value
	m.Options = slices.Clone(m.Options)
	known := false
	for i := range m.Options {
		m.Options[i].On = m.Options[i].Value == value
		known = known || m.Options[i].On
	}
	if !known && len(m.Options) > 0 {
		m.Options = append(m.Options, Option{value, value, true})
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
