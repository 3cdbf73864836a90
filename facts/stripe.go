package facts

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Readers of Stripe objects. API 2023-10-16 and 2025-03-31 (basil) or later differ in shape. The
// readers go by the fields, never by the version: an event may be rendered in either.

// stripeReaders maps an event type, or a family of types ending in a dot, to its reader.
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

// origin is where an object's version comes from: an event, or a read from the API (without a type,
// at the time of the read).
type origin struct {
	account string
	id      string // of the event
	typ     string
	at      time.Time
	changed previous
}

// previous holds the values before an update, by field. The update changed these fields; the others
// are only repeated.
type previous map[string]json.RawMessage

func (p previous) has(fields ...string) bool {
	return slices.ContainsFunc(fields, func(f string) bool { _, ok := p[f]; return ok })
}

// text returns a previous value that is a string.
func (p previous) text(field string) (s string) {
	_ = json.Unmarshal(p[field], &s)
	return s
}

func (o origin) version(rank int) Version { return version(o.at, rank, o.id) }

// moment returns the first of an object's own times. Customers use the objects' times, so that an
// event and the API give the same result. An object without a time gets the origin's.
func (o origin) moment(times ...unix) *time.Time {
	for _, t := range times {
		if at := t.time(); at != nil {
			return at
		}
	}
	return &o.at
}

// readerOf finds the reader of an event type or its family.
func readerOf(eventType string) (read func(origin, []byte) (Set, error), ok bool) {
	read, ok = stripeReaders[eventType]
	for i := len(eventType) - 1; !ok && i > 0; i-- {
		if eventType[i] == '.' {
			read, ok = stripeReaders[eventType[:i+1]]
		}
	}
	return read, ok
}

// StripeReads reports whether events of a type are used.
func StripeReads(eventType string) bool {
	_, ok := readerOf(eventType)
	return ok
}

func readStripe(e Event) (Set, error) {
	read, ok := readerOf(e.Type)
	if !ok {
		return Set{}, &Ignored{"Stripe events of type " + e.Type + " are not needed"}
	}
	set, err := read(origin{account: e.Account, id: e.ID, typ: e.Type, at: e.OccurredAt}, e.Payload)
	if err != nil {
		return Set{}, malformed("Stripe event %s (%s): %v", e.ID, e.Type, err)
	}
	return set, nil
}

// stripeObject holds the fields that all Stripe objects have.
type stripeObject struct {
	ID      objectID
	Created unix
}

func (o stripeObject) id() string { return string(o.ID) }

// since returns when the object's facts happened, if it has that time.
func (o stripeObject) since() unix { return o.Created }

// identified is any object with an id.
type identified interface {
	id() string
	since() unix
}

// fromEvent turns a reader of objects into a reader of events. The payload is decoded once, which
// is most of the work.
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

// contextOf reads the ids in metadata. It ignores amounts, which the app computed and not Stripe.
func contextOf(m metadata) Context {
	c := Context{
		StoreRef:    m.get("storeId"),
		UserRef:     m.get("userId", "submitterId"),
		CreatorRef:  m.get("creatorId"),
		ProductType: m.get("productType"),
		Plan:        m.get("plan"),
	}
	keys := 0
	for _, k := range []struct{ key, kind string }{
		{"courseId", "course"}, {"bundleId", "bundle"}, {"productId", ""},
		{"beatId", "digital"}, {"tierId", "membership"}, {"planId", "membership"},
	} {
		if id := m.get(k.key); id != "" {
			if keys++; keys == 1 {
				c.ProductRef, c.ProductKind = id, k.kind
			}
		}
	}
	c.ProductKind = first(c.ProductKind, kindOfType(c.ProductType))
	// A course that is the only product named is ProductRef alone: that is no news of others.
	courses := m.list("courseIds")
	if id := m.get("courseId"); id != "" && keys+len(courses) > 1 && !slices.Contains(courses, id) {
		courses = append(courses, id)
	}
	for _, id := range courses {
		c.Named = append(c.Named, Line{Ref: id, Kind: "course"})
	}
	if isStripeID(c.ProductRef) { // the catalogue knows the platform's id
		c.Named = append(c.Named, Line{Ref: c.ProductRef, Kind: c.ProductKind, Stripe: []string{c.ProductRef}})
		c.ProductRef = ""
	}
	return c
}

func isStripeID(id string) bool {
	return strings.HasPrefix(id, "prod_") || strings.HasPrefix(id, "price_")
}

func (c Context) namesProduct() bool { return c.ProductRef != "" || len(c.Named) > 0 }

// named returns how many products c names.
func (c Context) named() int {
	n := len(c.Named)
	if c.ProductRef != "" && !slices.ContainsFunc(c.Named, func(l Line) bool { return l.Ref == c.ProductRef }) {
		n++
	}
	return n
}

// or fills empty fields of c from a less reliable context.
func (c Context) or(other Context) Context {
	for _, f := range []struct{ to, from *string }{
		{&c.StoreRef, &other.StoreRef}, {&c.ProductType, &other.ProductType}, {&c.Plan, &other.Plan},
		{&c.UserRef, &other.UserRef},
		{&c.CreatorRef, &other.CreatorRef}, {&c.StripeCustomer, &other.StripeCustomer}, {&c.Email, &other.Email},
		{&c.Name, &other.Name}, {&c.Country, &other.Country},
	} {
		*f.to = first(*f.to, *f.from)
	}
	if !c.namesProduct() {
		c.ProductRef, c.ProductKind = other.ProductRef, first(c.ProductKind, other.ProductKind)
		c.Named = other.Named
	}
	return c
}

// kindOfType guesses a product's kind from metadata productType, until the platform sends it.
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
	if !c.Deleted { // unlike the API, the event still has the whole object
		sc.Email, sc.Name, sc.Version = Email(string(c.Email)), name(string(c.Name)), o.version(rankOf(o.typ))
	}
	return Set{StripeCustomers: []StripeCustomer{sc}}, nil
}

var errNoCurrency = errors.New("money without a three-letter currency")

// currency returns an ISO 4217 code (three ASCII letters) in lower case, else "".
func currency(s text) string {
	if c := lowerASCII(string(s)); isCurrency(c) {
		return c
	}
	return ""
}
