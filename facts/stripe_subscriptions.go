package facts

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Stripe subscriptions, their items and discounts.

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
	Plan              *stripePrice // in old versions, with one item
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

// present reports whether there is an object.
type present bool

func (p *present) UnmarshalJSON(b []byte) error {
	*p = len(b) > 0 && b[0] == '{'
	return nil
}

// stripeDiscount is an expanded discount; a bare id reads as empty.
type stripeDiscount struct {
	Coupon *stripeCoupon
	Source struct{ Coupon *stripeCoupon } // since clover
}

type stripeCoupon struct {
	PercentOff float64 `json:"percent_off"`
	AmountOff  minor   `json:"amount_off"`
	Duration   text    // forever, or how long it lasts
}

func (d *stripeDiscount) UnmarshalJSON(b []byte) error {
	type whole stripeDiscount
	_ = json.Unmarshal(b, (*whole)(d)) // a bare id stays empty
	return nil
}

// discountOf combines discounts; nil if none is known.
func discountOf(all []stripeDiscount) *Discount {
	d := combined(all, func(stripeCoupon) bool { return true })
	if d != nil {
		d.Forever = combined(all, func(c stripeCoupon) bool { return c.Duration == "forever" })
	}
	return d
}

// combined combines the discounts whose coupons count; nil if there are none.
func combined(all []stripeDiscount, counts func(stripeCoupon) bool) (d *Discount) {
	for _, one := range all {
		c := cmp.Or(one.Coupon, one.Source.Coupon)
		if c == nil || !counts(*c) || !(c.PercentOff > 0 && c.PercentOff <= 100) && c.AmountOff.value <= 0 {
			continue
		}
		if d == nil {
			d = &Discount{}
		}
		d.PercentOff = min(100, d.PercentOff+c.PercentOff*(1-d.PercentOff/100)) // one after the other
		d.AmountOff = min(maxAmount, d.AmountOff+c.AmountOff.value)
	}
	return d
}

// off subtracts a discount from an amount.
func (d *Discount) off(amount int64) int64 {
	if d == nil {
		return amount
	}
	return max(0, int64(math.Round(float64(amount)*(1-d.PercentOff/100)))-d.AmountOff)
}

// since returns when the current period began, which is the last renewal.
func (s stripeSubscription) since() unix {
	at := max(s.Created, s.PeriodStart)
	for _, item := range s.Items.Data {
		at = max(at, item.PeriodStart)
	}
	return at
}

// readSubscription reads a subscription. canceled_at is only the time of the request; the end is
// the status canceled, with ended_at.
func readSubscription(o origin, s stripeSubscription) (Set, error) {
	if s.Status == "" {
		return Set{}, errors.New("the subscription has no status")
	}
	rank := subscriptionRank(o.typ, string(s.Status))
	sub := Subscription{
		Account: o.account, ID: string(s.ID), Status: string(s.Status), Context: contextOf(s.Metadata),
		Destination: passedOn(s.TransferData, s.OnBehalfOf), Currency: currency(s.Currency),
		StartedAt: max(s.StartDate, 0).time(), EndedAt: s.EndedAt.time(),
		CancelAtPeriodEnd: bool(s.CancelAtPeriodEnd) || s.CancelAt > 0, CancelAt: s.CancelAt.time(),
		Cancellation: s.Cancellation,
		Paused:       bool(s.PauseCollection || s.Pause), Version: o.version(rank), EverActive: s.everActive(),
	}
	sub.StripeCustomer = string(s.Customer)
	if sub.StartedAt == nil {
		sub.StartedAt = cmp.Or(s.Created.time(), &o.at)
	}
	notes := s.readItems(&sub)
	if rank == rankUpdated {
		sub.order(o)
	}
	return Set{Subscriptions: []Subscription{sub}, Notes: notes}, nil
}

// subscriptionThings maps the groups that an update can change (by first column) to the object's
// fields.
var subscriptionThings = map[string][]string{
	"status":               {"status"},
	"cancel_at_period_end": {"cancel_at_period_end", "cancel_at", "cancellation_details"},
	"current_period_end":   {"current_period_end", "items"},
	"paused":               {"pause_collection", "pause"},
	"lines":                {"items", "plan", "quantity", "discount", "discounts"},
}

// order sorts updates of the same second: a changed value is newer than a repeated one.
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

// saysWhat reports whether the subscription names a product.
func (s *Subscription) saysWhat() bool {
	return len(s.Lines) > 0 || s.Amount != nil || s.PlanName != "" || s.Discount != nil
}

// invoiceStatus is the status of an expanded invoice; a bare id has none.
type invoiceStatus string

func (i *invoiceStatus) UnmarshalJSON(b []byte) error {
	var whole struct{ Status text }
	if json.Unmarshal(b, &whole) == nil {
		*i = invoiceStatus(whole.Status)
	}
	return nil
}

// readItems reads the items, their cost per period, and the end of the current period. A price
// without an amount (tiered or metered) leaves the cost unknown. So does an amount above the
// maximum, with a note.
func (s stripeSubscription) readItems(sub *Subscription) (notes []string) {
	end := s.CurrentPeriodEnd
	items := s.Items.Data
	if len(items) == 0 && s.Plan != nil {
		items = []subscriptionItem{{Price: s.Plan}}
	}
	amount, known := int64(0), len(items) > 0
	for i, item := range items {
		end = max(end, item.CurrentPeriodEnd)
		l := item.line()
		sub.Context = sub.Context.or(whose(item.Metadata))
		sub.Lines = append(sub.Lines, l)
		price := cmp.Or(item.Price, item.Plan, &stripePrice{})
		sub.PlanName = first(sub.PlanName, name(string(price.Nickname)), name(string(price.LookupKey)))
		if unit := item.unit().orNil(); l.Amount == nil && unit != nil {
			notes = append(notes, fmt.Sprintf("items.data.%d: %d times %d %s", i, l.Quantity, *unit, noAmount))
		}
		if l.Amount == nil || amount > maxAmount {
			known = false
		} else {
			amount += *l.Amount
		}
	}
	if amount > maxAmount {
		known, notes = false, append(notes, "items: their sum "+noAmount)
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
	return notes
}

// unit returns the item's unit price; nil if the price has no amount.
func (i subscriptionItem) unit() *minor {
	price := cmp.Or(i.Price, i.Plan, &stripePrice{})
	return cmp.Or(price.UnitAmount, price.Amount)
}

// line returns the item with its cost per period, less its own discounts.
func (i subscriptionItem) line() Line {
	price := cmp.Or(i.Price, i.Plan, &stripePrice{})
	l := price.line(i.Metadata)
	l.Quantity = 1
	if i.Quantity != nil {
		l.Quantity = i.Quantity.value
	}
	if unit := i.unit().orNil(); unit != nil {
		l.Discount = discountOf(i.Discounts)
		if full, ok := times(*unit, l.Quantity); ok {
			amount := l.Discount.off(full)
			l.Amount = &amount
			if l.Discount != nil {
				regular := l.Discount.Forever.off(full)
				l.Regular = &regular
			}
		}
	}
	return l
}

// subscriptionRank ranks terminal states above others of the same second.
func subscriptionRank(eventType, status string) int {
	if status == "canceled" || status == "incomplete_expired" {
		return max(rankFinal, rankOf(eventType))
	}
	return min(rankOf(eventType), rankUpdated)
}

// everActive reports whether the object shows that the subscription once ran. Unpaid and paused
// only follow trialing, active or past_due. So does canceled, with one exception: cancellation
// within the day that Stripe allows for the first payment, unless the invoice (only in the API) is
// paid.
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
