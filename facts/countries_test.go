package facts

import (
	"fmt"
	"slices"
	"testing"
)

// A country is that of the billing address, in capitals. What is none is left out, and fails nothing.
func TestCountryOfPayments(t *testing.T) {
	for address, want := range map[string]string{
		`{"country":"NO"}`: "NO", `{"country":"no"}`: "NO", `{"country":"XK"}`: "XK",
		`{"country":"Norge"}`: "", `{"country":"NOR"}`: "", `{"country":"ZZ"}`: "", `{"country":"UK"}`: "",
		`{"country":"N\u0000O"}`: "NO", `{"country":""}`: "", `{"country":null}`: "", `{"country":47}`: "",
		`{"country":{}}`: "", `{}`: "", `null`: "", `"NO"`: "", `[]`: "", `7`: "",
	} {
		for typ, o := range map[string]string{
			"checkout.session.completed": `{"id":"cs_1","mode":"payment","payment_status":"paid","payment_intent":"pi_1",` +
				`"amount_total":5,"currency":"usd","customer_details":{"email":"a@x.example","address":%s}}`,
			"charge.succeeded": `{"id":"ch_1","payment_intent":"pi_1","amount":5,"currency":"usd",` +
				`"payment_method_details":{"card":{"country":"US"}},"billing_details":{"address":%s}}`,
			"payment_intent.succeeded": `{"id":"pi_1","amount_received":5,"currency":"usd","metadata":{"courseId":"c1"},` +
				`"latest_charge":{"id":"ch_1","billing_details":{"address":%s}}}`,
			"invoice.paid": `{"id":"in_1","amount_paid":5,"currency":"usd","customer_address":%s,` +
				`"customer_shipping":{"address":{"country":"US"}}}`,
		} {
			p := read(t, "stripe", typ, object(fmt.Sprintf(o, address))).Payments[0]
			got := p.Country
			if p.Charge != nil {
				got += p.Charge.Country
			}
			if got != want {
				t.Errorf("%s of %s: %q, want %q", typ, address, got, want)
			}
		}
	}
	sub := read(t, "stripe", "checkout.session.completed", object(`{"id":"cs_1","mode":"subscription",
		"payment_status":"paid","subscription":"sub_1","customer_details":{"address":{"country":"SE"}}}`)).Subscriptions[0]
	if sub.Checkout.Country != "SE" {
		t.Errorf("%+v", sub.Checkout)
	}
	if all := Countries(); !slices.IsSorted(all) || len(all) != 252 {
		t.Errorf("%d countries, sorted: %v", len(all), slices.IsSorted(all))
	}
}
