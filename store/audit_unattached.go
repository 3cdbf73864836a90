package store

import (
	"cmp"
	"context"
	"slices"

	"rollcall/store/finding"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// UnattachedFacts lists why facts are on no list: the reasons for which somebody may
// be missing, with examples, and those for which they belong on none; each the
// most frequent first.
func UnattachedFacts(ctx context.Context, q pg.Querier, asked UnattachedQuestion, examples int) (
	missing, right []finding.Finding, err error,
) {
	counts, err := asked.Count(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	missing, right = []finding.Finding{}, []finding.Finding{}
	sums := ByReason(counts)
	for _, reason := range reasons.All {
		d := finding.Finding{Kind: reason.Code, Means: reason.Text(), Count: sums[reason.Code], Examples: []finding.Example{}}
		switch {
		case d.Count == 0:
		case reason.Right:
			right = append(right, d)
		default:
			if d.Examples, err = unattachedExamples(ctx, q, reason, asked.Store, examples); err != nil {
				return nil, nil, err
			}
			missing = append(missing, d)
		}
	}
	for _, list := range [][]finding.Finding{missing, right} {
		slices.SortFunc(list, func(a, b finding.Finding) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
		})
	}
	return missing, right, nil
}

// unattachedExamples returns some of the facts on no list for a reason.
func unattachedExamples(ctx context.Context, q pg.Querier, reason reasons.Reason, store string, most int) (
	[]finding.Example, error) {
	found := []finding.Example{}
	if most == 0 {
		return found, nil
	}
	page, _, err := OffFilter{Reason: reason.Code, Store: store, Limit: most, leaning: true}.Page(ctx, q, readKeys)
	for _, f := range page {
		what := f.Who
		if f.StoreID != nil {
			what += " in store " + *f.StoreID
		}
		found = append(found, finding.Example{Place: f.Key.place(), What: what, Why: reason.Text()})
	}
	return found, err
}
