package web

import (
	"slices"

	"rollcall/store/pg"
)

// tile is a number that leads to those it counts.
type tile struct {
	Label, URL string
	N          int64
	On         bool
}

// menu is a choice of one parameter of the filter.
type menu struct {
	pg.Param
	Options []option // none: a number is typed
	Chosen  string
}

type option struct {
	Value, Label string
	On           bool
}

// chip is a part of the filter that is on, with the address of the list without it.
type chip struct{ Label, URL string }

// choose puts a value on, as an option of its own if there is none.
func (m menu) choose(value string) menu {
	m.Chosen = value
	m.Options = slices.Clone(m.Options)
	known := false
	for i := range m.Options {
		m.Options[i].On = m.Options[i].Value == value
		known = known || m.Options[i].On
	}
	if !known && len(m.Options) > 0 {
		m.Options = append(m.Options, option{value, value, true})
	}
	return m
}

// choicesOf are the values that a parameter allows.
func choicesOf(p pg.Param) (options []option) {
	for _, c := range p.Choices {
		options = append(options, option{Value: c.Value, Label: c.Label})
	}
	return options
}
