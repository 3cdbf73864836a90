package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"rollcall/history"
	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/store"
	"rollcall/worker"
)

// past is some history that Stripe, Clerk and the platform know of: as objects
// of their APIs, and as the webhooks that told of them when they happened.
type past struct {
	stripe   *stripefake.Server
	clerk    *clerkfake.Clerk
	webhooks []store.NewEvent
}

var pastBegins = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// newPast makes n buyers up, each with what is different about them: some have
// a user, some a subscription, a refund, a dispute, some share a second.
func newPast(t *testing.T, n int) *past {
	p := &past{stripe: stripefake.New(t), clerk: clerkfake.New(t)}
	for s := range stores {
		p.platform(fmt.Sprintf("store.upserted %d", s), "store.upserted",
			fmt.Sprintf(`{"id":"store_%d","name":"Store %[1]d"}`, s))
	}
	for c := range 4 {
		p.platform(fmt.Sprintf("product.upserted %d", c), "product.upserted",
			fmt.Sprintf(`{"id":"course_%d","store_id":"store_%d","kind":"course","title":"Course %[1]d"}`, c, c%stores))
	}
	for i := range n {
		p.buys(i)
		if i%3 == 0 {
			p.getsBack(i)
		}
		if i%4 == 0 {
			p.subscribes(i)
		}
		if i%7 == 0 {
			p.disputes(i)
		}
		if i%5 == 0 {
			p.signsUp(i)
		}
	}
	return p
}

func moment(i int) int64 { return pastBegins.Add(time.Duration(i/2) * time.Minute).Unix() }

func (p *past) buys(i int) {
	person := ""
	if i%5 == 0 {
		person = fmt.Sprintf(`,"userId":"user_%d"`, i)
	}
	p.object("customer.created",
		fmt.Sprintf(`{"id":"cus_%d","object":"customer","email":"buyer%[1]d@x.example","name":"Buyer %[1]d","created":%d}`, i,
			moment(i)))
	p.object("payment_intent.succeeded",
		fmt.Sprintf(
			`{"id":"pi_%d","object":"payment_intent","amount":%d,"amount_received":%[2]d,"currency":"usd",`+
				`"status":"succeeded","customer":"cus_%[1]d","created":%[3]d,"metadata":{}}`, i, price(i), moment(i)))
	p.object("checkout.session.completed",
		fmt.Sprintf(`{"id":"cs_%d","object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid",
		"amount_total":%d,"currency":"usd",
		"payment_intent":"pi_%[1]d","customer":"cus_%[1]d","customer_details":{"email":"buyer%[1]d@x.example",
		"name":"Buyer %[1]d"},"created":%[3]d,"metadata":{"courseId":"course_%[4]d"%[5]s}}`,
			i, price(i), moment(i), i%4, person))
}

func (p *past) getsBack(i int) {
	charge := fmt.Sprintf(
		`{"id":"ch_%d","object":"charge","amount":%d,"amount_refunded":50,"currency":"usd","payment_intent":"pi_%[1]d",`+
			`"created":%[3]d}`, i, price(i), moment(i))
	p.stripe.Add("", charge)
	p.event("charge.refunded", charge, moment(i)+60)
	p.object("refund.created",
		fmt.Sprintf(
			`{"id":"re_%d","object":"refund","amount":50,"currency":"usd","charge":"ch_%[1]d","payment_intent":"pi_%[1]d",`+
				`"status":"succeeded","created":%d}`, i, moment(i)+60))
}

func (p *past) subscribes(i int) {
	p.object("customer.subscription.created",
		fmt.Sprintf(
			`{"id":"sub_%d","object":"subscription","status":"active","customer":"cus_%[1]d","created":%d,"start_date":%[2]d,
			"current_period_end":%[3]d,
		"items":{"object":"list",
		"data":[{"id":"si_%[1]d","quantity":1,"price":{"id":"price_1","product":"prod_1","unit_amount":900,"currency":"usd",
		"nickname":"Monthly"}}],"has_more":false},
		"metadata":{"storeId":"store_%[4]d","planId":"plan_1"}}`, i, moment(i), moment(i)+2592000, i%stores))
	p.object("invoice.paid",
		fmt.Sprintf(
			`{"id":"in_%d","object":"invoice","status":"paid","paid":true,"amount_paid":900,"currency":"usd",
			"customer":"cus_%[1]d","customer_email":"buyer%[1]d@x.example",
		"subscription":"sub_%[1]d","payment_intent":"pi_in_%[1]d","created":%d,"status_transitions":{"paid_at":%[2]d},
		"lines":{"object":"list","data":[],"has_more":false},"metadata":{}}`, i, moment(i)))
	p.object("payment_intent.succeeded",
		fmt.Sprintf(
			`{"id":"pi_in_%d","object":"payment_intent","amount":900,"amount_received":900,"currency":"usd",`+
				`"status":"succeeded","customer":"cus_%[1]d","invoice":"in_%[1]d","created":%d,"metadata":{}}`, i, moment(i)))
}

func (p *past) disputes(i int) {
	p.object("charge.dispute.funds_withdrawn",
		fmt.Sprintf(
			`{"id":"dp_%d","object":"dispute","amount":%d,"currency":"usd","charge":"ch_d%[1]d","payment_intent":"pi_%[1]d",`+
				`"status":"lost","created":%[3]d,"balance_transactions":[{"amount":-%[2]d}]}`, i, price(i)/2, moment(i)))
}

func (p *past) signsUp(i int) {
	user := clerkfake.NewUser(fmt.Sprintf("user_%d", i), fmt.Sprintf("Person%d@x.example", i), time.Unix(moment(i), 0))
	user["first_name"] = fmt.Sprintf("Person %d", i)
	p.clerk.Add(user)
	body, err := json.Marshal(map[string]any{"type": "user.created", "object": "event", "data": user})
	if err != nil {
		panic(err)
	}
	p.webhooks = append(p.webhooks, store.NewEvent{Source: "clerk", EventID: fmt.Sprintf("msg_%d", i),
		Type: "user.created", OccurredAt: time.Unix(moment(i), 0), Payload: body})
}

// object is one that Stripe's API has, and told of by a webhook.
func (p *past) object(event, object string) {
	p.stripe.Add("", object)
	p.event(event, object, moment(0))
}

func (p *past) event(typ, object string, at int64) {
	id := fmt.Sprintf("evt_%d", len(p.webhooks))
	body := fmt.Sprintf(
		`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":false,"api_version":"2023-10-16","data":{"object":%s}}`,
		id, typ, at, object)
	live := false
	p.webhooks = append(p.webhooks, store.NewEvent{Source: "stripe", EventID: id, Type: typ, Livemode: &live,
		OccurredAt: time.Unix(at, 0), Payload: []byte(body)})
	p.stripe.Add("", body) // Stripe lists its events too
}

func (p *past) platform(id, typ, data string) {
	body := fmt.Sprintf(`{"type":%q,"timestamp":"2026-03-01T00:00:00Z","data":%s}`, typ, data)
	p.webhooks = append(p.webhooks, store.NewEvent{Source: "platform", EventID: id, Type: typ,
		OccurredAt: pastBegins.Add(-24 * time.Hour), Payload: []byte(body)})
}

// source opens a history as `rollcall work` does.
func (p *past) source(run store.Backfill) (worker.Source, error) {
	access := history.Access{StripeKey: stripefake.Key, ClerkKey: clerkfake.Key}
	if p.stripe != nil {
		access.StripeBase = p.stripe.URL
	}
	if p.clerk != nil {
		access.ClerkBase = p.clerk.URL
	}
	return access.Open(run)
}
