package facts

import (
	"cmp"
	"encoding/json"
	"errors"
)

// Stripe Billing: invoices and subscriptions, whose shape changed most with
// 2025-03-31 (basil).

type stripeInvoice struct {
	stripeObject
	AmountPaid          int64 `json:"amount_paid"`
	Currency            text
	Customer            objectID
	CustomerEmail       text                `json:"customer_email"`
	CustomerName        text                `json:"customer_name"`
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
	Metadata metadata
	Lines    struct{ Data []invoiceLine }
}

type subscriptionDetails struct {
	Subscription objectID
	Metadata     metadata
}

type invoiceLine struct {
	Metadata metadata
	Price    *struct {
		ID, Product objectID
	}
	Pricing *struct { // since basil
		Details struct {
			Price, Product objectID
		} `json:"price_details"`
	}
}

func (l invoiceLine) catalogue() []string {
	var ids []string
	if l.Price != nil {
		ids = appendIDs(ids, l.Price.ID, l.Price.Product)
	}
	if l.Pricing != nil {
		ids = appendIDs(ids, l.Pricing.Details.Price, l.Pricing.Details.Product)
	}
	return ids
}

func appendIDs(ids []string, more ...objectID) []string {
	for _, id := range more {
		if id != "" {
			ids = append(ids, string(id))
		}
	}
	return ids
}

// since is when it was paid, if it was.
func (in stripeInvoice) since() unix { return max(in.Created, in.Transitions.PaidAt) }

// details is what the invoice says of its subscription, in either shape.
func (in stripeInvoice) details() subscriptionDetails {
	d := in.SubscriptionDetails
	if in.Parent != nil {
		d = in.Parent.SubscriptionDetails
	}
	d.Subscription = objectID(first(string(d.Subscription), string(in.Subscription)))
	return d
}

// context reads the invoice's own metadata first, then its subscription's
// (a snapshot), then its lines'.
func (in stripeInvoice) context() Context {
	metas := []metadata{in.Metadata, in.details().Metadata}
	var catalogue []string
	for _, l := range in.Lines.Data {
		metas = append(metas, l.Metadata)
		catalogue = append(catalogue, l.catalogue()...)
	}
	all := metadata{}
	for _, m := range metas {
		for k, v := range m {
			if _, taken := all[k]; !taken {
				all[k] = v
			}
		}
	}
	c := contextOf(all)
	c.Catalogue = catalogue
	c.StripeCustomer, c.Email, c.Name = string(in.Customer), Email(string(in.CustomerEmail)), name(string(in.CustomerName))
	return c
}

// readPaidInvoice reads invoice.paid, the only event that claims an invoice's
// money, with amount_paid, the only figure that was really paid.
func readPaidInvoice(o origin, in stripeInvoice) (Set, error) {
	if currency(in.Currency) == "" {
		return Set{}, errNoCurrency
	}
	p := Payment{
		Account: o.account, ID: string(in.ID), ClaimedBy: string(in.ID), Kind: "invoice", Paid: true,
		Amount: &in.AmountPaid, Currency: currency(in.Currency), Context: in.context(),
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

// readInvoiceLink reads only which payment intent an invoice was (or was to be)
// paid by, and whom it was sent to, as of the invoice's own time: it is not
// rewritten when they change (and if it were, the words decide). invoice.payment_succeeded is invoice.paid's twin:
// no second claim.
func readInvoiceLink(o origin, in stripeInvoice) (set Set, err error) {
	if in.PaymentIntent != "" {
		set.Payments = []Payment{o.link(in.PaymentIntent, in.ID, "")}
	}
	if c := in.context(); c.StripeCustomer != "" && c.Email != "" {
		set.StripeCustomers = []StripeCustomer{{
			Account: o.account, ID: c.StripeCustomer, Email: c.Email, Name: c.Name, Version: hearsay(version(*o.moment(in.Created), rankUpdated, in.id()+" "+c.Email+" "+c.Name)),
		}}
	}
	return set, nil
}

type stripeInvoicePayment struct {
	stripeObject
	Invoice objectID
	Payment struct {
		PaymentIntent objectID `json:"payment_intent"`
	}
}

// readInvoicePayment reads, since basil, the only link from an invoice to the
// payment intent that paid it.
func readInvoicePayment(o origin, ip stripeInvoicePayment) (Set, error) {
	if ip.Payment.PaymentIntent == "" || ip.Invoice == "" {
		return Set{}, nil
	}
	return Set{Payments: []Payment{o.link(ip.Payment.PaymentIntent, ip.Invoice, "")}}, nil
}

type stripeSubscription struct {
	stripeObject
	Status            text
	Customer          objectID
	Currency          text
	CurrentPeriodEnd  unix          `json:"current_period_end"` // before basil
	PeriodStart       unix          `json:"current_period_start"`
	CancelAtPeriodEnd bool          `json:"cancel_at_period_end"`
	StartDate         unix          `json:"start_date"`
	EndedAt           unix          `json:"ended_at"`
	TrialStart        unix          `json:"trial_start"`
	LatestInvoice     invoiceStatus `json:"latest_invoice"`
	TransferData      *transferData `json:"transfer_data"`
	OnBehalfOf        objectID      `json:"on_behalf_of"`
	Metadata          metadata
	Items             struct {
		Data []struct {
			Quantity         *int64
			CurrentPeriodEnd unix `json:"current_period_end"` // since basil
			PeriodStart      unix `json:"current_period_start"`
			Price            struct {
				ID         objectID
				Product    objectID
				Nickname   text
				LookupKey  text   `json:"lookup_key"`
				UnitAmount *int64 `json:"unit_amount"`
			}
		}
	}
}

// since is when the current period began: it was renewed then.
func (s stripeSubscription) since() unix {
	at := max(s.Created, s.PeriodStart)
	for _, item := range s.Items.Data {
		at = max(at, item.PeriodStart)
	}
	return at
}

// readSubscription reads a subscription. canceled_at only says that somebody
// asked: the end is the status canceled, with ended_at.
func readSubscription(o origin, s stripeSubscription) (Set, error) {
	if s.Status == "" {
		return Set{}, errors.New("the subscription has no status")
	}
	sub := Subscription{
		Account: o.account, ID: string(s.ID), Status: string(s.Status), Context: contextOf(s.Metadata),
		Destination: passedOn(s.TransferData, s.OnBehalfOf), Currency: currency(s.Currency),
		StartedAt: unix(max(s.StartDate, 0)).time(), CancelAtPeriodEnd: s.CancelAtPeriodEnd, EndedAt: s.EndedAt.time(),
		Version: o.version(subscriptionRank(o.typ, string(s.Status))), EverActive: s.everActive(),
	}
	sub.StripeCustomer = string(s.Customer)
	if sub.StartedAt == nil {
		sub.StartedAt = cmp.Or(s.Created.time(), &o.at)
	}
	s.readItems(&sub)
	return Set{Subscriptions: []Subscription{sub}}, nil
}

// invoiceStatus is the status of an invoice given whole; a bare id has none.
type invoiceStatus string

func (i *invoiceStatus) UnmarshalJSON(b []byte) error {
	var whole struct{ Status text }
	if json.Unmarshal(b, &whole) == nil {
		*i = invoiceStatus(whole.Status)
	}
	return nil
}

// readItems adds up what a period costs and when the current one ends.
func (s stripeSubscription) readItems(sub *Subscription) {
	end := s.CurrentPeriodEnd
	var amount int64
	for _, item := range s.Items.Data {
		end = max(end, item.CurrentPeriodEnd)
		sub.Catalogue = appendIDs(sub.Catalogue, item.Price.ID, item.Price.Product)
		sub.PlanName = first(sub.PlanName, name(string(item.Price.Nickname)), name(string(item.Price.LookupKey)))
		if item.Price.UnitAmount != nil {
			quantity := int64(1)
			if item.Quantity != nil {
				quantity = *item.Quantity
			}
			amount += *item.Price.UnitAmount * quantity
		}
	}
	sub.PlanName = first(sub.PlanName, sub.Plan)
	sub.Amount, sub.CurrentPeriodEnd = &amount, end.time()
}

// subscriptionRank puts terminal states above others of the same second.
func subscriptionRank(eventType, status string) int {
	if status == "canceled" || status == "incomplete_expired" {
		return max(rankFinal, rankOf(eventType))
	}
	return min(rankOf(eventType), rankUpdated)
}

// everActive tells whether the object shows that the subscription once ran.
// Unpaid and paused come only after trialing, active or past_due; canceled too,
// unless it was called off within the day that Stripe leaves a first payment,
// and the invoice (which only a read of the API can show) is not a paid one.
func (s stripeSubscription) everActive() bool {
	switch s.Status {
	case "trialing", "active", "past_due", "unpaid", "paused":
		return true
	case "canceled":
		const day = 24 * 60 * 60
		return s.TrialStart > 0 || s.LatestInvoice == "paid" || s.EndedAt-max(s.StartDate, s.Created) >= day
	}
	return false
}
