package core

import (
	"slices"

	"rollcall/store/pg"
)

// Tile is a number that leads to those it counts.
type Tile struct {
	Label, URL string
	N          int64
	On         bool
}

// Menu is a choice of one parameter of the filter.
type Menu struct {
	pg.Param
	Options []Option // none: a number is typed
	Chosen  string
}

type Option struct {
	Value, Label string
	On           bool
}

// Chip is a part of the filter that is on, with the address of the list without it.
type Chip struct{ Label, URL string }

// Choose puts a value on, as an option of its own if there is none.
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

// ChoicesOf are the values that a parameter allows.
func ChoicesOf(p pg.Param) (options []Option) {
	for _, c := range p.Choices {
		options = append(options, Option{Value: c.Value, Label: c.Label})
	}
	return options
}
