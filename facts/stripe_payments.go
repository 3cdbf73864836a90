package facts

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Stripe payments: intents, charges, refunds and disputes.

type transferData struct {
	Destination objectID
}

// passedOn is the account that receives a charge's money.
func passedOn(t *transferData, onBehalfOf objectID) string {
	if t != nil && t.Destination != "" {
		return string(t.Destination)
	}
	return string(onBehalfOf)
}

// link returns the bare row of a payment intent: its invoice and destination. It claims nothing.
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

// readPaymentIntent reads a succeeded intent. If it names a product, it claims its money. Else it
// only confirms the payment of another claim, such as a session with a delayed method or a manual
// capture.
func readPaymentIntent(o origin, pi stripePaymentIntent) (Set, error) {
	p := o.link(pi.ID, pi.Invoice, passedOn(pi.TransferData, pi.OnBehalfOf))
	c := contextOf(pi.Metadata)
	c.StripeCustomer, c.Email = string(pi.Customer), Email(string(pi.ReceiptEmail))
	p.Intent, p.IntentVersion = &Intent{Context: c}, o.version(rankUpdated)
	if received := pi.AmountReceived.value; received > 0 && currency(pi.Currency) != "" {
		p.Intent.Received, p.Intent.Currency = &received, currency(pi.Currency)
		p.Intent.Uncaptured = max(0, pi.Amount.value-received)
	}
	if c.namesProduct() {
		if currency(pi.Currency) == "" {
			return Set{}, errNoCurrency
		}
		p.ClaimedBy, p.Kind, p.Paid = p.ID, "intent", true
		p.Amount, p.Currency, p.Context, p.PaidAt = pi.AmountReceived.ptr(), currency(pi.Currency), c, o.moment(pi.Created)
		p.ClaimVersion = claim(claimIntent, o.version(rankUpdated))
	}
	for _, ch := range append(pi.Charges.Data, stripeCharge(pi.LatestCharge)) { // whole in old API versions, or on request
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
	TransferData   *transferData `json:"transfer_data"`
	OnBehalfOf     objectID      `json:"on_behalf_of"`
	Billing        billing       `json:"billing_details"`
	ReceiptEmail   text          `json:"receipt_email"`
	Metadata       metadata
}

// wholeCharge is an expanded charge; a bare id reads as empty.
type wholeCharge stripeCharge

func (c *wholeCharge) UnmarshalJSON(b []byte) error {
	if strings.HasPrefix(string(b), "{") {
		return json.Unmarshal(b, (*stripeCharge)(c))
	}
	return nil
}

// addBuyer adds the charge's buyer to the row of a payment intent. The address in billing_details
// is used if no other source has one.
func (o origin) addBuyer(p *Payment, ch stripeCharge) {
	c := contextOf(ch.Metadata)
	c.Email, c.Name = Email(first(string(ch.Billing.Email), string(ch.ReceiptEmail))), name(string(ch.Billing.Name))
	c.StripeCustomer, c.Country = string(ch.Customer), string(ch.Billing.Address)
	c.Named = nil // a copy of the intent's own
	if c.Email+c.Country != "" || c.UserRef != "" || c.StripeCustomer != "" || c.StoreRef != "" || c.ProductRef != "" {
		p.Charge, p.ChargeVersion = &c, o.version(rankUpdated)
	}
}

// totalDigits is the width of a charge's total, so that totals compare as text.
const totalDigits = 16

// readCharge reads a charge's refunded total. The total is set, never added. Among totals of one
// second the larger is later. Stripe's total includes money that was authorized but never captured.
func readCharge(o origin, ch stripeCharge) (set Set, err error) {
	if ch.AmountRefunded.value > 0 || o.typ == "charge.refunded" {
		total := fmt.Sprintf("%0*d %s", totalDigits, max(ch.AmountRefunded.value, 0), o.id)
		set.Refunds = []Refund{{
			Account: o.account, ID: string(ch.ID), Charge: string(ch.ID), PaymentIntent: string(ch.PaymentIntent),
			Cumulative: true, ChargeAmount: ch.Amount.ptr(), Captured: ch.AmountCaptured.orNil(),
			Amount: ch.AmountRefunded.value, Currency: currency(ch.Currency),
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

// refundedCharge is a charge's id, or the expanded charge, which shows the refunded share in any
// currency.
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
		ChargeAmount: r.Charge.amount, Amount: r.Amount.value, Currency: currency(r.Currency), Status: string(r.Status),
		CreatedAt: r.Created.time(), SaidAt: o.at, Version: o.version(rank),
	}}}
	return o.withLink(set, r.PaymentIntent), nil
}

// withLink adds the bare row of the payment intent of a refund or dispute.
func (o origin) withLink(set Set, intent objectID) Set {
	if intent != "" {
		set.Payments = append(set.Payments, o.link(intent, "", ""))
	}
	return set
}

// disputeRanks orders a dispute's events within one second.
var disputeRanks = map[string]int{"created": rankCreated, "updated": rankUpdated, "funds_withdrawn": 30 + generation,
	"closed": 40 + generation, "funds_reinstated": 50 + generation}

type stripeDispute struct {
	stripeObject
	Amount              minor
	Currency            text
	Charge              objectID
	PaymentIntent       objectID `json:"payment_intent"`
	Status              text
	BalanceTransactions []struct{ Amount minor } `json:"balance_transactions"`
}

// readDispute reads a dispute. Its balance transactions show whether the money is withdrawn. An
// inquiry (warning_…) moves none; a won dispute returns it. An appeal (appeal_…) follows a lost
// dispute, and the money stays withdrawn until it is won.
func readDispute(o origin, d stripeDispute) (Set, error) {
	var moved float64 // only the sign matters
	for _, t := range d.BalanceTransactions {
		moved += float64(t.Amount.value)
	}
	withdrawn := moved < 0 || d.Status == "lost" || strings.HasPrefix(string(d.Status), "appeal_") ||
		o.typ == "charge.dispute.funds_withdrawn"
	if d.Status == "won" || d.Status == "prevented" || strings.HasPrefix(string(d.Status), "warning_") ||
		o.typ == "charge.dispute.funds_reinstated" {
		withdrawn = false
	}
	rank := disputeRanks[o.typ[strings.LastIndexByte(o.typ, '.')+1:]]
	set := Set{Disputes: []Dispute{{
		Account: o.account, ID: string(d.ID), Charge: string(d.Charge), PaymentIntent: string(d.PaymentIntent),
		Amount: d.Amount.value, Currency: currency(d.Currency), Status: string(d.Status), Withdrawn: withdrawn,
		Version: o.version(rank),
	}}}
	return o.withLink(set, d.PaymentIntent), nil
}
