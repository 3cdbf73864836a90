package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Facts may show that an erased person had further identities: a user who had the
// erased address, the Stripe customer as whom an erased user bought. These are
// erased with the person.

// discoveries are identities found to be of erased people.
type discoveries map[identity]tombstone

// note notes that an identity belongs to an erased person, if that is new.
func (ts *tombstones) note(found discoveries, i identity, of *tombstone) {
	if of == nil || i.value == "" || strings.HasPrefix(i.id(), anonymousPrefix) {
		return
	}
	if t := ts.known[i]; t != nil && !t.at.Before(of.at) {
		return
	}
	if t, known := found[i]; known && !t.at.Before(of.at) {
		return
	}
	found[i] = *of
}

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
func (ts *tombstones) discoverInRows(ctx context.Context, q pg.Querier, ids []identity, rows []RowKey) (discoveries, error) {
	emails := valuesOf(anAddress, ids)
	set, err := readPeople(ctx, q, ids, emails)
	if err != nil {
		return nil, err
	}
	purchases, err := readRows(ctx, q, slices.DeleteFunc(slices.Clone(rows), func(k RowKey) bool { return k.Kind == Enrollment }), false)
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
	rows, err := q.Query(ctx, `
		SELECT subject, object, min(version_time(since))
		FROM links
		WHERE relation = 'address' AND object = ANY($1)
		GROUP BY subject, object`, emails)
	if err != nil {
		return err
	}
	var user, email string
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&user, &email, &at}, func() error {
		ts.note(found, identity{aUser, user}, ts.of(identity{anAddress, email}, at))
		return nil
	})
	return err
}

// readPeople reads the users and Stripe customers among identities, and those
// with one of the addresses.
func readPeople(ctx context.Context, q pg.Querier, ids []identity, emails []string) (set facts.Set, err error) {
	set.Users, err = factsOf[facts.User](ctx, q, `
		SELECT to_jsonb(u)
		FROM users u
		WHERE id = ANY($1) OR email = ANY($2)`, valuesOf(aUser, ids), emails)
	if err != nil {
		return set, err
	}
	var accounts, customers []string
	for _, value := range valuesOf(aStripeCustomer, ids) {
		account, id, _ := strings.Cut(value, "/")
		accounts, customers = append(accounts, account), append(customers, id)
	}
	set.StripeCustomers, err = factsOf[facts.StripeCustomer](ctx, q, `
		SELECT to_jsonb(s)
		FROM stripe_customers s
		WHERE (account, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		   OR email = ANY($3)`, accounts, customers, emails)
	return set, err
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
