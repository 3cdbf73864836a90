package store_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"rollcall/store"
)

// What Stripe tells in stories.

// payment, recurring draw a deal.
func (d drawer) payment() drawer   { return d.about(d.pick("deal", "1", "2", "3")) }
func (d drawer) recurring() drawer { return d.about(d.pick("deal", "1", "2")) }

var checkoutActs = []func(drawer) store.NewEvent{
	func(d drawer) store.NewEvent { // a checkout, paid, free or not paid yet
		typ := d.pick("type", "checkout.session.completed", "checkout.session.completed",
			"checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed")
		status := d.pick("status", "paid", "unpaid", "no_payment_required")
		if typ == "checkout.session.async_payment_succeeded" {
			status = "paid"
		}
		return d.session(typ, status, d.yes())
	},
	func(d drawer) store.NewEvent { // one whose money comes later: by a delayed method, or captured by hand
		return d.session("checkout.session.completed", "unpaid", true)
	},
	func(d drawer) store.NewEvent { // the checkout a subscription began with
		d = d.recurring()
		return d.stripe("checkout.session.completed",
			fmt.Sprintf(
				`{"id":"cs_sub_%s","mode":"subscription","payment_status":%q,"subscription":%q,"customer":%s,`+
					`"customer_details":{"email":%q%s},"created":%d,"metadata":%s}`,
				d.deal, d.pick("status", "paid", "unpaid"), d.sub(), d.maybe(d.cus), d.email(), d.living("address"),
				d.unix("created"), d.metadata()))
	},
}

// session draws a checkout in payment mode, with an intent or (free ones) without.
func (d drawer) session(typ, status string, withIntent bool) store.NewEvent {
	d, id, intent := d.about("free"), "cs_null", "null"
	if withIntent {
		d = d.payment()
		intent = fmt.Sprintf("%q", d.intent())
		id = "cs_" + strings.Trim(intent, `"`)
	}
	return d.stripe(
		typ, fmt.Sprintf(
			`{"id":%q,"mode":"payment","payment_status":%q,"amount_total":%d,"currency":%q,"payment_intent":%s,"created":%d,`+
				`"metadata":%s%s%s%s%s%s}`,
			id, status, d.amount(), d.currency(), intent, d.unix("created"), d.metadata(),
			d.field("invoice", func() string { return fmt.Sprintf("%q", d.invoice()) }),
			d.field("customer", func() string { return fmt.Sprintf("%q", d.cus()) }),
			d.field("customer_details", func() string {
				return fmt.Sprintf(`{"email":%q,"name":"Guest"%s}`, d.email(), d.living("address"))
			}),
			d.field("consent", func() string {
				return fmt.Sprintf(`{"promotions":%q}`, d.pick("promotions", "opt_in", "opt_out"))
			}),
			d.field("client_reference_id", func() string { return fmt.Sprintf("%q", d.user()) })))
}

var moneyActs = []func(drawer) store.NewEvent{
	func(d drawer) store.NewEvent {
		d = d.payment()
		return d.stripe("payment_intent.succeeded",
			fmt.Sprintf(
				`{"id":%q,"amount_received":%d,"currency":%q,"status":"succeeded","created":%d,"customer":%s,"invoice":%s,`+
					`"transfer_data":%s,"metadata":%s}`,
				d.intent(), d.amount(), d.currency(), d.unix("created"), d.maybe(d.cus), d.maybe(d.invoice),
				d.pick("to", "null", fmt.Sprintf(`{"destination":%q}`, d.account())), d.metadata()))
	},
	func(d drawer) store.NewEvent { // the only one to know a guest's address
		d = d.payment()
		return d.stripe("charge.succeeded",
			fmt.Sprintf(
				`{"id":"ch_%[1]s","amount":%d,"amount_captured":%[2]d,"amount_refunded":0,"captured":true,"paid":true,`+
					`"status":"succeeded","currency":%q,"payment_intent":%[1]q,"created":%[4]d,`+
					`"billing_details":{"email":%s,"name":"Guest"%s},"metadata":{}}`,
				d.intent(), d.amount(), d.currency(), d.unix("created"), d.maybe(d.email), d.living("address")))
	},
	func(d drawer) store.NewEvent {
		d = d.payment()
		return d.stripe("charge.refunded",
			fmt.Sprintf(
				`{"id":"ch_%[1]s","amount":4900,"amount_refunded":%d,"currency":%q,"payment_intent":%[1]q,"created":%[4]d}`,
				d.intent(), d.part(), d.of("currency", "usd", "usd", "eur"), storyStart.Unix()))
	},
	func(d drawer) store.NewEvent {
		d = d.payment()
		intent := d.intent()
		return d.stripe(d.pick("type", "refund.created", "refund.updated", "refund.failed"),
			fmt.Sprintf(`{"id":%q,"amount":%d,"currency":%q,"charge":%q,"payment_intent":%s,"status":%q,"created":%d}`,
				"re_"+intent, d.part(), d.of("currency", "usd"), "ch_"+intent, d.pick("linked", `"`+intent+`"`, "null"),
				d.pick("status", "succeeded", "pending", "failed"), d.at.Unix()))
	},
	func(d drawer) store.NewEvent {
		d = d.payment()
		intent := d.intent()
		return d.stripe(d.pick("type", "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed",
			"charge.dispute.funds_reinstated"),
			fmt.Sprintf(
				`{"id":%q,"amount":%[2]d,"currency":%q,"charge":%q,"payment_intent":%q,"status":%q,"balance_transactions":[%s]}`,
				"dp_"+intent, d.part(), d.of("currency", "usd"), "ch_"+intent, intent,
				d.pick("status", "needs_response", "won", "lost", "warning_needs_response"), d.pick("moved", "", `{"amount":-50}`)))
	},
}

var billingActs = []func(drawer) store.NewEvent{
	func(d drawer) store.NewEvent {
		return d.stripe(d.pick("type", "customer.created", "customer.updated", "customer.deleted"),
			fmt.Sprintf(`{"id":%q,"email":%s,"name":"Stripe Name"}`, d.cus(), d.maybe(d.email)))
	},
	func(d drawer) store.NewEvent {
		d = d.recurring()
		previous := ""
		if d.pick("previous", "", "", "", "status") != "" {
			previous = fmt.Sprintf(`,"previous_attributes":{"status":%q}`,
				d.pick("previous status", "incomplete", "active", "past_due"))
		}
		return d.changed(d.pick("type", "customer.subscription.created", "customer.subscription.updated",
			"customer.subscription.updated", "customer.subscription.deleted"),
			fmt.Sprintf(`{"id":%q,"status":%q,"customer":%q,"currency":"usd","metadata":%s,"created":%d,"start_date":%[5]d,`+
				`"items":{"data":[%s]}}`,
				d.sub(), d.pick("status", "incomplete", "active", "active", "past_due", "canceled"), d.cus(), d.metadata(),
				d.unix("created"), d.items()), previous)
	},
	func(d drawer) store.NewEvent { // an invoice before basil
		d = d.recurring()
		return d.stripe(d.pick("type", "invoice.paid", "invoice.paid", "invoice.payment_succeeded"),
			fmt.Sprintf(
				`{"id":%q,"amount_paid":%d,"currency":%q,"customer":%q,"customer_email":%q,"created":%d,"payment_intent":%s,`+
					`"subscription":%q,"subscription_details":{"metadata":%s},"lines":{"data":[%s]}}`,
				d.invoice(), d.amount(), d.currency(), d.cus(), d.email(), d.unix("created"), d.maybe(d.intent), d.sub(),
				d.metadata(), d.lines(`{"price":{"id":%q}}`)))
	},
	func(d drawer) store.NewEvent { // an invoice since basil
		d = d.recurring()
		return d.stripe("invoice.paid",
			fmt.Sprintf(
				`{"id":%q,"amount_paid":%d,"currency":%q,"customer":%q,"created":%d%s,`+
					`"parent":{"subscription_details":{"subscription":%q,"metadata":%s}},"lines":{"data":[%s]}}`,
				d.invoice(), d.amount(), d.currency(), d.cus(), d.unix("created"), d.living("customer_address"), d.sub(),
				d.metadata(),
				d.lines(`{"pricing":{"price_details":{"price":%q}}}`)))
	},
	func(d drawer) store.NewEvent {
		d = d.recurring()
		return d.stripe("invoice_payment.paid",
			fmt.Sprintf(`{"id":"inpay_%s","invoice":%q,"payment":{"type":"payment_intent","payment_intent":%q}}`, d.deal,
				d.invoice(), d.intent()))
	},
}

// living draws a billing address with a comma before it, or nothing.
func (d drawer) living(field string) string {
	return d.field(field, func() string {
		return fmt.Sprintf(`{"country":%q}`, d.of("country", "NO", "SE", "JP", "nowhere"))
	})
}

// items draws what a subscription consists of: one plan or two.
func (d drawer) items() string {
	var items []string
	for _, price := range d.prices() {
		items = append(items, fmt.Sprintf(
			`{"price":{"id":%q,"unit_amount":%d,"recurring":{"interval":"month","interval_count":1}},"current_period_end":%d}`,
			price, rapid.SampledFrom([]int{1900, 2900}).Draw(d.t, "unit"), storyStart.AddDate(0, 1, 0).Unix()))
	}
	return strings.Join(items, ",")
}

// lines draws what an invoice is for.
func (d drawer) lines(format string) string {
	var lines []string
	for _, price := range once(d, "lines", d.prices) {
		lines = append(lines, fmt.Sprintf(format, price))
	}
	return strings.Join(lines, ",")
}

func (d drawer) prices() []string {
	if d.pick("items", "one", "one", "two") == "two" {
		return []string{"price_1", "price_2"}
	}
	return []string{d.price()}
}
