package facts

import "strings"

// Checkout sessions: what was bought, by whom.

type stripeSession struct {
	stripeObject
	Mode            text
	PaymentStatus   text     `json:"payment_status"`
	AmountTotal     int64    `json:"amount_total"`
	Currency        text     `json:"currency"`
	PaymentIntent   objectID `json:"payment_intent"`
	Invoice         objectID
	Subscription    objectID
	Customer        objectID
	ClientReference text                        `json:"client_reference_id"`
	Details         *struct{ Email, Name text } `json:"customer_details"`
	Status          text
	Metadata        metadata
	LineItems       *struct{ Data []lineItem } `json:"line_items"` // only read by the API, and only if asked for
}

type lineItem struct {
	Price *struct {
		ID, Product objectID
		Metadata    metadata
	}
}

// context reads the session's own metadata, and the buyer.
func (s stripeSession) context() Context {
	c := contextOf(s.Metadata)
	c.UserRef = first(c.UserRef, ref(string(s.ClientReference)))
	c.StripeCustomer = string(s.Customer)
	if d := s.Details; d != nil {
		c.Email, c.Name = Email(string(d.Email)), name(string(d.Name))
	}
	return c
}

// readLines adds what was sold to a context that names no product, and tells
// whether there was anything to add. Of the prices' metadata only the product
// counts: a person named there is whoever made the price.
func (s stripeSession) readLines(c *Context) bool {
	if c.namesProduct() || s.LineItems == nil || len(s.LineItems.Data) == 0 {
		return false
	}
	for _, l := range s.LineItems.Data {
		if l.Price == nil {
			continue
		}
		c.Catalogue = appendIDs(c.Catalogue, l.Price.ID, l.Price.Product)
		named := contextOf(l.Price.Metadata)
		if c.ProductRef == "" {
			c.ProductRef, c.ProductKind = named.ProductRef, first(named.ProductKind, c.ProductKind)
		}
		c.Courses = append(c.Courses, named.Courses...)
	}
	return true
}

// readCheckout reads a Checkout session. In payment mode it claims the money of
// its payment intent, or is an order without money; in subscription mode it
// tells whose subscription it is: the invoice claims the money. The buyer's
// address is the one given at the checkout (customer_details), never a prefill.
func readCheckout(o origin, s stripeSession) (Set, error) {
	c := s.context()
	rank := rankUpdated
	if strings.HasPrefix(o.typ, "checkout.session.async_") {
		rank = rankFinal // always after completed, even in its second
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
	return set, nil
}

// payment is the claim of a session in payment mode. A claim that knows the
// line items is the same claim, better told: it stays whichever comes later.
func (s stripeSession) payment(o origin, c Context, paid bool, rank int) Payment {
	strength := claimUnpaid
	if lines := s.readLines(&c); paid && lines {
		strength = claimItemised
	} else if paid {
		strength = claimCheckout
	}
	p := Payment{
		Account: o.account, ID: first(string(s.PaymentIntent), s.id()), ClaimedBy: s.id(),
		Kind: "checkout", Paid: paid, Amount: &s.AmountTotal, Currency: currency(s.Currency),
		Context: c, PaidAt: o.moment(s.Created), ClaimVersion: claim(strength, o.version(rank)),
	}
	if s.PaymentIntent != "" && s.Invoice != "" {
		p.Invoice, p.InvoiceVersion = string(s.Invoice), o.version(rank)
	}
	return p
}
