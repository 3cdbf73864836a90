package facts

import "cmp"

// Stripe invoices and their payments; their shape changed most with 2025-03-31 (basil).

type stripeInvoice struct {
	stripeObject
	AmountPaid          minor `json:"amount_paid"`
	AmountDue           minor `json:"amount_due"`
	Currency            text
	Customer            objectID
	CustomerEmail       text                `json:"customer_email"`
	CustomerName        text                `json:"customer_name"`
	CustomerAddress     country             `json:"customer_address"`
	PaymentIntent       objectID            `json:"payment_intent"` // before basil
	Subscription        objectID            // before basil
	SubscriptionDetails subscriptionDetails `json:"subscription_details"`
	Parent              *struct {           // since basil
		SubscriptionDetails subscriptionDetails `json:"subscription_details"`
	}
	TransferData *transferData `json:"transfer_data"`
	OnBehalfOf   objectID      `json:"on_behalf_of"`
	Status       text
	Transitions  struct {
		PaidAt unix `json:"paid_at"`
	} `json:"status_transitions"`
	Attempts      minor `json:"attempt_count"`
	NextAttemptAt unix  `json:"next_payment_attempt"`
	HostedURL     text  `json:"hosted_invoice_url"`
	Metadata      metadata
	Lines         struct{ Data []invoiceLine }
}

type subscriptionDetails struct {
	Subscription objectID
	Metadata     metadata
}

type invoiceLine struct {
	Amount   *minor
	Quantity minor
	Metadata metadata
	Price    *stripePrice
	Plan     *stripePrice
	Pricing  *struct { // since basil
		Details struct {
			Price   *stripePrice
			Product objectID
		} `json:"price_details"`
	}
}

// line returns what an invoice line is for, in any shape.
func (l invoiceLine) line() Line {
	price := l.Price
	if price == nil {
		price = l.Plan
	}
	if l.Pricing != nil {
		price = cmp.Or(l.Pricing.Details.Price, &stripePrice{})
		price.Product.objectID = cmp.Or(price.Product.objectID, l.Pricing.Details.Product)
	}
	out := price.line(l.Metadata)
	out.Amount, out.Quantity = l.Amount.orNil(), l.Quantity.value
	return out
}

func appendIDs(ids []string, more ...objectID) []string {
	for _, id := range more {
		if id != "" {
			ids = append(ids, string(id))
		}
	}
	return ids
}

// since returns when the invoice was paid, if it was.
func (in stripeInvoice) since() unix { return max(in.Created, in.Transitions.PaidAt) }

// details returns the invoice's subscription details, in either shape.
func (in stripeInvoice) details() subscriptionDetails {
	d := in.SubscriptionDetails
	if in.Parent != nil {
		d = in.Parent.SubscriptionDetails
	}
	d.Subscription = objectID(first(string(d.Subscription), string(in.Subscription)))
	return d
}

// context reads the metadata of the invoice, then of its subscription (a snapshot), then of its
// lines.
func (in stripeInvoice) context() Context {
	c := contextOf(in.Metadata).or(contextOf(in.details().Metadata))
	for _, l := range in.Lines.Data {
		c = c.or(whose(l.Metadata))
		if line := l.line(); line.Ref != "" || len(line.Stripe) > 0 {
			c.Lines = append(c.Lines, line)
		}
	}
	c.StripeCustomer, c.Email, c.Name = string(in.Customer), Email(string(in.CustomerEmail)), name(string(in.CustomerName))
	c.Country = string(in.CustomerAddress)
	return c
}

// whose reads a part's metadata that applies to the whole: all except the product.
func whose(m metadata) Context {
	c := contextOf(m)
	c.ProductRef, c.ProductKind, c.Named = "", "", nil
	return c
}

// readPaidInvoice reads invoice.paid, the only event that claims an invoice's money. amount_paid is
// the only amount that was really paid.
func readPaidInvoice(o origin, in stripeInvoice) (Set, error) {
	if currency(in.Currency) == "" {
		return Set{}, errNoCurrency
	}
	p := Payment{
		Account: o.account, ID: string(in.ID), ClaimedBy: string(in.ID), Kind: "invoice", Paid: true,
		Amount: in.AmountPaid.ptr(), Currency: currency(in.Currency), Context: in.context(),
		Subscription: string(in.details().Subscription), PaidAt: o.moment(in.Transitions.PaidAt, in.Created),
		ClaimVersion: claim(claimCheckout, o.version(rankUpdated)),
	}
	if to := passedOn(in.TransferData, in.OnBehalfOf); to != "" {
		p.Destination, p.DestinationVersion = to, o.version(rankUpdated)
	}
	set, err := readInvoiceLink(o, in)
	set.Payments = append(set.Payments, p)
	return set, err
}

// readInvoiceLink only reads an invoice's payment intent and recipient, as of the invoice's own
// time: invoices are not rewritten when these change. invoice.payment_succeeded is a twin of
// invoice.paid and makes no second claim.
func readInvoiceLink(o origin, in stripeInvoice) (set Set, err error) {
	if in.PaymentIntent != "" {
		set.Payments = []Payment{o.link(in.PaymentIntent, in.ID, "")}
	}
	if c := in.context(); c.StripeCustomer != "" && c.Email != "" {
		set.StripeCustomers = []StripeCustomer{{
			Account: o.account, ID: c.StripeCustomer, Email: c.Email, Name: c.Name,
			Version: hearsay(version(*o.moment(in.Created), rankUpdated, in.id()+" "+c.Email+" "+c.Name)),
		}}
	}
	return set, nil
}

// readFailedInvoice reads the invoice's references, when Stripe retries, and where the buyer can
// pay.
func readFailedInvoice(o origin, in stripeInvoice) (Set, error) {
	set, err := readInvoiceLink(o, in)
	if err != nil || in.Attempts.value == 0 || in.Status == "void" {
		return set, err
	}
	set.FailedInvoices = []FailedInvoice{{
		Account: o.account, ID: in.id(), Subscription: string(in.details().Subscription), StripeCustomer: string(in.Customer),
		Attempts: in.Attempts.value, NextAttemptAt: in.NextAttemptAt.time(), HostedURL: string(in.HostedURL),
		AmountDue: in.AmountDue.value, Currency: currency(in.Currency), Version: o.version(rankUpdated),
	}}
	return set, nil
}

type stripeInvoicePayment struct {
	stripeObject
	Invoice objectID
	Payment struct {
		PaymentIntent objectID `json:"payment_intent"`
	}
}

// readInvoicePayment reads what since basil is the only link from an invoice to its payment intent.
func readInvoicePayment(o origin, ip stripeInvoicePayment) (Set, error) {
	if ip.Payment.PaymentIntent == "" || ip.Invoice == "" {
		return Set{}, nil
	}
	return Set{Payments: []Payment{o.link(ip.Payment.PaymentIntent, ip.Invoice, "")}}, nil
}
