package store_test

import (
	"fmt"
	"slices"
	"testing"

	"rollcall/store"
	"rollcall/store/customers"
)

// A customer lives where their newest payment, or subscription, that says so was billed to, in whatever order Stripe
// tells of them, and is found by that.
func TestCountryOfCustomers(t *testing.T) {
	var e teller
	sale := func(intent, country string, at int) store.NewEvent {
		return e.stripe("checkout.session.completed", "", fmt.Sprintf(
			`{"id":"cs_%[1]s","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd","created":%[3]d,`+
				`"payment_intent":%[1]q,"customer_details":{"email":"a@x.example","address":{"country":%[2]q}},`+
				`"metadata":{"storeId":"s1","courseId":"c1"}}`, intent, country, at))
	}
	charge := e.stripe("charge.succeeded", "", `{"id":"ch_1","payment_intent":"pi_3","amount":1000,"currency":"usd",
		"payment_method_details":{"card":{"country":"US"}},"billing_details":{"address":{"country":"fi"}}}`)
	invoice := e.stripe("invoice.paid", "", `{"id":"in_1","amount_paid":1900,"currency":"usd","created":1768300300,
		"customer_email":"a@x.example","customer_address":{"country":"DK"},"metadata":{"storeId":"s1"}}`)
	begun := e.stripe("checkout.session.completed", "", `{"id":"cs_9","mode":"subscription","payment_status":"paid",
		"subscription":"sub_1","created":1768300400,"metadata":{"storeId":"s1"},
		"customer_details":{"email":"a@x.example","address":{"country":"IS"}}}`)
	norway, sweden := sale("pi_1", "NO", 1768300000), sale("pi_2", "SE", 1768300100)
	silent := sale("pi_3", "nowhere", 1768300200)
	less := sale("pi_1", "", 1768300000) // says less of the same sale, later
	lessCharge := e.stripe("charge.updated", "", `{"id":"ch_1","payment_intent":"pi_3","amount":1000,"currency":"usd"}`)
	for _, c := range []struct {
		want   string
		events []store.NewEvent
	}{
		{"", []store.NewEvent{silent}},
		{"NO", []store.NewEvent{norway}},
		{"NO", []store.NewEvent{norway, less}},
		{"SE", []store.NewEvent{norway, sweden}},
		{"SE", []store.NewEvent{norway, sweden, silent}},
		{"FI", []store.NewEvent{norway, sweden, silent, charge}},
		{"FI", []store.NewEvent{norway, sweden, silent, charge, lessCharge}},
		{"DK", []store.NewEvent{norway, sweden, silent, charge, invoice}},
		{"IS", []store.NewEvent{norway, sweden, silent, charge, invoice, begun}},
	} {
		backwards := slices.Clone(c.events)
		slices.Reverse(backwards)
		for _, order := range [][]store.NewEvent{c.events, backwards} {
			url := told(t, order...)
			wantRows(t, url, `SELECT coalesce(country, '') FROM customers`, c.want)
			if c.want != "" {
				wantRows(t, url, `SELECT email FROM customers JOIN customer_index ON customer_id = id WHERE has @> ARRAY['country:`+
					c.want+`']`, "a@x.example")
			}
		}
	}
}

// The filter finds those of some countries, and an erasure takes the country along.
func TestCustomersOfCountries(t *testing.T) {
	s, url := openURL(t)
	var e teller
	for email, country := range map[string]string{"n@x.example": "NO", "s@x.example": "SE", "u@x.example": ""} {
		apply(t, s, []store.NewEvent{e.stripe("checkout.session.completed", "", fmt.Sprintf(
			`{"id":"cs_%[1]s","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
				`"created":1768300000,"customer_details":{"email":%[2]q,"name":"N","address":{"country":%[1]q}},`+
				`"metadata":{"storeId":"s1"}}`,
			country, email))}, 1)
	}
	found := func(query string) (emails []string) {
		t.Helper()
		f, err := customers.ParseFilter("s1", values(t, query+"&sort=email"))
		if err != nil {
			t.Fatal(err)
		}
		all, _, err := customers.New(s).Customers(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			emails = append(emails, c.Email)
		}
		return emails
	}
	for query, want := range map[string][]string{
		"country=NO": {"n@x.example"}, "country=NO&country=SE": {"n@x.example", "s@x.example"}, "country=DK": nil,
		`rule={"none":[{"customer":{"country":["NO","DK"]}}]}`: {"s@x.example", "u@x.example"},
	} {
		if got := found(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	erase(t, s, store.Erasing{Email: "n@x.example"})
	wantRows(t, url, `SELECT coalesce(country, '') FROM customers ORDER BY 1`, "", "", "SE")
	wantRows(t, url, `SELECT country FROM payments WHERE country IS NOT NULL`, "SE")
	sound(t, s)
}
