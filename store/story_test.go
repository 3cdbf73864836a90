package store_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/store"
)

// Stories for the order law: few stores, people, courses and payments, and many
// events about them, most sharing a second, so that everything meets everything.

// drawStory draws a story of 4 to 30 events.
func drawStory(t *rapid.T) []store.NewEvent {
	n := rapid.IntRange(4, 30).Draw(t, "events")
	var events []store.NewEvent
	for i := range n {
		d := drawer{t: t, at: storyStart.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "second")) * time.Second), nth: i}
		events = append(events, rapid.SampledFrom(acts).Draw(t, "act")(d))
	}
	return events
}

// drawer draws the details of one event.
type drawer struct {
	t   *rapid.T
	at  time.Time
	nth int
}

func (d drawer) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(d.t, label)
}
func (d drawer) user() string  { return d.pick("user", "user_1", "user_2", "user_3") }
func (d drawer) store() string { return d.pick("store", "store_1", "store_2", "user_owner", "") }
func (d drawer) email() string {
	return d.pick("email", "ann@x.example", "Bob@x.example", "cy@x.example", "dot@x.example")
}
func (d drawer) course() string { return d.pick("course", "course_1", "course_2", "bundle_1") }
func (d drawer) intent() string { return d.pick("intent", "pi_1", "pi_2", "pi_3") }
func (d drawer) sub() string    { return d.pick("subscription", "sub_1", "sub_2") }
func (d drawer) cus() string    { return d.pick("customer", "cus_1", "cus_2") }
func (d drawer) yes() bool      { return rapid.Bool().Draw(d.t, "yes") }
func (d drawer) amount() int    { return rapid.SampledFrom([]int{500, 1900, 4900}).Draw(d.t, "amount") }

// maybe draws a JSON string or null.
func (d drawer) maybe(draw func() string) string {
	if d.yes() {
		return fmt.Sprintf("%q", draw())
	}
	return "null"
}

func (d drawer) event(source, typ, account, payload string) store.NewEvent {
	return store.NewEvent{Source: source, EventID: fmt.Sprintf("evt_%02d_%s", d.nth, typ), Type: typ, Account: account, OccurredAt: d.at, Payload: []byte(payload)}
}

func (d drawer) stripe(typ, object string) store.NewEvent {
	account := ""
	if rapid.IntRange(0, 5).Draw(d.t, "connect") == 0 {
		account = "acct_1"
	}
	return d.event("stripe", typ, account, fmt.Sprintf(`{"type":%q,"data":{"object":%s}}`, typ, object))
}

func (d drawer) platform(typ, data string) store.NewEvent {
	return d.event("platform", typ, "", fmt.Sprintf(`{"type":%q,"data":%s}`, typ, data))
}

// metadata draws what a shop may have written on an object.
func (d drawer) metadata() string {
	var parts []string
	add := func(key string, draw func() string) {
		if d.yes() {
			parts = append(parts, fmt.Sprintf("%q:%q", key, draw()))
		}
	}
	add(d.pick("store key", "storeId", "store_id"), d.store)
	add(d.pick("product key", "courseId", "productId", "course_id"), d.course)
	add("userId", d.user)
	if rapid.IntRange(0, 9).Draw(d.t, "platform sale") == 0 {
		parts = append(parts, `"productType":"creator_plan"`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// who draws the person of a platform event.
func (d drawer) who() string {
	if d.yes() {
		return fmt.Sprintf(`"user_id":%q`, d.user())
	}
	return fmt.Sprintf(`"email":%q`, d.email())
}

var acts = []func(drawer) store.NewEvent{
	func(d drawer) store.NewEvent { // a user appears, changes, or goes
		id := d.user()
		typ := d.pick("type", "user.created", "user.updated", "user.updated", "user.deleted")
		if typ == "user.deleted" {
			return d.event("clerk", typ, "", fmt.Sprintf(`{"data":{"id":%q,"deleted":true}}`, id))
		}
		return d.event("clerk", typ, "", fmt.Sprintf(
			`{"data":{"id":%q,"first_name":%q,"primary_email_address_id":"idn_1","updated_at":%d,"email_addresses":[{"id":"idn_1","email_address":%q,"verification":{"status":%q}}]}}`,
			id, d.pick("name", "Ann", "Bob", ""), d.at.UnixMilli(), d.email(), d.pick("status", "verified", "verified", "unverified")))
	},
	func(d drawer) store.NewEvent {
		return d.event("clerk", "session.created", "", fmt.Sprintf(`{"data":{"id":"sess","user_id":%q,"created_at":%d}}`, d.user(), d.at.UnixMilli()))
	},
	func(d drawer) store.NewEvent {
		return d.platform("store.upserted", fmt.Sprintf(`{"id":%q,"name":"S","owner_user_id":%s,"stripe_account_id":%s}`,
			d.pick("store", "store_1", "store_2"), d.maybe(func() string { return "user_owner" }), d.maybe(func() string { return "acct_1" })))
	},
	func(d drawer) store.NewEvent {
		if id := d.course(); id != "bundle_1" {
			return d.platform("product.upserted", fmt.Sprintf(`{"id":%q,"store_id":%q,"kind":%q,"title":"C","stripe_price_ids":["price_1"]}`,
				id, d.store(), d.pick("kind", "course", "course", "digital")))
		}
		return d.platform("product.upserted", fmt.Sprintf(`{"id":"bundle_1","store_id":%q,"kind":"bundle","title":"B","items":[%q],"stripe_price_ids":[%q]}`, d.store(), d.pick("item", "course_1", "course_2"), d.pick("price", "price_1", "price_2")))
	},
	func(d drawer) store.NewEvent {
		return d.platform("product.deleted", fmt.Sprintf(`{"id":%q}`, d.course()))
	},
	func(d drawer) store.NewEvent {
		progress := rapid.SampledFrom([]string{"", `,"progress":45`, `,"progress":100,"completed_at":"2026-01-12T11:00:00Z"`}).Draw(d.t, "progress")
		return d.platform("enrollment.upserted", fmt.Sprintf(`{"course_id":%q,%s,"store_id":%q%s}`, d.course(), d.who(), d.store(), progress))
	},
	func(d drawer) store.NewEvent {
		return d.platform("enrollment.deleted", fmt.Sprintf(`{"course_id":%q,%s}`, d.course(), d.who()))
	},
	func(d drawer) store.NewEvent {
		return d.platform("purchase.recorded", fmt.Sprintf(`{"id":%q,"product_id":%q,"store_id":%q,%s,"amount":%d,"currency":"usd","purchased_at":"2026-01-12T09:00:00Z"}`,
			d.pick("purchase", "buy_1", "pi_1"), d.course(), d.store(), d.who(), d.amount()))
	},
	func(d drawer) store.NewEvent { // a checkout, paid, free or not paid yet
		typ := d.pick("type", "checkout.session.completed", "checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed")
		status := d.pick("status", "paid", "unpaid", "no_payment_required")
		if typ == "checkout.session.async_payment_succeeded" {
			status = "paid"
		}
		intent := d.maybe(d.intent)
		return d.stripe(typ, fmt.Sprintf(`{"id":%q,"mode":"payment","payment_status":%q,"amount_total":%d,"currency":%q,"payment_intent":%s,"invoice":%s,"customer":%s,"customer_details":{"email":%q,"name":"Guest"},"metadata":%s}`,
			"cs_"+strings.Trim(intent, `"`), status, d.amount(), d.pick("currency", "usd", "jpy"), intent, d.maybe(func() string { return "in_1" }), d.maybe(d.cus), d.email(), d.metadata()))
	},
	func(d drawer) store.NewEvent {
		return d.stripe("payment_intent.succeeded", fmt.Sprintf(`{"id":%q,"amount_received":%d,"currency":"usd","customer":%s,"invoice":%s,"transfer_data":%s,"metadata":%s}`,
			d.intent(), d.amount(), d.maybe(d.cus), d.maybe(func() string { return "in_1" }), d.pick("to", "null", `{"destination":"acct_1"}`), d.metadata()))
	},
	func(d drawer) store.NewEvent {
		intent := d.intent()
		return d.stripe("charge.refunded", fmt.Sprintf(`{"id":%q,"amount":4900,"amount_refunded":%d,"currency":%q,"payment_intent":%q,"created":%d}`,
			"ch_"+intent, d.amount(), d.pick("currency", "usd", "usd", "eur"), intent, storyStart.Unix()))
	},
	func(d drawer) store.NewEvent {
		intent := d.intent()
		return d.stripe(d.pick("type", "refund.created", "refund.updated", "refund.failed"), fmt.Sprintf(`{"id":%q,"amount":500,"currency":"usd","charge":%q,"payment_intent":%s,"status":%q,"created":%d}`,
			"re_"+intent, "ch_"+intent, d.pick("linked", `"`+intent+`"`, "null"), d.pick("status", "succeeded", "pending", "failed"), d.at.Unix()))
	},
	func(d drawer) store.NewEvent {
		intent := d.intent()
		return d.stripe(d.pick("type", "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", "charge.dispute.funds_reinstated"),
			fmt.Sprintf(`{"id":%q,"amount":400,"currency":"usd","charge":%q,"payment_intent":%q,"status":%q,"balance_transactions":[%s]}`,
				"dp_"+intent, "ch_"+intent, intent, d.pick("status", "needs_response", "won", "lost", "warning_needs_response"), d.pick("moved", "", `{"amount":-400}`)))
	},
	func(d drawer) store.NewEvent {
		return d.stripe(d.pick("type", "customer.created", "customer.updated", "customer.deleted"), fmt.Sprintf(`{"id":%q,"email":%s,"name":"Stripe Name"}`, d.cus(), d.maybe(d.email)))
	},
	func(d drawer) store.NewEvent {
		return d.stripe(d.pick("type", "customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted"),
			fmt.Sprintf(`{"id":%q,"status":%q,"customer":%q,"currency":"usd","metadata":%s,"start_date":%d,"items":{"data":[{"price":{"id":"price_1","unit_amount":1900},"current_period_end":%d}]}}`,
				d.sub(), d.pick("status", "incomplete", "active", "past_due", "canceled"), d.cus(), d.metadata(), storyStart.Unix(), storyStart.AddDate(0, 1, 0).Unix()))
	},
	func(d drawer) store.NewEvent { // the checkout a subscription began with
		return d.stripe("checkout.session.completed", fmt.Sprintf(`{"id":"cs_sub","mode":"subscription","payment_status":%q,"subscription":%q,"customer":%s,"customer_details":{"email":%q},"metadata":%s}`,
			d.pick("status", "paid", "unpaid"), d.sub(), d.maybe(d.cus), d.email(), d.metadata()))
	},
	func(d drawer) store.NewEvent { // an invoice before basil
		return d.stripe(d.pick("type", "invoice.paid", "invoice.payment_succeeded"), fmt.Sprintf(`{"id":%q,"amount_paid":%d,"currency":"usd","customer":%q,"customer_email":%q,"payment_intent":%s,"subscription":%q,"subscription_details":{"metadata":%s}}`,
			d.pick("invoice", "in_1", "in_2"), d.amount(), d.cus(), d.email(), d.maybe(d.intent), d.sub(), d.metadata()))
	},
	func(d drawer) store.NewEvent { // an invoice since basil
		return d.stripe("invoice.paid", fmt.Sprintf(`{"id":%q,"amount_paid":%d,"currency":"usd","customer":%q,"parent":{"subscription_details":{"subscription":%q,"metadata":%s}},"lines":{"data":[{"pricing":{"price_details":{"price":"price_1"}}}]}}`,
			d.pick("invoice", "in_1", "in_2"), d.amount(), d.cus(), d.sub(), d.metadata()))
	},
	func(d drawer) store.NewEvent {
		return d.stripe("invoice_payment.paid", fmt.Sprintf(`{"id":"inpay_1","invoice":%q,"payment":{"type":"payment_intent","payment_intent":%q}}`, d.pick("invoice", "in_1", "in_2"), d.intent()))
	},
}
