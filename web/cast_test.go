package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/browser"
	"rollcall/store"
	"rollcall/web/access"
	"rollcall/web/core"
)

// told is an event as a source tells it, some time ago.
type told struct {
	source, typ string
	ago         time.Duration
	data        string // of Stripe the object
}

const day = 24 * time.Hour

// hear takes events into the inbox and applies them.
func (x *site) hear(t testing.TB, events ...told) {
	t.Helper()
	var in []store.NewEvent
	for _, e := range events {
		x.told++
		body := map[string]string{"stripe": `{"data":{"object":%s}}`, "clerk": `{"data":%s}`,
			"platform": `{"data":%s}`}[e.source]
		in = append(in, store.NewEvent{Source: e.source, EventID: fmt.Sprintf("evt_told_%04d", x.told), Type: e.typ,
			OccurredAt: time.Now().Add(-e.ago), Payload: fmt.Appendf(nil, body, e.data)})
	}
	x.apply(t, in)
}

// before writes a moment in the past as events do.
func before(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }

// unix writes one as Stripe does.
func unix(ago time.Duration) string { return fmt.Sprint(time.Now().Add(-ago).Unix()) }

// enrolled is somebody in a course of the studio.
func enrolled(name, course, progress string, ago time.Duration) told {
	return told{"platform", "enrollment.upserted", ago, fmt.Sprintf(
		`{"course_id":%q,"store_id":"studio","email":%q,"name":%q,"progress":%s,"enrolled_at":%q}`, course, mailOf(name),
		name, progress, before(ago))}
}

func mailOf(name string) string {
	plain := strings.NewReplacer(" ", ".", "ë", "e", "ü", "u").Replace(strings.ToLower(name))
	return plain + "@mail.example"
}

// sold is a sale by Stripe in the studio; later events know it by its id.
func sold(id, name, product string, amount int, currency string, ago time.Duration) told {
	return told{"stripe", "checkout.session.completed", ago, fmt.Sprintf(
		`{"id":"cs_%[1]s","mode":"payment","payment_status":"paid","payment_intent":"pi_%[1]s","created":%[7]s,
		"amount_total":%[4]d,"currency":%[5]q,
		"customer_details":{"email":%[6]q,"name":%[2]q},"metadata":{"storeId":"studio","productId":%[3]q}}`,
		id, name, product, amount, currency, mailOf(name), unix(ago))}
}

// studio is a store with people of every kind: who is in a course, has bought,
// subscribes, was given money back, left.
func studio() []told {
	return []told{
		{"platform", "store.upserted", 90 * day, `{"id":"studio","name":"Aurora Academy","owner_user_id":"user_owner"}`},
		{"platform", "product.upserted", 90 * day,
			`{"id":"mixing","store_id":"studio","kind":"course","title":"Mixing Basics"}`},
		{"platform", "product.upserted", 90 * day,
			`{"id":"mastering","store_id":"studio","kind":"course","title":"Mastering in the Box"}`},
		{"platform", "product.upserted", 90 * day,
			`{"id":"drums","store_id":"studio","kind":"digital","title":"Drum Kit Vol. 1"}`},
		{"platform", "product.upserted", 90 * day,
			`{"id":"club","store_id":"studio","kind":"membership","title":"Inner Circle"}`},
		enrolled("Ann Lee", "mixing", "40", 2*time.Hour),
		enrolled("Bob Stone", "mixing", "100", 40*day),
		sold("bob", "Bob Stone", "mastering", 29900, "usd", 3*time.Hour),
		enrolled("Bob Stone", "mastering", "10.5", 3*time.Hour),
		sold("zoe", "Zoë Müller", "drums", 2500, "eur", 5*day),
		{"stripe", "customer.created", 61 * day, `{"id":"cus_ivo","email":"ivo.marek@mail.example","name":"Ivo Marek"}`},
		{"stripe", "customer.subscription.updated", 60 * day,
			`{"id":"sub_ivo","status":"active","customer":"cus_ivo","currency":"usd","start_date":` + unix(60*day) +
				`,"metadata":{"storeId":"studio","productId":"club"},` +
				`"items":{"data":[{"price":{"id":"price_club","unit_amount":1900},"current_period_end":` + unix(-20*day) + `}]}}`},
		{"stripe", "invoice.paid", 60 * day,
			`{"id":"in_ivo","customer":"cus_ivo","subscription":"sub_ivo","amount_paid":1900,"currency":"usd","created":` +
				unix(60*day) + `}`},
		sold("rita", "Rita Okafor", "drums", 10000, "usd", 20*day),
		{"stripe", "refund.created", 19 * day,
			`{"id":"re_rita","payment_intent":"pi_rita","amount":2500,"currency":"usd","status":"succeeded","created":` +
				unix(19*day) + `}`},
		{"stripe", "charge.dispute.created", 18 * day,
			`{"id":"dp_rita","payment_intent":"pi_rita","amount":7500,"currency":"usd","status":"needs_response",` +
				`"balance_transactions":[{"amount":-7500}]}`},
		enrolled("Lena Voss", "mixing", "75", 80*day),
		{"platform", "enrollment.deleted", 30 * day, `{"course_id":"mixing","email":"lena.voss@mail.example"}`},
	}
}

// crowd is more people in a course, for a list of several pages.
func crowd(n int) (events []told) {
	for i := range n {
		events = append(events, enrolled(fmt.Sprintf("Guest %03d", i), "mixing", fmt.Sprint(i%101),
			time.Duration(100+i)*time.Hour))
	}
	return events
}

const listPath = "/store/studio/customers"

// visit opens a site with the studio in a browser, signed in as an operator.
func visit(t *testing.T, look browser.Look, events ...told) (*site, *browser.Page) {
	t.Helper()
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	if len(events) == 0 {
		events = studio()
	}
	x.hear(t, events...)
	return x, x.browse(t, look)
}

// browse opens a page of the site, signed in as an operator.
func (x *site) browse(t *testing.T, look browser.Look) *browser.Page {
	t.Helper()
	p := browser.Open(t, x.url, look)
	// What is chosen before the answer has come takes its place; htmx says so.
	p.Allow("htmx:sendAbort")
	p.Allow("htmx:afterRequest")
	p.Cookie(access.SessionCookie, x.access.Admin.Sign(access.ForSession, time.Now().Add(time.Hour)))
	return p
}
