package facts

import (
	"slices"
	"strconv"
	"time"
)

// The fact types. Each is one row of the table of the same name; the JSON names
// are the columns. A row is keyed by the source's own id, with the Connect
// account where the id is one's own. A thing that a version names (a store, an
// address, the lines) stays until a greater version names another: what a message
// leaves out is no news. Empty versions say nothing.
//
// Earlier is how old the things are that an earlier version named last, by the
// first column of each; the rest is of Version. A message has none.

// Earlier are versions by the first column of the thing that they named.
type Earlier map[string]Version

// User is a person as Clerk knows them.
type User struct {
	ID             string     `json:"id"`
	Email          string     `json:"email,omitempty"` // verified, the primary if that is; else empty
	Name           string     `json:"name,omitempty"`
	ImageURL       string     `json:"image_url,omitempty"`
	TimeZone       string     `json:"time_zone,omitempty"`    // as the tz database names it
	LastSeenAt     *time.Time `json:"last_seen_at,omitempty"` // the latest one counts
	Version        Version    `json:"version"`
	Earlier        Earlier    `json:"earlier,omitempty"`
	DeletedVersion Version    `json:"deleted_version"`
}

// StripeCustomer is a cus_… object; one person may have many.
type StripeCustomer struct {
	Account        string  `json:"account"`
	ID             string  `json:"id"`
	Email          string  `json:"email,omitempty"`
	Name           string  `json:"name,omitempty"`
	Version        Version `json:"version"`
	Earlier        Earlier `json:"earlier,omitempty"`
	DeletedVersion Version `json:"deleted_version"`
}

// Store is a creator's shop.
type Store struct {
	ID              string   `json:"id"`
	Name            string   `json:"name,omitempty"`
	OwnerUserID     string   `json:"owner_user_id,omitempty"`
	MemberUserIDs   []string `json:"member_user_ids"` // who may see its list beside the owner; sorted; nil says nothing
	StripeAccountID string   `json:"stripe_account_id,omitempty"`
	TimeZone        string   `json:"time_zone,omitempty"` // as the tz database names it
	Version         Version  `json:"version"`
	Earlier         Earlier  `json:"earlier,omitempty"`
	Withdrawn       []string `json:"-"` // JSON names of the links that it says are no more: null, "" or [] was written
}

// Product is anything that can be enrolled in or bought.
type Product struct {
	ID               string   `json:"id"`
	StoreRef         string   `json:"store_ref,omitempty"` // a store's id, or (old rows) its owner's
	Kind             string   `json:"kind,omitempty"`
	Title            string   `json:"title,omitempty"`
	PriceAmount      *int64   `json:"price_amount,omitempty"` // minor units
	PriceCurrency    string   `json:"price_currency,omitempty"`
	Items            []string `json:"items"` // of a bundle: product ids; nil says nothing
	StripeProductIDs []string `json:"stripe_product_ids,omitempty"`
	StripePriceIDs   []string `json:"stripe_price_ids,omitempty"`
	Version          Version  `json:"version"`
	Earlier          Earlier  `json:"earlier,omitempty"`
	DeletedVersion   Version  `json:"deleted_version"`
	Withdrawn        []string `json:"-"` // JSON names of the links that it says are no more: null, "" or [] was written
}

// Kinds of Product.
var Kinds = []string{"course", "digital", "bundle", "coaching", "membership", "other"}

// Enrollment is a course × a person, as the platform says it. What an event
// leaves out it does not change, so each optional column has its own version.
type Enrollment struct {
	CourseID        string     `json:"course_id"`
	Person          string     `json:"person"`          // "user:…" or "email:…"
	Email           string     `json:"email,omitempty"` // beside a user's id; an address that is the person stays there
	EmailVersion    Version    `json:"email_version"`
	StoreRef        string     `json:"store_ref,omitempty"`
	StoreVersion    Version    `json:"store_version"`
	Name            string     `json:"name,omitempty"`
	NameVersion     Version    `json:"name_version"`
	Progress        *float64   `json:"progress,omitempty"` // percent
	ProgressVersion Version    `json:"progress_version"`
	EnrolledAt      *time.Time `json:"enrolled_at,omitempty"`
	EnrolledVersion Version    `json:"enrolled_version"`
	CompletedAt     *time.Time `json:"completed_at,omitempty"`
	// CompletedWithProgress: the message told both, so a lower progress told later
	// takes the completion back.
	CompletedWithProgress bool       `json:"completed_with_progress,omitempty"`
	CompletedVersion      Version    `json:"completed_version"`
	PeakProgress          *float64   `json:"peak_progress,omitempty"` // the greatest one counts,
	ProgressedAt          *time.Time `json:"progressed_at,omitempty"` // as of when it was told first
	SaidAt                *time.Time `json:"said_at,omitempty"`       // latest upsert
	FirstSaidAt           *time.Time `json:"first_said_at,omitempty"` // earliest upsert
	Version               Version    `json:"version"`
	DeletedVersion        Version    `json:"deleted_version"`
}

// Context is what an object says of where it belongs: the ids it names, not yet
// looked up, and its own idea of the buyer.
type Context struct {
	StoreRef       string  `json:"store_ref,omitempty"`   // a store's id, or its owner's
	ProductRef     string  `json:"product_ref,omitempty"` // ours, from metadata
	ProductKind    string  `json:"product_kind,omitempty"`
	ProductType    string  `json:"product_type,omitempty"` // metadata productType, as written
	Plan           string  `json:"plan,omitempty"`
	UserRef        string  `json:"user_ref,omitempty"`
	CreatorRef     string  `json:"creator_ref,omitempty"`
	StripeCustomer string  `json:"stripe_customer,omitempty"`
	Email          string  `json:"email,omitempty"`
	Name           string  `json:"name,omitempty"`
	Named          []Line  `json:"named,omitempty"`   // products that metadata names beside ProductRef
	Lines          []Line  `json:"lines,omitempty"`   // what is sold, piece by piece
	Earlier        Earlier `json:"earlier,omitempty"` // of what an object says, that of the whole object
}

// Catalogue lists the Stripe price and product ids of what is sold.
func (c Context) Catalogue() (ids []string) {
	for _, l := range slices.Concat(c.Named, c.Lines) {
		ids = append(ids, l.Stripe...)
	}
	return ids
}

// Line is one product of a sale or a subscription, as told: by our id, by ids of
// Stripe's, or both.
type Line struct {
	Ref           string   `json:"ref,omitempty"` // ours, from metadata
	Kind          string   `json:"kind,omitempty"`
	Stripe        []string `json:"stripe,omitempty"`   // price and product ids
	Amount        *int64   `json:"amount,omitempty"`   // minor units, of all of the line; of a subscription, per period
	Quantity      int64    `json:"quantity,omitempty"` // 0: not told
	Interval      string   `json:"interval,omitempty"` // of a price: day, week, month, year
	IntervalCount int64    `json:"interval_count,omitempty"`

	Discount *Discount `json:"discount,omitempty"` // of this item alone; taken off Amount
}

// Intent is what a payment intent says, whoever claims its money.
type Intent struct {
	Context
	Received   *int64 `json:"received,omitempty"` // minor units that it brought; nil: it did not succeed
	Currency   string `json:"currency,omitempty"`
	Uncaptured int64  `json:"uncaptured,omitempty"` // what was authorized and never taken
}

// Claims on a payment's money. A greater one replaces a lesser one whole, so a
// payment told by several objects counts once, in any order.
const (
	claimHeard    = 0 // told by an export: less than anybody's own word, even that it is unpaid
	claimUnpaid   = 1 // a checkout not paid yet
	claimRecorded = 2 // told by the platform
	claimIntent   = 3 // a payment intent that itself names a product
	claimCheckout = 4 // a paid Checkout session, or a paid invoice
	claimItemised = 5 // a paid session that names no product, but whose line items were read
)

// Says is what the intent says of where it belongs; nil of none.
func (i *Intent) Says() *Context {
	if i == nil {
		return nil
	}
	return &i.Context
}

// Payment is one line of the money ledger, keyed by payment intent, by paid
// invoice, by the session of an order without a payment, or by the platform's
// own purchase id. A row without a claim is a bare payment intent: no income,
// it only links refunds and disputes to their payment.
type Payment struct {
	Account      string  `json:"account"`
	ID           string  `json:"id"`
	ClaimVersion Version `json:"claim_version"` // the claim's rank, then its version
	ClaimedBy    string  `json:"claimed_by,omitempty"`
	Kind         string  `json:"kind,omitempty"` // checkout, invoice, intent, purchase
	Paid         bool    `json:"claim_paid"`
	Amount       *int64  `json:"claim_amount,omitempty"` // minor units
	Currency     string  `json:"claim_currency,omitempty"`
	Context
	Subscription       string     `json:"subscription,omitempty"` // of an invoice
	PaidAt             *time.Time `json:"paid_at,omitempty"`
	Intent             *Intent    `json:"intent,omitempty"`
	IntentVersion      Version    `json:"intent_version"`
	Charge             *Context   `json:"charge,omitempty"` // what the charge says of the buyer, where better sources are silent
	ChargeVersion      Version    `json:"charge_version"`
	Invoice            string     `json:"invoice,omitempty"` // of a payment intent: whose money this also is
	InvoiceVersion     Version    `json:"invoice_version"`
	Destination        string     `json:"destination,omitempty"` // account the money is passed on to
	DestinationVersion Version    `json:"destination_version"`
}

func claim(rank int, v Version) Version { return Version(strconv.Itoa(rank)) + " " + v }

// Refund is a refund object (re_…), or, with Cumulative, what a charge (ch_…)
// says has been refunded of it so far.
type Refund struct {
	Account       string     `json:"account"`
	ID            string     `json:"id"`
	Charge        string     `json:"charge,omitempty"`
	PaymentIntent string     `json:"payment_intent,omitempty"`
	Cumulative    bool       `json:"cumulative"`
	ChargeAmount  *int64     `json:"charge_amount,omitempty"` // of a total: what was charged, to tell the share refunded
	Captured      *int64     `json:"captured,omitempty"`      // of that, what was taken: the rest is no refund
	Amount        int64      `json:"amount"`                  // minor units
	Currency      string     `json:"currency"`
	Status        string     `json:"status,omitempty"`
	CreatedAt     *time.Time `json:"created_at,omitempty"`
	SaidAt        time.Time  `json:"said_at"` // when the source said so
	Version       Version    `json:"version"`
}

// Dispute is a chargeback or an inquiry. Withdrawn: its money is gone for now.
type Dispute struct {
	Account       string  `json:"account"`
	ID            string  `json:"id"`
	Charge        string  `json:"charge,omitempty"`
	PaymentIntent string  `json:"payment_intent,omitempty"`
	Amount        int64   `json:"amount"`
	Currency      string  `json:"currency"`
	Status        string  `json:"status"`
	Withdrawn     bool    `json:"withdrawn"`
	Version       Version `json:"version"`
}

// Subscription is a Stripe subscription, with what the Checkout session that
// began it says beside it: either may come first, and only the session may say
// that it is a sale of the platform itself.
type Subscription struct {
	Account     string   `json:"account"`
	ID          string   `json:"id"`
	Status      string   `json:"status,omitempty"`
	StatusMoves []string `json:"status_moves,omitempty"` // see Move
	Context
	Destination       string        `json:"destination,omitempty"`
	Amount            *int64        `json:"amount,omitempty"` // minor units per period, discounts taken off; nil: not told
	Currency          string        `json:"currency,omitempty"`
	PlanName          string        `json:"plan_name,omitempty"`
	StartedAt         *time.Time    `json:"started_at,omitempty"`
	CurrentPeriodEnd  *time.Time    `json:"current_period_end,omitempty"`
	CancelAtPeriodEnd bool          `json:"cancel_at_period_end"` // it is to end, at CancelAt or with the period
	CancelAt          *time.Time    `json:"cancel_at,omitempty"`
	Cancellation      *Cancellation `json:"cancellation,omitempty"`
	Paused            bool          `json:"paused"`
	Discount          *Discount     `json:"discount,omitempty"`
	EndedAt           *time.Time    `json:"ended_at,omitempty"`
	Version           Version       `json:"version"`
	EverActive        bool          `json:"ever_active"` // once true, true for good
	Checkout          *Context      `json:"checkout,omitempty"`
	CheckoutAt        *time.Time    `json:"checkout_at,omitempty"`
	CheckoutVersion   Version       `json:"checkout_version"`
}

// Move writes down that an event changed a status: of several in one second, the
// one whose end no other begins with came last.
func Move(from, to, event string) string { return from + ">" + to + " " + event }

// Cancellation is why a subscription ends, as Stripe words it.
type Cancellation struct {
	Reason   string `json:"reason,omitempty"`   // cancellation_requested, payment_failed, …
	Feedback string `json:"feedback,omitempty"` // too_expensive, unused, …
}

// Discount is what a subscription is cheaper by.
type Discount struct {
	PercentOff float64 `json:"percent_off,omitempty"`
	AmountOff  int64   `json:"amount_off,omitempty"` // minor units per period
}

// Checkout is a Checkout session that is worth keeping beside what it sold: it
// expired, was recovered, or asked for consent to promotions.
type Checkout struct {
	Account string `json:"account"`
	ID      string `json:"id"`
	Status  string `json:"status,omitempty"`
	Context
	Amount        *int64     `json:"amount,omitempty"` // minor units
	Currency      string     `json:"currency,omitempty"`
	RecoveryURL   string     `json:"recovery_url,omitempty"`
	RecoveryUntil *time.Time `json:"recovery_until,omitempty"`
	RecoveredFrom string     `json:"recovered_from,omitempty"` // the session that expired
	Promotions    string     `json:"promotions,omitempty"`     // opt_in, opt_out
	StartedAt     *time.Time `json:"started_at,omitempty"`
	Version       Version    `json:"version"`
}

// FailedInvoice is the latest failed attempt at an invoice's payment.
type FailedInvoice struct {
	Account        string     `json:"account"`
	ID             string     `json:"id"`
	Subscription   string     `json:"subscription,omitempty"`
	StripeCustomer string     `json:"stripe_customer,omitempty"`
	Attempts       int64      `json:"attempts"`
	NextAttemptAt  *time.Time `json:"next_attempt_at,omitempty"`
	HostedURL      string     `json:"hosted_url,omitempty"`
	AmountDue      int64      `json:"amount_due"`
	Currency       string     `json:"currency,omitempty"`
	Version        Version    `json:"version"`
	Earlier        Earlier    `json:"earlier,omitempty"`
}

// rise notes the progress as the greatest so far, told at a time.
func (e *Enrollment) rise(at time.Time) {
	if e.Progress != nil && *e.Progress > 0 {
		e.PeakProgress, e.ProgressedAt = e.Progress, &at
	}
}
