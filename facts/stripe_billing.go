package facts

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
)

// Stripe Billing: invoices and subscriptions, whose shape changed most with
// 2025-03-31 (basil).

type stripeInvoice struct {
	stripeObject
	AmountPaid          minor `json:"amount_paid"`
	AmountDue           minor `json:"amount_due"`
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

// line is what the invoice's line is for, in any shape.
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
	out.Amount, out.Quantity = l.Amount.orNil(), int64(l.Quantity)
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
	c := contextOf(in.Metadata).or(contextOf(in.details().Metadata))
	for _, l := range in.Lines.Data {
		c = c.or(whose(l.Metadata))
		if line := l.line(); line.Ref != "" || len(line.Stripe) > 0 {
			c.Lines = append(c.Lines, line)
		}
	}
	c.StripeCustomer, c.Email, c.Name = string(in.Customer), Email(string(in.CustomerEmail)), name(string(in.CustomerName))
	return c
}

// whose is what the metadata of a part says of the whole: all but the product,
// which is the part's.
func whose(m metadata) Context {
	c := contextOf(m)
	c.ProductRef, c.ProductKind, c.Named = "", "", nil
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

// readFailedInvoice reads, beside what it belongs to, when Stripe tries again and
// where the buyer can pay.
func readFailedInvoice(o origin, in stripeInvoice) (Set, error) {
	set, err := readInvoiceLink(o, in)
	if err != nil || in.Attempts == 0 || in.Status == "void" {
		return set, err
	}
	set.FailedInvoices = []FailedInvoice{{
		Account: o.account, ID: in.id(), Subscription: string(in.details().Subscription), StripeCustomer: string(in.Customer),
		Attempts: int64(in.Attempts), NextAttemptAt: in.NextAttemptAt.time(), HostedURL: string(in.HostedURL),
		AmountDue: int64(in.AmountDue), Currency: currency(in.Currency), Version: o.version(rankUpdated),
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
	CancelAtPeriodEnd flag          `json:"cancel_at_period_end"`
	CancelAt          unix          `json:"cancel_at"`
	Cancellation      *Cancellation `json:"cancellation_details"`
	PauseCollection   present       `json:"pause_collection"`
	Pause             present       // since endive
	StartDate         unix          `json:"start_date"`
	EndedAt           unix          `json:"ended_at"`
	TrialStart        unix          `json:"trial_start"`
	LatestInvoice     invoiceStatus `json:"latest_invoice"`
	TransferData      *transferData `json:"transfer_data"`
	OnBehalfOf        objectID      `json:"on_behalf_of"`
	Discount          *stripeDiscount
	Discounts         []stripeDiscount
	Metadata          metadata
	Plan              *stripePrice // of old, with one item
	Items             struct{ Data []subscriptionItem }
}

type subscriptionItem struct {
	Quantity         *minor
	CurrentPeriodEnd unix `json:"current_period_end"` // since basil
	PeriodStart      unix `json:"current_period_start"`
	Price            *stripePrice
	Plan             *stripePrice
	Discounts        []stripeDiscount
	Metadata         metadata
}

// present tells whether there is an object.
type present bool

func (p *present) UnmarshalJSON(b []byte) error {
	*p = len(b) > 0 && b[0] == '{'
	return nil
}

// stripeDiscount is a discount given whole; of an id alone nothing is known.
type stripeDiscount struct {
	Coupon *stripeCoupon
	Source struct{ Coupon *stripeCoupon } // since clover
}

type stripeCoupon struct {
	PercentOff float64 `json:"percent_off"`
	AmountOff  minor   `json:"amount_off"`
}

func (d *stripeDiscount) UnmarshalJSON(b []byte) error {
	type whole stripeDiscount
	json.Unmarshal(b, (*whole)(d)) // an id, or a coupon's id: nothing is known of it
	return nil
}

// discountOf adds up discounts; nil if none is known.
func discountOf(all []stripeDiscount) (d *Discount) {
	for _, one := range all {
		c := cmp.Or(one.Coupon, one.Source.Coupon)
		if c == nil || !(c.PercentOff > 0 && c.PercentOff <= 100) && c.AmountOff <= 0 {
			continue
		}
		if d == nil {
			d = &Discount{}
		}
		d.PercentOff = min(100, d.PercentOff+c.PercentOff*(1-d.PercentOff/100)) // one after the other
		d.AmountOff += int64(c.AmountOff)
	}
	return d
}

// off takes a discount off an amount.
func (d *Discount) off(amount int64) int64 {
	if d == nil {
		return amount
	}
	return max(0, int64(math.Round(float64(amount)*(1-d.PercentOff/100)))-d.AmountOff)
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
	rank := subscriptionRank(o.typ, string(s.Status))
	sub := Subscription{
		Account: o.account, ID: string(s.ID), Status: string(s.Status), Context: contextOf(s.Metadata),
		Destination: passedOn(s.TransferData, s.OnBehalfOf), Currency: currency(s.Currency),
		StartedAt: unix(max(s.StartDate, 0)).time(), EndedAt: s.EndedAt.time(),
		CancelAtPeriodEnd: bool(s.CancelAtPeriodEnd) || s.CancelAt > 0, CancelAt: s.CancelAt.time(), Cancellation: s.Cancellation,
		Paused: bool(s.PauseCollection || s.Pause), Version: o.version(rank), EverActive: s.everActive(),
	}
	sub.StripeCustomer = string(s.Customer)
	if sub.StartedAt == nil {
		sub.StartedAt = cmp.Or(s.Created.time(), &o.at)
	}
	s.readItems(&sub)
	if rank == rankUpdated {
		sub.order(o)
	}
	return Set{Subscriptions: []Subscription{sub}}, nil
}

// subscriptionThings are what an update can change, by the first column of each
// and the fields of the object that it comes from.
var subscriptionThings = map[string][]string{
	"status":               {"status"},
	"cancel_at_period_end": {"cancel_at_period_end", "cancel_at", "cancellation_details"},
	"current_period_end":   {"current_period_end", "items"},
	"paused":               {"pause_collection", "pause"},
	"lines":                {"items", "plan", "quantity", "discount", "discounts"},
}

// order tells updates of one second apart: what one says it changed is newer
// than what another merely carries.
func (s *Subscription) order(o origin) {
	carried, changed := Earlier{}, false
	for thing, fields := range subscriptionThings {
		switch {
		case o.changed.has(fields...):
			changed = true
		case thing == "current_period_end" && s.CurrentPeriodEnd == nil, thing == "lines" && !s.saysWhat():
		default:
			carried[thing] = s.Version
		}
	}
	if !changed {
		return
	}
	s.Version, s.Earlier = o.version(rankChanged), carried
	if from := o.changed.text("status"); from != "" {
		s.StatusMoves = []string{Move(from, s.Status, o.id)}
	}
}

// saysWhat tells whether it names what is subscribed to.
func (s *Subscription) saysWhat() bool {
	return len(s.Lines) > 0 || s.Amount != nil || s.PlanName != "" || s.Discount != nil
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

// readItems reads what is subscribed to, what a period of it costs and when the
// current one ends. A price without an amount (by tiers, or metered) leaves the
// cost unknown.
func (s stripeSubscription) readItems(sub *Subscription) {
	end := s.CurrentPeriodEnd
	items := s.Items.Data
	if len(items) == 0 && s.Plan != nil {
		items = []subscriptionItem{{Price: s.Plan}}
	}
	amount, known := int64(0), len(items) > 0
	for _, item := range items {
		end = max(end, item.CurrentPeriodEnd)
		l := item.line()
		sub.Context = sub.Context.or(whose(item.Metadata))
		sub.Lines = append(sub.Lines, l)
		price := cmp.Or(item.Price, item.Plan, &stripePrice{})
		sub.PlanName = first(sub.PlanName, name(string(price.Nickname)), name(string(price.LookupKey)))
		if l.Amount == nil {
			known = false
		} else {
			amount += *l.Amount
		}
	}
	sub.PlanName = first(sub.PlanName, sub.Plan)
	all := s.Discounts
	if s.Discount != nil && len(all) == 0 {
		all = []stripeDiscount{*s.Discount}
	}
	if sub.Discount = discountOf(all); known {
		amount = sub.Discount.off(amount)
		sub.Amount = &amount
	}
	sub.CurrentPeriodEnd = end.time()
}

// line is the item with what a period of it costs, its own discounts taken off.
func (i subscriptionItem) line() Line {
	price := cmp.Or(i.Price, i.Plan, &stripePrice{})
	l := price.line(i.Metadata)
	l.Quantity = 1
	if i.Quantity != nil {
		l.Quantity = int64(*i.Quantity)
	}
	if unit := cmp.Or(price.UnitAmount, price.Amount); unit != nil {
		l.Discount = discountOf(i.Discounts)
		amount := l.Discount.off(int64(*unit) * l.Quantity)
		l.Amount = &amount
	}
	return l
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
