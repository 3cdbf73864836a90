package store

import (
	"cmp"
	"slices"
	"strings"
)

// facetsOf are those of a store's facets whose type, status and source f asks
// for; parts that it leaves open may be any.
func (f Filter) facetsOf(all []string) (facets []string) {
	want := []string{f.Type, f.Status, f.Source}
	for _, facet := range all {
		is := strings.SplitN(facet, "/", len(want))
		if !slices.ContainsFunc([]int{0, 1, 2}, func(i int) bool { return want[i] != "" && want[i] != is[i] }) {
			facets = append(facets, facet)
		}
	}
	return facets
}

// own adds what f asks of a customer c beyond its facet.
func (f Filter) own(w *conditions) {
	for _, key := range []string{"c.spent_rank", "c.first_seen_at", "c.last_activity_at"} {
		f.ofKey(w, key)
	}
	if f.ProgressMin != "" || f.ProgressMax != "" {
		w.sql = append(w.sql, `EXISTS (
			SELECT
			FROM jsonb_to_recordset(c.courses) AS k(id text, progress float8)
			WHERE k.id = `+w.arg(f.Course)+`
			  AND k.progress BETWEEN `+w.arg(cmp.Or(f.ProgressMin, "0"))+`::text::float8 AND `+w.arg(cmp.Or(f.ProgressMax, "100"))+`::text::float8
		)`)
	}
}

// ofKey adds what f asks of a value that orders sort by: a range of that order.
func (f Filter) ofKey(w *conditions, key string) {
	switch key {
	case "c.spent_rank":
		w.addIf(key+" >= $?::text::numeric", f.SpentMin)
	case "c.first_seen_at":
		w.addMoment(key+" >= ", f.FirstSeenAfter)
		w.addMoment(key+" < ", f.FirstSeenBefore)
	case "c.last_activity_at":
		w.addMoment(key+" >= ", f.LastActivityAfter)
		w.addMoment(key+" < ", f.LastActivityBefore)
	}
}

// indexed adds what f asks of a customer's entry i in customer_index, which is
// what they have and what they are called.
func (q *question) indexed(w *conditions) {
	f := q.Filter
	w.addIf("i.has @> ARRAY['course:' || $?]", f.Course)
	w.addIf("NOT i.has @> ARRAY['course:' || $?]", f.NotCourse)
	w.addIf("i.has @> ARRAY['product:' || $?]", f.Product)
	w.addIf("NOT i.has @> ARRAY['product:' || $?]", f.NotProduct)
	switch f.Completed {
	case "yes":
		w.add("i.has @> ARRAY['completed:' || $?]", f.Course)
	case "no":
		w.add("NOT i.has @> ARRAY['completed:' || $?]", f.Course)
	}
	// Each by itself: the index of trigrams knows no LIKE ALL.
	called := &conditions{args: w.args}
	for _, pattern := range q.patterns {
		called.add("i.words LIKE $?", pattern)
	}
	if len(q.titled) > 0 {
		called.sql = []string{"(" + called.String() + " OR i.has && " + w.arg(q.titled) + ")"}
	}
	w.sql = append(w.sql, called.sql...)
}
