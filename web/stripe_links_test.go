package web

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"rollcall/store"
)

// atStripe are the links to Stripe's dashboard on a page.
var atStripe = regexp.MustCompile(`href="(https://dashboard\.stripe\.com[^"]*)"`)

// buys is a person's Stripe customer, and a sale to them, in an account and a mode; nil: unknown.
func (x *site) buys(t *testing.T, who, account string, live *bool) {
	t.Helper()
	customer := fmt.Sprintf(`{"data":{"object":{"id":"cus_%s","email":%q,"name":%q}}}`, who, mailOf(who), who)
	sale := fmt.Sprintf(`{"data":{"object":{"id":"cs_%[1]s","mode":"payment","payment_status":"paid",`+
		`"customer":"cus_%[1]s",`+
		`"payment_intent":"pi_%[1]s","created":%[3]s,"amount_total":900,"currency":"usd","customer_details":{"email":%[2]q},`+
		`"metadata":{"storeId":"studio","productId":"drums"}}}}`, who, mailOf(who), unix(day))
	var in []store.NewEvent
	for typ, payload := range map[string]string{"customer.created": customer, "checkout.session.completed": sale} {
		in = append(in, store.NewEvent{Source: "stripe", EventID: "evt_" + who + typ, Type: typ, Account: account,
			Livemode: live, OccurredAt: time.Now().Add(-day), Payload: []byte(payload)})
	}
	x.apply(t, in)
}

// A customer's page leads to them and to their payments at Stripe: in the account that sold, and in the
// mode of the events. Where Stripe knows nothing, nothing leads there.
func TestLinksToStripe(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	live, test := true, false
	x.hear(t,
		told{"platform", "store.upserted", 9 * day, `{"id":"studio","name":"S","owner_user_id":"user_owner",` +
			`"stripe_account_id":"acct_studio"}`},
		told{"platform", "product.upserted", 9 * day, `{"id":"drums","store_id":"studio","kind":"digital","title":"D"}`},
		told{"platform", "purchase.recorded", day, `{"id":"ord_cash","store_id":"studio","product_id":"drums",` +
			`"email":"cash@mail.example","name":"cash","amount":900,"currency":"usd","status":"paid"}`},
		enrolled("free", "drums", "0", day))
	x.buys(t, "live", "", &live)
	x.buys(t, "test", "", &test)
	x.buys(t, "unsaid", "", nil)
	x.buys(t, "direct", "acct_studio", &live)
	x.buys(t, "trial", "acct_studio", &test)
	const at = "https://dashboard.stripe.com/"
	for who, want := range map[string][]string{
		"live":   {at + "customers/cus_live", at + "payments/pi_live"},
		"test":   {at + "test/customers/cus_test", at + "test/payments/pi_test"},
		"unsaid": {at + "customers/cus_unsaid", at + "payments/pi_unsaid"},
		"direct": {at + "acct_studio/customers/cus_direct", at + "acct_studio/payments/pi_direct"},
		"trial":  {at + "acct_studio/test/customers/cus_trial", at + "acct_studio/test/payments/pi_trial"},
		"cash":   nil,
		"free":   nil,
	} {
		page := x.get(t, x.customerPath(t, who), asAdmin)
		var got []string
		for _, m := range atStripe.FindAllStringSubmatch(page.text, -1) {
			got = append(got, m[1])
		}
		got = slices.Compact(got) // the customer is linked from the menu and beside the payments
		same(t, who, want, got)
	}
	x.buys(t, "gone", "", &live)
	x.hear(t, told{"stripe", "customer.deleted", 0, `{"id":"cus_gone","deleted":true}`})
	page := x.get(t, x.customerPath(t, "gone"), asAdmin)
	if got := atStripe.FindAllString(page.text, -1); len(got) != 1 {
		t.Errorf("of a customer whom Stripe deleted, and their payment: %q", got)
	}
}
