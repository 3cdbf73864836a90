package customers

import (
	"context"
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

// facetsAndSought reads all facets of a store, and what the searches of a rule look for.
func facetsAndSought(ctx context.Context, db pg.Querier, store string, r Rule) (
	all []string, found map[string]sought, err error) {
	searches := r.values("customer", "q")
	words := make([][]string, len(searches))
	for i, search := range searches {
		words[i] = pg.WordsOf(search)
	}
	// Skips through the index, one look-up for each facet.
	rows := pg.Query(ctx, db, `
		WITH RECURSIVE facets AS (
			(SELECT facet FROM customers WHERE store_id = $1 ORDER BY facet LIMIT 1)
			UNION ALL
			SELECT (SELECT c.facet FROM customers c WHERE c.store_id = $1 AND c.facet > f.facet ORDER BY c.facet LIMIT 1)
			FROM facets f
			WHERE f.facet IS NOT NULL
		)
		SELECT
			ARRAY(SELECT facet FROM facets WHERE facet IS NOT NULL),
			s.nth - 1,
			s.patterns,
			ARRAY(
				SELECT unnest(ARRAY['course:' || p.id, 'product:' || p.id])
				FROM products p
				WHERE p.store_id = $1 AND s.patterns <> '{}' AND fold(p.title) LIKE ALL (s.patterns)
			)
		FROM (SELECT) once
		LEFT JOIN LATERAL (
			SELECT nth, `+pg.PatternsOf("ARRAY(SELECT jsonb_array_elements_text(words))")+` AS patterns
			FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS search(words, nth)
		) s ON true`, store, words)
	var nth *int
	var one sought
	found = map[string]sought{}
	err = pg.Each(rows, []any{&all, &nth, &one.patterns, &one.titled}, func() {
		if nth != nil {
			found[searches[*nth]] = one
		}
	})
	return all, found, err
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
