package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rollcall/store/customers"
)

// most is the largest amount that a bigint holds.
const most = "9223372036854775807"

// stripe sends an event of Stripe's about an object, signed.
func (s *system) stripe(n int, typ, object string) {
	s.t.Helper()
	body := fmt.Appendf(
		nil, `{"id":"evt_%d","object":"event","type":%q,"created":1768212000,"livemode":true,"data":{"object":%s}}`, n, typ,
		object)
	if err := s.post(body); err != nil {
		s.t.Fatal(err)
	}
}

// wantAnswers checks that everything that shows money of a store answers 200.
func (s *system) wantAnswers(store string) {
	s.t.Helper()
	base := "/api/stores/" + store + "/customers"
	paths := []string{base, base + ".csv", "/api/stores/" + store + "/stats", "/api/stores/" + store +
		"/stats?spent_min=1", base + "?sort=-spent&spent_min=1"}
	for _, id := range s.column(`SELECT id::text FROM customers WHERE store_id = '` + store + `' ORDER BY id`) {
		paths = append(paths, base+"/"+id, base+"/"+id+"/explain", base+"/"+id+"/timeline")
	}
	for _, path := range paths {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.http.URL+path, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+adminToken)
		if _, err := s.do(req); err != nil {
			s.t.Errorf("%s: %v", path, err)
		}
	}
}

// column is the one column of a query.
func (s *system) column(sql string) (out []string) {
	s.t.Helper()
	if err := s.pool.QueryRow(context.Background(), `SELECT coalesce(array_agg(x), '{}') FROM (`+sql+`) AS t(x)`).Scan(
		&out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// A purchase that the platform says cost more than anything costs fails its event
// and hurts nobody else's figures.
func TestPurchaseBeyondAnyAmount(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	buy := func(id, amount string) {
		s.tell("msg_"+id, "purchase.recorded",
			fmt.Sprintf(`{"id":%q,"product_id":"p1","store_id":"s1","email":"%s@x.example","amount":%s,"currency":"usd"}`, id,
				id, amount))
	}
	s.tell("msg_1", "store.upserted", `{"id":"s1"}`)
	buy("b1", most)
	buy("b2", "1000000000000001")
	buy("b3", "1000000000000000")
	buy("b4", "500")
	s.applyAll()
	s.wantAnswers("s1")
	failed := s.column(`SELECT event_id || ': ' || last_error FROM webhook_events WHERE status = 'failed' ORDER BY id`)
	if len(failed) != 2 || !strings.Contains(failed[0], "amount must be at most 10^15 minor units, got "+most) {
		t.Errorf("failed: %q", failed)
	}
	var figures customers.Stats
	s.get("/api/stores/s1/stats", &figures)
	if figures.Paying != 2 || figures.Revenue[0].Amount != 1_000_000_000_000_500 {
		t.Errorf("%+v", figures)
	}
}

// An amount of Stripe's that is beyond any is passed over, in words that the event
// shows; who paid it is on the list all the same.
func TestStripeAmountBeyondAny(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.tell("msg_1", "store.upserted", `{"id":"s1","stripe_account_id":"acct_1"}`)
	session := `{"id":"cs_%[1]d","object":"checkout.session","mode":"payment","payment_status":"paid",` +
		`"amount_total":%[2]s,"currency":"usd","payment_intent":"pi_%[1]d",` +
		`"customer_details":{"email":"buyer%[1]d@x.example"},"metadata":{"storeId":"s1","productId":"p1"}}`
	s.stripe(1, "checkout.session.completed", fmt.Sprintf(session, 1, most))
	s.stripe(2, "checkout.session.completed", fmt.Sprintf(session, 2, "700"))
	s.stripe(3, "customer.subscription.created",
		`{"id":"sub_1","object":"subscription","status":"active","currency":"usd","customer":"cus_1","start_date":1768212000,
		"metadata":{"storeId":"s1"},
		"items":{"data":[{"quantity":1000000000000,"price":{"id":"price_1","unit_amount":1000000000000}}]}}`)
	s.stripe(4, "customer.updated", `{"id":"cus_1","object":"customer","email":"buyer3@x.example"}`)
	s.stripe(5, "charge.refunded",
		`{"id":"ch_2","object":"charge","payment_intent":"pi_2","amount":700,"amount_refunded":`+most+`,"currency":"usd"}`)
	s.applyAll()
	s.wantAnswers("s1")
	if got := s.column(`SELECT email || ' ' || type || ' ' || spent::text FROM customers ORDER BY email`); strings.Join(
		got, "; ") !=
		`buyer1@x.example lead []; buyer2@x.example paying [{"amount": 700, "currency": "usd"}]; buyer3@x.example `+
			`subscription []` {
		t.Errorf("%q", got)
	}
	for id, want := range map[string]string{
		"evt_1": `["amount_total: ` + most + ` is no amount: the most is 10^15 minor units"]`,
		"evt_2": `null`,
		"evt_3": `["items.data.0: 1000000000000 times 1000000000000 is no amount: the most is 10^15 minor units"]`,
		"evt_5": `["amount_refunded: ` + most + ` is no amount: the most is 10^15 minor units"]`,
	} {
		var event struct{ Notes json.RawMessage }
		s.get("/api/admin/events/"+s.column(`SELECT id::text FROM webhook_events WHERE event_id = '` + id + `'`)[0], &event)
		if got := strings.TrimSpace(string(event.Notes)); got != want && !(got == "" && want == "null") {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

// A database into which amounts beyond any came before they were refused can be
// rebuilt, and shows all that it holds.
func TestPoisonedSums(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.tell("msg_1", "store.upserted", `{"id":"s1"}`)
	for i, who := range []string{"a", "a", "a", "b", "c"} {
		s.tell(fmt.Sprintf("msg_%d", i+2), "purchase.recorded",
			fmt.Sprintf(`{"id":"pi_%d","product_id":"p1","store_id":"s1","email":"%s@x.example","amount":500,"currency":"usd"}`,
				i+1, who))
	}
	for i := range 2 {
		s.stripe(i+1, "refund.created",
			fmt.Sprintf(
				`{"id":"re_%d","object":"refund","payment_intent":"pi_3","charge":"ch_3","amount":100,"currency":"usd",`+
					`"status":"succeeded"}`, i))
		s.stripe(i+3, "charge.dispute.funds_withdrawn",
			fmt.Sprintf(
				`{"id":"dp_%d","object":"dispute","payment_intent":"pi_3","charge":"ch_3","amount":100,"currency":"usd",`+
					`"status":"lost"}`, i))
	}
	s.applyAll()
	for _, table := range []string{`payments SET claim_amount = ` + most + ` WHERE id <> 'pi_5'`, `refunds SET amount = ` +
		most, `disputes SET amount = ` + most} {
		if _, err := s.pool.Exec(t.Context(), `UPDATE `+table); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.store.Rebuild(t.Context(), "", nil); err != nil {
		t.Errorf("rebuild: %v", err)
	}
	s.wantAnswers("s1")
	if again, err := s.store.Rebuild(t.Context(), "", nil); err != nil || again.Sum() != 0 {
		t.Errorf("rebuilt once more: %+v %v", again, err)
	}
	s.tell("msg_9", "purchase.recorded",
		`{"id":"pi_4","product_id":"p1","store_id":"s1","email":"b@x.example","amount":500,"currency":"usd"}`)
	s.applyAll()
	if got := s.column(`SELECT email || ' ' || (spent -> 0 ->> 'amount') FROM customers ORDER BY email`); strings.Join(
		got, "; ") != "a@x.example "+most+"; b@x.example 500; c@x.example 500" {
		t.Errorf("%q", got)
	}
}
