package creators

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// The form of a rule works without a script: each button sends the whole form, and the
// page comes back with a condition more or less. The fields of a rule are named by its
// place: n is the rule itself, n.0.2 the third in its first group, which says what it is, and
// n.0.2.after a part of it.

// Limits of a form, somewhat above those of a rule, so that the rule is what is refused.
const (
	maxFormDepth = 6
	maxFormRules = 80
)

// readRule reads the rule at a place of a form. It may lack what a rule must have.
func readRule(form url.Values, place string, left *int, on core.Shell) (r customers.Rule) {
	is := form.Get(place)
	*left--
	if is == "all" || is == "any" || is == "none" {
		r.Group = is
		for i := 0; *left > 0 && strings.Count(place, ".") < maxFormDepth; i++ {
			at := place + "." + strconv.Itoa(i)
			if !form.Has(at) {
				break
			}
			if one := readRule(form, at, left, on); one.Group+one.About != "" {
				r.Rules = append(r.Rules, one)
			}
		}
		return r
	}
	for _, thing := range customers.Things {
		if thing.Name == is {
			r = customers.Rule{About: is, Parts: map[string][]string{}}
			for _, p := range thing.Parts {
				for _, value := range form[place+"."+p.Name] {
					if value = strings.TrimSpace(value); value != "" {
						r.Parts[p.Name] = append(r.Parts[p.Name], typed(p.Kind, value, on))
					}
				}
			}
		}
	}
	return r
}

// typed is a value that was typed on a page, as rules have it. A day begins in the page's time zone.
func typed(k *pg.ParamKind, value string, on core.Shell) string {
	if k == pg.Moment && on.Zone() != time.UTC {
		if day, err := time.ParseInLocation(time.DateOnly, value, on.Zone()); err == nil {
			return day.Format(time.RFC3339)
		}
	}
	return customers.Typed(k, value, on.Locale())
}

// filled is a value of a rule as a page has it in a field: what typed makes that value of.
func filled(k *pg.ParamKind, value string, on core.Shell) string {
	if t, is := moment.Parse(value); k == pg.Moment && is && on.Zone() != time.UTC {
		value = t.In(on.Zone()).Format(time.RFC3339)
		if day := value[:len(time.DateOnly)]; typed(k, day, on) == value {
			return day
		}
	}
	return customers.Filled(k, value, on.Locale())
}

// at is the rule at a place, and the list that it is in; nil: there is none.
func at(root *customers.Rule, place string) (r *customers.Rule, in *customers.Rule, nth int) {
	r = root
	for _, step := range strings.Split(place, ".")[1:] {
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(r.Rules) {
			return nil, nil, 0
		}
		r, in, nth = &r.Rules[i], r, i
	}
	return r, in, nth
}

// do does what a button says: "add PLACE" adds what is chosen there, "remove PLACE"
// removes the rule. It returns the place of a new one.
func do(root *customers.Rule, form url.Values) (added string) {
	what, place, _ := strings.Cut(form.Get("do"), " ")
	if place != "n" && !strings.HasPrefix(place, "n.") {
		return ""
	}
	r, in, nth := at(root, place)
	switch {
	case what == "remove" && in != nil:
		in.Rules = slices.Delete(in.Rules, nth, nth+1)
	case what == "add" && r != nil && r.Group != "":
		one := customers.Rule{About: form.Get(place + ".new"), Parts: map[string][]string{}}
		if one.About == "all" || one.About == "any" || one.About == "none" {
			one = customers.Rule{Group: one.About}
		}
		added = place + "." + strconv.Itoa(len(r.Rules))
		r.Rules = append(r.Rules, one)
	}
	return added
}

// ruleForm is a rule in the form.
type ruleForm struct {
	Place  string
	Group  string
	Is     string      // what a condition is about
	Label  string      // of a condition
	Rules  []ruleForm  // of a group
	Fields []ruleField // of a condition
	New    []core.Option
	Inner  bool   // it can be removed
	Focus  bool   // it was just added
	Wrong  string // why it is not valid, as a whole
}

// ruleField is a field of a condition.
type ruleField struct {
	ID, Name, Label, Unit string
	Options               []core.Option // none: inputs
	Inputs                []string      // their values: one more than are given if there may be several
	Several               bool
	Ages                  bool // it takes a moment
	Wrong                 string
}

// formOf makes the form of a rule at a place; path is where errors find it.
func (p *segmentPage) formOf(r customers.Rule, place, path string) ruleForm {
	f := ruleForm{Place: place, Group: r.Group, Inner: place != "n", Focus: place == p.Added}
	if r.Group != "" {
		f.New = newRules
		path += "/" + r.Group
		for i, one := range r.Rules {
			f.Rules = append(f.Rules, p.formOf(one, place+"."+strconv.Itoa(i), path+"/"+strconv.Itoa(i)))
		}
		f.Wrong = p.wrongAt(path, customers.Part{})
		return f
	}
	path += "/" + r.About
	for _, thing := range customers.Things {
		if thing.Name != r.About {
			continue
		}
		f.Is, f.Label = thing.Name, thing.Label
		only := len(thing.Parts) == 1 // its value stands for the whole condition
		if !only {
			f.Wrong = p.wrongAt(path, customers.Part{})
		}
		for _, part := range thing.Parts {
			at := path
			if !only {
				at += "/" + part.Name
			}
			field := ruleField{ID: strings.ReplaceAll(place, ".", "-") + "-" + part.Name, Name: place + "." + part.Name,
				Label: part.Label, Unit: part.Unit, Several: part.Multi,
				Ages: part.Kind == pg.Moment, Wrong: p.wrongAt(at, part)}
			field.Options = p.choices(part, r.Parts[part.Name])
			field.Inputs = inputs(part, r.Parts[part.Name], p.Shell)
			f.Fields = append(f.Fields, field)
		}
	}
	return f
}

// inputs are the values of the inputs of a part. An input has one line.
func inputs(part customers.Part, values []string, on core.Shell) (all []string) {
	for _, v := range values {
		all = append(all, filled(part.Kind, strings.Join(pg.Lines(v), " "), on))
	}
	if part.Multi || len(all) == 0 {
		all = append(all, "")
	}
	return all
}

// wrongAt is what is wrong at a path of the rule, where a part or something else stands; empty: nothing.
func (p *segmentPage) wrongAt(path string, part customers.Part) string {
	reason, found := strings.CutPrefix(p.refused, path+" ")
	switch {
	case !found:
		return ""
	case strings.HasPrefix(reason, "is no list"), strings.HasPrefix(reason, "is empty"),
		strings.HasPrefix(reason, "is no text"), strings.HasPrefix(reason, "lacks"):
		return "Fill in a condition here, or remove it."
	}
	reason = customers.Refusal(part.Kind, reason, part.Choices, p.Locale())
	return strings.ToUpper(reason[:1]) + reason[1:]
}

// newRules are what can be added to a group.
var newRules = func() (options []core.Option) {
	for _, t := range customers.Things {
		options = append(options, core.Option{Value: t.Name, Label: t.Label})
	}
	return append(options, core.Option{Value: "all", Label: "All of …"}, core.Option{Value: "any", Label: "Any of …"},
		core.Option{Value: "none", Label: "None of …"})
}()

// choices are the values that a part may take; none: it is written.
func (p *segmentPage) choices(part customers.Part, chosen []string) (options []core.Option) {
	var all []core.Option
	switch part.Kind {
	case customers.CourseID:
		all = sold(p.Store, "course")
	case customers.ProductID:
		all = sold(p.Store, "")
	case customers.TagID:
		all = tagged(p.Store)
	case customers.CampaignID:
		all = mailing(p.Store)
	case customers.SegmentID:
		all = p.Segments
	case customers.Country:
		if len(p.Store.Countries) > 0 { // else they are written
			all = countries(p.Store, chosen)
		}
	default:
		all = core.ChoicesOf(pg.Param{Choices: part.Choices})
	}
	if len(all) == 0 && part.Choices == nil && part.Kind != customers.CourseID && part.Kind != customers.ProductID &&
		part.Kind != customers.TagID && part.Kind != customers.CampaignID {
		return nil
	}
	if !part.Multi {
		all = slices.Insert(all, 0, core.Option{Label: "Any"})
	}
	m := core.Menu{Param: pg.Param{Multi: part.Multi}, Options: all}
	if len(all) == 0 {
		m.Options = []core.Option{{Label: "There are none yet"}}
	}
	return m.Choose(strings.Join(chosen, "\n")).Options
}
