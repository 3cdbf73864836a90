package checks

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// Remedy is the fix for a reason.
type Remedy struct {
	Words    string   `json:"words"`
	Commands []string `json:"commands"`
	Actions  []string `json:"actions"` // buttons for it, see reasons.Reason
}

// OffReason is a reason why facts are missing, with their number.
type OffReason struct {
	Reason   string           `json:"reason"`
	Meaning  string           `json:"meaning"`
	Remedy   *Remedy          `json:"remedy"` // nil: they are not expected on a list
	Count    int64            `json:"count"`
	Kinds    map[string]int64 `json:"kinds"` // enrollment, payment, subscription
	Examples []store.OffFact  `json:"examples"`
}

// WhyOff returns a reason by its code, or ErrNotFound.
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

// Why is WhyOff with commands that name what the facts of a store, or of all (store ""), wait
// for, as far as that is known.
func (s *Reader) Why(ctx context.Context, code, storeID string) (r OffReason, err error) {
	if r, err = WhyOff(code); err != nil || r.Remedy == nil || !slices.ContainsFunc(r.Remedy.Commands, open) {
		return r, err
	}
	c := s.Checkup(store.AuditOptions{Store: storeID})
	waits, err := c.waitingFor(ctx, code)
	if err != nil {
		return r, err
	}
	reason, _ := reasons.Find(code)
	filled, err := c.fixOf(ctx, reason, waits)
	if len(filled) > 0 {
		r.Remedy.Commands = filled
	}
	return r, err
}

// open tells whether something is left to be filled in in a command.
func open(command string) bool { return strings.Contains(command, "<") }

// offExamples is how many example facts a reason has.
const offExamples = 3

// OffReasons is OffCounts with examples, and with the commands of Why.
func (s *Reader) OffReasons(ctx context.Context, storeID string) (all []OffReason, err error) {
	defer pg.Wrap(&err, "checks.OffReasons(%q)", storeID)
	if all, err = s.OffCounts(ctx, storeID); err != nil {
		return nil, err
	}
	for i, r := range all {
		why, err := s.Why(ctx, r.Reason, storeID)
		if err != nil {
			return nil, err
		}
		all[i].Remedy = why.Remedy
		all[i].Examples, _, err = s.OffFacts(ctx, store.OffFilter{Reason: r.Reason, Store: storeID, Limit: offExamples})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// OffCounts lists why facts are missing, of one store or (store "") of all: first
// reasons with a remedy, then by number. It leaves out facts of a store that were
// never attached, as their store is unknown.
func (s *Reader) OffCounts(ctx context.Context, storeID string) (_ []OffReason, err error) {
	defer pg.Wrap(&err, "checks.OffCounts(%q)", storeID)
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
