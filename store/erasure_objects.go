package store

import (
	"encoding/json"
	"regexp"
	"slices"
	"time"

	"rollcall/facts"
)

// Objects of one buyer: payments, charges, invoices, sessions, subscriptions.
// Most events about them name no person by what Rollcall knows them by, but may
// carry an address or a name typed at checkout. Such an object goes with its
// buyer's erasure: payloads that name it are emptied. Its facts stay.

// objectID finds ids of Stripe objects that belong to one buyer. A payment method
// is not among them: it leads from one payment to all others made with it.
var objectID = regexp.MustCompile(`^(pi|ch|py|in|cs|sub|seti|re|pyr|du|dp)_\w+$`)

// moneyID finds those that nothing renews: what happens to one after an erasure
// still belongs to what happened before.
var moneyID = regexp.MustCompile(`^(pi|ch|py|cs)_`)

// notOfBuyer are fields of Stripe objects whose text names no object of the buyer:
// whoever made the object wrote it, or it is a secret.
var notOfBuyer = []string{"metadata", "client_secret"}

// about is what an event says of whose it is.
type about struct {
	people  []identity // whom its object names
	objects []identity // objects of one buyer
	money   []identity // those of them that it tells of itself
}

// aboutOf reads an event of any type. set is what it says, if it can be read.
func aboutOf(e facts.Event, set facts.Set) (a about) {
	for _, k := range rowsIn(set) {
		if i, ok := k.object(); ok {
			a.objects = append(a.objects, i)
		}
	}
	var body struct {
		Data struct{ Object map[string]any }
	}
	if e.Source != "stripe" || json.Unmarshal(e.Payload, &body) != nil {
		return a
	}
	a.walk(body.Data.Object, e.Account)
	if m, ok := body.Data.Object["metadata"].(map[string]any); ok {
		a.walk([]any{m["userId"], m["submitterId"]}, e.Account)
	}
	for _, field := range []string{"id", "payment_intent", "charge"} {
		id, ok := body.Data.Object[field].(string)
		if whole, expanded := body.Data.Object[field].(map[string]any); expanded {
			id, ok = whole["id"].(string)
		}
		if ok && moneyID.MatchString(id) {
			a.money = append(a.money, identity{anObject, e.Account + "/" + id})
		}
	}
	return a
}

// walk collects whom and what a value names.
func (a *about) walk(value any, account string) {
	switch v := value.(type) {
	case map[string]any:
		for field, inner := range v {
			if !slices.Contains(notOfBuyer, field) {
				a.walk(inner, account)
			}
		}
	case []any:
		for _, inner := range v {
			a.walk(inner, account)
		}
	case string:
		if objectID.MatchString(v) {
			a.objects = append(a.objects, identity{anObject, account + "/" + v})
		} else {
			a.people = namedInText(a.people, v, account)
		}
	}
}

// object is the identity of a payment or a subscription.
func (k rowKey) object() (i identity, ok bool) {
	return identity{anObject, k.a + "/" + k.b}, k.kind == payment || k.kind == subscription
}

// objectTies: what an erased person bought goes with them, and so do the objects
// that one event names beside each other.
func (e *erased) objectTies(found ties, a about, at time.Time) {
	for _, who := range slices.Concat(a.people, a.objects) {
		if t := e.tomb(who.kind, who.value, at); t != nil {
			for _, o := range a.objects {
				e.tie(found, o, t)
			}
		}
	}
}

// ofErased tells whether an event that happened at a time is about an object of
// somebody who was erased.
func (e *erased) ofErased(a about, at time.Time) bool {
	gone := func(at time.Time) func(identity) bool {
		return func(o identity) bool { return e.tomb(o.kind, o.value, at) != nil }
	}
	return slices.ContainsFunc(a.objects, gone(at)) || slices.ContainsFunc(a.money, gone(always))
}
