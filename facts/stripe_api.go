package facts

import (
	"encoding/json"
	"errors"
	"time"
)

// Readers of objects from Stripe's API. They are the events' readers, but the API shows objects in
// all states, and events report only some of them.

// apiReaders maps an object's field "object" to its reader.
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

// ReadStripeObject returns the facts of an object from Stripe's API, the same as the events about
// it, as of the time of the read. kind is its field "object"; account is the Connect account that
// it was read from (empty: the platform's own). The error is *Ignored or *Malformed.
func ReadStripeObject(kind, account string, read time.Time, raw []byte) (Set, error) {
	reader, ok := apiReaders[kind]
	if !ok {
		return Set{}, &Ignored{"Stripe objects of kind " + kind + " are not needed"}
	}
	// Event times are rounded down to seconds. An event of the same second may be newer than this
	// read, so it must win a tie.
	at := read.UTC().Truncate(time.Second)
	set, err := reader(origin{account: account, at: at}, stripNUL(raw))
	if err != nil {
		return Set{}, malformed("Stripe %s: %v", kind, err)
	}
	return set, nil
}

// fromAPI turns a reader of objects into a reader of JSON.
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

// readListedCheckout skips open sessions, which have no event either.
func readListedCheckout(o origin, s stripeSession) (Set, error) {
	switch s.Status {
	case "complete":
		return readCheckout(o, s)
	case "expired":
		return readKeptCheckout(o, s)
	}
	return Set{}, nil
}

// readListedIntent skips intents that did not succeed.
func readListedIntent(o origin, pi stripePaymentIntent) (Set, error) {
	if pi.Status != "succeeded" {
		return Set{}, nil
	}
	return readPaymentIntent(o, pi)
}

// readListedInvoice claims the money of paid invoices. Of other invoices it only reads their
// references, like a failed one's.
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

// readPrice reads nothing. Objects that refer to a price also refer to its product. One row per
// product cannot hold the data of many prices; a price that names our product itself is read at the
// sale, in the session.
func readPrice(origin, stripeObject) (Set, error) { return Set{}, nil }

// NeedsWholeList reports whether all entries of an object's list are needed, even those beyond its
// first page: each one is a product that was sold.
func NeedsWholeList(kind string, raw []byte) bool {
	if kind == "checkout.session" {
		var s stripeSession
		return json.Unmarshal(raw, &s) == nil && s.Mode == "payment" && s.Status == "complete"
	}
	return kind == "invoice" || kind == "subscription"
}
