package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

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
	if err := f.wordsInStores(ctx); err != nil {
		return nil, err
	}
	merged, err := f.pseudonymizeMerged(ctx)
	if err != nil {
		return nil, err
	}
	return append(f.again, merged...), f.shareDeletions(ctx)
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
			return ts.of(identity{aUser, u.ID}, item.Facts.At) != nil ||
				ts.of(identity{anAddress, u.Email}, item.Facts.At) != nil
		})
	}), nil
}

// pseudonymizeMerged pseudonymizes what the merged rows say of erased people beside
// what the upserted facts named. A Stripe customer whom only the merged row ties to
// an erased user is erased as well. It returns the rows to be attached because of that.
func (f *erasureFilter) pseudonymizeMerged(ctx context.Context) (rows []RowKey, err error) {
	defer pg.Wrap(&err, "store.pseudonymizeMerged")
	first := map[RowKey]time.Time{}
	for _, set := range f.sets {
		for _, p := range purchasesOf(&set, asStored) {
			if at, known := first[p.RowKey]; !known || set.At.Before(at) {
				first[p.RowKey] = set.At
			}
		}
	}
	found, err := f.pseudonymizeWhole(ctx, first)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return f.addDiscovered(ctx, found)
}

// Erased people who act again: what they do after the erasure is kept under their
// true names, beside the pseudonyms that stand for what was before.

// noteNames notes which erased identities are used again.
func (f *erasureFilter) noteNames(set facts.Set) {
	for _, i := range identitiesOf(set) {
		if t := f.tombstones.known[i]; t != nil && set.At.After(t.at) && i.kind != anObject {
			f.names[i] = t.erasure
		}
	}
}

// saveNames writes them down: the hashes do not tell what to look for when the
// person is erased again.
func (f *erasureFilter) saveNames(ctx context.Context) error {
	if len(f.names) == 0 {
		return nil
	}
	var batch pgx.Batch
	for i, erasure := range f.names {
		batch.Queue(`
			INSERT INTO erasure_terms (erasure_id, kind, value, anew)
			VALUES ($1, $2, $3, true)
			ON CONFLICT DO NOTHING`, erasure, i.kind, i.value)
	}
	return f.tx.SendBatch(ctx, &batch).Close()
}

// noteReappearances notes for which facts of a set an end may have been told of the
// pseudonym: an end never says whether it is that of the old row or of the new one.
func (f *erasureFilter) noteReappearances(set facts.Set) {
	ts := f.tombstones
	note := func(table string, who identity, within, name, pseudonym string) bool {
		t := ts.known[who]
		if t == nil || !set.At.After(t.at) {
			return false
		}
		if f.reappeared[table] == nil {
			f.reappeared[table] = &reappearances{}
		}
		r := f.reappeared[table]
		r.within, r.names, r.pseudonyms = append(r.within, within), append(r.names, name), append(r.pseudonyms, pseudonym)
		r.since = append(r.since, t.at.UTC().Format("2006-01-02T15:04:05.000000Z"))
		return true
	}
	for _, u := range set.Users {
		who := identity{aUser, u.ID}
		note("users", who, "", u.ID, ts.pseudonym(who))
	}
	for _, c := range set.StripeCustomers {
		who := identity{aStripeCustomer, c.Account + "/" + c.ID}
		note("stripe_customers", who, c.Account, c.ID, ts.pseudonym(who))
	}
	for _, e := range set.Enrollments {
		pseudonym, _ := ts.person(e.Person, always)
		if note("enrollments", personOf(e.Person), e.CourseID, e.Person, pseudonym) {
			f.again = append(f.again, RowKey{Enrollment, e.CourseID, e.Person})
		}
	}
}

// shareDeletions gives reappeared people the deletions that were told since.
func (f *erasureFilter) shareDeletions(ctx context.Context) error {
	for table, r := range f.reappeared {
		if _, err := f.tx.Exec(ctx, shareDeletionsSQL[table], r.within, r.names, r.pseudonyms, r.since); err != nil {
			return err
		}
	}
	return nil
}

var shareDeletionsSQL = map[string]string{
	"users":            shareDeletionsIn("users", "''", "''", "id"),
	"stripe_customers": shareDeletionsIn("stripe_customers", "f.account", "t.account", "id"),
	"enrollments":      shareDeletionsIn("enrollments", "f.course_id", "t.course_id", "person"),
}

func shareDeletionsIn(table, within, itsWithin, key string) string {
	return `
		UPDATE ` + table + ` f
		SET deleted_version = e.deleted_version
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS r(within, name, pseudonym, since)
		CROSS JOIN LATERAL (
			SELECT deleted_version FROM ` + table + ` t WHERE ` + itsWithin + ` = r.within AND t.` + key +
		` = r.pseudonym OFFSET 0
		) e
		WHERE ` + within + ` = r.within
		  AND f.` + key + ` = r.name
		  AND e.deleted_version > f.deleted_version
		  AND e.deleted_version > r.since COLLATE "C"`
}
