package store_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/store"
)

// weakening is a kind of message that says less than is known, or names one more
// link, and so must take nothing away.
type weakening struct {
	name  string
	draw  func(weakener) (store.NewEvent, bool) // false: nothing in the story can be weakened so
	moves bool                                  // what guests did may go to a user at another address
}

var weakenings = []weakening{
	{name: "fields left out", draw: weakener.fieldsLeftOut},
	{name: "links left out", draw: weakener.linksLeftOut},
	{name: "another product of the price", draw: weakener.anotherProduct},
	{name: "another store of the account or owner", draw: weakener.anotherStore},
	{name: "another user at the address", draw: weakener.anotherUser, moves: true},
	{name: "second store of the owner", draw: weakener.secondStore},
	{name: "address unverified", draw: weakener.unverified},
}

// weakener draws one weakening of a story.
type weakener struct {
	t    *rapid.T
	told []store.NewEvent
	at   time.Time
	nth  int
}

func (w weakener) drawer() drawer { return drawer{t: w.t, at: w.at} }

func (w weakener) event(source, typ, account string, payload any) store.NewEvent {
	raw, err := json.Marshal(payload)
	if err != nil {
		panic(err) // of maps and texts
	}
	return store.NewEvent{Source: source, EventID: fmt.Sprintf("evt_weak_%d", w.nth), Type: typ, Account: account,
		OccurredAt: w.at, Payload: raw}
}

// id is of something the story has none of, and comes before or after all it has.
func (w weakener) id(kind string) string {
	return fmt.Sprint(w.drawer().pick("sorted", "a_", "z_"), kind, w.nth)
}

func (w weakener) platform(typ string, data map[string]any) (store.NewEvent, bool) {
	return w.event("platform", typ, "", map[string]any{"type": typ, "data": data}), true
}

// message is what a story last said of an object.
type message struct {
	event  store.NewEvent
	object map[string]any
}

// again tells the message once more, with what was taken out of its object.
func (w weakener) again(m message) (store.NewEvent, bool) {
	typ := m.event.Type
	if strings.HasPrefix(typ, "user.") || strings.HasPrefix(typ, "customer.") {
		typ = strings.TrimSuffix(typ, "created")
		typ = strings.TrimSuffix(typ, "updated") + "updated"
	}
	if m.event.Source == "stripe" {
		return w.event("stripe", typ, m.event.Account,
			map[string]any{"type": typ, "data": map[string]any{"object": m.object}}), true
	}
	if m.event.Source == "clerk" {
		m.object["updated_at"] = w.at.UnixMilli()
	}
	return w.event(m.event.Source, typ, "", map[string]any{"type": typ, "data": m.object}), true
}

// inForce are the last messages of the objects of which this is clear, and which
// have not come to an end: those whose repetition is no news. With kinds, only
// of types that begin so.
func (w weakener) inForce(kinds ...string) (all []message) {
	last, tied := map[string]message{}, map[string]bool{}
	for _, e := range w.told {
		m := message{event: e, object: objectIn(e)}
		key := m.key()
		old, known := last[key]
		if known && old.event.OccurredAt.Equal(e.OccurredAt) {
			tied[key] = true
		}
		if !known || old.event.OccurredAt.Before(e.OccurredAt) {
			last[key], tied[key] = m, false
		}
	}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		m := last[key]
		wanted := len(kinds) == 0 ||
			slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(m.event.Type, k) })
		if wanted && !tied[key] && len(optionalFields[m.kind()]) > 0 && !m.ends() && !w.outdone(m) {
			all = append(all, m)
		}
	}
	return all
}

// objectIn is the object that an event tells of.
func objectIn(e store.NewEvent) map[string]any {
	var body struct{ Data map[string]any }
	if err := json.Unmarshal(e.Payload, &body); err != nil {
		panic(err) // it was drawn
	}
	if e.Source == "stripe" {
		return body.Data["object"].(map[string]any)
	}
	return body.Data
}

// kind is the event's type without its last word: as checkout.session.
func (m message) kind() string {
	return m.event.Type[:strings.LastIndexByte(m.event.Type, '.')]
}

// key tells objects apart.
func (m message) key() string {
	kind, o := m.kind(), m.object
	if kind == "enrollment" {
		return fmt.Sprint(kind, o["course_id"], o["user_id"], strings.ToLower(fmt.Sprint(o["email"])))
	}
	return fmt.Sprint(kind, " ", m.event.Account, " ", o["id"])
}

// ends tells whether the message is the end of its object, or of its payment.
func (m message) ends() bool {
	typ, status := m.event.Type, m.object["status"]
	return strings.HasSuffix(typ, ".deleted") || strings.HasSuffix(typ, "_failed") || status == "canceled" ||
		status == "incomplete_expired"
}

// outdone tells whether somebody else has proved a user's address since: telling
// it again would be a claim.
func (w weakener) outdone(m message) bool {
	mine := m.address()
	if m.kind() != "user" || mine == "" {
		return false
	}
	return slices.ContainsFunc(w.told, func(e store.NewEvent) bool {
		other := message{event: e, object: objectIn(e)}
		return other.kind() == "user" && other.key() != m.key() && other.address() == mine &&
			!e.OccurredAt.Before(m.event.OccurredAt)
	})
}

// address is the one that a user's message names, verified or not.
func (m message) address() string {
	list, _ := m.object["email_addresses"].([]any)
	if len(list) == 0 {
		return ""
	}
	return strings.ToLower(list[0].(map[string]any)["email_address"].(string))
}

// optionalFields are what may be left out of a message, by its kind. Those with
// a "?" may be null as well, which is no news either; of the platform's links
// null takes back what was said. What makes the event what it is stays: ids,
// status, amounts, its own times, and the person of a platform event.
var optionalFields = map[string][]string{
	"user":       {"first_name?", "primary_email_address_id?", "email_addresses?"},
	"customer":   {"email?", "name?"},
	"store":      {"name?", "owner_user_id", "stripe_account_id"},
	"product":    {"store_id", "items", "stripe_price_ids"},
	"enrollment": {"store_id", "name?", "progress?", "enrolled_at?", "completed_at"},
	"purchase":   {"store_id"},
	"checkout.session": {"customer?", "customer_details?", "customer_details.email?", "customer_details.name?",
		"client_reference_id?", "invoice?", "metadata?", "metadata.*?"},
	"payment_intent": {"customer?", "invoice?", "transfer_data?", "metadata?", "metadata.*?"},
	"invoice": {"customer?", "customer_email?", "payment_intent?", "subscription?", "subscription_details?",
		"subscription_details.metadata.*?", "parent?", "parent.subscription_details.metadata.*?", "lines?"},
	"customer.subscription": {"metadata?", "metadata.*?", "items?"},
}

// leaveOut takes some fields out of an object, or all that it has of them.
func (w weakener) leaveOut(object map[string]any, fields []string, all bool) {
	for _, field := range fields {
		path, nullable := strings.CutSuffix(field, "?")
		parts := strings.Split(path, ".")
		at := object
		for _, p := range parts[:len(parts)-1] {
			at, _ = at[p].(map[string]any)
		}
		names := []string{parts[len(parts)-1]}
		if names[0] == "*" {
			names = slices.Sorted(maps.Keys(at))
		}
		for _, name := range names {
			if _, there := at[name]; !there {
				continue
			}
			how := []string{"left out"}
			if nullable {
				how = append(how, "null")
			}
			if !all {
				how = append(how, "kept")
			}
			switch rapid.SampledFrom(how).Draw(w.t, name) {
			case "left out":
				delete(at, name)
			case "null":
				at[name] = nil
			}
		}
	}
}

// fieldsLeftOut repeats a message with any of its optional fields left out.
func (w weakener) fieldsLeftOut() (store.NewEvent, bool) {
	some := w.inForce()
	if len(some) == 0 {
		return store.NewEvent{}, false
	}
	m := rapid.SampledFrom(some).Draw(w.t, "message")
	w.leaveOut(m.object, optionalFields[m.kind()], false)
	return w.again(m)
}

// linksLeftOut repeats a message without any of the links it has.
func (w weakener) linksLeftOut() (store.NewEvent, bool) {
	some := w.inForce("store.", "product.", "user.")
	if len(some) == 0 {
		return store.NewEvent{}, false
	}
	m := rapid.SampledFrom(some).Draw(w.t, "message")
	w.leaveOut(m.object, map[string][]string{
		"store":   {"owner_user_id", "stripe_account_id"},
		"product": {"store_id", "items", "stripe_price_ids"},
		"user":    {"primary_email_address_id?", "email_addresses?"},
	}[m.kind()], true)
	return w.again(m)
}

// known are the values that a field has in the messages in force. A link of
// what had none so far would be news, not one more.
func (w weakener) known(kind, field string) (values []string) {
	for _, m := range w.inForce(kind) {
		switch v := m.object[field].(type) {
		case string:
			values = append(values, v)
		case []any:
			for _, one := range v {
				values = append(values, one.(string))
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// anotherProduct names a price that is another product's.
func (w weakener) anotherProduct() (store.NewEvent, bool) {
	d, prices := w.drawer(), w.known("product.", "stripe_price_ids")
	if len(prices) == 0 {
		return store.NewEvent{}, false
	}
	return w.platform("product.upserted", map[string]any{
		"id": w.id("course"), "store_id": d.pick("its store", "store_1", "store_2", "store_9"),
		"kind":  d.pick("kind", "course", "digital", "membership"),
		"title": "Another", "stripe_price_ids": []string{d.pick("price", prices...)},
	})
}

// anotherStore names an account or an owner, or both, that are another store's.
func (w weakener) anotherStore() (store.NewEvent, bool) {
	d, data := w.drawer(), map[string]any{"id": w.id("store"), "name": "Another"}
	for _, link := range []string{"owner_user_id", "stripe_account_id"} {
		if known := w.known("store.", link); len(known) > 0 && d.yes() {
			data[link] = d.pick(link, known...)
		}
	}
	return w.platform("store.upserted", data)
}

// anotherUser verifies an address that may be somebody's.
func (w weakener) anotherUser() (store.NewEvent, bool) {
	payload := userPayload(w.id("user"), "Zoe", w.at, address(w.drawer().email(), "verified"))
	return w.event("clerk", "user.created", "", json.RawMessage(payload)), true
}

// secondStore is opened by an owner of one.
func (w weakener) secondStore() (store.NewEvent, bool) {
	owners := w.known("store.", "owner_user_id")
	if len(owners) == 0 {
		return store.NewEvent{}, false
	}
	return w.platform("store.upserted", map[string]any{"id": w.id("store"), "name": "Second",
		"owner_user_id": w.drawer().pick("owner", owners...)})
}

// unverified repeats a user whose address is not verified any more.
func (w weakener) unverified() (store.NewEvent, bool) {
	users := slices.DeleteFunc(w.inForce("user."), func(m message) bool { return m.address() == "" })
	if len(users) == 0 {
		return store.NewEvent{}, false
	}
	m := rapid.SampledFrom(users).Draw(w.t, "message")
	m.object["email_addresses"].([]any)[0].(map[string]any)["verification"] = map[string]any{"status": "unverified"}
	return w.again(m)
}
