package store

import (
	"context"
	"slices"
	"time"

	"rollcall/facts"
	"rollcall/store/pg"
)

// erasureFilter is all that the rest of the write side knows of erasure
// (docs/erasure.md). What a transaction upserts and attaches passes through it,
// so that facts about erased people are kept under pseudonyms, and payloads that
// name them are not kept at all.
type erasureFilter struct {
	*work // the transaction

	tombstones *tombstones // those looked up; nil if no person was ever erased
	loaded     bool

	events []pendingEvent // that the facts come from, one for each set; none for facts of a backfill

	// Of the facts that were upserted last:
	sets       []facts.Set
	abouts     []about                   // whom and what the events are about
	named      []bool                    // which sets name erased people
	again      []RowKey                  // rows to be attached besides
	names      map[identity]int64        // that erased people have used again since, and their erasures
	reappeared map[string]*reappearances // by table

	inStores map[RowKey]bool // rows of people erased from the row's own store
}

// pseudonymize returns the facts of all sets, those about erased people under
// pseudonyms. A late fact may show that an erased person had further identities:
// these are erased as well. complete must follow, once the facts are upserted.
func (f *erasureFilter) pseudonymize(ctx context.Context, sets []facts.Set) (all facts.Set, err error) {
	defer pg.Wrap(&err, "store.erasureFilter.pseudonymize")
	ts, err := f.load(ctx)
	if err != nil {
		return all, err
	}
	f.sets, f.abouts, f.named, f.again = sets, nil, make([]bool, len(sets)), nil
	f.names, f.reappeared = map[identity]int64{}, map[string]*reappearances{}
	for _, set := range sets {
		all.Add(set)
	}
	if ts == nil {
		return all, nil
	}
	if err := f.lookUp(ctx, all); err != nil {
		return all, err
	}
	if err := f.eraseDiscovered(ctx); err != nil {
		return all, err
	}
	all = facts.Set{}
	for i, set := range sets {
		f.noteReappearances(set)
		set, f.named[i] = ts.pseudonymize(set)
		f.noteNames(set)
		all.Add(set)
	}
	if err := f.saveNames(ctx); err != nil {
		return all, err
	}
	return all, f.extend(ctx, ownLocks(all))
}

// lookUp finds the tombstones of all identities that the facts and their events name.
func (f *erasureFilter) lookUp(ctx context.Context, all facts.Set) error {
	named := identitiesOf(all)
	for i, e := range f.events {
		a := aboutOf(e.event, f.sets[i])
		f.abouts = append(f.abouts, a)
		named = slices.Concat(named, a.people, a.objects)
	}
	if err := f.tombstones.find(ctx, f.tx, named); err != nil {
		return err
	}
	return f.tombstones.findInAccounts(ctx, f.tx, all.StripeCustomers)
}

// complete does what can only be done once the facts are upserted, and returns
// the rows that have to be attached besides.
func (f *erasureFilter) complete(ctx context.Context) (rows []RowKey, err error) {
	if f.tombstones == nil {
		return nil, nil
	}
	merged, err := f.pseudonymizeMerged(ctx)
	if err != nil {
		return nil, err
	}
	return append(f.again, merged...), f.shareDeletions(ctx)
}

// reset discards what was looked up in a savepoint that was rolled back.
func (f *erasureFilter) reset() { f.tombstones, f.loaded, f.named = nil, false, nil }

// namesErased reports whether one of the sets upserted last names an erased person.
func (f *erasureFilter) namesErased(nth int) bool { return nth < len(f.named) && f.named[nth] }

// isErased reports whether an address was erased, for what happened at a time. It
// has to be among those of the facts upserted.
func (f *erasureFilter) isErased(email string, at time.Time) bool {
	return f.tombstones.of(identity{anAddress, email}, at) != nil
}

// withoutErased leaves out the items that are about erased users or their addresses.
func (f *erasureFilter) withoutErased(ctx context.Context, items []Item) ([]Item, error) {
	ts, err := f.load(ctx)
	if err != nil || ts == nil {
		return items, err
	}
	var all facts.Set
	for _, item := range items {
		all.Add(item.Facts)
	}
	if err := ts.find(ctx, f.tx, identitiesOf(all)); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(items), func(item Item) bool {
		return slices.ContainsFunc(item.Facts.Users, func(u facts.User) bool {
			return ts.of(identity{aUser, u.ID}, item.Facts.At) != nil || ts.of(identity{anAddress, u.Email}, item.Facts.At) != nil
		})
	}), nil
}
