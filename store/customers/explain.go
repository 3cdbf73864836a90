package customers

import (
	"context"
	"slices"
	"time"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Explain explains a customer's row, from one snapshot and with a fixed number of
// queries. ErrNotFound also for a customer of another store.
func (s *Reader) Explain(ctx context.Context, storeID, id string) (_ Explanation, err error) {
	defer pg.Wrap(&err, "customers.Explain(%q, %q)", storeID, id)
	n, err := pg.CustomerID(storeID, id)
	if err != nil {
		return Explanation{}, err
	}
	x := explainer{platform: s.store.PlatformTypes, stores: map[string]*StoreReason{}}
	err = s.Snapshot(ctx, func(tx pgx.Tx) error {
		x.tx = tx
		return x.explain(ctx, storeID, n)
	})
	return x.e, err
}

// explainer builds an explanation from one snapshot.
type explainer struct {
	tx       pgx.Tx
	platform []string
	row      listed
	facts    explained
	stores   map[string]*StoreReason // by the fact's ref
	e        Explanation
}

// explained are a customer's facts, as factsSQL reads them.
type explained struct {
	payments []struct {
		PaymentFact
		Source string         `json:"source"`
		Said   store.Versions `json:"said"`
	}
	enrollments []struct {
		EnrollmentFact
		Said store.Versions `json:"said"`
	}
	subscriptions []struct {
		SubscriptionFact
		Said store.Versions `json:"said"`
	}
	courses []struct{ ID, Title string }
	source  *struct { // nil: no fact mentions the customer any more
		At    *time.Time
		Title *string
	}
	people, invoices []string // keys to find other facts
}

func (x *explainer) explain(ctx context.Context, storeID string, id int64) error {
	var err error
	if x.row, err = customerRow(ctx, x.tx, storeID, id); err != nil {
		return err
	}
	x.e = Explanation{CustomerID: x.row.ID, StoreID: storeID}
	if err := x.readFacts(ctx); err != nil {
		return err
	}
	if err := x.readAround(ctx); err != nil {
		return err
	}
	x.leadToStores()
	if err := titleLinks(ctx, x.tx, x.e.storeReasons()); err != nil {
		return err
	}
	x.reasons()
	return store.LookUp(ctx, x.tx, x.e.origins()...)
}

// customerRow reads a customer, without titles.
func customerRow(ctx context.Context, q pg.Querier, storeID string, id int64) (listed, error) {
	return pg.One(ctx, q, scanCustomer, selectCustomers("NULL", lookedUp)+` customers c
		WHERE c.store_id = $1 AND c.id = $2`, storeID, id)
}

// readFacts reads the facts that the customer is derived from.
func (x *explainer) readFacts(ctx context.Context) error {
	f := &x.facts
	var batch pgx.Batch
	batch.Queue(`SET LOCAL enable_hashjoin = on`) // as during derivation
	batch.Queue(factsSQL, []int64{x.row.id}, []string{x.row.StoreID}, []string{x.row.Email}).QueryRow(
		func(row pgx.Row) error {
			return row.Scan(&f.payments, &f.enrollments, &f.subscriptions, &f.courses, &f.source, &f.people, &f.invoices)
		})
	batch.Queue(`SET LOCAL enable_hashjoin = off`)
	if err := x.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return err
	}
	x.e.Payments = make([]PaymentFact, len(f.payments))
	for i, p := range f.payments {
		p.Origins, p.PaidAt = p.Said.Origins(p.Source), p.PaidAt.UTC()
		p.Refunds, p.Disputes = []RefundFact{}, []DisputeFact{}
		x.e.Payments[i] = p.PaymentFact
	}
	x.e.Enrollments = make([]EnrollmentFact, len(f.enrollments))
	for i, e := range f.enrollments {
		e.Origins, e.EnrolledAt, e.CompletedAt = e.Said.Origins("platform"), pg.UTC(e.EnrolledAt), pg.UTC(e.CompletedAt)
		x.e.Enrollments[i] = e.EnrollmentFact
	}
	x.e.Subscriptions = make([]SubscriptionFact, len(f.subscriptions))
	for i, s := range f.subscriptions {
		s.Origins, s.StartedAt, s.CurrentPeriodEnd, s.EndedAt = s.Said.Origins("stripe"), pg.UTC(s.StartedAt),
			pg.UTC(s.CurrentPeriodEnd), pg.UTC(s.EndedAt)
		x.e.Subscriptions[i] = s.SubscriptionFact
	}
	return nil
}

// readAround reads what depends on the facts, in one round trip.
func (x *explainer) readAround(ctx context.Context) error {
	x.e.People, x.e.Uncounted, x.e.MergedAddresses = []store.PersonFact{}, []UncountedFact{}, []MergedAddress{}
	x.e.Email = EmailReason{Value: x.row.Email, Because: []EmailOrigin{}}
	var batch pgx.Batch
	var own []store.RowKey
	for _, f := range x.e.own() {
		own = append(own, f.key)
	}
	all := store.KeyArrays(own)
	for _, kind := range []string{store.Payment, store.Enrollment, store.Subscription} {
		keys := all[kind]
		batch.Queue(whySQL(store.KindOf(kind)), keys[0], keys[1], x.platform).Query(x.collectWhy)
		if kind == store.Payment {
			batch.Queue(backSQL, keys[0], keys[1]).Query(x.collectBack)
		}
	}
	batch.Queue(uncountedPaymentsSQL, x.e.StoreID, x.facts.people, x.row.id, x.facts.invoices).Query(x.collectUncounted)
	batch.Queue(uncountedSubscriptionsSQL, x.e.StoreID, x.facts.people).Query(x.collectUncounted)
	batch.Queue(uncountedEnrollmentsSQL, x.e.StoreID, x.facts.people, x.row.id, x.row.Email).Query(x.collectUncounted)
	batch.Queue(mergedOf("$1", "$2"), x.e.StoreID, x.row.id).Query(x.collectMerges)
	return x.tx.SendBatch(ctx, &batch).Close()
}

// collectWhy records where facts have their address from, and the links to their store.
func (x *explainer) collectWhy(rows pgx.Rows) error {
	var fact string
	var email, typed, home *string // null only for facts about to be attached elsewhere
	var at *time.Time
	var person *struct {
		store.PersonFact
		Said store.Versions `json:"said"`
	}
	var proof *linkRow
	var taken *wayTaken
	return pg.Each(rows, []any{&fact, &email, &person, &typed, &proof, &at, &home, &taken}, func() {
		if home != nil && taken != nil {
			x.stores[fact] = taken.reason(*home, at)
		}
		switch {
		case person == nil:
			x.e.Email.lead(EmailOrigin{Via: "given"}, fact)
		case typed != nil && proof != nil:
			link := proof.reason(at)
			x.e.Email.lead(EmailOrigin{Via: "address", Person: &person.Ref, Address: typed, Proof: &link}, fact)
		default:
			x.e.Email.lead(EmailOrigin{Via: person.Kind, Person: &person.Ref}, fact)
		}
		if person != nil &&
			!slices.ContainsFunc(x.e.People, func(known store.PersonFact) bool { return known.Ref == person.Ref }) {
			person.Origins = person.Said.Origins(map[string]string{"user": "clerk", "stripe_customer": "stripe"}[person.Kind])
			x.e.People = append(x.e.People, person.PersonFact)
		}
		email, typed, home, person, proof, taken = nil, nil, nil, nil, nil, nil // new variables for each row
	})
}

// lead adds a fact to an origin of the address.
func (r *EmailReason) lead(o EmailOrigin, fact string) {
	i := slices.IndexFunc(r.Because, func(known EmailOrigin) bool {
		return known.Via == o.Via && same(known.Person, o.Person) && same(known.Address, o.Address)
	})
	if i < 0 {
		r.Because = append(r.Because, o)
		i = len(r.Because) - 1
	}
	r.Because[i].Facts = append(r.Because[i].Facts, fact)
}

func same(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// collectBack adds refunds and disputes to their payments.
func (x *explainer) collectBack(rows pgx.Rows) error {
	var of string
	var refunds []struct {
		RefundFact
		Said store.Versions `json:"said"`
	}
	var disputes []struct {
		DisputeFact
		Said store.Versions `json:"said"`
	}
	return pg.Each(rows, []any{&of, &refunds, &disputes}, func() {
		p := &x.e.Payments[slices.IndexFunc(x.e.Payments, func(p PaymentFact) bool { return p.Ref == of })]
		for _, r := range refunds {
			r.Origins, r.At = r.Said.Origins("stripe"), r.At.UTC()
			p.Refunds = append(p.Refunds, r.RefundFact)
		}
		for _, d := range disputes {
			d.Origins = d.Said.Origins("stripe")
			p.Disputes = append(p.Disputes, d.DisputeFact)
		}
		refunds, disputes = nil, nil // new variables for each row
	})
}

// collectUncounted adds facts that count for no customer.
func (x *explainer) collectUncounted(rows pgx.Rows) error {
	var u UncountedFact
	var source string
	var counted *string
	var versions store.Versions
	return pg.Each(rows, []any{&u.Ref, &u.Title, &u.Amount, &u.At, &u.Reason, &counted, &source, &versions},
		func() {
			u.At, u.Origins = pg.UTC(u.At), versions.Origins(source)
			reason, _ := reasons.Find(u.Reason) // an error may follow the code
			u.Reason, u.Meaning = reason.Code, reason.Text()+store.CountedWith(counted)
			x.e.Uncounted = append(x.e.Uncounted, u)
			u, versions = UncountedFact{}, nil // new variables for each row
		})
}

func (x *explainer) collectMerges(rows pgx.Rows) error {
	var id int64
	var m MergedAddress
	return pg.Each(rows, []any{&id, &m.Email, &m.MergedAt}, func() {
		m.MergedAt = m.MergedAt.UTC()
		x.e.MergedAddresses = append(x.e.MergedAddresses, m)
	})
}

// Origins lists the origins of all facts. They share memory with the explanation.
func (e *Explanation) Origins() [][]store.Origin { return e.origins() }

// origins lists the origins of all facts.
func (e *Explanation) origins() (all [][]store.Origin) {
	for _, f := range e.own() {
		all = append(all, f.origins)
	}
	for _, p := range e.Payments {
		for _, r := range p.Refunds {
			all = append(all, r.Origins)
		}
		for _, d := range p.Disputes {
			all = append(all, d.Origins)
		}
	}
	for _, f := range e.People {
		all = append(all, f.Origins)
	}
	for _, f := range e.Uncounted {
		all = append(all, f.Origins)
	}
	for _, r := range e.storeReasons() {
		for _, l := range r.Links {
			all = append(all, l.Origins)
		}
	}
	for _, b := range e.Email.Because {
		if b.Proof != nil {
			all = append(all, b.Proof.Origins)
		}
	}
	return all
}
