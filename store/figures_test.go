package store_test

import (
	"context"
	"fmt"
	"testing"

	"rollcall/store"
)

// told applies events one by one and checks that a rebuild agrees.
func told(t *testing.T, events ...store.NewEvent) (url string) {
	t.Helper()
	s, url := openURL(t)
	apply(t, s, events, 1)
	if diff, err := s.Rebuild(context.Background(), "", nil); err != nil || diff.Sum() != 0 {
		t.Errorf("rebuild: %+v %v", diff, err)
	}
	return url
}

// What only the payment intent says still holds when a checkout that says
// nothing of it claims the money.
func TestIntentMetadataSurvivesCheckout(t *testing.T) {
	var e teller
	intent := e.stripe("payment_intent.succeeded", "",
		`{"id":"pi_1","amount_received":1000,"currency":"usd","metadata":{"storeId":"s1","courseId":"c1","userId":"user_1"}}`)
	checkout := e.sale("pi_1", "a@x.example", `{}`)
	user := e.user("user_1", "b@x.example", "verified")
	for _, order := range [][]store.NewEvent{{intent, checkout, user}, {checkout, user, intent}} {
		wantRows(t, told(t, order...), `SELECT store_id || ' ' || email || ' ' || course_ids::text || ' ' || spent::text
			FROM customers`,
			`s1 b@x.example {c1} [{"amount": 1000, "currency": "usd"}]`)
	}
}

// A bundle known only by its price unlocks a course that is told later.
func TestBundleByItsPrice(t *testing.T) {
	var e teller
	url := told(t,
		e.platform("product.upserted",
			`{"id":"b1","store_id":"s1","kind":"bundle","title":"B","items":["c1"],"stripe_price_ids":["price_b"]}`),
		e.stripe("invoice.paid", "",
			`{"id":"in_1","amount_paid":1000,"currency":"usd","customer_email":"a@x.example",`+
				`"lines":{"data":[{"price":{"id":"price_b"}}]}}`),
		e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`))
	wantRows(t, url, `SELECT email || course_ids::text FROM customers`, "a@x.example{c1}")
}

// A product names a price no more, or is no bundle yet, before its store is told: what was sold by that
// price belongs there, and unlocks what is in the bundle.
func TestPricesOfFormerDays(t *testing.T) {
	var e teller
	named := e.platform("product.upserted",
		`{"id":"b1","store_id":"owner","kind":"bundle","title":"B","stripe_price_ids":["price_old"]}`)
	paid := e.stripe("invoice.paid", "",
		`{"id":"in_1","amount_paid":1000,"currency":"usd","created":1768212001,"customer_email":"a@x.example",`+
			`"lines":{"data":[{"price":{"id":"price_old"}}]}}`)
	withdrawn := e.platform("product.upserted", `{"id":"b1","kind":"bundle","title":"B","stripe_price_ids":[]}`)
	owned := e.platform("store.upserted", `{"id":"s1","name":"S","owner_user_id":"owner"}`)
	filled := e.platform("product.upserted", `{"id":"b1","kind":"bundle","title":"B","items":["c1"]}`)
	course := e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`)
	for _, order := range [][]store.NewEvent{
		{named, paid, withdrawn, owned, filled, course},
		{named, paid, withdrawn, course, filled, owned},
		{paid, named, withdrawn, owned, course, filled},
		{course, owned, filled, withdrawn, named, paid},
	} {
		wantRows(t, told(t, order...), `SELECT store_id || ' ' || email || course_ids::text FROM customers`,
			"s1 a@x.example{c1}")
	}
}

// An end told of the user ends what was told of the address, and no longer when
// the user has left that address.
func TestEndByUserOfEnrollmentByEmail(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.user("user_1", "a@x.example", "verified"), e.enrolled("c1", `"email":"a@x.example"`),
		e.platform("enrollment.deleted", `{"course_id":"c1","user_id":"user_1"}`)}, 1)
	wantRows(t, url, customersSQL, "s1 a@x.example lead inactive")
	apply(t, s, []store.NewEvent{e.user("user_1", "b@x.example", "verified")}, 1)
	wantRows(t, url, customersSQL, "s1 b@x.example lead inactive") // it is the user's, wherever they go
}

// A charge refunded in full gives back no more than it took, and one in another
// currency its share of the sale.
func TestRefundShares(t *testing.T) {
	var e teller
	invoice := e.stripe("invoice.paid", "",
		`{"id":"in_1","amount_paid":1000,"currency":"usd","customer_email":"a@x.example",`+
			`"metadata":{"storeId":"s1","productId":"p"}}`)
	links := []store.NewEvent{invoice}
	for _, intent := range []string{"pi_1", "pi_2"} {
		links = append(links,
			e.stripe("invoice_payment.paid", "",
				fmt.Sprintf(`{"id":"inpay_%[1]s","invoice":"in_1","payment":{"payment_intent":%[1]q}}`, intent)))
	}
	part := e.stripe("charge.refunded", "",
		`{"id":"ch_1","amount":300,"amount_refunded":300,"refunded":true,"currency":"usd","payment_intent":"pi_1"}`)
	wantRows(t, told(t, append(links, part)...), `SELECT refunded::text FROM payments WHERE kind = 'invoice'`, "300")

	abroad := e.stripe("charge.refunded", "",
		`{"id":"ch_2","amount":920,"amount_refunded":460,"currency":"eur","payment_intent":"pi_3"}`)
	wantRows(t, told(t, e.sale("pi_3", "a@x.example", `{"storeId":"s1","productId":"p"}`), abroad),
		`SELECT refunded::text FROM payments`, "500")
}

// A total that leaves out what was captured, as older versions of the API do,
// does not make a refund of what was never taken.
func TestCapturedShareStaysKnown(t *testing.T) {
	var e teller
	full := e.stripe("charge.refunded", "",
		`{"id":"ch_1","amount":1000,"amount_captured":600,"amount_refunded":500,"currency":"usd","payment_intent":"pi_1"}`)
	less := e.stripe("charge.refunded", "", `{"id":"ch_1","amount_refunded":500,"currency":"usd","payment_intent":"pi_1"}`)
	sale := e.sale("pi_1", "a@x.example", `{"storeId":"s1","productId":"p"}`)
	for _, charges := range [][]store.NewEvent{{full}, {full, less}, {less, full}} {
		wantRows(t, told(t, append(charges, sale)...), `SELECT refunded::text FROM payments`, "100")
	}
}

// Who was enrolled long before buying has been here since then, and came free.
func TestFirstSeenDoesNotJump(t *testing.T) {
	var e teller
	url := told(t,
		e.platform("enrollment.upserted",
			`{"course_id":"c1","store_id":"s1","email":"a@x.example","enrolled_at":"2025-01-01T00:00:00Z"}`),
		e.sale("pi_1", "a@x.example", `{"storeId":"s1","courseId":"c1"}`))
	wantRows(t, url, `SELECT rfc3339(first_seen_at) || ' ' || source_kind || ' ' || type FROM customers`,
		"2025-01-01T00:00:00Z free_course paying")
}

// A subscription of which only the end is heard was one; a first payment that
// never came makes none.
func TestSubscriptionHeardAtItsEnd(t *testing.T) {
	for ended, want := range map[int][]string{1768212000: {"s1 a@x.example subscription inactive"}, 1700000600: nil} {
		var e teller
		url := told(t, e.stripe("customer.created", "", `{"id":"cus_1","email":"a@x.example"}`),
			e.stripe("customer.subscription.deleted", "",
				fmt.Sprintf(
					`{"id":"sub_1","status":"canceled","customer":"cus_1","metadata":{"storeId":"s1"},"start_date":1700000000,`+
						`"ended_at":%d}`, ended)))
		wantRows(t, url, customersSQL, want...)
	}
}

// What a customer did last names the course or product that it was about.
func TestWhatTheLastActivityWasAbout(t *testing.T) {
	var e teller
	events := []store.NewEvent{
		e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`),
		e.platform("product.upserted", `{"id":"c2","store_id":"s1","kind":"course","title":"D"}`),
		e.enrolled("c1", `"email":"a@x.example"`),
		e.enrolled("c2", `"email":"a@x.example"`),
	}
	const last = `SELECT last_activity || ' ' || coalesce(last_activity_of, '') FROM customers`
	wantRows(t, told(t, events...), last, "enrollment c2")
	events = append(events, e.enrolled("c1", `"email":"a@x.example","progress":45`))
	wantRows(t, told(t, events...), last, "progress c1")
	events = append(events, e.platform("purchase.recorded",
		`{"id":"o1","product_id":"c2","email":"a@x.example","amount":100,"currency":"usd"}`))
	wantRows(t, told(t, events...), last, "course_purchase c2")
}
