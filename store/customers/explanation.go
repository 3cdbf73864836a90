package customers

import (
	"slices"
	"time"

	"rollcall/store"
)

// Explanation says why a customer is on a list and why the row says what it
// says: from which facts it follows, and from which events those came. Its JSON
// is the API's. Facts are named by refs, such as "payment:pi_1", or
// "payment:acct_1/pi_1" where the id is a connected account's.
type Explanation struct {
	CustomerID      string             `json:"customer_id"`
	StoreID         string             `json:"store_id"`
	Email           EmailReason        `json:"email"`
	Type            Reason             `json:"type"`
	Status          Reason             `json:"status"`
	Source          SourceReason       `json:"source"`
	TotalSpent      []TotalReason      `json:"total_spent"` // one per currency
	Courses         []CourseReason     `json:"courses"`     // those they are in
	Payments        []PaymentFact      `json:"payments"`
	Enrollments     []EnrollmentFact   `json:"enrollments"`
	Subscriptions   []SubscriptionFact `json:"subscriptions"`
	People          []store.PersonFact `json:"people"`    // who gave the facts their address
	Uncounted       []UncountedFact    `json:"uncounted"` // of these people, and on no list
	MergedAddresses []MergedAddress    `json:"merged_addresses"`
}

// LastVerified tells whether a person's address is the last verified one, and
// Clerk tells of none now.
func (e Explanation) LastVerified(ref *string) bool {
	return ref != nil && slices.ContainsFunc(e.People, func(p store.PersonFact) bool { return p.Ref == *ref && p.LastVerified })
}

// Reason is a value, why it is so, and the facts it follows from.
type Reason struct {
	Value   string   `json:"value"`
	Why     string   `json:"why"`
	Because []string `json:"because"` // refs
}

// EmailReason tells what made this the address of the customer's facts.
type EmailReason struct {
	Value   string        `json:"value"`
	Because []EmailOrigin `json:"because"`
}

// EmailOrigin is somebody whose address it is, and the facts that lead to them.
type EmailOrigin struct {
	Via     string      `json:"via"`     // user, address (typed in; a user has proved it), stripe_customer, or given: typed in with the fact itself
	Person  *string     `json:"person"`  // ref; null where it was given
	Address *string     `json:"address"` // that was typed in and proved; null but of address
	Proof   *LinkReason `json:"proof"`   // the user's first word of it; null but of address
	Facts   []string    `json:"facts"`   // refs
}

// StoreReason tells what led from a fact to the store: the links in force when it
// happened count, else the first after.
type StoreReason struct {
	StoreID string       `json:"store_id"`
	Via     string       `json:"via"`   // account, named, owner, product, destination or creator
	Key     string       `json:"key"`   // what the fact names
	At      *time.Time   `json:"at"`    // when the fact happened; null where nobody said
	Since   *time.Time   `json:"since"` // when the link to the store was told; null where the store itself is named
	Why     string       `json:"why"`   // all this in a sentence
	Links   []LinkReason `json:"links"` // from what is named to the store
}

// LinkReason is a link, as one message told it.
type LinkReason struct {
	Relation string         `json:"relation"` // owner, account, store, stripe or address
	Subject  string         `json:"subject"`
	Object   string         `json:"object"`
	Title    *string        `json:"title"` // of a product
	Since    time.Time      `json:"since"` // when it was told
	Later    bool           `json:"later"` // not before the fact happened
	Origins  []store.Origin `json:"origins"`
}

// SourceReason is the first thing that brought the customer.
type SourceReason struct {
	Source
	At      *time.Time `json:"at"`
	Because []string   `json:"because"` // refs
}

// TotalReason is what was spent in one currency: gross less refunded and disputed.
type TotalReason struct {
	store.Money
	Gross    store.Money `json:"gross"`
	Refunded store.Money `json:"refunded"`
	Disputed store.Money `json:"disputed"`
	Because  []string    `json:"because"` // refs of payments
}

// CourseReason is a course that the customer is in.
type CourseReason struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Because []string `json:"because"` // refs of enrollments, and of payments that unlock it
}

// PaymentFact is money that counts for the customer, or an order without any.
type PaymentFact struct {
	Ref          string         `json:"ref"`
	Account      string         `json:"account"` // Stripe Connect account, or empty
	ID           string         `json:"id"`
	Kind         string         `json:"kind"`       // who claims the money: checkout, invoice, intent or purchase
	ClaimedBy    *string        `json:"claimed_by"` // that one's id
	ProductID    *string        `json:"product_id"`
	ProductKind  string         `json:"product_kind"`
	Title        *string        `json:"title"`
	Gross        store.Money    `json:"gross"`
	Refunded     store.Money    `json:"refunded"`
	Disputed     store.Money    `json:"disputed"` // lost, or withdrawn for now
	Net          store.Money    `json:"net"`
	PaidAt       time.Time      `json:"paid_at"`
	Subscription *string        `json:"subscription"` // ref of the subscription whose period it pays
	Courses      []string       `json:"courses"`      // ids of courses it unlocks
	Active       bool           `json:"active"`       // makes the customer active
	Refunds      []RefundFact   `json:"refunds"`
	Disputes     []DisputeFact  `json:"disputes"`
	Origins      []store.Origin `json:"origins"`
	StoreBecause *StoreReason   `json:"store_because"` // null: it belongs elsewhere by now
}

// RefundFact is a refund, or what a charge says was refunded of it in all: of
// one charge the two tell of the same money.
type RefundFact struct {
	Ref     string         `json:"ref"`
	ID      string         `json:"id"`
	Total   bool           `json:"total"` // a charge's total
	Amount  store.Money    `json:"amount"`
	Status  *string        `json:"status"`
	At      time.Time      `json:"at"` // when it was made; of a total, when it was told
	Origins []store.Origin `json:"origins"`
}

// DisputeFact is a chargeback or an inquiry, as it stands.
type DisputeFact struct {
	Ref       string         `json:"ref"`
	ID        string         `json:"id"`
	Amount    store.Money    `json:"amount"`
	Status    string         `json:"status"`
	Withdrawn bool           `json:"withdrawn"` // the money is gone for now
	Origins   []store.Origin `json:"origins"`
}

// EnrollmentFact is what the platform says of a person in a course.
type EnrollmentFact struct {
	Ref          string         `json:"ref"`
	CourseID     string         `json:"course_id"`
	Title        string         `json:"title"`
	Person       string         `json:"person"`   // user:<id>, or email:<address>
	Progress     *float64       `json:"progress"` // percent; null where nobody said
	EnrolledAt   *time.Time     `json:"enrolled_at"`
	CompletedAt  *time.Time     `json:"completed_at"`
	Active       bool           `json:"active"` // has not ended
	Origins      []store.Origin `json:"origins"`
	StoreBecause *StoreReason   `json:"store_because"` // null: it belongs elsewhere by now
}

// SubscriptionFact is a subscription that the customer has or had.
type SubscriptionFact struct {
	Ref               string         `json:"ref"`
	Account           string         `json:"account"`
	ID                string         `json:"id"`
	ProductID         *string        `json:"product_id"`
	Plan              *string        `json:"plan"`
	Status            string         `json:"status"`
	Price             *store.Money   `json:"price"` // per period; null where nobody said
	StartedAt         *time.Time     `json:"started_at"`
	CurrentPeriodEnd  *time.Time     `json:"current_period_end"`
	CancelAtPeriodEnd bool           `json:"cancel_at_period_end"`
	EndedAt           *time.Time     `json:"ended_at"`
	Active            bool           `json:"active"` // has not ended
	Origins           []store.Origin `json:"origins"`
	StoreBecause      *StoreReason   `json:"store_because"` // null: it belongs elsewhere by now
}

// UncountedFact is one that makes nobody a customer, and why.
type UncountedFact struct {
	Ref     string         `json:"ref"`
	Title   *string        `json:"title"`
	Amount  *store.Money   `json:"amount"`
	At      *time.Time     `json:"at"`
	Reason  string         `json:"reason"`
	Meaning string         `json:"meaning"` // of the reason
	Origins []store.Origin `json:"origins"`
}

// MergedAddress is a customer that turned out to be this one.
type MergedAddress struct {
	Email    string    `json:"email"`
	MergedAt time.Time `json:"merged_at"`
}
