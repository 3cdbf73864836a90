package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollcall/store/finding"
)

// An audit reports whether what we hold is what it should be: compared with
// itself, or with what Stripe or Clerk hold. It writes nothing.

// AuditOptions narrow an audit down.
type AuditOptions struct {
	Store    string           // only what concerns this store; "" is all
	Examples int              // of each kind of difference, at most
	Progress func(done int64) // told now and then how much was looked at; may be nil
}

// Audit is what an audit found.
type Audit struct {
	Facts       int64        `json:"facts"`       // of ours, looked at
	Customers   int64        `json:"customers"`   // of ours, looked at
	Objects     int64        `json:"objects"`     // of Stripe's or Clerk's, read
	Differences Differences  `json:"differences"` // by kind; none is the promise
	Unresolved  Differences  `json:"unresolved"`  // facts on no list that wait for something, by reason
	Rightly     Differences  `json:"rightly"`     // facts that belong on no list, by reason
	Money       []StoreMoney `json:"money"`       // by store and currency, against Stripe
}

// Differences are findings whose JSON has a meaning, a count and whole examples.
type Differences []finding.Finding

// MarshalJSON writes them for programs.
func (d Differences) MarshalJSON() ([]byte, error) {
	type difference struct {
		Kind     string    `json:"kind"`
		Meaning  string    `json:"meaning"`
		Count    int64     `json:"count"`
		Examples []Finding `json:"examples"`
	}
	out := []difference{}
	for _, f := range d {
		examples := []Finding{}
		for _, e := range f.Examples {
			examples = append(examples, Finding(e))
		}
		out = append(out, difference{f.Kind, f.Means, f.Count, examples})
	}
	return json.Marshal(out)
}

// Clean reports whether nothing differs.
func (a Audit) Clean() bool { return len(a.Differences) == 0 }

// Count is the number of differences.
func (a Audit) Count() (n int64) {
	for _, d := range a.Differences {
		n += d.Count
	}
	return n
}

// AuditKinds are the kinds of differences, in the order in which they are shown.
var AuditKinds = finding.Kinds{
	{"customer_missing", "people who belong on a list and are not on it"},
	{"fact_on_no_list", "facts that belong to a customer and point at none"},
	{"fact_on_missing_customer", "facts that point at a customer who is gone"},
	{"fact_on_another_list", "facts that point at another customer than theirs"},
	{"fact_should_be_on_none", "facts that point at a customer and belong to none"},
	{"fact_for_another_reason", "missing facts whose stored reason is wrong"},
	{"fact_figures_differ", "facts whose product, refund or dispute differs from what was reported"},
	{"product_of_another_store", "products that are written down as another store's"},
	{"customer_differs", "customers whose figures are not what their facts come to"},
	{"customer_without_facts", "customers without any facts"},
	{"customer_of_misplaced_facts", "customers whose figures are off because facts of theirs are misplaced"},
	{"customer_cannot_be_derived", "customers whose facts cannot be added up; --fix does not help"},
	{"entry_differs", "customers who are not found by search and filters as they should be"},
	{"figure_differs", "figures of a list that are not what its customers come to"},
	{"payment_missing", "sales that Stripe has and Rollcall does not"},
	{"payment_differs", "sales of another amount, or not paid, than Stripe has them (amounts in minor units)"},
	{"refunded_differs", "sales of which another amount was refunded (minor units)"},
	{"disputed_differs", "sales of which another amount is disputed (minor units)"},
	{"payment_not_listed", "sales here that Stripe does not list: deleted test data, or of another Stripe account; a backfill does not remove them"},
	{"refund_missing", "refunds that Stripe has and Rollcall does not"},
	{"refund_differs", "refunds of another amount or status than Stripe has them (amounts in minor units)"},
	{"refund_not_listed", "refunds here that Stripe does not list; a backfill does not remove them"},
	{"dispute_missing", "disputes that Stripe has and Rollcall does not"},
	{"dispute_differs", "disputes of another amount or status than Stripe has them (amounts in minor units)"},
	{"dispute_not_listed", "disputes here that Stripe does not list; a backfill does not remove them"},
	{"subscription_missing", "subscriptions that Stripe has and Rollcall does not"},
	{"subscription_differs", "subscriptions of another status or price than Stripe has them (amounts in minor units)"},
	{"subscription_not_listed", "subscriptions here that Stripe does not list; a backfill does not remove them"},
	{"checkout_missing", "subscriptions whose Checkout session, which says whose they are, is not known here"},
	{"user_missing", "users that Clerk has and Rollcall does not"},
	{"user_differs", "users of another verified address or name than Clerk has them"},
	{"user_gone", "users here that Clerk has deleted"},
	{"unreadable", "what could not be read, and so not be compared"},
}

// differences are collected by kind.
type differences struct {
	most int // examples of each
	Kind map[string]*finding.Finding
}

func NewDifferences(examples int) differences {
	return differences{examples, map[string]*finding.Finding{}}
}

// add counts n differences of a kind, of which some examples are given.
func (f differences) add(kind string, n int64, examples ...finding.Example) {
	if n == 0 {
		return
	}
	d := f.Kind[kind]
	if d == nil {
		d = &finding.Finding{Kind: kind, Severity: finding.Problem, Examples: []finding.Example{}}
		f.Kind[kind] = d
	}
	d.Count += n
	d.Examples = append(d.Examples, examples[:min(len(examples), f.most-len(d.Examples))]...)
}

// list returns the kinds that were found, in their order.
func (f differences) list() []finding.Finding {
	out := []finding.Finding{}
	for _, kind := range AuditKinds {
		if d := f.Kind[kind[0]]; d != nil {
			d.Means = kind[1]
			out = append(out, *d)
		}
	}
	return out
}

// fields are the columns of a row, by name.
type fields map[string]json.RawMessage

// unlike tells in which fields a row is not as it should be.
func unlike(is, should fields) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(should)) {
		if old, now := cmp.Or(string(is[name]), "null"), string(should[name]); old != now {
			parts = append(parts, fmt.Sprintf("%s is %s and should be %s", name, shortly(old), shortly(now)))
		}
	}
	return strings.Join(parts, "; ")
}

// shortly cuts a long value: it is an example.
func shortly(value string) string {
	const most = 200
	if r := []rune(value); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return value
}
