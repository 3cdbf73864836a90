package store

import (
	"slices"
	"time"

	"rollcall/facts"
)

// How facts that name erased people are pseudonymized. The result depends on the
// fact and the tombstones alone, and each part of a fact is pseudonymized for
// itself: so it makes no difference whether facts are merged before or after.

// always is the time of what is pseudonymized whenever it happened: the end of
// something begins nothing, so it brings no one back.
var always time.Time

// pseudonymize returns a set with erased people under pseudonyms, and tells
// whether it named any. Checkouts, failed invoices and consents of erased people are left out.
func (ts *tombstones) pseudonymize(set facts.Set) (_ facts.Set, named bool) {
	set = set.Clone()
	changeEach(set.Users, &named, func(f *facts.User) bool { return ts.user(f, set.At) })
	changeEach(set.StripeCustomers, &named, func(f *facts.StripeCustomer) bool { return ts.stripeCustomer(f, set.At) })
	changeEach(set.Enrollments, &named, func(f *facts.Enrollment) bool { return ts.enrollment(f, at(set.At)) })
	for _, p := range purchasesOf(&set, at(set.At)) {
		named = ts.purchase(p) || named
	}
	kept := len(set.Checkouts) + len(set.FailedInvoices) + len(set.Consents)
	set.Checkouts = slices.DeleteFunc(set.Checkouts, func(f facts.Checkout) bool {
		// What one message says of the buyer, another may not: a session has one.
		return ts.of(checkoutObject(f), always) != nil || ts.buyer(&f.Context, f.Account, startOf(f, set.At))
	})
	set.FailedInvoices = slices.DeleteFunc(set.FailedInvoices, func(f facts.FailedInvoice) bool {
		return ts.buyer(&facts.Context{StripeCustomer: f.StripeCustomer}, f.Account, set.At)
	})
	set.Consents = slices.DeleteFunc(set.Consents, func(f facts.Consent) bool {
		return ts.of(identity{aUser, f.UserID}, set.At) != nil || ts.of(identity{anAddress, f.Email}, set.At) != nil
	})
	return set, named || len(set.Checkouts)+len(set.FailedInvoices)+len(set.Consents) < kept
}

func checkoutObject(f facts.Checkout) identity { return identity{anObject, f.Account + "/" + f.ID} }

// startOf is when a checkout began that is told of at a time: that it expires
// brings no one back.
func startOf(f facts.Checkout, at time.Time) time.Time {
	if f.StartedAt != nil && f.StartedAt.Before(at) {
		return *f.StartedAt
	}
	return at
}

func changeEach[F any](all []F, changed *bool, change func(*F) bool) {
	for i := range all {
		*changed = change(&all[i]) || *changed
	}
}

func (ts *tombstones) user(f *facts.User, at time.Time) bool {
	if f.Version == "" && f.DeletedVersion != "" && f.LastSeenAt == nil { // nothing but a deletion
		at = always
	}
	who := identity{aUser, f.ID}
	t := ts.of(who, at)
	if t == nil {
		return false
	}
	f.ID, f.Name, f.ImageURL, f.TimeZone, f.LastSeenAt = ts.pseudonym(who), "", "", "", nil
	t.account(&f.Email, &f.Version, &f.DeletedVersion)
	f.Earlier = anonymousAges(f.Earlier, "name", "image_url", "time_zone")
	return true
}

func (ts *tombstones) stripeCustomer(f *facts.StripeCustomer, at time.Time) bool {
	if f.DeletedVersion != "" {
		at = always
	}
	who := identity{aStripeCustomer, f.Account + "/" + f.ID}
	t := ts.of(who, at)
	if t == nil {
		return false
	}
	f.ID, f.Name = ts.pseudonym(who), ""
	t.account(&f.Email, &f.Version, &f.DeletedVersion)
	f.Earlier = anonymousAges(f.Earlier, "name")
	return true
}

// account pseudonymizes what users and Stripe customers have in common. Without
// an address before there is none after, so that nothing resolves that did not.
func (t *tombstone) account(email *string, version, deleted *facts.Version) {
	if *email != "" {
		*email = t.address()
	}
	*version, *deleted = version.Anonymous(), deleted.Anonymous()
}

// anonymousAges says how old the columns of a row are, without those dropped.
func anonymousAges(e facts.Earlier, dropped ...string) facts.Earlier {
	out := facts.Earlier{}
	for column, v := range e {
		if !slices.Contains(dropped, column) {
			out[column] = v.Anonymous()
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (ts *tombstones) enrollment(f *facts.Enrollment, c clock) bool {
	at := c.ofEnrollment(*f)
	if f.Version == "" && f.DeletedVersion != "" { // nothing but an end
		at = always
	}
	person, t := ts.person(f.Person, at)
	if t == nil {
		if t = ts.of(identity{anAddress, f.Email}, at); t == nil {
			return false
		}
	}
	f.Person, f.Name = person, ""
	if f.Email != "" {
		f.Email = t.address()
	}
	return true
}

// person is under what key the enrollments of a person are kept, and the
// person's tombstone, if any.
func (ts *tombstones) person(person string, at time.Time) (string, *tombstone) {
	who := personOf(person)
	switch t := ts.of(who, at); {
	case t == nil:
		return person, nil
	case who.kind == aUser:
		return "user:" + ts.pseudonym(who), t
	default:
		return "email:" + t.address(), t
	}
}

func (ts *tombstones) purchase(p purchase) (changed bool) {
	for _, by := range p.parts {
		if by.ends {
			by.at = always
		}
		changed = ts.buyer(by.Context, p.A, by.at) || changed
	}
	return changed
}

// buyer pseudonymizes whom an object names. The first of them, in the order in
// which a row is resolved, decides whose the rest is.
func (ts *tombstones) buyer(c *facts.Context, account string, at time.Time) bool {
	user, customer := identity{aUser, c.UserRef}, identity{aStripeCustomer, account + "/" + c.StripeCustomer}
	t := ts.of(identity{anAddress, c.Email}, at)
	if named := ts.of(customer, at); named != nil {
		t, c.StripeCustomer = named, ts.pseudonym(customer)
	}
	if named := ts.of(user, at); named != nil {
		t, c.UserRef = named, ts.pseudonym(user)
	}
	if t == nil {
		return false
	}
	t.typed(c)
	return true
}

// typed pseudonymizes what was typed beside an id, and reports whether that changes it.
func (t *tombstone) typed(c *facts.Context) bool {
	was := typedIn(c)
	if c.Email != "" {
		c.Email = t.address()
	}
	c.Name, c.Country, c.Earlier = "", "", anonymousAges(c.Earlier, "name", "country")
	return typedIn(c) != was
}

// typedIn is what was typed beside an id; empty: nothing.
func typedIn(c *facts.Context) string { return c.Email + c.Name + c.Country }
