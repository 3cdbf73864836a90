package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/customers"
	"rollcall/store/pg"
)

// personReport explains one person, store by store.
type personReport struct {
	User          string        `json:"user"`  // asked for
	Email         string        `json:"email"` // asked for
	Store         string        `json:"store"`
	CheckedAt     time.Time     `json:"checked_at"`
	Known         bool          `json:"known"`    // some source has reported them
	Sentence      string        `json:"sentence"` // who they are, or that they are unknown
	Stores        []personStore `json:"stores"`
	NoStore       []offList     `json:"no_store"` // facts without a known store
	Events        []mention     `json:"events"`   // that mention them and are not applied
	Fix           []string      `json:"fix"`      // if they are unknown
	checks.Person `json:"all"`
}

// personStore explains why the person is on a store's list or not.
type personStore struct {
	StoreID string     `json:"store_id"`
	Name    string     `json:"name"`
	Listed  []listedAs `json:"listed"`   // their entries; none: they are not on the list
	OffList []offList  `json:"off_list"` // unattached facts, and entries that are gone
	Notes   []string   `json:"notes"`
}

// listedAs is an entry of a list, and why it is there.
type listedAs struct {
	CustomerID string   `json:"customer_id"`
	Email      string   `json:"email"`
	Sentence   string   `json:"sentence"`
	Why        []string `json:"why"`
}

// offList is an unattached fact, and why.
type offList struct {
	Ref      string   `json:"ref"`
	Reason   string   `json:"reason"`
	Rightly  bool     `json:"rightly"`
	Sentence string   `json:"sentence"`
	Fix      []string `json:"fix"`
}

// mention is an event that mentions the person.
type mention struct {
	ID       int64    `json:"id"`
	Sentence string   `json:"sentence"`
	Fix      []string `json:"fix"`
}

// person explains one person.
func (d *doctor) person(ctx context.Context) (well bool, err error) {
	q := checks.PersonQuery{User: strings.TrimSpace(deref(d.User)), Email: facts.Email(deref(d.Email)), Store: d.Store}
	switch {
	case d.User != nil && q.User == "":
		return false, Usage("--user: give the id of a Clerk user, for example user_2abc")
	case d.Email != nil && q.Email == "":
		return false, Usage(fmt.Sprintf("--email: %s is no address", show.Visible(show.Clip(deref(d.Email), 80))))
	}
	if d.store, err = d.Open(); err != nil {
		return false, err
	}
	r := personReport{User: q.User, Email: q.Email, Store: q.Store, CheckedAt: d.now().UTC(), Stores: []personStore{},
		NoStore: []offList{}, Events: []mention{}, Fix: []string{}}
	if r.Person, err = checks.New(d.store).Person(ctx, q); err != nil {
		return false, err
	}
	if err := d.describe(ctx, &r); err != nil {
		return false, err
	}
	return !r.weighty(), d.printPerson(d.Out, r)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// weighty reports whether they may be missing from a list.
func (r personReport) weighty() bool {
	missing := func(f offList) bool { return !f.Rightly }
	return !r.Known || len(r.Events) > 0 || slices.ContainsFunc(r.NoStore, missing) ||
		slices.ContainsFunc(r.Stores, func(s personStore) bool { return slices.ContainsFunc(s.OffList, missing) })
}

// name is the requested address or user id.
func (r personReport) name() string {
	return show.Visible(cmp.Or(r.Email, r.User))
}

// describe turns the stored data into sentences.
func (d *doctor) describe(ctx context.Context, r *personReport) error {
	r.Known = r.Person.Known()
	r.Sentence = d.whoIs(*r)
	if !r.Known {
		r.Fix = d.complete(r.Person.BringIn)
	}
	byStore := map[string]*personStore{}
	at := func(id string) *personStore {
		if byStore[id] == nil {
			byStore[id] = &personStore{StoreID: id, Name: id, Listed: []listedAs{}, OffList: []offList{}, Notes: []string{}}
		}
		return byStore[id]
	}
	if r.Store != "" {
		at(r.Store)
	}
	for _, f := range r.Facts {
		d.place(f, at, r)
	}
	for _, m := range r.Merges {
		at(m.StoreID).Notes = append(at(m.StoreID).Notes, fmt.Sprintf("Was %s until %s, when that turned out to be %s.",
			show.Visible(m.From), m.MergedAt.Format(time.DateOnly), show.Visible(m.Into)))
	}
	for _, c := range entries(*r) {
		if err := d.explain(ctx, at(c.StoreID), c, *r); err != nil {
			return err
		}
	}
	for _, s := range byStore {
		info, err := customers.New(d.store).Store(ctx, s.StoreID)
		if err != nil {
			return err
		}
		s.Name = info.Name
		r.Stores = append(r.Stores, *s)
	}
	slices.SortFunc(r.Stores, func(a, b personStore) int { return strings.Compare(a.StoreID, b.StoreID) })
	for _, e := range r.Person.Events {
		r.Events = append(r.Events, d.mention(e))
	}
	return nil
}

// place adds a fact's store to the report, and the fact if it is unattached.
func (d *doctor) place(f checks.PersonalFact, at func(string) *personStore, r *personReport) {
	off := &r.NoStore
	if f.StoreID != nil {
		off = &at(*f.StoreID).OffList
	}
	if f.Reason != nil {
		*off = append(*off, d.offList(f))
	}
}

// entries are the customers at the person's addresses, and those with their facts.
func entries(r personReport) (all []checks.PersonCustomer) {
	all = append(all, r.Customers...)
	for _, f := range r.Facts {
		if f.CustomerID != nil && f.StoreID != nil && f.Email != nil &&
			!slices.ContainsFunc(all, func(c checks.PersonCustomer) bool { return c.ID == *f.CustomerID }) {
			all = append(all, checks.PersonCustomer{ID: *f.CustomerID, StoreID: *f.StoreID, Email: *f.Email})
		}
	}
	return all
}

// whoIs describes the person in one sentence.
func (d *doctor) whoIs(r personReport) string {
	if !r.Known {
		where := ""
		if r.Store != "" {
			where = " in store " + show.Visible(r.Store)
		}
		return fmt.Sprintf("%s is unknown%s: no Clerk user, Stripe customer, enrollment, purchase, subscription or "+
			"unprocessed event mentions them.", r.name(), where)
	}
	var parts []string
	for _, u := range r.Users {
		text, email := "Clerk user "+show.Visible(u.ID), show.Visible(u.Email)
		if u.Deleted {
			text += ", deleted"
		}
		switch {
		case u.Deleted && email == "":
			text += ", without a known address"
		case email == "":
			text += ", without a verified address"
		case u.LastVerified:
			text += ", without a verified address now; the last one was " + email
		case u.Deleted:
			text += ", with the address " + email
		default:
			text += ", with the verified address " + email
		}
		parts = append(parts, text)
	}
	for _, c := range r.StripeCustomers {
		parts = append(parts, "Stripe customer "+show.Visible(strings.TrimPrefix(c.Ref, "stripe_customer:")))
	}
	if len(r.Users) == 0 {
		parts = append([]string{"unknown to Clerk"}, parts...)
	}
	return fmt.Sprintf("%s is %s.", r.name(), strings.Join(parts, "; "))
}

// offList explains why a fact is unattached.
func (d *doctor) offList(f checks.PersonalFact) offList {
	o := offList{Ref: f.Ref, Reason: *f.Reason, Rightly: f.Rightly, Fix: d.complete(f.Fix),
		Sentence: fmt.Sprintf("%s: missing: %s.", described(f), f.Meaning)}
	if f.Rightly {
		o.Sentence = fmt.Sprintf("%s: not expected on a list: it is one of the %s.", described(f), f.Meaning)
	}
	return o
}

// described names a fact: "Enrollment in Mixing Basics (enrollment:…)".
func described(f checks.PersonalFact) string {
	of := deref(f.Title)
	if of == "" {
		of = "something unnamed"
	}
	text := "Checkout for " + of
	if f.Kind != "checkout" {
		text = store.KindOf(f.Kind).In + " " + of
	}
	if sale := map[string]string{"payment": "Payment", "checkout": "Checkout"}[f.Kind]; f.Amount != nil && sale != "" {
		text = fmt.Sprintf("%s of %s for %s", sale, show.Money(f.Amount.Amount, f.Amount.Currency), of)
	}
	if f.At != nil {
		text += " of " + f.At.Format(time.DateOnly)
	}
	text = show.Clip(text, maxExample) + " (" + f.Ref + ")"
	if f.Kind == "checkout" {
		text += ", not paid"
	}
	return show.Visible(text)
}

// mention describes an event's result.
func (d *doctor) mention(e store.Event) mention {
	m := mention{ID: e.ID, Fix: []string{}}
	text := fmt.Sprintf("Event %d (%s from %s, received %s) speaks of them and ", e.ID, e.Type, e.Source,
		e.ReceivedAt.Format("2006-01-02 15:04 UTC"))
	switch e.Status {
	case "pending":
		text += "waits to be applied"
		m.Fix = []string{"rollcall work"}
	case "failed":
		text += "could not be applied"
		m.Fix = []string{fmt.Sprintf("rollcall events show %d", e.ID), fmt.Sprintf("rollcall events retry %d", e.ID)}
	default:
		text += "was ignored"
		m.Fix = []string{fmt.Sprintf("rollcall events show %d", e.ID)}
	}
	if e.LastError != nil {
		text += ": " + *e.LastError
	}
	m.Sentence, m.Fix = show.Visible(show.Clip(text, maxExample)), d.complete(m.Fix)
	return m
}

// explain explains why an entry is on a list.
func (d *doctor) explain(ctx context.Context, s *personStore, c checks.PersonCustomer, r personReport) error {
	x, err := customers.New(d.store).Explain(ctx, c.StoreID, c.ID)
	if errors.Is(err, pg.ErrNotFound) {
		s.OffList = append(s.OffList, offList{Ref: "customer:" + c.ID, Reason: "people_missing",
			Fix:      d.complete([]string{checks.RebuildOf(c.StoreID)}),
			Sentence: fmt.Sprintf("Facts point at customer %s, who is gone.", show.Visible(c.ID))})
		return nil
	}
	if err != nil {
		return err
	}
	l := listedAs{CustomerID: c.ID, Email: c.Email, Sentence: fmt.Sprintf("On the list as %s (customer %s): %s, %s.",
		show.Visible(c.Email), show.Visible(c.ID), show.Types[x.Type.Value], x.Status.Value)}
	l.Why = append(l.Why, x.Type.Why, x.Status.Why)
	for _, because := range x.Email.Because {
		l.Why = append(l.Why, addressFrom(x, because))
	}
	for _, e := range x.Enrollments {
		l.Why = append(l.Why, fmt.Sprintf("Enrolled in %s (%s)%s.", e.Title, e.Ref, ended(e.Active))+inStore(e.StoreBecause))
	}
	for _, p := range x.Payments {
		l.Why = append(l.Why, paidFor(p)+inStore(p.StoreBecause))
	}
	for _, p := range x.Subscriptions {
		l.Why = append(l.Why, fmt.Sprintf("Subscribed to %s (%s): %s.", cmp.Or(deref(p.Plan), "a plan"), p.Ref, p.Status)+
			inStore(p.StoreBecause))
	}
	for _, m := range x.MergedAddresses {
		l.Why = append(l.Why, fmt.Sprintf("Was %s as well, until %s.", m.Email, m.MergedAt.Format(time.DateOnly)))
	}
	l.Why = append(l.Why, elsewhere(c, r)...)
	for i, why := range l.Why {
		l.Why[i] = show.Visible(show.Clip(why, maxExample))
	}
	s.Listed = append(s.Listed, l)
	return nil
}

// inStore explains what led to the store.
func inStore(r *customers.StoreReason) string {
	if r == nil {
		return ""
	}
	return " In this store: " + r.Why
}

func ended(active bool) string {
	if active {
		return ""
	}
	return ", which has ended"
}

func paidFor(p customers.PaymentFact) string {
	text := fmt.Sprintf("Paid %s for %s (%s)", show.Money(p.Gross.Amount, p.Gross.Currency),
		cmp.Or(deref(p.Title), "something unnamed"), p.Ref)
	if p.Gross.Amount == 0 {
		text = fmt.Sprintf("Ordered %s for free (%s)", cmp.Or(deref(p.Title), "something unnamed"), p.Ref)
	}
	if p.Refunded.Amount > 0 {
		text += ", of which " + show.Money(p.Refunded.Amount, p.Refunded.Currency) + " was refunded"
	}
	if p.Disputed.Amount > 0 {
		text += ", of which " + show.Money(p.Disputed.Amount, p.Disputed.Currency) + " is disputed"
	}
	return text + "."
}

// addressFrom explains the address of an entry.
func addressFrom(x customers.Explanation, o customers.EmailOrigin) string {
	of := strings.Join(o.Facts[:min(len(o.Facts), 3)], ", ")
	switch {
	case o.Via == "address":
		text := fmt.Sprintf("The address is that of %s, who proved on %s that %s is theirs: %s was made with it.",
			deref(o.Person), o.Proof.Since.Format(time.DateOnly), deref(o.Address), of)
		if x.LastVerified(o.Person) {
			text += " It is the last verified one: Clerk reports none now."
		}
		return text
	case o.Via == "user" && x.LastVerified(o.Person):
		return fmt.Sprintf("The address is the last verified one of %s, who has none now, named by %s.", deref(o.Person), of)
	case o.Via == "user":
		return fmt.Sprintf("The address is the verified one of %s, named by %s.", deref(o.Person), of)
	case o.Via == "stripe_customer":
		return fmt.Sprintf("The address is that of %s, named by %s.", deref(o.Person), of)
	}
	return fmt.Sprintf("The address was given with %s.", of)
}

// elsewhere lists an entry's facts that were made with another address.
func elsewhere(c checks.PersonCustomer, r personReport) (why []string) {
	for _, f := range r.Facts {
		if f.CustomerID != nil && *f.CustomerID == c.ID && f.Typed != nil && facts.Email(*f.Typed) != c.Email {
			why = append(why, fmt.Sprintf("%s was made with %s, and counts here: who it is of has this address.", f.Ref,
				*f.Typed))
		}
	}
	return why
}
