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
	Day     string // chosen in place of an option, of those of a moment: 2026-01-31
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

// options are options as HTML.
func options(all []Option) template.HTML {
	var m markup
	for _, o := range all {
		m.add("<option value=\"%s\"%s>%s</option>\n", o.Value, attr(o.On, "selected"), o.Label)
	}
	return m.html()
}

// attr is an attribute of an element, if the element has it.
func attr(has bool, text template.HTML) template.HTML {
	if !has {
		return ""
	}
	return " " + text
}

// fields are the controls of a filter.
func fields(menus []Menu) template.HTML {
	var m markup
	for _, menu := range menus {
		if menu.Boxes() {
			m.boxes(menu)
		} else {
			m.field(menu)
		}
	}
	return m.html()
}

func (m *markup) boxes(menu Menu) {
	m.add(`<fieldset class="one"><legend>%s</legend><div class="boxes">`, menu.Label)
	for i, o := range menu.Options {
		if o.Value != "" {
			m.add("<label><input type=\"checkbox\" id=\"f-%s-%s\" name=\"%s\" value=\"%s\"%s> <bdi>%s</bdi></label>\n",
				menu.Name, i, menu.Name, o.Value, attr(o.On, "checked"), o.Label)
		}
	}
	m.add("</div>")
	m.wrong(menu)
	m.add("</fieldset>\n")
}

func (m *markup) field(menu Menu) {
	m.add(`<div class="one"><label for="f-%s">%s</label>`, menu.Name, menu.Label)
	invalid := attr(menu.Wrong != "", template.HTML( //nolint:gosec // names are ours
		`aria-invalid="true" aria-describedby="w-`+menu.Name+`"`))
	if len(menu.Options) > 0 {
		m.add(`<select id="f-%s" name="%s"%s%s>%s</select>`, menu.Name, menu.Name, attr(menu.Multi, `multiple size="8"`),
			invalid, options(menu.Options))
		m.day(menu)
	} else {
		m.inputs(menu, invalid)
	}
	m.wrong(menu)
	m.add("</div>\n")
}

// day is the other control of a moment: for a day, which counts more than an option.
func (m *markup) day(menu Menu) {
	if menu.Kind != pg.Moment {
		return
	}
	label := "or before"
	if strings.HasSuffix(menu.Name, "_after") {
		label = "or since"
	}
	m.add(`<label class="or">%s <input type="date" name="%s" value="%s" aria-label="%s, %s"></label>`, label, menu.Name,
		menu.Day, menu.Label, label)
}

func (m *markup) inputs(menu Menu, invalid template.HTML) {
	for i, value := range menu.Inputs() {
		id, label := menu.Name, ""
		if i > 0 {
			id, label = fmt.Sprintf("%s-%d", id, i), menu.Label+", or"
		}
		m.add(`<input id="f-%s" name="%s" value="%s" autocomplete="off"`, id, menu.Name, value)
		if label != "" {
			m.add(` aria-label="%s"`, label)
		}
		m.add("%s>\n", invalid)
	}
}

// wrong says why a value is not valid.
func (m *markup) wrong(menu Menu) {
	if menu.Wrong != "" {
		m.add(`<p class="error" id="w-%s">%s</p>`, menu.Name, menu.Wrong)
	}
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
