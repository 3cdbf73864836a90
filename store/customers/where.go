package customers

import (
	"slices"
	"strings"

	"rollcall/store/pg"
)

// facetsOf selects the facets that the conditions allow.
func (q *listQuery) facetsOf(all []string) (facets []string) {
	for _, facet := range all {
		is := strings.SplitN(facet, "/", 3)
		if !slices.ContainsFunc(q.conds, func(c cond) bool {
			return c.facet > 0 && !slices.Contains(c.values, is[c.facet-1])
		}) {
			facets = append(facets, facet)
		}
	}
	return facets
}

// own adds the conditions on a customer c, without the facet, each as one of its forms.
func (q *listQuery) own(w *pg.Conditions, form func(cond) string) {
	q.add(w, form, func(c cond) bool { return !c.entry && c.facet == 0 })
}

// ranged adds those that are a range of a column of c.
func (q *listQuery) ranged(key string, w *pg.Conditions) {
	q.add(w, cond.ofAll, func(c cond) bool { return c.key == key })
}

// indexed adds the conditions on a customer's entry i in customer_index, and those on
// both i and c.
func (q *listQuery) indexed(w *pg.Conditions, form func(cond) string) {
	q.add(w, form, func(c cond) bool { return c.entry })
}

func (q *listQuery) add(w *pg.Conditions, form func(cond) string, which func(cond) bool) {
	for _, c := range q.conds {
		if which(c) {
			w.AddAll(form(c), c.args)
		}
	}
}
