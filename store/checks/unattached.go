package checks

import (
	"cmp"
	"context"
	"slices"

	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// Remedy is what to do about a reason.
type Remedy struct {
	Words    string   `json:"words"`
	Commands []string `json:"commands"`
	Actions  []string `json:"actions"` // what can be done from here, see reasons.Reason
}

// OffReason is a reason to be on no list, and the facts that it holds for.
type OffReason struct {
	Reason   string           `json:"reason"`
	Meaning  string           `json:"meaning"`
	Remedy   *Remedy          `json:"remedy"` // nil: they belong on no list
	Count    int64            `json:"count"`
	Kinds    map[string]int64 `json:"kinds"` // enrollment, payment, subscription
	Examples []store.OffFact  `json:"examples"`
}

// WhyOff tells what a reason means, and what to do; ErrNotFound of what is none.
func WhyOff(code string) (OffReason, error) {
	reason, found := reasons.Find(code)
	if !found || reason.Code != code {
		return OffReason{}, pg.ErrNotFound
	}
	r := OffReason{Reason: code, Meaning: reason.Means, Kinds: map[string]int64{}}
	if !reason.Right {
		r.Remedy = &Remedy{Words: reason.Do, Commands: reason.Fix, Actions: reason.Actions}
	}
	return r, nil
}

// offExamples is how many facts a reason is shown with.
const offExamples = 3

// OffReasons lists why facts are on no list, of one store or (store "") of all:
// first what something is to be done about, each by how many there are. Of one
// store, those that were never attached cannot be told.
func (s *Reader) OffReasons(ctx context.Context, storeID string) (_ []OffReason, err error) {
	defer pg.Wrap(&err, "store.OffReasons(%q)", storeID)
	asked := store.UnattachedQuestion{Reasons: reasons.Codes(), Store: storeID}
	if storeID != "" {
		asked.Reasons = reasons.Attached()
	}
	counts, err := asked.Count(ctx, s.Pool)
	if err != nil {
		return nil, err
	}
	out := []OffReason{}
	for reason, n := range store.ByReason(counts) {
		r, err := WhyOff(reason)
		if err != nil {
			return nil, err
		}
		r.Count = n
		for _, c := range counts {
			if c.Reason == reason && c.Facts > 0 {
				r.Kinds[c.Kind] = c.Facts
			}
		}
		if r.Examples, _, err = s.OffFacts(ctx, store.OffFilter{Reason: reason, Store: storeID, Limit: offExamples}); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b OffReason) int {
		if (a.Remedy == nil) != (b.Remedy == nil) {
			return map[bool]int{true: 1, false: -1}[a.Remedy == nil]
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return out, nil
}
