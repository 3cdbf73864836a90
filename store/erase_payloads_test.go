package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/facts"
	"rollcall/store"
)

// typed is what Ann typed at checkout: neither is known to be hers.
var typed = []string{"typed@other.example", "Typed Name"}

const typedDetails = `{"email":"typed@other.example","name":"Typed Name"}`

// objectsOfAnn are objects of Stripe's events by the beginning of their types.
// Only ids of what she bought lead from most of them to her. The longest
// beginning counts.
var objectsOfAnn = map[string]string{
	"checkout.session.": `{"id":"cs_1","created":1768211000,"mode":"payment","payment_status":"paid",` +
		`"amount_total":1000,"currency":"usd","payment_intent":"pi_1","customer_details":` + typedDetails +
		`,"metadata":{"storeId":"s1","productId":"p","userId":"user_ann"}}`,
	"payment_intent.": `{"id":"pi_1","amount":1000,"amount_received":1000,"currency":"usd",` +
		`"receipt_email":"typed@other.example","metadata":{},"last_payment_error":{"payment_method":{"billing_details":` +
		typedDetails + `}}}`,
	"charge.": `{"id":"ch_1","amount":1000,"amount_refunded":300,"currency":"usd",` +
		`"payment_intent":"pi_1","billing_details":` + typedDetails + `}`,
	"charge.refund.": `{"id":"re_1","amount":300,"currency":"usd","status":"succeeded","charge":"ch_1",` +
		`"destination_details":` + typedDetails + `}`,
	"refund.": `{"id":"re_1","amount":300,"currency":"usd","status":"succeeded","charge":"ch_1",` +
		`"destination_details":` + typedDetails + `}`,
	"charge.dispute.": `{"id":"du_1","amount":300,"currency":"usd","status":"needs_response","charge":"ch_1",` +
		`"evidence":{"customer_email_address":"typed@other.example","customer_name":"Typed Name"}}`,
	"review.":   `{"id":"prv_1","charge":"ch_1","session":` + typedDetails + `}`,
	"radar.":    `{"id":"issfr_1","charge":{"id":"ch_1","billing_details":` + typedDetails + `}}`,
	"customer.": `{"id":"cus_ann","email":"typed@other.example","name":"Typed Name"}`,
	"customer.subscription.": `{"id":"sub_1","status":"active","customer":"cus_ann","currency":"usd",` +
		`"start_date":1768211000,"metadata":{"storeId":"s1","userId":"user_ann","for":"Typed Name"},` +
		`"items":{"data":[{"price":{"id":"price_1","unit_amount":1900}}]}}`,
	"subscription_schedule.": `{"id":"sub_sched_1","subscription":"sub_1","metadata":{"for":"Typed Name"}}`,
	"invoice.": `{"id":"in_1","amount_paid":1900,"amount_due":1900,"currency":"usd",` +
		`"customer":"cus_ann","subscription":"sub_1","customer_email":"typed@other.example","customer_name":"Typed Name"}`,
	"invoice_payment.": `{"id":"inpay_1","invoice":"in_1",` +
		`"payment":{"type":"payment_intent","payment_intent":"pi_2"},"for":"Typed Name"}`,
	"credit_note.":            `{"id":"cn_1","invoice":"in_1","memo":"Typed Name"}`,
	"payment_method.detached": `{"id":"pm_1","customer":null,"billing_details":` + typedDetails + `,"was":"cus_ann"}`,
	"charge.captured":         `{"id":"ch_2","payment_intent":"pi_2","billing_details":` + typedDetails + `}`,
	"payment_intent.cancelled": `{"id":"pi_3","customer":"cus_ann","latest_charge":"ch_3",` +
		`"receipt_email":"typed@other.example"}`,
	"charge.expired": `{"id":"ch_3","billing_details":` + typedDetails + `}`,
}

// unread are types of Stripe's that say nothing to Rollcall, and are kept.
var unread = []string{
	"charge.failed", "charge.updated", "charge.pending", "charge.captured", "charge.expired", "payment_intent.created",
	"payment_intent.payment_failed", "payment_intent.cancelled",
	"review.opened", "radar.early_fraud_warning.created", "invoice.created", "invoice.finalized",
	"subscription_schedule.created", "credit_note.created", "payment_method.detached",
}

// everyType is Ann's story, with an event of each type that is kept.
func (e *teller) everyType(t *testing.T) (events []store.NewEvent) {
	for _, typ := range append(facts.StripeTypes(""), unread...) {
		for end := len(typ); ; end-- {
			if end == 0 {
				t.Fatalf("there is no object of type %s", typ)
			}
			if object, ok := objectsOfAnn[typ[:end]]; ok {
				events = append(events, e.stripe(typ, "", object))
				break
			}
		}
	}
	for typ, data := range map[string]string{
		"user.created": `"id":"user_ann","first_name":"Typed","last_name":"Name","primary_email_address_id":"i",` +
			`"email_addresses":[{"id":"i","email_address":"ann@x.example","verification":{"status":"verified"}}]`,
		"user.deleted": `"id":"user_ann","deleted":true,"was":"Typed Name"`,
		"session.created": `"id":"sess_1","user_id":"user_ann","created_at":1768211400000,"user":` +
			typedDetails,
		"email.created": `"id":"ema_1","to_email_address":"Ann@X.example","subject":"Hello Typed Name"`,
		"sms.created":   `"id":"sms_1","user_id":"user_ann","message":"Typed Name"`,
		"organizationMembership.created": `"id":"orgmem_1",` +
			`"public_user_data":{"user_id":"user_ann","first_name":"Typed Name","identifier":"typed@other.example"}`,
	} {
		events = append(events, e.event("clerk", typ, "", `{"data":{`+data+`}}`))
	}
	return append(events,
		e.enrolled("c1", `"user_id":"user_ann","name":"Typed Name","email":"typed@other.example"`),
		e.platform("enrollment.deleted", `{"course_id":"c1","user_id":"user_ann","name":"Typed Name"}`),
		e.platform("purchase.recorded",
			`{"id":"o1","store_id":"s1","product_id":"p","amount":100,"currency":"usd","user_id":"user_ann",`+
				`"purchased_at":1768211400000}`),
		e.platform("purchase.recorded",
			`{"id":"o1","store_id":"s1","product_id":"p","amount":100,"currency":"usd","name":"Typed Name",`+
				`"email":"typed@other.example","purchased_at":1768211400000}`),
		e.platform("lesson.completed", `{"user_id":"user_ann","name":"Typed Name"}`),
		// fails: no currency
		e.stripe("checkout.session.completed", "",
			`{"id":"cs_9","mode":"payment","payment_status":"paid","amount_total":5,"payment_intent":"pi_1","customer_details":`+
				typedDetails+`}`),
	)
}

// applyAny puts events into the inbox and applies them, those that fail too.
func applyAny(t *testing.T, s *store.Store, events []store.NewEvent) {
	t.Helper()
	for _, e := range events {
		in, err := s.InsertEvents(context.Background(), []store.NewEvent{e})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(context.Background(), []int64{in[0].ID}, 0, facts.Read); err != nil {
			t.Fatal(err)
		}
	}
}

// Of every type that is kept, and in whatever order they come and she is erased,
// nothing is left that names Ann, or that she typed.
func TestEraseEveryType(t *testing.T) {
	var e teller
	story := e.everyType(t)
	events := append(slices.Clone(story), e.sale("pi_bob", "bob@x.example", `{"storeId":"s1","productId":"p"}`),
		e.stripe("charge.failed", "",
			`{"id":"ch_bob","payment_intent":"pi_bob","billing_details":{"email":"bob@work.example","name":"Bob"}}`))
	backwards := slices.Clone(events)
	slices.Reverse(backwards)
	for name, order := range map[string][]store.NewEvent{"forwards": events, "backwards": backwards} {
		for _, when := range []int{0, 1, 7, len(order) / 2, len(order)} {
			t.Run(fmt.Sprintf("%s, erased after %d", name, when), func(t *testing.T) {
				s, url := openURL(t)
				applyAny(t, s, order[:when])
				erase(t, s, store.Erasing{Email: "ann@x.example"})
				applyAny(t, s, order[when:])
				if err := s.FinishErasures(t.Context(), 0, store.EraseOptions{Read: facts.Read}); err != nil {
					t.Fatal(err)
				}
				unnamed(t, url, slices.Concat(ann, typed)...)
				wantRows(t, url, `SELECT event_id FROM webhook_events WHERE payload IS NOT NULL ORDER BY id`,
					eventIDs(slices.DeleteFunc(slices.Clone(order), func(n store.NewEvent) bool {
						return !strings.Contains(string(n.Payload), "pi_bob")
					}))...)
				wantRows(t, url, `SELECT DISTINCT e.event_id FROM event_terms t JOIN webhook_events e ON e.id = t.event_id
					WHERE e.payload IS NULL`)
				sound(t, s)
			})
		}
	}
}

func eventIDs(events []store.NewEvent) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.EventID)
	}
	return ids
}

// What happens later to what she bought before is still of what was before: a
// refund, a dispute. A renewal is not.
func TestEraseWhatHappensLater(t *testing.T) {
	var e teller
	s, url := openURL(t)
	applyAny(t, s, e.everyType(t))
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	var late []store.NewEvent
	for _, typ := range []string{"charge.refunded", "charge.updated", "charge.dispute.created", "refund.created",
		"payment_intent.payment_failed", "checkout.session.expired"} {
		for begin, object := range objectsOfAnn {
			if strings.HasPrefix(typ, begin) && strings.Count(begin, ".") == strings.Count(typ, ".") {
				late = append(late, later(e.stripe(typ, "", object)))
			}
		}
	}
	applyAny(t, s, since(late))
	unnamed(t, url, slices.Concat(ann, typed)...)
	sound(t, s)
}

// buyers are those of the fixtures' stories.
var buyers = map[string]struct{ emails, names []string }{
	"ava":    {[]string{"ava.lindqvist@example.com", "ava@lindqvist.example"}, []string{"Ava Lindqvist"}},
	"chloe":  {[]string{"chloe.marchetti@example.com"}, []string{"Chloé Marchetti"}},
	"dmitri": {[]string{"dmitri.kovac@example.net"}, []string{"Dmitri Kovač"}},
	"emil":   {[]string{"emil.novak@example.eu"}, []string{"Emil Novák"}},
}

// Of every fixture of a buyer's nothing is left, though what became of their
// money names them by what they typed alone.
func TestEraseFixtures(t *testing.T) {
	for story, buyer := range buyers {
		events := fixtureEvents(t, func(s string) bool { return strings.HasPrefix(s, story) })
		names := slices.Concat(buyer.emails, buyer.names, typed)
		for i, e := range events {
			if aboutMoney.MatchString(e.Type) {
				events[i].Payload = retyped(t, e.Payload, slices.Concat(buyer.emails, buyer.names))
			}
		}
		backwards := slices.Clone(events)
		slices.Reverse(backwards)
		for name, order := range map[string][]store.NewEvent{"forwards": events, "backwards": backwards} {
			for _, when := range []int{0, len(order) / 2, len(order)} {
				t.Run(fmt.Sprintf("%s %s, erased after %d", story, name, when), func(t *testing.T) {
					s, url := openURL(t)
					applyAny(t, s, order[:when])
					for _, email := range buyer.emails {
						erase(t, s, store.Erasing{Email: email})
					}
					applyAny(t, s, order[when:])
					if err := s.FinishErasures(t.Context(), 0, store.EraseOptions{Read: facts.Read}); err != nil {
						t.Fatal(err)
					}
					unnamed(t, url, names...)
				})
			}
		}
	}
}

// aboutMoney are types whose objects need name no person.
var aboutMoney = regexp.MustCompile(`^(charge|refund|payment_intent)\.`)

// retyped names the buyer by what they typed.
func retyped(t *testing.T, payload []byte, names []string) []byte {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(payload, &body); err != nil {
		t.Fatal(err)
	}
	object := body["data"].(map[string]any)["object"].(map[string]any)
	if invoiced := strings.Contains(string(payload), "cus_Chloe"); !invoiced { // an invoice is always a customer's
		maps.DeleteFunc(object, func(field string, _ any) bool { return field == "customer" || field == "metadata" })
	}
	object["billing_details"] = json.RawMessage(typedDetails)
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text = []byte(strings.ReplaceAll(string(text), name, "Typed Name"))
	}
	return text
}

// From one store go the payloads about what was bought there, also of types that
// say nothing; late ones go if they tell of a row of the store.
func TestEraseTypedInOneStore(t *testing.T) {
	var e teller
	sold := func(pi, shop string) store.NewEvent {
		return e.sale(pi, "ann@x.example", `{"storeId":"`+shop+`","productId":"p"}`)
	}
	about := func(typ, pi string) store.NewEvent {
		return e.stripe(typ, "", `{"id":"`+pi+`","charge":"ch_`+pi+`","payment_intent":"`+pi+
			`","amount":1000,"amount_refunded":300,"currency":"usd","billing_details":{"name":"Typed Name"}}`)
	}
	s, url := openURL(t)
	applyAny(t, s, []store.NewEvent{sold("pi_1", "s1"), sold("pi_2", "s2"), about("payment_intent.payment_failed", "pi_1"),
		about("charge.updated", "pi_2"), about("charge.refunded", "pi_1")})
	erase(t, s, store.Erasing{Email: "ann@x.example", Store: "s1"})
	applyAny(t, s, []store.NewEvent{about("charge.refunded", "pi_1"), about("charge.refunded", "pi_2")})
	wantRows(t, url, `SELECT event_id FROM webhook_events WHERE payload IS NOT NULL ORDER BY id`, "evt_002", "evt_004",
		"evt_007")
	sound(t, s)
}

// What somebody bought who was erased by an older program has no tombstones: to
// erase them once more makes them.
func TestEraseAgainFindsObjects(t *testing.T) {
	var e teller
	s, url := openURL(t)
	applyAny(t, s, []store.NewEvent{e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`)})
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	if _, err := execute(t, url, `DELETE FROM erased WHERE kind = 'object'`); err != nil {
		t.Fatal(err)
	}
	applyAny(t, s, []store.NewEvent{e.stripe("charge.failed", "", objectsOfAnn["charge."])})
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	unnamed(t, url, typed...)
}

// A payment that names two people: to erase one leaves the other on the list, with
// what they paid, though the payloads of that payment go.
func TestErasePaymentOfTwo(t *testing.T) {
	var e teller
	s, url := openURL(t)
	applyAny(t, s, []store.NewEvent{
		e.user("user_bob", "bob@x.example", "verified"),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p","userId":"user_bob"}`),
		e.stripe("charge.refunded", "",
			`{"id":"ch_1","amount":1000,"amount_refunded":300,"currency":"usd","payment_intent":"pi_1",`+
				`"billing_details":{"email":"bob@x.example","name":"Bob"}}`),
		e.sale("pi_2", "bob@x.example", `{"storeId":"s1","productId":"q"}`),
	})
	lists := query(t, url, listsSQL)
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	wantRows(t, url, listsSQL, lists...)
	wantRows(t, url, `SELECT event_id FROM webhook_events WHERE payload IS NOT NULL ORDER BY id`, "evt_001", "evt_004")
	unnamed(t, url, "ann@x.example")
	sound(t, s)
}
