package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Facts on no list, and why: what an operator looks through when somebody is
// missed.

// factKinds are the kinds of facts that belong to a customer, in the order told.
var factKinds = []string{enrollment, payment, subscription}

// deriveFailed is the reason of facts whose customer could not be computed;
// behind it in the column is the error.
const deriveFailed = "derive_failed"

// reasonOf is SQL for the reason in a column unattached.
func reasonOf(column string) string { return "split_part(" + column + ", ':', 1)" }

// rightReasons are those for which facts rightly are on no list.
func rightReasons() []string { return slices.Sorted(maps.Keys(rightly)) }

// Remedy is what to do about a reason.
type Remedy struct {
	Words    string   `json:"words"`
	Commands []string `json:"commands"`
	// Actions are what can be done from here: attach (the facts again), clerk or
	// stripe (start that backfill), retry (the failed events).
	Actions []string `json:"actions"`
}

// remedies are what advice does not say in words.
var remedies = map[string]Remedy{
	notDerived:              {Commands: []string{"rollcall backfill start courses --follow", "rollcall backfill start subscriptions --follow"}, Actions: []string{"attach"}},
	"no_store":              {Actions: []string{"attach"}},
	"account_without_store": {Actions: []string{"attach"}},
	"user_unknown":          {Commands: []string{"rollcall backfill start clerk --follow"}, Actions: []string{"clerk", "attach"}},
	"user_unconfirmed":      {Commands: []string{"rollcall backfill start stripe --account all --follow"}, Actions: []string{"stripe", "attach"}},
	"email_unverified":      {Commands: []string{"rollcall audit --against clerk"}, Actions: []string{"clerk", "attach"}},
	"no_email":              {Commands: []string{"rollcall backfill start stripe --follow", "rollcall backfill start clerk --follow"}, Actions: []string{"stripe", "clerk", "attach"}},
	"unclaimed_payment":     {Commands: []string{"rollcall backfill start stripe --account all --follow"}, Actions: []string{"stripe", "attach"}},
	"paid_not_started":      {Commands: []string{"rollcall backfill start stripe --account all --follow"}, Actions: []string{"stripe", "attach"}},
	deriveFailed:            {Commands: []string{"rollcall events retry --all"}, Actions: []string{"retry", "attach"}},
}

// WhyOff tells what a reason means, and what to do, nil if nothing is to be done;
// ErrNotFound of what is no reason.
func WhyOff(reason string) (meaning string, r *Remedy, err error) {
	_, right := rightly[reason]
	_, waits := remedies[reason]
	if !right && !waits {
		return "", nil, ErrNotFound
	}
	meaning, r = whyOff(reason)
	return meaning, r, nil
}

// whyOff tells what a reason means, and what to do; nil if nothing is to be done.
func whyOff(reason string) (meaning string, r *Remedy) {
	if why, ok := rightly[reason]; ok {
		return why, nil
	}
	why := advice[reason]
	if reason == deriveFailed {
		why = "its customer could not be computed: mend what the error says, then retry the events that failed, or attach these again"
	}
	meaning, words, _ := strings.Cut(cmp.Or(why, whyUncounted(reason)), ": ")
	remedy := remedies[reason]
	remedy.Words = words
	remedy.Commands, remedy.Actions = append([]string{}, remedy.Commands...), append([]string{}, remedy.Actions...)
	return meaning, &remedy
}

// OffReason is a reason to be on no list, and the facts that it holds for.
type OffReason struct {
	Reason   string           `json:"reason"`
	Meaning  string           `json:"meaning"`
	Remedy   *Remedy          `json:"remedy"` // nil: they rightly are on no list
	Count    int64            `json:"count"`
	Kinds    map[string]int64 `json:"kinds"` // enrollment, payment, subscription
	Examples []OffFact        `json:"examples"`
}

// OffFact is a fact on no list.
type OffFact struct {
	Ref       string     `json:"ref"`
	Kind      string     `json:"kind"`
	Who       string     `json:"who"` // user:…, an address, or a Stripe customer, as far as it says
	StoreID   *string    `json:"store_id"`
	StoreName *string    `json:"store_name"`
	Title     *string    `json:"title"` // of what was enrolled in or bought
	Amount    *Money     `json:"amount"`
	At        *time.Time `json:"at"`
	Reason    string     `json:"reason"`
	Error     *string    `json:"error"` // why its customer could not be computed
	Origins   []Origin   `json:"origins"`
	key       rowKey
}

// offExamples is how many facts a reason is shown with.
const offExamples = 3

// OffReasons lists why facts are on no list, of one store or (store "") of all:
// first what something is to be done about, each by how many there are.
func (s *Store) OffReasons(ctx context.Context, store string) (_ []OffReason, err error) {
	defer wrap(&err, "store.OffReasons(%q)", store)
	byReason := map[string]*OffReason{}
	for _, kind := range factKinds {
		counts, err := s.offCounts(ctx, kind, store)
		if err != nil {
			return nil, err
		}
		for reason, n := range counts {
			r := byReason[reason]
			if r == nil {
				r = &OffReason{Reason: reason, Kinds: map[string]int64{}}
				r.Meaning, r.Remedy = whyOff(reason)
				byReason[reason] = r
			}
			r.Kinds[kind] += n
			r.Count += n
		}
	}
	out := []OffReason{}
	for _, r := range byReason {
		if r.Examples, _, err = s.OffFacts(ctx, OffFilter{Reason: r.Reason, Store: store, Limit: offExamples}); err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b OffReason) int {
		if (a.Remedy == nil) != (b.Remedy == nil) {
			return map[bool]int{true: 1, false: -1}[a.Remedy == nil]
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return out, nil
}

// offCounts counts facts of a kind by reason. Of one store, those that were
// never attached cannot be told.
func (s *Store) offCounts(ctx context.Context, kind, store string) (map[string]int64, error) {
	sql, args := reasonsSQL(tableOf[kind]), []any{[]string{}, nil}
	if store != "" {
		sql = `
		SELECT
			` + reasonOf("unattached") + `,
			count(*)
		FROM ` + tableOf[kind] + `
		WHERE store_id = $1 AND unattached <> 'not_derived'
		GROUP BY 1`
		args = []any{store}
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	var reason string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error {
		counts[reason] += n
		return nil
	})
	return counts, err
}

// origins of many facts, for lookUp.
func originsOf(facts []OffFact) (all [][]Origin) {
	for _, f := range facts {
		all = append(all, f.Origins)
	}
	return all
}

// refOfKey is the ref of a fact, as refOf writes it.
func refOfKey(k rowKey) string {
	if k.a == "" {
		return k.kind + ":" + k.b
	}
	return fmt.Sprintf("%s:%s/%s", k.kind, k.a, k.b)
}
