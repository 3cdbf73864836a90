package store_test

import (
	"context"
	"testing"

	"rollcall/facts"
	"rollcall/store"
)

// Rows written under an older spelling of an address are moved over by a rebuild,
// and their people are one again, with their notes.
func TestRebuildSpellsAddresses(t *testing.T) {
	s, url := openURL(t)
	ctx := context.Background()
	var e teller
	apply(t, s, []store.NewEvent{
		e.enrolled("c1", `"email":"rosa@töpferei.example"`), e.enrolled("c2", `"email":"old@x.example"`),
		e.enrolled("c1", `"email":"old@x.example"`),
		e.sale("pi_1", "other@x.example", `{"storeId":"s1","productId":"p"}`),
		e.stripe("payment_intent.succeeded", "",
			`{"id":"pi_1","amount_received":1000,"currency":"usd","receipt_email":"other@x.example"}`),
		e.stripe("customer.created", "", `{"id":"cus_1","email":"old@x.example"}`),
	}, 1)
	jot(t, s, url, "old@x.example", "knows glazes")
	for _, sql := range []string{ // as a version before wrote them
		`UPDATE enrollments SET person = 'email:rosa@xn--tpferei-90a.example', email = 'rosa@xn--tpferei-90a.example',
			customer_email = 'rosa@xn--tpferei-90a.example' WHERE person = 'email:old@x.example'`,
		`UPDATE payments SET email = 'Ju' || chr(776) || 'rgen@x.example',
			intent = intent || jsonb_build_object('email', 'ju' || chr(776) || 'rgen@x.example')`,
		`UPDATE stripe_customers SET email = 'rosa@xn--tpferei-90a.example'`,
		`UPDATE customers SET email = 'rosa@xn--tpferei-90a.example' WHERE email = 'old@x.example'`,
		`UPDATE customer_notes SET email = 'rosa@xn--tpferei-90a.example'`,
	} {
		exec(t, url, sql)
	}
	if diff, err := s.Rebuild(ctx, "", nil); err != nil || diff.Sum() == 0 {
		t.Fatalf("%+v %v", diff, err)
	}
	wantRows(t, url, `SELECT email || course_ids::text FROM customers ORDER BY email`, "jürgen@x.example{}",
		"rosa@töpferei.example{c1,c2}")
	wantRows(t, url, `SELECT person FROM enrollments ORDER BY course_id`, "email:rosa@töpferei.example",
		"email:rosa@töpferei.example")
	wantRows(t, url, `SELECT concat_ws(' ', email, intent ->> 'email') FROM payments`, "jürgen@x.example jürgen@x.example")
	wantRows(t, url, `SELECT email FROM stripe_customers UNION ALL SELECT email FROM customer_notes`,
		"rosa@töpferei.example", "rosa@töpferei.example")
	if diff, err := s.Rebuild(ctx, "", nil); err != nil || diff.Sum() != 0 {
		t.Errorf("a second rebuild: %+v %v", diff, err)
	}
}

// Erased is who is meant, however an address was written.
func TestEraseFindsEverySpelling(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.enrolled("c1", `"email":"Rosa <rosa@xn--tpferei-90a.example>"`),
		e.enrolled("c2", `"email":"rosa@TÖPFEREI.example."`), e.enrolled("c3", `"email":"rosa@to\u0308pferei.example"`),
	}, 1)
	wantRows(t, url, `SELECT email FROM customers`, "rosa@töpferei.example")
	if err := s.Erase(t.Context(), store.Erasing{Email: "rosa@xn--tpferei-90a.example"},
		store.EraseOptions{Read: facts.Read}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT DISTINCT coalesce(payload::text, 'none') FROM webhook_events`, "none")
	wantRows(t, url, `SELECT DISTINCT (email LIKE 'erased-%')::text FROM customers`, "true")
	// A late event, in yet another spelling, is of the same nameless one.
	apply(t, s, []store.NewEvent{e.enrolled("c4", `"email":"rosa@töpferei.example"`)}, 1)
	wantRows(t, url, `SELECT DISTINCT (email LIKE 'erased-%')::text FROM customers`, "true")
}
