package facts

import (
	"strconv"
	"time"
)

// The fact types. Each is one row of the table of the same name; the JSON names
// are the columns. A row is keyed by the source's own id, with the Connect
// account where the id is one's own. Columns that a version guards are replaced
// together, by the greater version; empty versions say nothing.

// User is a person as Clerk knows them.
type User struct {
	ID             string     `json:"id"`
	Email          string     `json:"email,omitempty"` // primary and verified, else empty
	Name           string     `json:"name,omitempty"`
	ImageURL       string     `json:"image_url,omitempty"`
	LastSeenAt     *time.Time `json:"last_seen_at,omitempty"` // the latest one counts
	Version        Version    `json:"version"`
	DeletedVersion Version    `json:"deleted_version"`
}

// StripeCustomer is a cus_… object; one person may have many.
type StripeCustomer struct {
	Account        string  `json:"account"`
	ID             string  `json:"id"`
	Email          string  `json:"email,omitempty"`
	Name           string  `json:"name,omitempty"`
	Version        Version `json:"version"`
	DeletedVersion Version `json:"deleted_version"`
}

// Store is a creator's shop.
type Store struct {
	ID              string   `json:"id"`
	Name            string   `json:"name,omitempty"`
	OwnerUserID     string   `json:"owner_user_id,omitempty"`
	MemberUserIDs   []string `json:"member_user_ids"` // who may see its list beside the owner; sorted; nil says nothing
	StripeAccountID string   `json:"stripe_account_id,omitempty"`
	Version         Version  `json:"version"`
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
	DeletedVersion   Version  `json:"deleted_version"`
	Withdrawn        []string `json:"-"` // JSON names of the links that it says are no more: null, "" or [] was written
}

// Kinds of Product.
var Kinds = []string{"course", "digital", "bundle", "coaching", "membership", "other"}

// Enrollment is a course × a person, as the platform says it. What an event
// leaves out it does not change, so each optional column has its own version.
type Enrollment struct {
	CourseID         string     `json:"course_id"`
	Person           string     `json:"person"`          // "user:…" or "email:…"
	Email            string     `json:"email,omitempty"` // beside a user's id; an address that is the person stays there
	EmailVersion     Version    `json:"email_version"`
	StoreRef         string     `json:"store_ref,omitempty"`
	StoreVersion     Version    `json:"store_version"`
	Name             string     `json:"name,omitempty"`
	NameVersion      Version    `json:"name_version"`
	Progress         *float64   `json:"progress,omitempty"` // percent
	ProgressVersion  Version    `json:"progress_version"`
	EnrolledAt       *time.Time `json:"enrolled_at,omitempty"`
	EnrolledVersion  Version    `json:"enrolled_version"`
	CompletedAt      *time.Time `json:"completed_at,omitempty"`
	CompletedVersion Version    `json:"completed_version"`
	SaidAt           *time.Time `json:"said_at,omitempty"`       // latest upsert
	FirstSaidAt      *time.Time `json:"first_said_at,omitempty"` // earliest upsert
	Version          Version    `json:"version"`
	DeletedVersion   Version    `json:"deleted_version"`
}

// Context is what an object says of where it belongs: the ids it names, not yet
// looked up, and its own idea of the buyer.
type Context struct {
	StoreRef       string   `json:"store_ref,omitempty"`   // a store's id, or its owner's
	ProductRef     string   `json:"product_ref,omitempty"` // ours, from metadata
	ProductKind    string   `json:"product_kind,omitempty"`
	ProductType    string   `json:"product_type,omitempty"` // metadata productType, as written
	Plan           string   `json:"plan,omitempty"`
	UserRef        string   `json:"user_ref,omitempty"`
	CreatorRef     string   `json:"creator_ref,omitempty"`
	StripeCustomer string   `json:"stripe_customer,omitempty"`
	Email          string   `json:"email,omitempty"`
	Name           string   `json:"name,omitempty"`
	Courses        []string `json:"courses,omitempty"`   // course ids named outright
	Catalogue      []string `json:"catalogue,omitempty"` // Stripe price and product ids
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
	Paid         bool    `json:"paid"`
	Amount       *int64  `json:"amount,omitempty"` // minor units
	Currency     string  `json:"currency,omitempty"`
	Context
	Subscription       string     `json:"subscription,omitempty"` // of an invoice
	PaidAt             *time.Time `json:"paid_at,omitempty"`
	Intent             *Context   `json:"intent,omitempty"` // what the payment intent itself says, whoever claims the money
	IntentVersion      Version    `json:"intent_version"`
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
	Account string `json:"account"`
	ID      string `json:"id"`
	Status  string `json:"status,omitempty"`
	Context
	Destination       string     `json:"destination,omitempty"`
	Amount            *int64     `json:"amount,omitempty"` // minor units per period
	Currency          string     `json:"currency,omitempty"`
	PlanName          string     `json:"plan_name,omitempty"`
	StartedAt         *time.Time `json:"started_at,omitempty"`
	CurrentPeriodEnd  *time.Time `json:"current_period_end,omitempty"`
	CancelAtPeriodEnd bool       `json:"cancel_at_period_end"`
	EndedAt           *time.Time `json:"ended_at,omitempty"`
	Version           Version    `json:"version"`
	EverActive        bool       `json:"ever_active"` // once true, true for good
	Checkout          *Context   `json:"checkout,omitempty"`
	CheckoutAt        *time.Time `json:"checkout_at,omitempty"`
	CheckoutVersion   Version    `json:"checkout_version"`
}
