package customers

import (
	"slices"
	"time"

	"rollcall/store"
)

// Explanation says why a customer is on a list and how the row follows from facts and
// events. Its JSON is the API's. Refs name facts, for example "payment:pi_1", or
// "payment:acct_1/pi_1" with the id of a connected account.
type Explanation struct {
	CustomerID      string             `json:"customer_id"`
	StoreID         string             `json:"store_id"`
	Email           EmailReason        `json:"email"`
	Type            Reason             `json:"type"`
	Status          Reason             `json:"status"`
	Source          SourceReason       `json:"source"`
	TotalSpent      []TotalReason      `json:"total_spent"` // one per currency
	Courses         []CourseReason     `json:"courses"`     // current ones
	Payments        []PaymentFact      `json:"payments"`
	Enrollments     []EnrollmentFact   `json:"enrollments"`
	Subscriptions   []SubscriptionFact `json:"subscriptions"`
	People          []store.PersonFact `json:"people"`    // where the facts have their address from
	Uncounted       []UncountedFact    `json:"uncounted"` // of these people, missing from every list
	MergedAddresses []MergedAddress    `json:"merged_addresses"`
}

// ownFact is what every fact of the customer has, whatever its kind.
type ownFact struct {
	ref     string
	key     store.RowKey
	origins []store.Origin
	store   **StoreReason
}

// own lists the facts of the customer.
func (e *Explanation) own() (all []ownFact) {
	for i := range e.Payments {
		f := &e.Payments[i]
		all = append(all, ownFact{f.Ref, store.RowKey{Kind: store.Payment, A: f.Account, B: f.ID},
			f.Origins, &f.StoreBecause})
	}
	for i := range e.Enrollments {
		f := &e.Enrollments[i]
		key := store.RowKey{Kind: store.Enrollment, A: f.CourseID, B: f.Person}
		all = append(all, ownFact{f.Ref, key, f.Origins, &f.StoreBecause})
	}
	for i := range e.Subscriptions {
		f := &e.Subscriptions[i]
		key := store.RowKey{Kind: store.Subscription, A: f.Account, B: f.ID}
		all = append(all, ownFact{f.Ref, key, f.Origins, &f.StoreBecause})
	}
	return all
}

// LastVerified tells whether a person's address is the last verified one, and Clerk
// reports none now.
func (e Explanation) LastVerified(ref *string) bool {
	return ref != nil &&
		slices.ContainsFunc(e.People, func(p store.PersonFact) bool { return p.Ref == *ref && p.LastVerified })
}

// Reason is a value, its reason, and the facts that it follows from.
type Reason struct {
	Value   string   `json:"value"`
	Why     string   `json:"why"`
	Because []string `json:"because"` // refs
}

// EmailReason says where the address of the customer's facts comes from.
type EmailReason struct {
	Value   string        `json:"value"`
	Because []EmailOrigin `json:"because"`
}

// EmailOrigin is a person with the address, and the facts that lead to them.
type EmailOrigin struct {
	Via     string      `json:"via"`     // user, address (typed in, verified), stripe_customer, or given (by the fact)
	Person  *string     `json:"person"`  // ref; null if given
	Address *string     `json:"address"` // typed in and verified; null unless via address
	Proof   *LinkReason `json:"proof"`   // the user's first report of it; null unless via address
	Facts   []string    `json:"facts"`   // refs
}

// StoreReason says how a fact leads to its store: by the links in force when it
// happened, else the first ones after.
type StoreReason struct {
	StoreID string       `json:"store_id"`
	Via     string       `json:"via"`   // account, named, owner, product, destination or creator
	Key     string       `json:"key"`   // named by the fact
	At      *time.Time   `json:"at"`    // when the fact happened; null if unknown
	Since   *time.Time   `json:"since"` // when the link to the store was reported; null if the fact names the store
	Why     string       `json:"why"`   // the reason as a sentence
	Links   []LinkReason `json:"links"` // from the key to the store
}

// LinkReason is a link, as an event reported it.
type LinkReason struct {
	Relation string         `json:"relation"` // owner, account, store, stripe or address
	Subject  string         `json:"subject"`
	Object   string         `json:"object"`
	Title    *string        `json:"title"` // of a product
	Since    time.Time      `json:"since"` // when it was reported
	Later    bool           `json:"later"` // reported after the fact happened
	Origins  []store.Origin `json:"origins"`
}

// SourceReason is the first thing that brought the customer.
type SourceReason struct {
	Source
	At      *time.Time `json:"at"`
	Because []string   `json:"because"` // refs
}

// TotalReason is the total in one currency: gross less refunded and disputed.
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

// PaymentFact is a payment that counts for the customer, or an order without money.
type PaymentFact struct {
	Ref          string         `json:"ref"`
	Account      string         `json:"account"` // Stripe Connect account, or empty
	ID           string         `json:"id"`
	Kind         string         `json:"kind"`       // of the claiming object: checkout, invoice, intent or purchase
	ClaimedBy    *string        `json:"claimed_by"` // id of that object
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
	StoreBecause *StoreReason   `json:"store_because"` // null: it belongs to another store by now
}

// RefundFact is a refund, or a charge's refunded total, which includes the charge's
// refunds.
type RefundFact struct {
	Ref     string         `json:"ref"`
	ID      string         `json:"id"`
	Total   bool           `json:"total"` // a charge's total
	Amount  store.Money    `json:"amount"`
	Status  *string        `json:"status"`
	At      time.Time      `json:"at"` // when it was made; for a total, when it was reported
	Origins []store.Origin `json:"origins"`
}

// DisputeFact is a chargeback or an inquiry in its current state.
type DisputeFact struct {
	Ref       string         `json:"ref"`
	ID        string         `json:"id"`
	Amount    store.Money    `json:"amount"`
	Status    string         `json:"status"`
	Withdrawn bool           `json:"withdrawn"` // Stripe has withdrawn the money
	Origins   []store.Origin `json:"origins"`
}

// EnrollmentFact is an enrollment of a person in a course.
type EnrollmentFact struct {
	Ref          string         `json:"ref"`
	CourseID     string         `json:"course_id"`
	Title        string         `json:"title"`
	Person       string         `json:"person"`   // user:<id>, or email:<address>
	Progress     *float64       `json:"progress"` // percent; null if unknown
	EnrolledAt   *time.Time     `json:"enrolled_at"`
	CompletedAt  *time.Time     `json:"completed_at"`
	Active       bool           `json:"active"` // has not ended
	Origins      []store.Origin `json:"origins"`
	StoreBecause *StoreReason   `json:"store_because"` // null: it belongs to another store by now
}

// SubscriptionFact is a current or past subscription.
type SubscriptionFact struct {
	Ref               string         `json:"ref"`
	Account           string         `json:"account"`
	ID                string         `json:"id"`
	ProductID         *string        `json:"product_id"`
	Plan              *string        `json:"plan"`
	Status            string         `json:"status"`
	Price             *store.Money   `json:"price"` // per period; null if unknown
	StartedAt         *time.Time     `json:"started_at"`
	CurrentPeriodEnd  *time.Time     `json:"current_period_end"`
	CancelAtPeriodEnd bool           `json:"cancel_at_period_end"`
	EndedAt           *time.Time     `json:"ended_at"`
	Active            bool           `json:"active"` // has not ended
	Origins           []store.Origin `json:"origins"`
	StoreBecause      *StoreReason   `json:"store_because"` // null: it belongs to another store by now
}

// UncountedFact is a fact that makes no customer, and why.
type UncountedFact struct {
	Ref     string         `json:"ref"`
	Title   *string        `json:"title"`
	Amount  *store.Money   `json:"amount"`
	At      *time.Time     `json:"at"`
	Reason  string         `json:"reason"`
	Meaning string         `json:"meaning"` // of the reason
	Origins []store.Origin `json:"origins"`
}

// MergedAddress is a customer that was merged into this one.
type MergedAddress struct {
	Email    string    `json:"email"`
	MergedAt time.Time `json:"merged_at"`
}
