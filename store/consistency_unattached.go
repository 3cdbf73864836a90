package store

import (
	"cmp"
	"context"
	"slices"

	"rollcall/store/reasons"
)

// unattachedFacts lists why facts are on no list: the reasons for which somebody may
// be missing, with examples, and those for which they belong on none; each the
// most frequent first.
func unattachedFacts(ctx context.Context, q querier, asked unattachedQuestion, examples int) (
	missing, right []Difference, err error,
) {
	counts, err := asked.count(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	missing, right = []Difference{}, []Difference{}
	sums := byReason(counts)
	for _, reason := range reasons.All {
		d := Difference{Kind: reason.Code, Meaning: reason.Text(), Count: sums[reason.Code], Examples: []Finding{}}
		switch {
		case d.Count == 0:
		case reason.Right:
			right = append(right, d)
		default:
			if d.Examples, err = unattachedExamples(ctx, q, reason, asked.store, examples); err != nil {
				return nil, nil, err
			}
			missing = append(missing, d)
		}
	}
	for _, list := range [][]Difference{missing, right} {
		slices.SortFunc(list, func(a, b Difference) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
		})
	}
	return missing, right, nil
}

// unattachedExamples returns some of the facts on no list for a reason.
func unattachedExamples(ctx context.Context, q querier, reason reasons.Reason, store string, most int) ([]Finding, error) {
	found := []Finding{}
	if most == 0 {
		return found, nil
	}
	page, _, err := OffFilter{Reason: reason.Code, Store: store, Limit: most, leaning: true}.page(ctx, q, readKeys)
	for _, f := range page {
		what := f.Who
		if f.StoreID != nil {
			what += " in store " + *f.StoreID
		}
		found = append(found, Finding{Place: f.key.place(), What: what, Why: reason.Text()})
	}
	return found, err
}
