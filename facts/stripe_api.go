package facts

import (
	"encoding/json"
	"errors"
	"time"
)

// How objects are read that Stripe's API gave, not an event. The readers are
// those of the events; what differs is that the API shows every object in every
// state, and that events are told only of some.

// apiReaders maps the kinds of objects, as their field "object" names them.
var apiReaders = map[string]func(origin, []byte) (Set, error){
	"customer":         fromAPI(readCustomer),
	"product":          fromAPI(readStripeProduct),
	"price":            fromAPI(readPrice),
	"checkout.session": fromAPI(readListedCheckout),
	"payment_intent":   fromAPI(readListedIntent),
	"invoice":          fromAPI(readListedInvoice),
	"subscription":     fromAPI(readSubscription),
	"refund":           fromAPI(readRefund),
	"dispute":          fromAPI(readDispute),
}

// ReadStripeObject returns what an object of Stripe's API says: the same as the
// events that told of it, as of the time it was read. kind is its field
// "object", account the Connect account it was read from (empty: the
// platform's own). The error is *Ignored or *Malformed.
func ReadStripeObject(kind, account string, read time.Time, raw []byte) (Set, error) {
	reader, ok := apiReaders[kind]
	if !ok {
		return Set{}, &Ignored{"no use for Stripe objects of kind " + kind}
	}
	// Events' times are whole seconds, rounded down. An event of the second in
	// which we read may tell of something later: in a tie it must win.
	at := read.UTC().Truncate(time.Second)
	set, err := reader(origin{account: account, at: at}, stripNUL(raw))
	if err != nil {
		return Set{}, malformed("Stripe %s: %v", kind, err)
	}
	return set, nil
}

// fromAPI makes the reader of an object a reader of its JSON.
func fromAPI[T identified](read func(origin, T) (Set, error)) func(origin, []byte) (Set, error) {
	return func(o origin, raw []byte) (Set, error) {
		var object T
		if err := json.Unmarshal(raw, &object); err != nil {
			return Set{}, err
		}
		if object.id() == "" {
			return Set{}, errors.New("the object has no usable id")
		}
		set, err := readNoting(read, o, object)
		return set.happened(*o.moment(object.since())), err
	}
}

// readListedCheckout leaves out sessions that are open: no event tells of those.
func readListedCheckout(o origin, s stripeSession) (Set, error) {
	switch s.Status {
	case "complete":
		return readCheckout(o, s)
	case "expired":
		return readKeptCheckout(o, s)
	}
	return Set{}, nil
}

// readListedIntent leaves out intents that brought no money.
func readListedIntent(o origin, pi stripePaymentIntent) (Set, error) {
	if pi.Status != "succeeded" {
		return Set{}, nil
	}
	return readPaymentIntent(o, pi)
}

// readListedInvoice claims the money of paid invoices; of others it reads, as of
// a failed one, only what they belong to.
func readListedInvoice(o origin, in stripeInvoice) (Set, error) {
	if in.Status == "paid" {
		return readPaidInvoice(o, in)
	}
	return readFailedInvoice(o, in)
}

type stripeProduct struct {
	stripeObject
	Name     text
	Updated  unix
	Metadata metadata
}

// readStripeProduct reads which of our products a product of Stripe is, where
// its metadata says so: hearsay, until the platform speaks of the product
// itself. Of several products of Stripe that are the same one of ours, the one
// changed last counts.
//
// Connected accounts teach nothing: their owners could claim the products of
// other stores, and with them their customers. Neither do products of a type
// that we have no kind for, as the platform's own plans are.
func readStripeProduct(o origin, p stripeProduct) (Set, error) {
	c := contextOf(p.Metadata)
	if o.account != "" || c.ProductRef == "" || c.ProductType != "" && kindOfType(c.ProductType) == "" {
		return Set{}, nil
	}
	return Set{Products: []Product{{
		ID: c.ProductRef, StoreRef: first(c.StoreRef, c.CreatorRef), Kind: c.ProductKind, Title: name(string(p.Name)),
		StripeProductIDs: []string{p.id()},
		Version:          hearsay(version(*o.moment(p.Updated, p.Created), rankUpdated, p.id())),
	}}}, nil
}

// readPrice reads nothing. Whatever names a price names its product too, and
// one row per product of ours has no room for what many prices say of it; a
// price that names one itself is read where it is sold, on the session.
func readPrice(origin, stripeObject) (Set, error) { return Set{}, nil }

// NeedsWholeList tells whether all entries of an object's own list matter, the
// ones beyond those that it holds included: each is a product that was sold.
func NeedsWholeList(kind string, raw []byte) bool {
	if kind == "checkout.session" {
		var s stripeSession
		return json.Unmarshal(raw, &s) == nil && s.Mode == "payment" && s.Status == "complete"
	}
	return kind == "invoice" || kind == "subscription"
}
