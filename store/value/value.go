// Package value computes what the customers of a store are worth: what happened, what subscriptions bring, and what
// to expect. Workers compute it from the facts each night, and keep small tables; pages and the API read these.
// docs/value.md defines each figure.
package value

import (
	"time"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	model "rollcall/value"
)

// Values reads and computes what customers are worth. Safe for concurrent use.
type Values struct {
	*pg.DB
	readers *customers.Reader
}

// New returns the Values of a store.
func New(s *store.Store) *Values { return &Values{s.DB, customers.New(s)} }

// Report is what the customers of a store are worth, in one currency. All amounts are in minor units, and net: what was
// paid less what was refunded and what is lost in disputes.
type Report struct {
	Currency    string         `json:"currency"`
	Months      []Month        `json:"months"` // all from the first to the one that is running
	Cohorts     []Cohort       `json:"cohorts"`
	Groups      []Group        `json:"groups"`
	Again       Again          `json:"again"`
	Subscribers Subscribers    `json:"subscribers"`
	Forecast    model.Forecast `json:"forecast"`
}

// Month is what happened in a month. Refunds and disputes count in the month of the payment.
type Month struct {
	Month     string       `json:"month"` // 2026-03
	Over      bool         `json:"over"`  // false: it is running, so its figures will rise
	New       int64        `json:"new"`   // single payments of customers whose first payment was in it
	Returning int64        `json:"returning"`
	Recurring int64        `json:"recurring"` // payments of subscriptions
	Refunded  int64        `json:"refunded"`  // refunded and lost: in none of the three
	Customers int64        `json:"customers"` // who paid in it, or subscribed
	PerHead   model.Number `json:"per_head"`  // net of one of them
	MRR       MRR          `json:"mrr"`
	Churn     model.Share  `json:"churn"` // of those who subscribed when it began
}

// Net is what was paid in a month, and kept.
func (m Month) Net() int64 { return m.New + m.Returning + m.Recurring }

// MRR is monthly recurring revenue and what moved it in a month: Start and all movements are End.
type MRR struct {
	Start        int64 `json:"start"`
	New          int64 `json:"new"`
	Expansion    int64 `json:"expansion"`
	Contraction  int64 `json:"contraction"` // not above 0
	Churn        int64 `json:"churn"`       // not above 0
	Reactivation int64 `json:"reactivation"`
	End          int64 `json:"end"`
}

// Cohort is what customers whose first payment was in one month did in a later one, or in that itself.
type Cohort struct {
	First  string `json:"first"` // 2026-01
	After  int    `json:"after"` // months later
	Buyers int64  `json:"buyers"`
	Net    int64  `json:"net"`
	Over   bool   `json:"over"` // false: the month is running
}

// Group is what customers have paid so far who have something in common.
type Group struct {
	By     string `json:"by"`  // all, product (first), source, course, month (first), tag, segment
	Key    string `json:"key"` // an id, a source, or 2026-01
	N      int64  `json:"n"`
	Net    int64  `json:"net"`
	Mean   int64  `json:"mean"`
	Median int64  `json:"median"`
	P90    int64  `json:"p90"` // nine of ten have paid no more
}

// Again is whether customers buy a second time. Payments of subscriptions do not count, nor do several on one day.
type Again struct {
	Within []Within     `json:"within"`
	Curve  model.Curve  `json:"curve"`  // who has not bought again, by days since the first purchase
	Median model.Number `json:"median"` // days
}

// Within is the share of those who bought again within days, of those whose first purchase is as long ago.
type Within struct {
	Days int `json:"days"`
	model.Share
}

// Subscribers is how long subscribers stay, and what one brings.
type Subscribers struct {
	Curve    model.Curve    `json:"curve"`  // who is still there, by days
	Median   model.Number   `json:"median"` // days
	Mean     model.Number   `json:"mean"`   // what a subscriber brings in a month
	Lifetime model.Lifetime `json:"lifetime"`
	Simple   model.Number   `json:"simple"`   // mean / churn
	Churn    model.Share    `json:"churn"`    // of all months that are over
	Unpriced int64          `json:"unpriced"` // running subscriptions without a known price and interval: in no MRR
}

// Course is how far those enrolled in a course came.
type Course struct {
	ID        string       `json:"id"`
	Enrolled  int64        `json:"enrolled"`
	Started   int64        `json:"started"`
	Quarter   int64        `json:"quarter"`
	Half      int64        `json:"half"`
	Most      int64        `json:"three_quarters"`
	Completed int64        `json:"completed"`
	Days      model.Number `json:"days"` // median from the enrollment to the completion
}

// Done is the share of those enrolled who completed the course.
func (c Course) Done() model.Share {
	return model.Proportion(c.Completed, c.Enrolled, "no one is enrolled")
}

// AsOf is when figures were computed. A zero Time: never.
type AsOf struct {
	Time time.Time
	Zone string    // of their days and months
	Due  time.Time // when they are computed again
}
