package store

import (
	"slices"
	"time"

	"rollcall/facts"
)

// How facts that name erased people are put. What a fact is put as depends on
// it and on the tombstones alone, and each group of its columns is put for
// itself: so it makes no difference whether facts are merged first and put
// later, or the other way round.

// always is the time of what is put whenever it happened: the end of something
// begins nothing, so it brings nobody back.
var always time.Time

// veil puts the facts of a set, and tells whether any of them named somebody
// who was erased.
func (e *erased) veil(set facts.Set) (_ facts.Set, touched bool) {
	set.Users = putAll(set.Users, &touched, func(f *facts.User) bool { return e.user(f, set.At) })
	set.StripeCustomers = putAll(set.StripeCustomers, &touched, func(f *facts.StripeCustomer) bool { return e.stripeCustomer(f, set.At) })
	set.Enrollments = putAll(set.Enrollments, &touched, func(f *facts.Enrollment) bool { return e.enrollment(f, set.At) })
	set.Payments = putAll(set.Payments, &touched, func(f *facts.Payment) bool { return e.payment(f, set.At, set.At, set.At) })
	set.Subscriptions = putAll(set.Subscriptions, &touched, func(f *facts.Subscription) bool { return e.subscription(f, set.At, set.At) })
	kept := len(set.Checkouts) + len(set.FailedInvoices)
	set.Checkouts = slices.DeleteFunc(slices.Clone(set.Checkouts), func(f facts.Checkout) bool {
		return e.context(&f.Context, f.Account, begun(f, set.At))
	})
	set.FailedInvoices = slices.DeleteFunc(slices.Clone(set.FailedInvoices), func(f facts.FailedInvoice) bool {
		return e.context(&facts.Context{StripeCustomer: f.StripeCustomer}, f.Account, set.At)
	})
	return set, touched || len(set.Checkouts)+len(set.FailedInvoices) < kept
}

// begun is when a checkout that is told of at a time began: that it expires
// brings nobody back.
func begun(f facts.Checkout, at time.Time) time.Time {
	if f.StartedAt != nil && f.StartedAt.Before(at) {
		return *f.StartedAt
	}
	return at
}

// putAll puts copies.
func putAll[F any](all []F, touched *bool, put func(*F) bool) []F {
	all = slices.Clone(all)
	for i := range all {
		if put(&all[i]) {
			*touched = true
		}
	}
	return all
}

func (e *erased) user(f *facts.User, at time.Time) bool {
	if endsUser(*f) {
		at = always
	}
	t := e.tomb(aUser, f.ID, at)
	if t == nil {
		return false
	}
	f.ID, f.Name, f.ImageURL, f.TimeZone, f.LastSeenAt = e.mark(identity{aUser, f.ID}), "", "", "", nil
	t.people(&f.Email, &f.Version, &f.DeletedVersion)
	f.Earlier = veiled(f.Earlier, "name", "image_url", "time_zone")
	return true
}

// veiled is how old things are, without those that are not kept.
func veiled(e facts.Earlier, dropped ...string) facts.Earlier {
	if e == nil {
		return nil
	}
	out := facts.Earlier{}
	for thing, v := range e {
		if !slices.Contains(dropped, thing) {
			out[thing] = v.Veiled()
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// endsUser tells whether a fact tells of nothing but a user's deletion.
func endsUser(f facts.User) bool {
	return f.Version == "" && f.DeletedVersion != "" && f.LastSeenAt == nil
}

func (e *erased) stripeCustomer(f *facts.StripeCustomer, at time.Time) bool {
	if f.DeletedVersion != "" {
		at = always
	}
	who := identity{aStripeCustomer, f.Account + "/" + f.ID}
	t := e.tomb(who.kind, who.value, at)
	if t == nil {
		return false
	}
	f.ID, f.Name = e.mark(who), ""
	t.people(&f.Email, &f.Version, &f.DeletedVersion)
	f.Earlier = veiled(f.Earlier, "name")
	return true
}

// people puts what users and Stripe customers have in common. Whoever had no
// address has none, so that nothing resolves that did not.
func (t *tombstone) people(email *string, version, deleted *facts.Version) {
	if *email != "" {
		*email = t.address()
	}
	*version, *deleted = version.Veiled(), deleted.Veiled()
}

func (e *erased) enrollment(f *facts.Enrollment, at time.Time) bool {
	if endsEnrollment(*f) {
		at = always
	}
	kind, who := personOf(f.Person)
	t := e.tomb(kind, who, at)
	switch {
	case t != nil && kind == aUser:
		f.Person = "user:" + e.mark(identity{aUser, who})
	case t != nil:
		f.Person = "email:" + t.address()
	default:
		if t = e.tomb(anAddress, f.Email, at); t == nil {
			return false
		}
	}
	if f.Email != "" {
		f.Email = t.address()
	}
	f.Name = ""
	return true
}

// endsEnrollment tells whether a fact is nothing but the end of an enrollment.
func endsEnrollment(f facts.Enrollment) bool { return f.Version == "" && f.DeletedVersion != "" }

// payment puts what its claimant says as of one time, and what its payment
// intent and its charge say as of others.
func (e *erased) payment(f *facts.Payment, claimed, intended, charged time.Time) bool {
	touched := e.context(&f.Context, f.Account, claimed)
	if f.Intent != nil {
		put := *f.Intent
		if e.context(&put.Context, f.Account, intended) {
			f.Intent, touched = &put, true
		}
	}
	return e.copied(&f.Charge, f.Account, charged) || touched
}

// subscription puts what the subscription says as of one time, and what its
// checkout says as of another.
func (e *erased) subscription(f *facts.Subscription, said, checkout time.Time) bool {
	if f.Status == "canceled" || f.Status == "incomplete_expired" {
		said = always
	}
	touched := e.context(&f.Context, f.Account, said)
	return e.copied(&f.Checkout, f.Account, checkout) || touched
}

// copied puts a context that may be shared, or not there.
func (e *erased) copied(c **facts.Context, account string, at time.Time) bool {
	if *c == nil {
		return false
	}
	put := **c
	if !e.context(&put, account, at) {
		return false
	}
	*c = &put
	return true
}

// context puts whom an object names. Whoever comes first in how it is resolved
// decides whose all the rest is.
func (e *erased) context(c *facts.Context, account string, at time.Time) bool {
	customer := identity{aStripeCustomer, account + "/" + c.StripeCustomer}
	user, stripe, mail := e.tomb(aUser, c.UserRef, at), (*tombstone)(nil), e.tomb(anAddress, c.Email, at)
	if c.StripeCustomer != "" {
		stripe = e.tomb(customer.kind, customer.value, at)
	}
	t := mail
	if stripe != nil {
		t = stripe
		c.StripeCustomer = e.mark(customer)
	}
	if user != nil {
		t = user
		c.UserRef = e.mark(identity{aUser, c.UserRef})
	}
	if t == nil {
		return false
	}
	if c.Email != "" {
		c.Email = t.address()
	}
	c.Name, c.Earlier = "", veiled(c.Earlier, "name")
	return true
}
