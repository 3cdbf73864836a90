package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
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
	json.Unmarshal(p[field], &s)
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
	Amount         minor
	AmountReceived minor `json:"amount_received"`
	Currency       text
	Customer       objectID
	Invoice        objectID
	ReceiptEmail   text          `json:"receipt_email"`
	TransferData   *transferData `json:"transfer_data"`
	OnBehalfOf     objectID      `json:"on_behalf_of"`
	LatestCharge   wholeCharge   `json:"latest_charge"`
	Charges        struct{ Data []stripeCharge }
	Status         text
	Metadata       metadata
}

// readPaymentIntent reads an intent that succeeded. It claims its money if it
// names a product; else it is believed to have paid what somebody else claims,
// as the session of a delayed method or of a manual capture does before it is.
func readPaymentIntent(o origin, pi stripePaymentIntent) (Set, error) {
	p := o.link(pi.ID, pi.Invoice, passedOn(pi.TransferData, pi.OnBehalfOf))
	c := contextOf(pi.Metadata)
	c.StripeCustomer, c.Email = string(pi.Customer), Email(string(pi.ReceiptEmail))
	p.Intent, p.IntentVersion = &Intent{Context: c}, o.version(rankUpdated)
	if received := int64(pi.AmountReceived); received > 0 && currency(pi.Currency) != "" {
		p.Intent.Received, p.Intent.Currency = &received, currency(pi.Currency)
		p.Intent.Uncaptured = max(0, int64(pi.Amount)-received)
	}
	if c.namesProduct() {
		if currency(pi.Currency) == "" {
			return Set{}, errNoCurrency
		}
		p.ClaimedBy, p.Kind, p.Paid = p.ID, "intent", true
		p.Amount, p.Currency, p.Context, p.PaidAt = pi.AmountReceived.ptr(), currency(pi.Currency), c, o.moment(pi.Created)
		p.ClaimVersion = claim(claimIntent, o.version(rankUpdated))
	}
	for _, ch := range append(pi.Charges.Data, stripeCharge(pi.LatestCharge)) { // whole in old versions of the API, or if asked for
		o.addBuyer(&p, ch)
	}
	return Set{Payments: []Payment{p}}, nil
}

type stripeCharge struct {
	stripeObject
	Amount         minor
	AmountCaptured *minor `json:"amount_captured"`
	AmountRefunded minor  `json:"amount_refunded"`
	Currency       text
	Customer       objectID
	PaymentIntent  objectID `json:"payment_intent"`
	Invoice        objectID
	TransferData   *transferData              `json:"transfer_data"`
	OnBehalfOf     objectID                   `json:"on_behalf_of"`
	Billing        struct{ Email, Name text } `json:"billing_details"`
	ReceiptEmail   text                       `json:"receipt_email"`
	Metadata       metadata
}

// wholeCharge is a charge where it was asked for, else (its id alone) nothing.
type wholeCharge stripeCharge

func (c *wholeCharge) UnmarshalJSON(b []byte) error {
	if strings.HasPrefix(string(b), "{") {
		return json.Unmarshal(b, (*stripeCharge)(c))
	}
	return nil
}

// addBuyer notes on the row of a payment intent what its charge says of the
// buyer: where nobody else does, the address of billing_details is theirs.
func (o origin) addBuyer(p *Payment, ch stripeCharge) {
	c := contextOf(ch.Metadata)
	c.Email, c.Name = Email(first(string(ch.Billing.Email), string(ch.ReceiptEmail))), name(string(ch.Billing.Name))
	c.StripeCustomer = string(ch.Customer)
	c.Named = nil // the intent's own, copied
	if c.Email != "" || c.UserRef != "" || c.StripeCustomer != "" || c.StoreRef != "" || c.ProductRef != "" {
		p.Charge, p.ChargeVersion = &c, o.version(rankUpdated)
	}
}

// totalDigits is how wide a charge's total is written, to compare as text.
const totalDigits = 16

// readCharge reads what a charge says has been refunded of it: a running total,
// to be set, never added. Among totals of one second the larger is the later.
// What was authorized and never captured is in Stripe's total, too.
func readCharge(o origin, ch stripeCharge) (set Set, err error) {
	if ch.AmountRefunded > 0 || o.typ == "charge.refunded" {
		total := fmt.Sprintf("%0*d %s", totalDigits, max(int64(ch.AmountRefunded), 0), o.id)
		set.Refunds = []Refund{{
			Account: o.account, ID: string(ch.ID), Charge: string(ch.ID), PaymentIntent: string(ch.PaymentIntent),
			Cumulative: true, ChargeAmount: ch.Amount.ptr(), Captured: ch.AmountCaptured.orNil(), Amount: int64(ch.AmountRefunded), Currency: currency(ch.Currency),
			CreatedAt: ch.Created.time(), SaidAt: o.at, Version: version(o.at, rankUpdated, total),
		}}
	}
	if ch.PaymentIntent != "" {
		p := o.link(ch.PaymentIntent, ch.Invoice, passedOn(ch.TransferData, ch.OnBehalfOf))
		o.addBuyer(&p, ch)
		set.Payments = []Payment{p}
	}
	return set, nil
}

type stripeRefund struct {
	stripeObject
	Amount        minor
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
	var whole struct{ Amount *minor }
	if json.Unmarshal(b, &whole) == nil {
		c.amount = whole.Amount.orNil()
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
		ChargeAmount: r.Charge.amount, Amount: int64(r.Amount), Currency: currency(r.Currency), Status: string(r.Status),
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
var disputeRanks = map[string]int{"created": rankCreated, "updated": rankUpdated, "funds_withdrawn": 30 + generation, "closed": 40 + generation, "funds_reinstated": 50 + generation}

type stripeDispute struct {
	stripeObject
	Amount              minor
	Currency            text
	Charge              objectID
	PaymentIntent       objectID `json:"payment_intent"`
	Status              text
	BalanceTransactions []struct{ Amount minor } `json:"balance_transactions"`
}

// readDispute reads a dispute. Its balance transactions tell whether the money
// is gone; an inquiry (warning_…) moves none, a won one gives it back. An appeal
// (appeal_…) follows a lost one: until it is won the money stays gone.
func readDispute(o origin, d stripeDispute) (Set, error) {
	var moved int64
	for _, t := range d.BalanceTransactions {
		moved += int64(t.Amount)
	}
	withdrawn := moved < 0 || d.Status == "lost" || strings.HasPrefix(string(d.Status), "appeal_") || o.typ == "charge.dispute.funds_withdrawn"
	if d.Status == "won" || d.Status == "prevented" || strings.HasPrefix(string(d.Status), "warning_") || o.typ == "charge.dispute.funds_reinstated" {
		withdrawn = false
	}
	rank := disputeRanks[o.typ[strings.LastIndexByte(o.typ, '.')+1:]]
	set := Set{Disputes: []Dispute{{
		Account: o.account, ID: string(d.ID), Charge: string(d.Charge), PaymentIntent: string(d.PaymentIntent),
		Amount: int64(d.Amount), Currency: currency(d.Currency), Status: string(d.Status), Withdrawn: withdrawn,
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

// minor is an amount in minor units: a whole number, or one but for a float's
// dust, below what sums could overflow with. Anything else is none.
type minor int64

// maxMinor bounds an amount: a thousand sums of it fit an int64 still.
const maxMinor = 1e15

func (m *minor) UnmarshalJSON(b []byte) error {
	var n float64
	if json.Unmarshal(b, &n) == nil && math.Abs(n) <= maxMinor && math.Abs(n-math.Round(n)) < 0.01 {
		*m = minor(math.Round(n))
	}
	return nil
}

func (m minor) ptr() *int64 {
	n := int64(m)
	return &n
}

func (m *minor) orNil() *int64 {
	if m == nil {
		return nil
	}
	return m.ptr()
}
