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

// difference is a kind of differences.
func difference(name, means string) finding.Kind { return finding.Problem.Kind(name, means) }

// unreadable is a kind of every comparison with an API.
var unreadable = difference("unreadable", "what could not be read, and so not be compared")

// FactDifferences are the kinds that AuditFacts finds, in the order in which they are
// shown.
var FactDifferences = finding.Kinds{
	difference("customer_missing", "people who belong on a list and are not on it"),
	difference("fact_on_no_list", "facts that belong to a customer and point at none"),
	difference("fact_on_missing_customer", "facts that point at a customer who is gone"),
	difference("fact_on_another_list", "facts that point at another customer than theirs"),
	difference("fact_should_be_on_none", "facts that point at a customer and belong to none"),
	difference("fact_for_another_reason", "missing facts whose stored reason is wrong"),
	difference("fact_figures_differ", "facts whose product, refund or dispute differs from what was reported"),
	difference("product_of_another_store", "products that are written down as another store's"),
	difference("customer_differs", "customers whose figures are not what their facts come to"),
	difference("customer_without_facts", "customers without any facts"),
	difference("customer_of_misplaced_facts", "customers whose figures are off because facts of theirs are misplaced"),
	difference("customer_cannot_be_derived", "customers whose facts cannot be added up; --fix does not help"),
	difference("entry_differs", "customers who are not found by search and filters as they should be"),
	difference("figure_differs", "figures of a list that are not what its customers come to"),
}

// differences are collected by kind.
type differences struct {
	kinds  finding.Kinds
	most   int // examples of each
	byKind map[string]*finding.Finding
}

func newDifferences(kinds finding.Kinds, examples int) differences {
	return differences{kinds, examples, map[string]*finding.Finding{}}
}

// add counts n differences of a kind, of which some examples are given.
func (d differences) add(kind string, n int64, examples ...finding.Example) {
	if n == 0 {
		return
	}
	f := d.byKind[kind]
	if f == nil {
		k := d.kinds.Find(kind)
		f = &finding.Finding{Kind: kind, Severity: k.Severity, Means: k.Means, Examples: []finding.Example{}}
		d.byKind[kind] = f
	}
	f.Count += n
	f.Examples = append(f.Examples, examples[:min(len(examples), d.most-len(f.Examples))]...)
}

// list returns the kinds that were found, in their order.
func (d differences) list() []finding.Finding {
	out := []finding.Finding{}
	for _, kind := range d.kinds {
		if f := d.byKind[kind.Name]; f != nil {
			out = append(out, *f)
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
