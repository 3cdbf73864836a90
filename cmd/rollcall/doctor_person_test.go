package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/reasons"
)

// patient is somebody who is asked about, and what must be said of them.
type patient struct {
	name  string
	told  []store.NewEvent
	sql   []string // after that
	args  string
	says  []string // in this order
	never []string
	well  bool // status 0
}

// The senders, each event a minute after the last. Of Stripe's, v is the object.
var toldAt = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func platformSays(typ, data string) store.NewEvent {
	return store.NewEvent{Source: "platform", Type: typ, Payload: []byte(`{"type":"` + typ + `","data":` + data + `}`)}
}

func clerkSays(typ, data string) store.NewEvent {
	return store.NewEvent{Source: "clerk", Type: typ, Payload: []byte(`{"type":"` + typ + `","data":` + data + `}`)}
}

func stripeSays(typ, v string) store.NewEvent {
	return store.NewEvent{Source: "stripe", Type: typ, APIVersion: "2023-10-16",
		Payload: []byte(`{"type":"` + typ + `","data":{"object":` + v + `}}`)}
}

// expired is a Checkout session that Ava left.
func expired(id, metadata string) store.NewEvent {
	return stripeSays("checkout.session.expired",
		`{"id":"`+id+
			`","object":"checkout.session","mode":"payment","status":"expired","payment_status":"unpaid",`+
			`"amount_total":4900,"currency":"usd",`+
			`"customer_details":{"email":"ava@x.example"},"created":1772442000,"metadata":{`+metadata+`}}`)
}

// onAccount makes it an event of a connected account.
func onAccount(account string, e store.NewEvent) store.NewEvent {
	e.Account = account
	return e
}

func clerkUser(id, email, status string) store.NewEvent {
	return clerkSays("user.created",
		fmt.Sprintf(
			`{"id":%q,"first_name":"Ava","primary_email_address_id":"e",`+
				`"email_addresses":[{"id":"e","email_address":%q,"verification":{"status":%q}}],"updated_at":%d}`,
			id, email, status, toldAt.UnixMilli()))
}

// bought is a paid checkout; metadata is JSON without its braces.
func bought(pi, email, metadata string, amount int) store.NewEvent {
	status, intent := "paid", `"`+pi+`"`
	if amount == 0 {
		status, intent = "no_payment_required", "null"
	}
	return stripeSays("checkout.session.completed",
		fmt.Sprintf(
			`{"id":"cs_%s","object":"checkout.session","mode":"payment","status":"complete","payment_status":%q,
			"amount_total":%d,"currency":"usd",
		"payment_intent":%s,"customer_details":{"email":%q},"created":%d,"metadata":{%s}}`, pi, status, amount, intent, email,
			toldAt.Unix(), metadata))
}

var (
	shop   = platformSays("store.upserted", `{"id":"s1","name":"Aurora","owner_user_id":"user_o"}`)
	course = platformSays("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"Mixing"}`)
	bundle = platformSays("product.upserted", `{"id":"b1","store_id":"s1","kind":"bundle","title":"All","items":["c1"]}`)
)

var patients = []patient{
	{name: "enrolled by address",
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"Ava@x.example"}`)},
		args: "--email AVA@x.example", well: true,
		says: []string{"ava@x.example is unknown to Clerk.", "Store Aurora (s1)",
			"On the list as ava@x.example (customer 1): Lead, active.", "Has never paid", "Is in a course",
			"given with enrollment:c1/email:ava@x.example", "Enrolled in Mixing"}},
	{name: "enrolled by user", told: []store.NewEvent{shop, course, clerkUser("user_1", "ava@x.example", "verified"),
		platformSays("enrollment.upserted", `{"course_id":"c1","user_id":"user_1"}`)}, args: "--user user_1", well: true,
		says: []string{"user_1 is Clerk user user_1, with the verified address ava@x.example.",
			"On the list as ava@x.example", "the verified one of user:user_1, named by enrollment:c1/user:user_1"}},
	{name: "bought a course, typing another address", args: "--email typed@x.example", well: true,
		told: []store.NewEvent{shop, course, clerkUser("user_1", "ava@x.example", "verified"),
			bought("pi_1", "typed@x.example", `"userId":"user_1","courseId":"c1"`, 4900)},
		says: []string{"Store Aurora", "On the list as ava@x.example", "Customer, active", "Has paid",
			"the verified one of user:user_1", "Paid $49.00 for Mixing (payment:pi_1).",
			"payment:pi_1 was made with typed@x.example, and counts here"}},
	{name: "ordered for free", told: []store.NewEvent{shop, course, bought("pi_1", "ava@x.example", `"courseId":"c1"`, 0)},
		args: "--email ava@x.example", well: true,
		says: []string{"Lead, active", "Ordered Mixing for free (payment:cs_pi_1)."}},
	{name: "bought a bundle",
		told: []store.NewEvent{shop, course, bundle, bought("pi_1", "ava@x.example", `"bundleId":"b1"`, 9900)},
		args: "--email ava@x.example --store s1", well: true,
		says: []string{"Customer, active", "Paid $99.00 for All"}},
	{name: "bought outside Stripe",
		told: []store.NewEvent{
			shop, course,
			platformSays("purchase.recorded",
				`{"id":"o1","product_id":"c1","email":"ava@x.example","amount":700,"currency":"usd"}`)},
		args: "--email ava@x.example", well: true,
		says: []string{"Customer, active", "Paid $7.00 for Mixing (payment:o1)."}},
	{name: "got the money back", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			shop, platformSays("product.upserted", `{"id":"d1","store_id":"s1","kind":"digital","title":"Book"}`),
			bought("pi_1", "ava@x.example", `"productId":"d1"`, 4900),
			stripeSays("charge.refunded",
				`{"id":"ch_1","object":"charge","amount":4900,"amount_refunded":4900,"currency":"usd","payment_intent":"pi_1",`+
					`"created":1772442000}`)},
		says: []string{"Customer, inactive", "Everything has ended or was refunded.", "of which $49.00 was refunded"}},
	{name: "subscribed", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			shop, stripeSays("customer.created",
				`{"id":"cus_1","object":"customer","email":"ava@x.example","created":1772442000}`),
			stripeSays("customer.subscription.created",
				`{"id":"sub_1","object":"subscription","customer":"cus_1","status":"active","created":1772442000,`+
					`"current_period_end":1775120400,"metadata":{"storeId":"s1","productId":"m1"},"items":{"data":[]}}`)},
		says: []string{"unknown to Clerk; Stripe customer cus_1", "Subscriber, active",
			"that of stripe_customer:cus_1, named by subscription:sub_1", "Subscribed to", "(subscription:sub_1): active."}},
	{name: "enrollment ended", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"ava@x.example"}`),
			platformSays("enrollment.deleted", `{"course_id":"c1","email":"ava@x.example"}`)},
		says: []string{"Lead, inactive", "Enrolled in Mixing (enrollment:c1/email:ava@x.example), which has ended."}},
	{name: "on two lists", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"ava@x.example"}`),
			platformSays("enrollment.upserted", `{"course_id":"c2","store_id":"s2","email":"ava@x.example"}`)},
		says: []string{"Store Aurora (s1)", "On the list", "Store s2", "On the list"}},
	{name: "on two lists, asked of one", args: "--email ava@x.example --store s2", well: true,
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"ava@x.example"}`),
			platformSays("enrollment.upserted", `{"course_id":"c2","store_id":"s2","email":"ava@x.example"}`)},
		says: []string{"Store s2", "On the list"}, never: []string{"Aurora", "Mixing"}},
	{name: "was somebody else", args: "--email old@x.example", well: true,
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"ava@x.example"}`),
			clerkUser("user_1", "old@x.example", "verified"),
			platformSays("enrollment.upserted", `{"course_id":"c1","user_id":"user_1"}`),
			clerkSays("user.updated",
				fmt.Sprintf(
					`{"id":"user_1","primary_email_address_id":"e",`+
						`"email_addresses":[{"id":"e","email_address":"ava@x.example","verification":{"status":"verified"}}],`+
						`"updated_at":%d}`, toldAt.Add(time.Hour).UnixMilli()))},
		says: []string{"Store Aurora", "Was old@x.example until ", "turned out to be ava@x.example"}},
	{name: "a deleted user", args: "--user user_1", well: true,
		told: []store.NewEvent{shop, course, clerkUser("user_1", "ava@x.example", "verified"),
			platformSays("enrollment.upserted", `{"course_id":"c1","user_id":"user_1"}`),
			clerkSays("user.deleted", `{"id":"user_1","deleted":true}`)},
		says: []string{"Clerk user user_1, deleted, with the address ava@x.example", "On the list as ava@x.example"}},

	{name: "known by the last verified address", args: "--user user_1", well: true,
		told: []store.NewEvent{shop, course, clerkUser("user_1", "ava@x.example", "verified"),
			platformSays("enrollment.upserted", `{"course_id":"c1","user_id":"user_1"}`),
			clerkSays("user.updated",
				fmt.Sprintf(`{"id":"user_1","primary_email_address_id":null,"email_addresses":[],"updated_at":%d}`,
					toldAt.Add(time.Hour).UnixMilli()))},
		says: []string{"Clerk user user_1, without a verified address now; the last one was ava@x.example",
			"On the list as ava@x.example", "the last verified one of user:user_1, who has none now"}},

	{name: "user_unknown", told: []store.NewEvent{
		shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","user_id":"user_1"}`)}, args: "--user user_1",
		says: []string{"user_1 is unknown to Clerk.", "Store Aurora (s1)\n  Not on the list.", "Enrollment in Mixing",
			"(enrollment:c1/user:user_1): missing: Clerk has never reported its user. Import Clerk",
			"Fix:  rollcall backfill start clerk --follow"}},
	{name: "user_unconfirmed", args: "--user user_1",
		told: []store.NewEvent{
			platformSays("store.upserted", `{"id":"s1","name":"Aurora","owner_user_id":"user_o","stripe_account_id":"acct_9"}`),
			course, clerkUser("user_1", "ava@x.example", "verified"),
			onAccount("acct_9", bought("pi_1", "", `"userId":"user_1","courseId":"c1"`, 4900))},
		says: []string{"Not on the list.", "Payment of $49.00 for Mixing", "it names a user on a connected account",
			"Fix:  rollcall backfill start stripe --account all --follow"}},
	{name: "email_unverified", told: []store.NewEvent{shop, course, clerkUser("user_1", "ava@x.example", "unverified"),
		platformSays("enrollment.upserted", `{"course_id":"c1","user_id":"user_1"}`)}, args: "--user user_1",
		says: []string{"user_1, without a verified address", "Not on the list.", "its user has no verified email",
			`rollcall events send enrollment.upserted '{"course_id":"c1","user_id":"user_1","email":"<ADDRESS>"}'`}},
	{name: "no_store",
		told: []store.NewEvent{shop, platformSays("enrollment.upserted", `{"course_id":"c9","email":"ava@x.example"}`)},
		args: "--email ava@x.example",
		says: []string{"Without a known store:", "Enrollment in c9", "its store is not known",
			`rollcall events send product.upserted '{"id":"c9","store_id":"s1","kind":"course"}'`}},
	{name: "no_store, of a creator who owns none",
		told: []store.NewEvent{
			shop, platformSays("enrollment.upserted", `{"course_id":"c9","store_id":"user_9","email":"ava@x.example"}`)},
		args: "--email ava@x.example",
		says: []string{
			"Without a known store:", `rollcall events send store.upserted '{"id":"<STORE>","owner_user_id":"user_9"}'`}},
	{name: "account_without_store", told: []store.NewEvent{
		shop, onAccount("acct_9", bought("pi_1", "ava@x.example", `"courseId":"c1"`, 4900))}, args: "--email ava@x.example",
		says: []string{"Without a known store:", "Payment of $49.00 for c1", "its Stripe account belongs to no store",
			`"owner_user_id":"user_o","stripe_account_id":"acct_9"`}},
	{name: "no_email", told: []store.NewEvent{shop, course, bought("pi_1", "", `"courseId":"c1"`, 4900)},
		sql: []string{`UPDATE payments SET user_ref = NULL, stripe_customer = 'cus_1'`,
			`INSERT INTO stripe_customers (account, id, email, version, deleted_version)
				VALUES ('', 'cus_1', 'ava@x.example', 'v', '')`},
		args: "--email ava@x.example", says: []string{"Stripe customer cus_1", "Not on the list.",
			"no event gave the buyer's email", "rollcall backfill start stripe --account all --follow"}},
	{name: "not_derived",
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"ava@x.example"}`)},
		sql:  []string{`UPDATE enrollments SET customer_id = NULL, unattached = 'not_derived'`, `DELETE FROM customers`},
		args: "--email ava@x.example",
		says: []string{"Not on the list.", "it was loaded in bulk and has not been attached yet", "Fix:  rollcall rebuild"}},
	{name: "derive_failed",
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"ava@x.example"}`)},
		sql: []string{`UPDATE enrollments SET customer_id = NULL, unattached = 'derive_failed: out of range'`,
			`DELETE FROM customers`},
		args: "--email ava@x.example --store s1",
		says: []string{"Not on the list.", "its customer could not be computed. Fix what the error names",
			"Fix:  rollcall audit --fix --store s1"}},
	{name: "a customer who is gone",
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.upserted", `{"course_id":"c1","email":"ava@x.example"}`)},
		sql:  []string{`DELETE FROM customers`},
		args: "--email ava@x.example", well: false,
		says: []string{"Not on the list", "Facts point at customer 1, who is gone.", "Fix:  rollcall rebuild --store s1"}},

	{name: "unpaid", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			shop, course,
			stripeSays("checkout.session.completed",
				`{"id":"cs_1","object":"checkout.session","mode":"payment","payment_status":"unpaid","amount_total":4900,`+
					`"currency":"usd","payment_intent":"pi_1","customer_details":{"email":"ava@x.example"},"created":1772442000,`+
					`"metadata":{"courseId":"c1"}}`)},
		says: []string{
			"Not on the list.", "(payment:pi_1): not expected on a list: it is one of the checkouts that were not paid."},
		never: []string{"Fix"}},
	{name: "an expired checkout", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{shop, course, expired("cs_1", `"courseId":"c1"`),
			onAccount("acct_1", expired("cs_2", `"order":"9"`))},
		says: []string{"unknown to Clerk", "Store Aurora (s1)", "Not on the list.",
			"Checkout of $49.00 for Mixing of 2026-03-02 (checkout:cs_1), not paid: not expected on a list",
			"Without a known store:", "Checkout of $49.00", "(checkout:acct_1/cs_2), not paid"},
		never: []string{"Fix", "is unknown:"}},
	{name: "an expired checkout on the account of a store", args: "--email ava@x.example --store s2", well: true,
		told: []store.NewEvent{platformSays("store.upserted", `{"id":"s2","name":"Borealis","stripe_account_id":"acct_1"}`),
			onAccount("acct_1", expired("cs_2", `"storeId":"s1"`)), expired("cs_1", `"storeId":"s1"`)},
		says:  []string{"Store Borealis (s2)", "Checkout of $49.00", "(checkout:acct_1/cs_2), not paid"},
		never: []string{"cs_1"}},
	{name: "platform_sale",
		told: []store.NewEvent{shop, bought("pi_1", "ava@x.example", `"storeId":"s1","productType":"creator_plan"`, 4900)},
		args: "--email ava@x.example", well: true,
		says: []string{"Not on the list.", "not expected on a list: it is one of the sales of the platform itself."}},
	{name: "bare_payment", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			stripeSays("payment_intent.succeeded",
				`{"id":"pi_1","object":"payment_intent","amount":4900,"amount_received":0,"currency":"usd","status":"succeeded",`+
					`"receipt_email":"ava@x.example","created":1772442000,"metadata":{}}`)},
		says: []string{"payment:pi_1", "payments that brought in nothing yet"}},
	{name: "foreign_payment", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			onAccount("acct_9",
				stripeSays("payment_intent.succeeded",
					`{"id":"pi_1","object":"payment_intent","amount":4900,"amount_received":4900,"currency":"usd",`+
						`"status":"succeeded","receipt_email":"ava@x.example","created":1772442000,"metadata":{"order":"9"}}`))},
		says: []string{"Payment of $49.00", "what their owners sell elsewhere"}},
	{name: "unclaimed_payment", args: "--email ava@x.example",
		told: []store.NewEvent{
			stripeSays("payment_intent.succeeded",
				`{"id":"pi_1","object":"payment_intent","amount":4900,"amount_received":4900,"currency":"usd",`+
					`"status":"succeeded","receipt_email":"ava@x.example","created":1772442000,"metadata":{}}`)},
		says: []string{"Payment of $49.00", "it was paid, but nothing says for what",
			"Fix:  rollcall backfill start stripe --account all --follow"}, never: []string{"not expected"}},
	{name: "unclaimed_payment on a connected account", args: "--email ava@x.example",
		told: []store.NewEvent{
			onAccount("acct_9",
				stripeSays("payment_intent.succeeded",
					`{"id":"pi_1","object":"payment_intent","amount":4900,"amount_received":4900,"currency":"usd",`+
						`"status":"succeeded","receipt_email":"ava@x.example","created":1772442000,"metadata":{"userId":"user_1"}}`))},
		says: []string{"it was paid, but nothing says for what"}, never: []string{"not expected"}},
	{name: "counted_elsewhere, and where", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			shop, stripeSays("payment_intent.succeeded",
				`{"id":"pi_1","object":"payment_intent","amount":4900,"amount_received":4900,"currency":"usd",`+
					`"status":"succeeded","receipt_email":"ava@x.example","invoice":"in_1","created":1772442000,"metadata":{}}`),
			stripeSays("invoice.paid",
				`{"id":"in_1","object":"invoice","amount_paid":4900,"currency":"usd","customer":"cus_1",`+
					`"customer_email":"ava@x.example","payment_intent":"pi_1","status":"paid","created":1772442000,`+
					`"metadata":{"storeId":"s1"}}`)},
		says: []string{"(payment:pi_1)", "it is counted as payment:in_1"}},
	{name: "paid_not_started", args: "--email ava@x.example",
		told: []store.NewEvent{
			shop, stripeSays("customer.created",
				`{"id":"cus_1","object":"customer","email":"ava@x.example","created":1772442000}`),
			stripeSays("customer.subscription.created",
				`{"id":"sub_1","object":"subscription","customer":"cus_1","status":"incomplete","created":1772442000,`+
					`"metadata":{"storeId":"s1"},"items":{"data":[]}}`),
			stripeSays("invoice.paid",
				`{"id":"in_1","object":"invoice","amount_paid":4900,"currency":"usd","customer":"cus_1",`+
					`"customer_email":"ava@x.example","subscription":"sub_1","status":"paid","created":1772442000}`)},
		says: []string{"(subscription:sub_1): missing: an invoice of it was paid",
			"Fix:  rollcall backfill start stripe --account all --follow"}},
	{name: "counted_elsewhere", args: "--email ava@x.example --store s1", well: true,
		told: []store.NewEvent{shop, bought("pi_1", "ava@x.example", `"storeId":"s1"`, 4900)},
		sql:  []string{`UPDATE payments SET customer_id = NULL, unattached = 'counted_elsewhere'`},
		says: []string{"it is one of the payments whose money is counted with the invoice or checkout that they pay"}},
	{name: "never_enrolled",
		told: []store.NewEvent{
			shop, course, platformSays("enrollment.deleted", `{"course_id":"c1","email":"ava@x.example"}`)},
		args: "--email ava@x.example", well: true,
		says: []string{"ends of enrollments whose beginning was never reported"}},
	{name: "not_started", args: "--email ava@x.example", well: true,
		told: []store.NewEvent{
			shop, stripeSays("customer.created",
				`{"id":"cus_1","object":"customer","email":"ava@x.example","created":1772442000}`),
			stripeSays("customer.subscription.created",
				`{"id":"sub_1","object":"subscription","customer":"cus_1","status":"incomplete","created":1772442000,`+
					`"metadata":{"storeId":"s1"},"items":{"data":[]}}`)},
		says: []string{"not expected on a list: it is one of the subscriptions that never began, and were never paid."}},

	{name: "nobody", args: "--email who@x.example", says: []string{"who@x.example is unknown: no Clerk user",
		"rollcall backfill start clerk", `'{"course_id":"<COURSE>","store_id":"<STORE>","email":"who@x.example"}'`}},
	{name: "nobody, asked of a store", args: "--user user_who --store s1", told: []store.NewEvent{shop},
		says: []string{"user_who is unknown in store s1", "Store Aurora (s1)",
			"no enrollment, purchase or subscription here was reported"}},
	{name: "an event that failed speaks of them", args: "--email ava@x.example",
		sql: []string{`INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, status, last_error)
		VALUES ('platform', 'e', 'enrollment.upserted', now(), '{"data":{"email":"Ava@x.example"}}', 'failed',
			'progress 900')`, `INSERT INTO webhook_events (source, event_id, type, occurred_at, payload)
				VALUES ('clerk', 'f', 'x', now(), '{"e":"not-ava@x.example"}')`},
		says: []string{"unknown to Clerk", "(enrollment.upserted from platform, received",
			"speaks of them and could not be applied: progress 900.", "rollcall events retry "}, never: []string{"waits"}},
	{name: "hostile names", args: `--user "$(printf 'user_\033[31m\342\200\256')"`, well: true,
		told: []store.NewEvent{
			shop, platformSays("product.upserted",
				`{"id":"c1","store_id":"s1","kind":"course","title":"\u001b]0;owned\u0007\u202e"}`),
			clerkUser(`user_\u001b[31m\u202e`, "ava@x.example", "verified"),
			platformSays("enrollment.upserted", `{"course_id":"c1","user_id":"user_\u001b[31m\u202e"}`)},
		says: []string{`user_\u001b[31m\u202e`, "On the list"}, never: []string{"\x1b", "\u202e", "\x07"}},
}

// Each way of being on a list, and each reason for not being on one, is told, in
// words and in JSON.
func TestDoctorTellsOfAPerson(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	var told sync.Map // reasons
	t.Run("each", func(t *testing.T) {
		for _, p := range patients {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				h.newWard(t, true).visit(p, &told)
			})
		}
	})
	for _, reason := range reasons.Codes() {
		if _, is := told.Load(reason); !is {
			t.Errorf("nobody is on no list for %s", reason)
		}
	}
}

func (w *ward) visit(p patient, told *sync.Map) {
	for i, e := range p.told {
		e.EventID, e.OccurredAt = fmt.Sprint("evt_", i), toldAt.Add(time.Duration(i)*time.Minute)
		if strings.Contains(string(e.Payload), `\u001b[31m`) {
			e.Payload = []byte(strings.ReplaceAll(string(e.Payload), `\\u`, `\u`)) // %q has escaped what is JSON already
		}
		in, err := w.store.InsertEvents(w.Context(), []store.NewEvent{e})
		if err != nil {
			w.Fatal(err)
		}
		out, err := w.store.Apply(w.Context(), []int64{in[0].ID}, 0, facts.Read)
		if err != nil || len(out.Malformed) > 0 {
			w.Fatalf("%s: %+v %v", e.Payload, out, err)
		}
	}
	w.sql(p.sql...)
	text, status := w.sh("rollcall doctor "+p.args, nil)
	if (status == 0) != p.well {
		w.Errorf("status %d", status)
	}
	rest := text
	for _, want := range p.says {
		at := strings.Index(rest, want)
		if at < 0 {
			w.Fatalf("no %q (in this order) in\n%s", want, text)
		}
		rest = rest[at+len(want):]
	}
	for _, bad := range p.never {
		if strings.Contains(text, bad) {
			w.Errorf("%q is in\n%s", bad, text)
		}
	}
	out, again := w.sh("rollcall doctor --json "+p.args, nil)
	var r struct {
		All checks.Person `json:"all"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || again != status {
		w.Fatalf("status %d, then %d: %v\n%s", status, again, err, out)
	}
	for _, f := range r.All.Facts {
		if f.Reason != nil {
			told.Store(*f.Reason, true)
		}
		if len(f.Origins) == 0 && p.sql == nil ||
			slices.ContainsFunc(f.Origins, func(o store.Origin) bool { return o.Event != nil && o.Event.ID == nil }) {
			w.Errorf("%s comes from no event: %+v", f.Ref, f.Origins)
		}
	}
}

// What cannot be anybody is a mistake on the command line, shown so that it does
// nothing; nothing is written to.
func TestDoctorRefuses(t *testing.T) {
	t.Parallel()
	w := newHospital(t).newWard(t, true)
	for args, want := range map[string]string{
		`--email ''`:                     "--email: ",
		`--email nobody`:                 "--email: nobody is no address",
		`--email "$(printf 'a\033[2J')"`: `a\u001b[2J is no address`,
		`--user ' '`:                     "--user: give the id",
		`--user u --email a@b.c`:         "can't be used together",
		`--examples=-1`:                  "--examples",
		`--store`:                        "--store",
	} {
		out, status := w.sh("rollcall doctor "+args+" 2>&1", nil)
		if status != 2 || !strings.Contains(out, want) || strings.Contains(out, "\x1b") {
			t.Errorf("%s: status %d, %q", args, status, out)
		}
	}
	for _, args := range []string{`--email "$(printf 'a@b\377')"`, `--user "$(printf 'x\377y')"`,
		`--user "';DROP TABLE users;--"`, `--email "%@%.%"`, `--store "';--" --user "$(printf '\\')"`} {
		if out, status := w.sh("rollcall doctor "+args+" 2>&1", nil); status != 1 || !strings.Contains(out, "is unknown") {
			t.Errorf("%s: status %d, %q", args, status, out)
		}
	}
}
