package facts

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// How Stripe's objects are read. Shapes of API 2023-10-16 and of 2025-03-31
// (basil) and later are told apart by the fields that are there, never by the
// version's name: the same event may be rendered in either.

// stripeReaders maps event types, or families of them ending in a dot, to the
// reader of their object.
var stripeReaders = map[string]func(origin, []byte) (Set, error){
	"checkout.session.completed":               fromEvent(readCheckout),
	"checkout.session.expired":                 fromEvent(readKeptCheckout),
	"checkout.session.async_payment_succeeded": fromEvent(readCheckout),
	"checkout.session.async_payment_failed":    fromEvent(readCheckout),
	"payment_intent.succeeded":                 fromEvent(readPaymentIntent),
	"charge.succeeded":                         fromEvent(readCharge),
	"charge.refunded":                          fromEvent(readCharge),
	"charge.refund.updated":                    fromEvent(readRefund), // its object is a refund
	"refund.created":                           fromEvent(readRefund),
	"refund.updated":                           fromEvent(readRefund),
	"refund.failed":                            fromEvent(readRefund),
	"charge.dispute.":                          fromEvent(readDispute),
	"invoice.paid":                             fromEvent(readPaidInvoice),
	"invoice.payment_succeeded":                fromEvent(readInvoiceLink),
	"invoice.payment_failed":                   fromEvent(readFailedInvoice),
	"invoice_payment.paid":                     fromEvent(readInvoicePayment),
	"customer.created":                         fromEvent(readCustomer),
	"customer.updated":                         fromEvent(readCustomer),
	"customer.deleted":                         fromEvent(readCustomer),
	"customer.subscription.":                   fromEvent(readSubscription),
}

// origin is where a version of an object comes from: an event, or a read of
// the API (then the type is empty and the time that of the read).
type origin struct {
	account string
	id      string // of the event
	typ     string
	at      time.Time
	changed previous
}

// previous are the values that an update's event says the object had before, by
// field: these fields it changed, the others it merely carries.
type previous map[string]json.RawMessage

func (p previous) has(fields ...string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { _, ok := p[f]; return ok })
}

// text is a previous value that is a text.
func (p previous) text(field string) (s string) {
	_ = json.Unmarshal(p[field], &s)
	return s
}

func (o origin) version(rank int) Version { return version(o.at, rank, o.id) }

// moment is the first of an object's own times that is there. What customers
// are made of takes its times from the objects, so that an event and a read of
// the API say the same; the origin's time stands in for an object without any.
func (o origin) moment(times ...unix) *time.Time {
	for _, t := range times {
		if at := t.time(); at != nil {
			return at
		}
	}
	return &o.at
}

// readerOf finds the reader of an event type, its own or its family's.
func readerOf(eventType string) (read func(origin, []byte) (Set, error), ok bool) {
	read, ok = stripeReaders[eventType]
	for i := len(eventType) - 1; !ok && i > 0; i-- {
		if eventType[i] == '.' {
			read, ok = stripeReaders[eventType[:i+1]]
		}
	}
	return read, ok
}

// StripeReads tells whether Stripe's events of a type say anything to us.
func StripeReads(eventType string) bool {
	_, ok := readerOf(eventType)
	return ok
}

func readStripe(e Event) (Set, error) {
	read, ok := readerOf(e.Type)
	if !ok {
		return Set{}, &Ignored{"no use for Stripe events of type " + e.Type}
	}
	set, err := read(origin{account: e.Account, id: e.ID, typ: e.Type, at: e.OccurredAt}, e.Payload)
	if err != nil {
		return Set{}, malformed("Stripe event %s (%s): %v", e.ID, e.Type, err)
	}
	return set, nil
}

// stripeObject is what all objects of Stripe have.
type stripeObject struct {
	ID      objectID
	Created unix
}

func (o stripeObject) id() string { return string(o.ID) }

// since is when what the object tells happened, as far as it says so itself.
func (o stripeObject) since() unix { return o.Created }

// identified is any object with an id.
type identified interface {
	id() string
	since() unix
}

// fromEvent makes the reader of an object a reader of the events that carry it.
// The payload is decoded once: it is most of the work.
func fromEvent[T identified](read func(origin, T) (Set, error)) func(origin, []byte) (Set, error) {
	return func(o origin, payload []byte) (Set, error) {
		var body struct {
			Data struct {
				Object   *T
				Previous previous `json:"previous_attributes"`
			}
		}
		if err := json.Unmarshal(payload, &body); err != nil {
			return Set{}, err
		}
		object := body.Data.Object
		if object == nil || (*object).id() == "" {
			return Set{}, errors.New("data.object is missing or has no usable id")
		}
		o.changed = body.Data.Previous
		return readNoting(read, o, *object)
	}
}

// contextOf reads the ids that metadata names. Amounts in metadata are never
// read: they are the app's arithmetic, not Stripe's.
func contextOf(m metadata) Context {
	c := Context{
		StoreRef:    m.get("storeId"),
		UserRef:     m.get("userId", "submitterId"),
		CreatorRef:  m.get("creatorId"),
		ProductType: m.get("productType"),
		Plan:        m.get("plan"),
	}
	for _, k := range []struct{ key, kind string }{
		{"courseId", "course"}, {"bundleId", "bundle"}, {"productId", ""},
		{"beatId", "digital"}, {"tierId", "membership"}, {"planId", "membership"},
	} {
		if id := m.get(k.key); id != "" {
			c.ProductRef, c.ProductKind = id, k.kind
			break
		}
	}
	c.ProductKind = first(c.ProductKind, kindOfType(c.ProductType))
	courses := m.list("courseIds")
	if id := m.get("courseId"); id != "" && !slices.Contains(courses, id) {
		courses = append(courses, id)
	}
	for _, id := range courses {
		c.Named = append(c.Named, Line{Ref: id, Kind: "course"})
	}
	if isStripeID(c.ProductRef) { // what the platform calls it, the catalogue tells
		c.Named = append(c.Named, Line{Ref: c.ProductRef, Kind: c.ProductKind, Stripe: []string{c.ProductRef}})
		c.ProductRef = ""
	}
	return c
}

func isStripeID(id string) bool {
	return strings.HasPrefix(id, "prod_") || strings.HasPrefix(id, "price_")
}

func (c Context) namesProduct() bool { return c.ProductRef != "" || len(c.Named) > 0 }

// named is how many products c names.
func (c Context) named() int {
	n := len(c.Named)
	if c.ProductRef != "" && !slices.ContainsFunc(c.Named, func(l Line) bool { return l.Ref == c.ProductRef }) {
		n++
	}
	return n
}

// or fills in what c leaves open from another context, less to be believed.
func (c Context) or(other Context) Context {
	for _, f := range []struct{ to, from *string }{
		{&c.StoreRef, &other.StoreRef}, {&c.ProductType, &other.ProductType}, {&c.Plan, &other.Plan}, {&c.UserRef, &other.UserRef},
		{&c.CreatorRef, &other.CreatorRef}, {&c.StripeCustomer, &other.StripeCustomer}, {&c.Email, &other.Email}, {&c.Name, &other.Name},
	} {
		*f.to = first(*f.to, *f.from)
	}
	if !c.namesProduct() {
		c.ProductRef, c.ProductKind = other.ProductRef, first(c.ProductKind, other.ProductKind)
		c.Named = other.Named
	}
	return c
}

// kindOfType guesses a product's kind from metadata productType, until the
// platform itself says it.
func kindOfType(productType string) string {
	switch strings.ToLower(productType) {
	case "course", "bundle", "coaching", "membership":
		return strings.ToLower(productType)
	case "digitalproduct", "digital_product", "digital", "beatlease", "beat_lease":
		return "digital"
	case "subscription":
		return "membership"
	}
	return ""
}

type stripeCustomer struct {
	stripeObject
	Email, Name text
	Deleted     bool
}

func readCustomer(o origin, c stripeCustomer) (Set, error) {
	sc := StripeCustomer{Account: o.account, ID: string(c.ID)}
	if c.Deleted || rankOf(o.typ) == rankDeleted {
		sc.DeletedVersion = o.version(rankDeleted)
	}
	if !c.Deleted { // the event still carries the whole object, the API does not
		sc.Email, sc.Name, sc.Version = Email(string(c.Email)), name(string(c.Name)), o.version(rankOf(o.typ))
	}
	return Set{StripeCustomers: []StripeCustomer{sc}}, nil
}

var errNoCurrency = errors.New("money without a three-letter currency")

// currency lower-cases an ISO 4217 code, three ASCII letters; anything else is "".
func currency(s text) string {
	if c := lowerASCII(string(s)); isCurrency(c) {
		return c
	}
	return ""
}
