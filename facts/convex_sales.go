package facts

import (
	"errors"
	"strings"
	"time"
)

// Readers of what a Convex export has about sales: products, purchases, subscriptions.

type convexProduct struct {
	convexDoc
	Title           words    `json:"title"`
	Name            words    `json:"name"`        // of bundles
	Price           number   `json:"price"`       // major units, unlike those of purchases
	BundlePrice     number   `json:"bundlePrice"` // major units
	Currency        words    `json:"currency"`
	StoreID         convexID `json:"storeId"`
	UserID          convexID `json:"userId"`
	CreatorID       convexID `json:"creatorId"`
	CourseIDs       idList   `json:"courseIds"`
	ProductIDs      idList   `json:"productIds"`
	StripeProductID convexID `json:"stripeProductId"`
	StripePriceID   convexID `json:"stripePriceId"`
	DeletedAt       number   `json:"deletedAt"`
}

func (x *ConvexExport) readCourse(p *convexProduct) (ConvexRow, error) {
	return x.product(p, "course")
}

func (x *ConvexExport) readDigitalProduct(p *convexProduct) (ConvexRow, error) {
	return x.product(p, "digital")
}

func (x *ConvexExport) readBundle(p *convexProduct) (ConvexRow, error) {
	return x.product(p, "bundle")
}

// product reads a product of the store it names, or of the only store of its creator. A deleted
// product stays, as it was sold.
func (x *ConvexExport) product(d *convexProduct, kind string) (row ConvexRow, err error) {
	user, _ := x.named(d.UserID)
	creator, _ := x.named(d.CreatorID)
	p := Product{
		ID: string(d.ID), Kind: kind, Title: name(first(string(d.Title), string(d.Name))),
		StoreRef: first(string(d.StoreID), user, creator),
		Version:  x.heard(&d.convexDoc),
	}
	if kind == "bundle" {
		p.Items = append(append(p.Items, d.CourseIDs...), d.ProductIDs...)
	}
	if d.StripeProductID != "" {
		p.StripeProductIDs = []string{string(d.StripeProductID)}
	}
	if d.StripePriceID != "" {
		p.StripePriceIDs = []string{string(d.StripePriceID)}
	}
	if d.DeletedAt.time() != nil {
		p.DeletedVersion = x.deleted + Version(d.ID)
	}
	if price := first(string(d.Price), string(d.BundlePrice)); price != "" {
		currency, err := d.Currency.currency()
		amount, unusable := number(price).major(currency)
		if err != nil || unusable != nil {
			row.pass("with a price that is no amount (the rest was read)")
		} else {
			p.PriceAmount, p.PriceCurrency = &amount, currency
		}
	}
	row.Facts.Products = []Product{p}
	return row, d.check()
}

type convexEnrollment struct {
	convexDoc
	CourseID convexID `json:"courseId"`
	UserID   convexID `json:"userId"`
	Progress number   `json:"progress"`
}

func (x *ConvexExport) readEnrollment(d *convexEnrollment) (row ConvexRow, err error) {
	at, err := d.at()
	if err != nil {
		return row, err
	}
	if d.CourseID == "" || d.UserID == "" {
		return row, errors.New("an enrollment needs courseId and userId")
	}
	v := x.heard(&d.convexDoc)
	e := Enrollment{CourseID: string(d.CourseID), Person: x.person(d.UserID), EnrolledAt: at, EnrolledVersion: v,
		Version: v}
	if percent, ok := clampPercent(string(d.Progress)); ok {
		e.Progress, e.ProgressVersion = &percent, v
		e.rise(*at)
	} else if d.Progress != "" {
		row.pass("with a progress that is no number (the rest was read)")
	}
	row.Facts.Enrollments = []Enrollment{e}
	return row, nil
}

// person returns the person of a document, as part of an enrollment's key.
func (x *ConvexExport) person(id convexID) string {
	user, email := x.named(id)
	if email != "" {
		return "email:" + email
	}
	return "user:" + user
}

type convexPurchase struct {
	convexDoc
	UserID        convexID `json:"userId"`
	CustomerID    convexID `json:"customerId"`
	CourseID      convexID `json:"courseId"`
	ProductID     convexID `json:"productId"`
	BundleID      convexID `json:"bundleId"`
	StoreID       convexID `json:"storeId"` // in old rows the owner's user id
	ProductType   words    `json:"productType"`
	Amount        number   `json:"amount"` // minor units
	Currency      words    `json:"currency"`
	Status        words    `json:"status"`
	TransactionID convexID `json:"transactionId"` // the payment intent
	IntentID      convexID `json:"stripePaymentIntentId"`
	PaymentID     convexID `json:"paymentIntentId"`
	PurchaseID    convexID `json:"stripePurchaseId"` // a payment intent or a Checkout session
	SessionID     convexID `json:"stripeSessionId"`
	CheckoutID    convexID `json:"stripeCheckoutSessionId"`
	PurchaseDate  number   `json:"purchaseDate"` // milliseconds
	PurchasedAt   number   `json:"purchasedAt"`  // milliseconds
}

// stripeIDs are the ids that Stripe may have for the purchase.
func (d *convexPurchase) stripeIDs() []convexID {
	return []convexID{d.TransactionID, d.IntentID, d.PaymentID, d.PurchaseID, d.SessionID, d.CheckoutID}
}

// transaction is the payment intent, or an id that is not Stripe's.
func (d *convexPurchase) transaction() string {
	for _, id := range d.stripeIDs() {
		if id != "" && !strings.HasPrefix(string(id), sessionPrefix) {
			return string(id)
		}
	}
	return ""
}

const sessionPrefix = "cs_"

// session is the purchase's Checkout session in Stripe.
func (d *convexPurchase) session() string {
	for _, id := range d.stripeIDs() {
		if strings.HasPrefix(string(id), sessionPrefix) {
			return string(id)
		}
	}
	return ""
}

// boughtAt returns the time of the purchase, if known.
func (d *convexPurchase) boughtAt() *time.Time {
	if t := d.PurchaseDate.time(); t != nil {
		return t
	}
	return d.PurchasedAt.time()
}

// state reports whether a purchase was completed and whether it was refunded later, or else why it
// does not count. Rows of a schema without a status are complete if they have an amount and a
// purchase date or a Stripe id.
func (d *convexPurchase) state() (completed, refunded bool, why string) {
	switch status := strings.ToLower(strings.TrimSpace(string(d.Status))); status {
	case "completed", "complete", "succeeded", "paid":
		return true, false, ""
	case "refunded":
		return true, true, ""
	case "":
		if d.Amount == "" || d.boughtAt() == nil && d.transaction() == "" && d.session() == "" {
			return false, false, "without a status, or else an amount and a date of purchase or a Stripe id"
		}
		return true, false, ""
	case "pending", "processing", "failed", "expired", "cancelled", "canceled", "incomplete":
		return false, false, "not completed (" + status + ")"
	}
	return false, false, "of a status that is not known (known are completed, refunded, pending, failed)"
}

// readPurchase reads a purchase: money, an enrollment, or both. Only completed purchases count.
func (x *ConvexExport) readPurchase(d *convexPurchase) (row ConvexRow, err error) {
	completed, refunded, why := d.state()
	if !completed {
		row.pass(why)
		return row, d.check()
	}
	at, err := d.at()
	if err != nil {
		return row, err
	}
	if t := d.boughtAt(); t != nil {
		at = t
	}
	paid, err := d.Amount.minorIn("amount", d.Currency)
	if err != nil {
		return row, err
	}
	amount := paid.Amount
	if d.CourseID != "" && d.UserID != "" {
		row.Facts.Enrollments = []Enrollment{x.enrolledBy(d, at)}
	}
	if d.isItem(amount) {
		return row, nil
	}
	p := x.payment(d, paid, at)
	row.Facts.Payments = []Payment{p}
	if refunded && amount > 0 {
		row.Facts.Refunds = []Refund{x.refund(&d.convexDoc, "convex:"+string(d.ID), p.ID, amount, p.Currency)}
	}
	return row, nil
}

// isItem reports whether the row has no money: a free course, or a part of a purchase whose money
// is in another row with the same transaction.
func (d *convexPurchase) isItem(amount int64) bool {
	return amount == 0 && (d.CourseID != "" || d.ProductID != "" && d.transaction() != "")
}

// enrolledBy returns the enrollment of a course's purchase. The enrollments table overrides it.
func (x *ConvexExport) enrolledBy(d *convexPurchase, at *time.Time) Enrollment {
	v := x.created + Version(d.ID)
	e := Enrollment{CourseID: string(d.CourseID), Person: x.person(d.UserID), EnrolledAt: at, EnrolledVersion: v,
		Version: v}
	if d.StoreID != "" {
		e.StoreRef, e.StoreVersion = string(d.StoreID), v
	}
	return e
}

// payment keys the money by payment intent, so that Stripe's own data replaces it.
func (x *ConvexExport) payment(d *convexPurchase, paid Money, at *time.Time) Payment {
	user, email := x.named(d.UserID)
	p := Payment{
		ID: string(d.ID), ClaimedBy: string(d.ID), Kind: "purchase", Paid: true, Amount: &paid.Amount,
		Currency: paid.Currency,
		Context: Context{
			StoreRef: string(d.StoreID), UserRef: user, Email: email, StripeCustomer: string(d.CustomerID),
			ProductType: string(d.ProductType),
		},
		PaidAt: at, ClaimVersion: x.claimed + Version(d.ID),
	}
	if id := first(d.transaction(), d.session()); id != "" && paid.Amount > 0 {
		p.ID = id
	}
	kind := kindOfType(string(d.ProductType))
	switch {
	case d.BundleID != "" && (kind == "bundle" || d.CourseID == "" && d.ProductID == ""):
		p.ProductRef, p.ProductKind = string(d.BundleID), "bundle"
	case d.CourseID != "":
		p.ProductRef, p.ProductKind, p.Named = string(d.CourseID), "course", []Line{{Ref: string(d.CourseID), Kind: "course"}}
	case d.ProductID != "":
		p.ProductRef, p.ProductKind = string(d.ProductID), kind
	}
	return p
}

type convexRefund struct {
	convexDoc
	OrderID        convexID `json:"orderId"`
	RefundAmount   number   `json:"refundAmount"` // minor units
	Currency       words    `json:"currency"`
	Status         words    `json:"status"`
	StripeRefundID convexID `json:"stripeRefundId"`
}

// readRefund reads a completed refund of a known order.
func (x *ConvexExport) readRefund(d *convexRefund) (row ConvexRow, err error) {
	switch strings.ToLower(string(d.Status)) {
	case "completed", "processed", "succeeded", "refunded":
	default:
		row.pass("not carried out")
		return row, d.check()
	}
	if d.OrderID == "" {
		row.pass("without an orderId")
		return row, d.check()
	}
	if err := d.check(); err != nil {
		return row, err
	}
	given, err := d.RefundAmount.minorIn("refundAmount", d.Currency)
	if err != nil {
		return row, err
	}
	id := first(string(d.StripeRefundID), ref("convex:"+string(d.ID)))
	row.Facts.Refunds = []Refund{x.refund(&d.convexDoc, id, string(d.OrderID), given.Amount, given.Currency)}
	row.Facts.Payments = []Payment{{ID: string(d.OrderID)}} // a bare row, as a refund from Stripe makes
	return row, nil
}

func (x *ConvexExport) refund(d *convexDoc, id, payment string, amount int64, currency string) Refund {
	return Refund{
		ID: id, PaymentIntent: payment, Amount: amount, Currency: currency, Status: "succeeded",
		SaidAt: x.asOf, Version: x.heard(d),
	}
}

// convexMembership is a row of any subscription table.
type convexMembership struct {
	convexDoc
	UserID               convexID `json:"userId"`
	CustomerID           convexID `json:"customerId"`
	CreatorID            convexID `json:"creatorId"`
	StoreID              convexID `json:"storeId"`
	PlanID               convexID `json:"planId"`
	TierID               convexID `json:"tierId"`
	PlanName             words    `json:"planName"`
	Status               words    `json:"status"`
	Amount               number   `json:"amount"` // minor units per period
	Currency             words    `json:"currency"`
	StripeSubscriptionID convexID `json:"stripeSubscriptionId"`
	SubscriptionID       convexID `json:"subscriptionId"`
	StartedAt            number   `json:"createdAt"`
	PeriodEnd            number   `json:"currentPeriodEnd"`
	CanceledAt           number   `json:"canceledAt"`
	CancelAtPeriodEnd    flag     `json:"cancelAtPeriodEnd"`
}

// readMembership reads a subscription without its money, which comes from Stripe's invoices. The
// former app invented the period's end of subscriptions that Stripe bills, so that is not read.
func (x *ConvexExport) readMembership(d *convexMembership) (row ConvexRow, err error) {
	at, err := d.at()
	if err != nil {
		return row, err
	}
	status := subscriptionStatus(string(d.Status))
	if status == "" {
		return row, errors.New("the subscription has no status")
	}
	stripe := first(string(d.StripeSubscriptionID), string(d.SubscriptionID))
	user, email := x.named(d.UserID)
	creator, _ := x.named(d.CreatorID)
	s := Subscription{
		ID: first(stripe, ref("convex:"+string(d.ID))), Status: status,
		Context: Context{
			StoreRef: string(d.StoreID), UserRef: user, Email: email, CreatorRef: creator,
			StripeCustomer: string(d.CustomerID), ProductRef: first(string(d.PlanID), string(d.TierID)),
		},
		PlanName: name(string(d.PlanName)), StartedAt: at, CancelAtPeriodEnd: bool(d.CancelAtPeriodEnd),
		Version: x.heard(&d.convexDoc), EverActive: status != "incomplete" && status != "incomplete_expired",
	}
	if s.ProductRef != "" {
		s.ProductKind = "membership"
	}
	if t := d.StartedAt.time(); t != nil {
		s.StartedAt = t
	}
	if stripe == "" {
		s.CurrentPeriodEnd = d.PeriodEnd.time()
	}
	if status == "canceled" {
		s.EndedAt = d.CanceledAt.time()
	}
	if d.Amount != "" {
		if price, err := d.Amount.minorIn("amount", d.Currency); err != nil {
			row.pass("with an amount that is none (the rest was read)")
		} else {
			s.Amount, s.Currency = &price.Amount, price.Currency
		}
	}
	row.Facts.Subscriptions = []Subscription{s}
	return row, nil
}

// subscriptionStatus maps a status to Stripe's term.
func subscriptionStatus(s string) string {
	switch s = strings.ToLower(strings.TrimSpace(s)); s {
	case "cancelled", "canceled", "expired", "ended":
		return "canceled"
	case "pending":
		return "incomplete"
	}
	return ref(s)
}
