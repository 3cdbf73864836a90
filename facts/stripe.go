package facts

import (
	"encoding/json"
	"errors"
	"fmt"
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
	"checkout.session.async_payment_succeeded": fromEvent(readCheckout),
	"checkout.session.async_payment_failed":    fromEvent(readCheckout),
	"payment_intent.succeeded":                 fromEvent(readPaymentIntent),
	"charge.refunded":                          fromEvent(readCharge),
	"charge.refund.updated":                    fromEvent(readRefund), // its object is a refund
	"refund.created":                           fromEvent(readRefund),
	"refund.updated":                           fromEvent(readRefund),
	"refund.failed":                            fromEvent(readRefund),
	"charge.dispute.":                          fromEvent(readDispute),
	"invoice.paid":                             fromEvent(readPaidInvoice),
	"invoice.payment_succeeded":                fromEvent(readInvoiceLink),
	"invoice.payment_failed":                   fromEvent(readInvoiceLink),
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
	set, err := read(origin{e.Account, e.ID, e.Type, e.OccurredAt}, e.Payload)
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
			Data struct{ Object *T }
		}
		if err := json.Unmarshal(payload, &body); err != nil {
			return Set{}, err
		}
		object := body.Data.Object
		if object == nil || (*object).id() == "" {
			return Set{}, errors.New("data.object is missing or has no usable id")
		}
		return read(o, *object)
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
		Courses:     m.list("courseIds"),
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
	if id := m.get("courseId"); id != "" && !slices.Contains(c.Courses, id) {
		c.Courses = append(c.Courses, id)
	}
	if c.ProductKind == "" {
		c.ProductKind = kindOfType(c.ProductType)
	}
	return c
}

func (c Context) namesProduct() bool { return c.ProductRef != "" || len(c.Courses) > 0 }

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

type transferData struct {
	Destination objectID
}

var errNoCurrency = errors.New("money without a three-letter currency")

// passedOn is the account that a charge's money goes on to.
func passedOn(t *transferData, onBehalfOf objectID) string {
	if t != nil && t.Destination != "" {
		return string(t.Destination)
	}
	return string(onBehalfOf)
}

// link is the bare row of a payment intent: what invoice it pays and where the
// money goes. It claims nothing.
func (o origin) link(intent, invoice objectID, destination string) Payment {
	p := Payment{Account: o.account, ID: string(intent)}
	if invoice != "" {
		p.Invoice, p.InvoiceVersion = string(invoice), o.version(rankUpdated)
	}
	if destination != "" {
		p.Destination, p.DestinationVersion = destination, o.version(rankUpdated)
	}
	return p
}

type stripePaymentIntent struct {
	stripeObject
	Amount         int64
	AmountReceived int64 `json:"amount_received"`
	Currency       text
	Customer       objectID
	Invoice        objectID
	ReceiptEmail   text          `json:"receipt_email"`
	TransferData   *transferData `json:"transfer_data"`
	OnBehalfOf     objectID      `json:"on_behalf_of"`
	Status         text
	Metadata       metadata
}

func readPaymentIntent(o origin, pi stripePaymentIntent) (Set, error) {
	p := o.link(pi.ID, pi.Invoice, passedOn(pi.TransferData, pi.OnBehalfOf))
	c := contextOf(pi.Metadata)
	c.StripeCustomer, c.Email = string(pi.Customer), Email(string(pi.ReceiptEmail))
	p.Intent, p.IntentVersion = &c, o.version(rankUpdated)
	if c.namesProduct() {
		if currency(pi.Currency) == "" {
			return Set{}, errNoCurrency
		}
		p.ClaimedBy, p.Kind, p.Paid = p.ID, "intent", true
		p.Amount, p.Currency, p.Context, p.PaidAt = &pi.AmountReceived, currency(pi.Currency), c, o.moment(pi.Created)
		p.ClaimVersion = claim(claimIntent, o.version(rankUpdated))
	}
	return Set{Payments: []Payment{p}}, nil
}

type stripeCharge struct {
	stripeObject
	Amount         int64
	AmountRefunded int64 `json:"amount_refunded"`
	Currency       text
	PaymentIntent  objectID `json:"payment_intent"`
	Invoice        objectID
	TransferData   *transferData `json:"transfer_data"`
	OnBehalfOf     objectID      `json:"on_behalf_of"`
}

// totalDigits is how wide a charge's total is written, to compare as text.
const totalDigits = 16

// readCharge reads what a charge says has been refunded of it: a running total,
// to be set, never added. Among totals of one second the larger is the later.
func readCharge(o origin, ch stripeCharge) (Set, error) {
	total := fmt.Sprintf("%0*d %s", totalDigits, max(ch.AmountRefunded, 0), o.id)
	set := Set{Refunds: []Refund{{
		Account: o.account, ID: string(ch.ID), Charge: string(ch.ID), PaymentIntent: string(ch.PaymentIntent),
		Cumulative: true, ChargeAmount: &ch.Amount, Amount: ch.AmountRefunded, Currency: currency(ch.Currency),
		CreatedAt: ch.Created.time(), SaidAt: o.at, Version: version(o.at, rankUpdated, total),
	}}}
	if ch.PaymentIntent != "" {
		set.Payments = []Payment{o.link(ch.PaymentIntent, ch.Invoice, passedOn(ch.TransferData, ch.OnBehalfOf))}
	}
	return set, nil
}

type stripeRefund struct {
	stripeObject
	Amount        int64
	Currency      text
	Charge        refundedCharge
	PaymentIntent objectID `json:"payment_intent"`
	Status        text
}

// refundedCharge is a charge's id, or, where it was asked for, the whole charge:
// then it tells what share of it a refund is, in whatever currency.
type refundedCharge struct {
	objectID
	amount *int64
}

func (c *refundedCharge) UnmarshalJSON(b []byte) error {
	var whole struct{ Amount *int64 }
	if json.Unmarshal(b, &whole) == nil {
		c.amount = whole.Amount
	}
	return c.objectID.UnmarshalJSON(b)
}

func readRefund(o origin, r stripeRefund) (Set, error) {
	rank := rankOf(o.typ)
	if r.Status == "failed" || r.Status == "canceled" {
		rank = rankFinal
	}
	set := Set{Refunds: []Refund{{
		Account: o.account, ID: string(r.ID), Charge: string(r.Charge.objectID), PaymentIntent: string(r.PaymentIntent),
		ChargeAmount: r.Charge.amount, Amount: r.Amount, Currency: currency(r.Currency), Status: string(r.Status),
		CreatedAt: r.Created.time(), SaidAt: o.at, Version: o.version(rank),
	}}}
	return o.withLink(set, r.PaymentIntent), nil
}

// withLink adds the bare row of a payment intent that a refund or dispute names.
func (o origin) withLink(set Set, intent objectID) Set {
	if intent != "" {
		set.Payments = append(set.Payments, o.link(intent, "", ""))
	}
	return set
}

// disputeRanks orders a dispute's events within one second.
var disputeRanks = map[string]int{"created": rankCreated, "updated": rankUpdated, "funds_withdrawn": 30, "closed": 40, "funds_reinstated": 50}

type stripeDispute struct {
	stripeObject
	Amount              int64
	Currency            text
	Charge              objectID
	PaymentIntent       objectID `json:"payment_intent"`
	Status              text
	BalanceTransactions []struct{ Amount int64 } `json:"balance_transactions"`
}

// readDispute reads a dispute. Its balance transactions tell whether the money
// is gone; an inquiry (warning_…) moves none, a won one gives it back.
func readDispute(o origin, d stripeDispute) (Set, error) {
	var moved int64
	for _, t := range d.BalanceTransactions {
		moved += t.Amount
	}
	withdrawn := moved < 0 || d.Status == "lost" || o.typ == "charge.dispute.funds_withdrawn"
	if d.Status == "won" || d.Status == "prevented" || strings.HasPrefix(string(d.Status), "warning_") || o.typ == "charge.dispute.funds_reinstated" {
		withdrawn = false
	}
	rank := disputeRanks[o.typ[strings.LastIndexByte(o.typ, '.')+1:]]
	set := Set{Disputes: []Dispute{{
		Account: o.account, ID: string(d.ID), Charge: string(d.Charge), PaymentIntent: string(d.PaymentIntent),
		Amount: d.Amount, Currency: currency(d.Currency), Status: string(d.Status), Withdrawn: withdrawn,
		Version: o.version(rank),
	}}}
	return o.withLink(set, d.PaymentIntent), nil
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

// currency lower-cases an ISO 4217 code; anything else is "".
func currency(s text) string {
	if len(s) != 3 {
		return ""
	}
	return strings.ToLower(string(s))
}
