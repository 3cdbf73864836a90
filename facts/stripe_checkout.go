package facts

import (
	"encoding/json"
	"strings"
)

// Checkout sessions: products and buyers.

type stripeSession struct {
	stripeObject
	Mode            text
	PaymentStatus   text     `json:"payment_status"`
	AmountTotal     minor    `json:"amount_total"`
	Currency        text     `json:"currency"`
	PaymentIntent   objectID `json:"payment_intent"`
	Invoice         objectID
	Subscription    objectID
	Customer        objectID
	ClientReference text     `json:"client_reference_id"`
	PaymentLink     objectID `json:"payment_link"`
	Details         billing  `json:"customer_details"`
	Status          text
	Metadata        metadata
	LineItems       *struct{ Data []lineItem } `json:"line_items"` // only in the API, and only on request
	Consent         struct{ Promotions text }
	RecoveredFrom   objectID `json:"recovered_from"`
	AfterExpiration struct {
		Recovery struct {
			URL       text
			ExpiresAt unix `json:"expires_at"`
		}
	} `json:"after_expiration"`
}

// billing is what a buyer gave at a payment.
type billing struct {
	Email, Name text
	Address     country
}

type lineItem struct {
	Price       *stripePrice
	Quantity    minor
	AmountTotal *minor `json:"amount_total"`
}

// stripePrice is a price, or an older plan.
type stripePrice struct {
	ID         objectID
	Product    expandedProduct
	Nickname   text
	LookupKey  text   `json:"lookup_key"`
	UnitAmount *minor `json:"unit_amount"`
	Amount     *minor // of a plan
	Recurring  recurring
	recurring  // of a plan
	Metadata   metadata
}

type recurring struct {
	Interval      text
	IntervalCount minor `json:"interval_count"`
}

// UnmarshalJSON reads a whole price or its id.
func (p *stripePrice) UnmarshalJSON(b []byte) error {
	type whole stripePrice
	if !strings.HasPrefix(string(b), "{") {
		return p.ID.UnmarshalJSON(b)
	}
	return json.Unmarshal(b, (*whole)(p))
}

// expandedProduct is a Stripe product: its id and, if expanded, its metadata.
type expandedProduct struct {
	objectID
	metadata metadata
}

func (p *expandedProduct) UnmarshalJSON(b []byte) error {
	var whole struct{ Metadata metadata }
	if json.Unmarshal(b, &whole) == nil {
		p.metadata = whole.Metadata
	}
	return p.objectID.UnmarshalJSON(b)
}

// line returns what is sold at the price. Of the price's metadata it uses only the product: a
// person there is the price's creator.
func (p *stripePrice) line(own metadata) Line {
	if p == nil {
		p = &stripePrice{}
	}
	var named Context
	for _, m := range []metadata{own, p.Metadata, p.Product.metadata} {
		named = named.or(contextOf(m))
	}
	every := p.Recurring
	if every.Interval == "" {
		every = p.recurring
	}
	l := Line{
		Ref: named.ProductRef, Kind: named.ProductKind, Stripe: appendIDs(nil, p.ID, p.Product.objectID),
		Interval: string(every.Interval), IntervalCount: every.IntervalCount.value,
	}
	if len(named.Named) > 0 {
		l.Ref, l.Kind = named.Named[0].Ref, named.Named[0].Kind
	}
	return l
}

// context reads the session's metadata and buyer. With a payment link, buyers can put
// client_reference_id into the URL, so it is ignored there.
func (s stripeSession) context() Context {
	c := contextOf(s.Metadata)
	if s.PaymentLink == "" {
		c.UserRef = first(c.UserRef, ref(string(s.ClientReference)))
	}
	c.StripeCustomer = string(s.Customer)
	c.Email, c.Name, c.Country = Email(string(s.Details.Email)), name(string(s.Details.Name)), string(s.Details.Address)
	return c
}

// readLines adds the items sold and reports whether there were any to add. The session's metadata
// comes first, unless there are more items than it names.
func (s stripeSession) readLines(c *Context) bool {
	if s.LineItems == nil || len(s.LineItems.Data) <= c.named() {
		return false
	}
	found := false
	for _, item := range s.LineItems.Data {
		l := item.Price.line(nil)
		l.Amount, l.Quantity = item.AmountTotal.orNil(), item.Quantity.value
		if l.Ref != "" || len(l.Stripe) > 0 {
			c.Lines, found = append(c.Lines, l), true
		}
	}
	return found
}

// readCheckout reads a Checkout session. In payment mode it claims the money of its payment intent,
// or is an order without money. In subscription mode it names the subscription's person, and the
// invoice claims the money. The buyer's address is the one entered at checkout (customer_details),
// never a prefilled one.
func readCheckout(o origin, s stripeSession) (Set, error) {
	c := s.context()
	rank := rankUpdated
	if strings.HasPrefix(o.typ, "checkout.session.async_") {
		rank = rankFinal // always after completed, even in the same second
	}
	if s.Mode == "payment" && currency(s.Currency) == "" {
		return Set{}, errNoCurrency
	}
	paid := s.PaymentStatus == "paid" || s.PaymentStatus == "no_payment_required"
	var set Set
	switch {
	case s.Mode == "subscription" && s.Subscription != "":
		set.Subscriptions = []Subscription{{
			Account: o.account, ID: string(s.Subscription), EverActive: paid,
			Checkout: &c, CheckoutAt: o.moment(s.Created), CheckoutVersion: o.version(rank),
		}}
	case s.Mode == "payment":
		set.Payments = []Payment{s.payment(o, c, paid, rank)}
	}
	if s.Consent.Promotions != "" || s.RecoveredFrom != "" {
		set.Checkouts = []Checkout{s.kept(o, rank)}
	}
	return set, nil
}

// readKeptCheckout reads an expired session. It sold nothing, but a known or reachable buyer may
// resume it.
func readKeptCheckout(o origin, s stripeSession) (Set, error) {
	if c := s.context(); c.Email+c.UserRef+c.StripeCustomer+string(s.AfterExpiration.Recovery.URL) == "" {
		return Set{}, nil
	}
	return Set{Checkouts: []Checkout{s.kept(o, rankFinal)}}, nil
}

func (s stripeSession) kept(o origin, rank int) Checkout {
	c := Checkout{
		Account: o.account, ID: s.id(), Status: string(s.Status), Context: s.context(), Amount: s.AmountTotal.ptr(),
		Currency:    currency(s.Currency),
		RecoveryURL: string(s.AfterExpiration.Recovery.URL), RecoveryUntil: s.AfterExpiration.Recovery.ExpiresAt.time(),
		RecoveredFrom: string(s.RecoveredFrom), Sale: s.sale(), Promotions: string(s.Consent.Promotions),
		StartedAt: s.Created.time(), Version: o.version(rank),
	}
	s.readLines(&c.Context)
	return c
}

// sale is the id of the payment or the subscription that a session leads to.
func (s stripeSession) sale() string {
	if s.Mode == "payment" {
		return first(string(s.PaymentIntent), s.id())
	}
	return string(s.Subscription)
}

// payment is the claim of a session in payment mode. A claim with line items is the same claim with
// more detail; it stays, whichever comes later.
func (s stripeSession) payment(o origin, c Context, paid bool, rank int) Payment {
	strength := claimUnpaid
	if lines := s.readLines(&c); paid && lines {
		strength = claimItemised
	} else if paid {
		strength = claimCheckout
	}
	p := Payment{
		Account: o.account, ID: s.sale(), ClaimedBy: s.id(),
		Kind: "checkout", Paid: paid, Amount: s.AmountTotal.ptr(), Currency: currency(s.Currency),
		Context: c, PaidAt: o.moment(s.Created), ClaimVersion: claim(strength, o.version(rank)),
	}
	if s.PaymentIntent != "" && s.Invoice != "" {
		p.Invoice, p.InvoiceVersion = string(s.Invoice), o.version(rank)
	}
	return p
}
