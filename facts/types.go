package facts

import (
	"slices"
	"strconv"
	"time"
)

// The fact types. Each is a row of the table of the same name; the JSON names are the columns. Its
// key is the source's own id, plus the Connect account where ids are per account. A group of fields
// (a store, an address, the lines) stays until a greater version sets it again: a field that a
// message leaves out does not change. Empty versions have no facts.
//
// Earlier holds versions of groups that an earlier version set last, by their first columns; the
// other groups have Version. A message has none.

// Earlier maps the first column of a group to its version.
type Earlier map[string]Version

// User is a Clerk user.
type User struct {
	ID             string     `json:"id"`
	Email          string     `json:"email,omitempty"` // verified, preferably the primary one; else empty
	Name           string     `json:"name,omitempty"`
	ImageURL       string     `json:"image_url,omitempty"`
	TimeZone       string     `json:"time_zone,omitempty"`    // from the tz database
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

// Store is a creator's store.
type Store struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	OwnerUserID string `json:"owner_user_id,omitempty"`
	// people with access to its list besides the owner; sorted; nil: no information
	MemberUserIDs   []string `json:"member_user_ids"`
	StripeAccountID string   `json:"stripe_account_id,omitempty"`
	TimeZone        string   `json:"time_zone,omitempty"` // from the tz database
	Version         Version  `json:"version"`
	Earlier         Earlier  `json:"earlier,omitempty"`
	Withdrawn       []string `json:"-"` // JSON names of removed links, sent as null, "" or []
}

// Product can be enrolled in or bought.
type Product struct {
	ID               string   `json:"id"`
	StoreRef         string   `json:"store_ref,omitempty"` // a store's id, or in old rows its owner's
	Kind             string   `json:"kind,omitempty"`
	Title            string   `json:"title,omitempty"`
	PriceAmount      *int64   `json:"price_amount,omitempty"` // minor units
	PriceCurrency    string   `json:"price_currency,omitempty"`
	Items            []string `json:"items"` // product ids of a bundle; nil: no information
	StripeProductIDs []string `json:"stripe_product_ids,omitempty"`
	StripePriceIDs   []string `json:"stripe_price_ids,omitempty"`
	Version          Version  `json:"version"`
	Earlier          Earlier  `json:"earlier,omitempty"`
	DeletedVersion   Version  `json:"deleted_version"`
	Withdrawn        []string `json:"-"` // JSON names of removed links, sent as null, "" or []
}

// Kinds of Product.
var Kinds = []string{"course", "digital", "bundle", "coaching", "membership", "other"}

// Enrollment is a person in a course, as the platform sends it. A field that an event leaves out
// stays, so each optional column has its own version.
type Enrollment struct {
	CourseID string `json:"course_id"`
	Person   string `json:"person"` // "user:…" or "email:…"
	// in addition to a user's id; if the address is the person, it stays there
	Email           string     `json:"email,omitempty"`
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
	// CompletedWithProgress: the message had both, so a later message with lower progress reverts
	// the completion.
	CompletedWithProgress bool       `json:"completed_with_progress,omitempty"`
	CompletedVersion      Version    `json:"completed_version"`
	PeakProgress          *float64   `json:"peak_progress,omitempty"` // the maximum counts,
	ProgressedAt          *time.Time `json:"progressed_at,omitempty"` // and when it was first reached
	SaidAt                *time.Time `json:"said_at,omitempty"`       // latest upsert
	FirstSaidAt           *time.Time `json:"first_said_at,omitempty"` // earliest upsert
	Version               Version    `json:"version"`
	DeletedVersion        Version    `json:"deleted_version"`
}

// Context holds the references of an object: ids, not yet resolved, and the buyer's data.
type Context struct {
	StoreRef       string  `json:"store_ref,omitempty"`   // a store's id, or its owner's
	ProductRef     string  `json:"product_ref,omitempty"` // our id, from metadata
	ProductKind    string  `json:"product_kind,omitempty"`
	ProductType    string  `json:"product_type,omitempty"` // metadata productType, as written
	Plan           string  `json:"plan,omitempty"`
	UserRef        string  `json:"user_ref,omitempty"`
	CreatorRef     string  `json:"creator_ref,omitempty"`
	StripeCustomer string  `json:"stripe_customer,omitempty"`
	Email          string  `json:"email,omitempty"`
	Name           string  `json:"name,omitempty"`
	Country        string  `json:"country,omitempty"` // of the billing address; never that of a card
	Named          []Line  `json:"named,omitempty"`   // further products in metadata
	Lines          []Line  `json:"lines,omitempty"`   // the items sold
	Earlier        Earlier `json:"earlier,omitempty"` // versions of groups; else the whole object's
}

// Catalogue lists the Stripe price and product ids of the items sold.
func (c Context) Catalogue() (ids []string) {
	for _, l := range slices.Concat(c.Named, c.Lines) {
		ids = append(ids, l.Stripe...)
	}
	return ids
}

// Line is one product of a sale or subscription, named by our id, by Stripe ids, or both.
type Line struct {
	Ref           string   `json:"ref,omitempty"` // our id, from metadata
	Kind          string   `json:"kind,omitempty"`
	Stripe        []string `json:"stripe,omitempty"`   // price and product ids
	Amount        *int64   `json:"amount,omitempty"`   // minor units of the whole line; per period for a subscription
	Quantity      int64    `json:"quantity,omitempty"` // 0: unknown
	Interval      string   `json:"interval,omitempty"` // of a price: day, week, month, year
	IntervalCount int64    `json:"interval_count,omitempty"`

	Discount *Discount `json:"discount,omitempty"` // of this item alone; taken off Amount
	Regular  *int64    `json:"regular,omitempty"`  // what it costs once discounts that end have ended; nil: Amount
}

// Intent is the payment intent's own data, whichever object claims its money.
type Intent struct {
	Context
	Received   *int64 `json:"received,omitempty"` // minor units received; nil: it did not succeed
	Currency   string `json:"currency,omitempty"`
	Uncaptured int64  `json:"uncaptured,omitempty"` // authorized but never captured
}

// Claims on a payment's money. A greater claim replaces a smaller one completely. So a payment that
// several objects report counts once, in any order.
const (
	claimHeard    = 0 // from an export: below all other sources, even unpaid
	claimUnpaid   = 1 // a checkout not paid yet
	claimRecorded = 2 // from the platform
	claimIntent   = 3 // a payment intent that itself names a product
	claimCheckout = 4 // a paid Checkout session, or a paid invoice
	claimItemised = 5 // a paid session that names no product, but whose line items were read
)

// Says returns the intent's context; nil without an intent.
func (i *Intent) Says() *Context {
	if i == nil {
		return nil
	}
	return &i.Context
}

// Payment is one line of the money ledger. Its key is the payment intent, the paid invoice, the
// session of an order without a payment, or the platform's purchase id. A row without a claim is a
// bare payment intent: no income, only a link from refunds and disputes to their payment.
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
	Charge             *Context   `json:"charge,omitempty"` // buyer data of the charge, used if better sources have none
	ChargeVersion      Version    `json:"charge_version"`
	Invoice            string     `json:"invoice,omitempty"` // of a payment intent: the invoice with the same money
	InvoiceVersion     Version    `json:"invoice_version"`
	Destination        string     `json:"destination,omitempty"` // account that receives the money
	DestinationVersion Version    `json:"destination_version"`
}

func claim(rank int, v Version) Version { return Version(strconv.Itoa(rank)) + " " + v }

// Refund is a refund object (re_…) or, if Cumulative, a charge's (ch_…) refunded total.
type Refund struct {
	Account       string `json:"account"`
	ID            string `json:"id"`
	Charge        string `json:"charge,omitempty"`
	PaymentIntent string `json:"payment_intent,omitempty"`
	Cumulative    bool   `json:"cumulative"`
	// of a total: the amount charged, to compute the refunded share
	ChargeAmount *int64     `json:"charge_amount,omitempty"`
	Captured     *int64     `json:"captured,omitempty"` // the part of it that was captured; the rest is no refund
	Amount       int64      `json:"amount"`             // minor units
	Currency     string     `json:"currency"`
	Status       string     `json:"status,omitempty"`
	CreatedAt    *time.Time `json:"created_at,omitempty"`
	SaidAt       time.Time  `json:"said_at"` // the source's own time
	Version      Version    `json:"version"`
}

// Dispute is a chargeback or an inquiry. Withdrawn: the money is currently gone.
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

// Subscription is a Stripe subscription, joined with the Checkout session that began it. They come
// in any order, and only the session can show that the platform itself is the seller.
type Subscription struct {
	Account     string   `json:"account"`
	ID          string   `json:"id"`
	Status      string   `json:"status,omitempty"`
	StatusMoves []string `json:"status_moves,omitempty"` // see Move
	Context
	Destination       string        `json:"destination,omitempty"`
	Amount            *int64        `json:"amount,omitempty"` // minor units per period, less discounts; nil: unknown
	Currency          string        `json:"currency,omitempty"`
	PlanName          string        `json:"plan_name,omitempty"`
	StartedAt         *time.Time    `json:"started_at,omitempty"`
	CurrentPeriodEnd  *time.Time    `json:"current_period_end,omitempty"`
	CancelAtPeriodEnd bool          `json:"cancel_at_period_end"` // ends at CancelAt or with the period
	CancelAt          *time.Time    `json:"cancel_at,omitempty"`
	Cancellation      *Cancellation `json:"cancellation,omitempty"`
	Paused            bool          `json:"paused"`
	Discount          *Discount     `json:"discount,omitempty"`
	EndedAt           *time.Time    `json:"ended_at,omitempty"`
	Version           Version       `json:"version"`
	EverActive        bool          `json:"ever_active"` // never becomes false again
	Checkout          *Context      `json:"checkout,omitempty"`
	CheckoutAt        *time.Time    `json:"checkout_at,omitempty"`
	CheckoutVersion   Version       `json:"checkout_version"`
}

// Move records a status change of an event. Among several in one second, the last is the one whose
// new status no other starts from.
func Move(from, to, event string) string { return from + ">" + to + " " + event }

// Cancellation is why a subscription ends, in Stripe's terms.
type Cancellation struct {
	Reason   string `json:"reason,omitempty"`   // cancellation_requested, payment_failed, …
	Feedback string `json:"feedback,omitempty"` // too_expensive, unused, …
}

// Discount is a subscription's discount.
type Discount struct {
	PercentOff float64   `json:"percent_off,omitempty"`
	AmountOff  int64     `json:"amount_off,omitempty"` // minor units per period
	Forever    *Discount `json:"forever,omitempty"`    // the part of it that never ends; nil: none
}

// Checkout is a Checkout session with information beyond its sale: it expired, was recovered, or
// asked for consent to promotions.
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
	Sale          string     `json:"sale,omitempty"`           // the payment or the subscription that it led to
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

// rise records a new maximum of the progress, reached at a time.
func (e *Enrollment) rise(at time.Time) {
	if e.Progress != nil && *e.Progress > 0 {
		e.PeakProgress, e.ProgressedAt = e.Progress, &at
	}
}

// Set holds all facts of an event, or of a page of a backfill. A nil slice has no facts.
type Set struct {
	// At is when the facts happened: the event's time, or that of an object read from an API.
	At time.Time

	Users           []User
	StripeCustomers []StripeCustomer
	Stores          []Store
	Products        []Product
	Enrollments     []Enrollment
	Payments        []Payment
	Refunds         []Refund
	Disputes        []Dispute
	Subscriptions   []Subscription
	Checkouts       []Checkout
	FailedInvoices  []FailedInvoice
	Consents        []Consent
	MailEvents      []MailEvent

	// Notes describe fields that could not be used, and what to write instead.
	Notes []string
}

// happened sets the time of a set. An empty set has none.
func (s Set) happened(at time.Time) Set {
	if len(s.Users)+len(s.StripeCustomers)+len(s.Enrollments)+len(s.Payments)+len(s.Subscriptions)+len(s.Checkouts)+
		len(s.FailedInvoices)+len(s.Consents)+len(s.MailEvents) > 0 {
		s.At = at
	}
	return s
}

// Add appends all facts of other to s and keeps the time of s.
func (s *Set) Add(other Set) {
	s.Users = append(s.Users, other.Users...)
	s.StripeCustomers = append(s.StripeCustomers, other.StripeCustomers...)
	s.Stores = append(s.Stores, other.Stores...)
	s.Products = append(s.Products, other.Products...)
	s.Enrollments = append(s.Enrollments, other.Enrollments...)
	s.Payments = append(s.Payments, other.Payments...)
	s.Refunds = append(s.Refunds, other.Refunds...)
	s.Disputes = append(s.Disputes, other.Disputes...)
	s.Subscriptions = append(s.Subscriptions, other.Subscriptions...)
	s.Checkouts = append(s.Checkouts, other.Checkouts...)
	s.FailedInvoices = append(s.FailedInvoices, other.FailedInvoices...)
	s.Consents = append(s.Consents, other.Consents...)
	s.MailEvents = append(s.MailEvents, other.MailEvents...)
	s.Notes = append(s.Notes, other.Notes...)
}

// Clone copies the facts that name people, so that these can be changed apart from s.
func (s Set) Clone() Set {
	s.Users, s.StripeCustomers = slices.Clone(s.Users), slices.Clone(s.StripeCustomers)
	s.Enrollments, s.Payments = slices.Clone(s.Enrollments), slices.Clone(s.Payments)
	s.Subscriptions = slices.Clone(s.Subscriptions)
	s.Checkouts, s.FailedInvoices = slices.Clone(s.Checkouts), slices.Clone(s.FailedInvoices)
	s.Consents = slices.Clone(s.Consents)
	for i := range s.Payments {
		f := &s.Payments[i]
		f.Intent, f.Charge = copyOf(f.Intent), copyOf(f.Charge)
	}
	for i := range s.Subscriptions {
		s.Subscriptions[i].Checkout = copyOf(s.Subscriptions[i].Checkout)
	}
	return s
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
