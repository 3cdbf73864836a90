package customers

import (
	"strings"

	"rollcall/store/pg"
)

// AsRule is the rule that f is short for: all of its parameters hold. What f says of one
// thing, for example of a course and the progress in it, must hold for the same row.
func (f Filter) AsRule() (Rule, error) {
	all := Rule{Group: "all"}
	at := map[string]int{} // of the leaf about a thing
	for _, p := range f.Params() {
		values := p.Given()
		about, part, _ := strings.Cut(p.On, ".")
		switch {
		case len(values) == 0:
		case about == "rule":
			r, err := ParseRule(f.Rule)
			if err != nil {
				return Rule{}, err
			}
			all.Rules = append(all.Rules, r)
		case p.None:
			leaf := Rule{About: about, Parts: map[string][]string{part: values}}
			all.Rules = append(all.Rules, Rule{Group: "none", Rules: []Rule{leaf}})
		default:
			i, ok := at[about]
			if !ok {
				i = len(all.Rules)
				at[about] = i
				all.Rules = append(all.Rules, Rule{About: about, Parts: map[string][]string{}})
			}
			all.Rules[i].Parts[part] = values
		}
	}
	if len(all.Rules) == 1 {
		return all.Rules[0], nil
	}
	return all, nil
}

// OfFacets is the part of f that chooses facets: its matches are counted at any length.
func (f Filter) OfFacets() Filter {
	return Filter{Store: f.Store, Type: f.Type, Status: f.Status, Source: f.Source}
}

// beyondFacets tells whether f has conditions beyond the facet.
func (f Filter) beyondFacets() bool {
	f.Type, f.Status, f.Source = "", "", ""
	return pg.Given(f.Params())
}
