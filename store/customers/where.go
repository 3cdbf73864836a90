package customers

import (
	"slices"
	"strings"

	"rollcall/store/pg"
)

// facetsOf selects the facets that f allows.
func (f Filter) facetsOf(all []string) (facets []string) {
	var want []string
	for _, p := range f.Params() {
		if p.On == onFacet {
			want = append(want, *p.Value)
		}
	}
	for _, facet := range all {
		fits := true
		for i, part := range strings.SplitN(facet, "/", len(want)) {
			fits = fits && (want[i] == "" || want[i] == part)
		}
		if fits {
			facets = append(facets, facet)
		}
	}
	return facets
}

// OfFacets is the part of f that chooses facets: its matches are counted at any length.
func (f Filter) OfFacets() Filter {
	g := Filter{Store: f.Store}
	of := g.Params()
	for i, p := range f.Params() {
		if p.On == onFacet {
			*of[i].Value = *p.Value
		}
	}
	return g
}

// beyondFacets tells whether f has conditions beyond the facet.
func (f Filter) beyondFacets() bool {
	return pg.Given(slices.DeleteFunc(f.Params(), func(p pg.Param) bool { return p.On == onFacet }))
}

// own adds f's conditions on a customer c, without the facet.
func (f Filter) own(w *pg.Conditions) {
	w.AddParams(onRow, f.Params())
	of := &pg.Conditions{Args: w.Args}
	of.AddParams(onCourse, f.Params())
	if len(of.SQL) > 0 {
		of.Add("k.id = $?", f.Course)
		w.SQL = append(w.SQL, "EXISTS (SELECT FROM jsonb_to_recordset(c.courses) AS k(id text, progress float8) WHERE "+
			of.String()+")")
	}
}

// indexed adds f's conditions on a customer's entry i in customer_index: products and
// names.
func (q *listQuery) indexed(w *pg.Conditions) {
	w.AddParams(onEntry, q.Params())
	// Separate conditions, because the trigram index does not support LIKE ALL.
	called := &pg.Conditions{Args: w.Args}
	for _, pattern := range q.patterns {
		called.Add("i.words LIKE $?", pattern)
	}
	if len(q.titled) > 0 {
		called.SQL = []string{"(" + called.String() + " OR i.has && " + w.Arg(q.titled) + ")"}
	}
	w.SQL = append(w.SQL, called.SQL...)
}
