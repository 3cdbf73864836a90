package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Facts may show that an erased person had further identities: a user who had the
// erased address, the Stripe customer as whom an erased user bought. These are
// erased with the person.

// discover finds what facts show about erased people.
func (ts *tombstones) discover(found discoveries, set facts.Set, c clock) {
	for _, f := range set.Users {
		ts.note(found, identity{aUser, f.ID}, ts.of(identity{anAddress, f.Email}, c.ofUser(f)))
	}
	for _, f := range set.StripeCustomers {
		who, at := identity{aStripeCustomer, f.Account + "/" + f.ID}, c.of(f.Version, nil)
		ts.note(found, who, ts.of(identity{anAddress, f.Email}, at))
		if t := ts.inAccounts[address{f.Account, f.Email}]; t != nil && !at.After(t.at) {
			ts.note(found, who, t) // the account is that of the store from which they were erased
		}
	}
	for _, p := range purchasesOf(&set, c) {
		for _, by := range p.parts {
			ts.discoverBuyer(found, p, by)
		}
	}
}

// discoverBuyer: the Stripe customer that an erased user bought as is theirs, and
// so is the row that names any of them.
func (ts *tombstones) discoverBuyer(found discoveries, p purchase, by part) {
	user, object := ts.of(identity{aUser, by.UserRef}, by.at), p.object()
	ts.note(found, object, user)
	ts.note(found, object, ts.of(identity{anAddress, by.Email}, by.at))
	if by.StripeCustomer != "" {
		customer := identity{aStripeCustomer, p.A + "/" + by.StripeCustomer}
		ts.note(found, customer, user)
		ts.note(found, object, ts.of(customer, by.at))
	}
}

// discoverObjects: what an erased person bought goes with them, and so do the
// objects that one event names beside each other.
func (ts *tombstones) discoverObjects(found discoveries, a about, at time.Time) {
	for _, i := range slices.Concat(a.people, a.objects) {
		if t := ts.of(i, at); t != nil {
			for _, o := range a.objects {
				ts.note(found, o, t)
			}
		}
	}
}

// discoverInRows finds what the people and rows show that name identities.
func (ts *tombstones) discoverInRows(ctx context.Context, q pg.Querier, ids []identity, rows []RowKey) (
	discoveries, error) {
	emails := valuesOf(anAddress, ids)
	set, err := readPeople(ctx, q, ids, emails)
	if err != nil {
		return nil, err
	}
	purchases, err := readRows(ctx, q,
		slices.DeleteFunc(slices.Clone(rows), func(k RowKey) bool { return k.Kind == Enrollment }), false)
	if err != nil {
		return nil, err
	}
	set.Add(purchases)
	found := discoveries{}
	ts.discover(found, set, asStored)
	return found, ts.discoverFormer(ctx, q, found, emails)
}

// discoverFormer finds the users who once had an erased address, though they may
// have another now.
func (ts *tombstones) discoverFormer(ctx context.Context, q pg.Querier, found discoveries, emails []string) error {
	if len(emails) == 0 {
		return nil
	}
	rows := pg.Query(ctx, q, `
		SELECT subject, object, min(version_time(since))
		FROM links
		WHERE relation = 'address' AND object = ANY($1)
		GROUP BY subject, object`, emails)
	var user, email string
	var at time.Time
	return pg.Each(rows, []any{&user, &email, &at}, func() {
		ts.note(found, identity{aUser, user}, ts.of(identity{anAddress, email}, at))
	})
}

// eraseDiscovered erases whoever the facts and their events show to be erased people.
func (f *erasureFilter) eraseDiscovered(ctx context.Context) error {
	for {
		found := discoveries{}
		for _, set := range f.sets {
			f.tombstones.discover(found, set, at(set.At))
		}
		for i, a := range f.abouts {
			f.tombstones.discoverObjects(found, a, f.sets[i].At)
		}
		if len(found) == 0 {
			return nil
		}
		rows, err := f.addDiscovered(ctx, found)
		if err != nil {
			return err
		}
		f.again = append(f.again, rows...)
	}
}

// addDiscovered makes tombstones of discoveries once globalLock is held. They are rare.
func (f *erasureFilter) addDiscovered(ctx context.Context, found discoveries) ([]RowKey, error) {
	if !f.held[globalLock] {
		f.want[globalLock] = true
		return nil, pg.ErrAgain
	}
	return f.add(ctx, found, true)
}

// add makes tombstones of identities, and of those that the rows naming them show
// to be the same person's. Those rows are pseudonymized at once or, where there may
// be very many, left as they are for now. What is not facts is left to
// FinishErasures. globalLock is held. It returns the rows to be attached.
func (f *erasureFilter) add(ctx context.Context, found discoveries, atOnce bool) (again []RowKey, err error) {
	defer pg.Wrap(&err, "store.erasureFilter.add(%d)", len(found))
	var all []identity
	var rows []RowKey
	for len(found) > 0 {
		ids := slices.Collect(maps.Keys(found))
		if err := f.tombstones.find(ctx, f.tx, ids); err != nil { // those of other erasures keep their pseudonyms
			return nil, err
		}
		if err := f.write(ctx, found); err != nil {
			return nil, err
		}
		more, err := rowsNaming(ctx, f.tx, ids)
		if err != nil {
			return nil, err
		}
		if found, err = f.tombstones.discoverInRows(ctx, f.tx, ids, more); err != nil { // before they are pseudonymized
			return nil, err
		}
		all, rows = append(all, ids...), append(rows, more...)
	}
	if atOnce {
		if again, err = f.pseudonymizeRows(ctx, rows); err != nil {
			return nil, err
		}
		keys, err := keysOfAddresses(ctx, f.tx, all)
		if err != nil {
			return nil, err
		}
		dependent, err := rowsLeaning(ctx, f.tx, keys)
		if err != nil {
			return nil, err
		}
		again = distinct(append(again, dependent...))
	}
	return again, f.pseudonymizePeople(ctx, all, atOnce)
}

// write writes tombstones, and what their erasures have to look for from now on.
func (f *erasureFilter) write(ctx context.Context, found discoveries) error {
	ts := f.tombstones
	var batch pgx.Batch
	for i, t := range found {
		batch.Queue(`
			INSERT INTO erased AS e (hash, kind, erasure_id, erased_at)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (hash, store_id) DO UPDATE SET erased_at = GREATEST(e.erased_at, EXCLUDED.erased_at)`, ts.hash(i),
			i.kind, t.erasure, t.at)
		batch.Queue(`
			INSERT INTO erasure_terms (erasure_id, kind, value)
			VALUES ($1, $2, $3)
			ON CONFLICT (erasure_id, kind, value) DO UPDATE SET anew = false`, t.erasure, i.kind, i.value)
		batch.Queue(`UPDATE erasures SET finished_at = NULL, moved_at = '-infinity' WHERE id = $1
			AND finished_at IS NOT NULL`, t.erasure)
		if old := ts.known[i]; old != nil && old.erasure != t.erasure { // it keeps its pseudonym
			batch.Queue(`DELETE FROM erasure_terms WHERE erasure_id = $1 AND kind = $2 AND value = $3 AND anew`, old.erasure,
				i.kind, i.value)
			t.erasure, t.person = old.erasure, old.person
			if old.at.After(t.at) {
				t.at = old.at
			}
		}
		ts.known[i] = &t
	}
	return f.tx.SendBatch(ctx, &batch).Close()
}
