package store

import (
	"encoding/json"
	"regexp"
	"slices"

	"rollcall/facts"
)

// Objects of one buyer: payments, charges, invoices, sessions, subscriptions.
// Most events about them name no identity of a person, but may carry an address
// or a name typed at checkout. So when the buyer is erased, payloads that name
// such an object are emptied. Its facts stay.

// objectID finds ids of Stripe objects that belong to one buyer. A payment method
// is not among them: it leads from one payment to all others made with it.
var objectID = regexp.MustCompile(`^(pi|ch|py|in|cs|sub|seti|re|pyr|du|dp)_\w+$`)

// moneyID finds those of them that are never renewed: what happens to one after
// an erasure still belongs to what happened before.
var moneyID = regexp.MustCompile(`^(pi|ch|py|cs)_`)

// foreignFields are fields of Stripe objects whose text names no object of the
// buyer: the platform wrote it, or it is a secret.
var foreignFields = []string{"metadata", "client_secret"}

// about is whom and what an event is about.
type about struct {
	people  []identity // whom its object names
	objects []identity // objects of one buyer
	money   []identity // those of them that are the event's own subject
}

// aboutOf reads an event of any type. set holds its facts, if it can be read.
func aboutOf(e facts.Event, set facts.Set) (a about) {
	for _, p := range purchasesOf(&set, asStored) {
		a.objects = append(a.objects, p.object())
	}
	var body struct {
		Data struct{ Object map[string]any }
	}
	if e.Source != "stripe" || json.Unmarshal(e.Payload, &body) != nil {
		return a
	}
	a.walk(body.Data.Object, e.Account)
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
			if m, ok := inner.(map[string]any); ok && field == "metadata" { // an invoice has its subscription's, too
				a.walk([]any{m["userId"], m["submitterId"]}, account)
			} else if !slices.Contains(foreignFields, field) {
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
