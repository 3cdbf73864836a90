package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/store"
	"rollcall/store/customers"
)

// orders are some orders of events: as given, reversed, and each one last.
func orders(events []store.NewEvent) (all [][]store.NewEvent) {
	reversed := slices.Clone(events)
	slices.Reverse(reversed)
	all = append(all, events, reversed)
	for i := range events {
		all = append(all, append(slices.Concat(events[:i], events[i+1:]), events[i]))
	}
	return all
}

// shown is everything that a store's owner sees of its customers.
func shown(t *testing.T, s *store.Store, storeID string) string {
	t.Helper()
	page, _, err := customers.New(s).Customers(t.Context(), customers.Filter{Store: storeID, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	out := []any{page}
	for _, c := range page {
		x, err := customers.New(s).Explain(t.Context(), storeID, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		entries, _, err := customers.New(s).Timeline(t.Context(), storeID, c.ID, customers.TimelineFilter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, x, entries)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The owner of a connected account writes somebody's user id into metadata. Whose
// it is stays unknown to them until the platform reports that user in their store,
// in whatever order all this arrives.
func TestUserIDsOnConnectedAccounts(t *testing.T) {
	t.Parallel()
	const secret = `{"data":{"id":"user_ann","first_name":"Ann","last_name":"Secret","image_url":"https://img.example/ann",
	"last_sign_in_at":1768211000000,
		"primary_email_address_id":"i",
		"email_addresses":[{"id":"i","email_address":"ann@home.example","verification":{"status":"verified"}}]}}`
	const session = `{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",` +
		`"payment_intent":"pi_1","customer_details":{"email":%q},%s}`
	named := `"metadata":{"userId":"user_ann","courseId":"c1"}`
	const of = `SELECT concat_ws(' ', email, name, image_url) FROM customers WHERE store_id = 's1' ORDER BY 1`
	const anns = "ann@home.example Ann Secret https://img.example/ann"
	sale := func(email, who string) func(*teller) []store.NewEvent {
		return func(e *teller) []store.NewEvent {
			return []store.NewEvent{e.stripe("checkout.session.completed", "acct_1", fmt.Sprintf(session, email, who))}
		}
	}
	also := func(first func(*teller) []store.NewEvent, typ, data string) func(*teller) []store.NewEvent {
		return func(e *teller) []store.NewEvent { return append(first(e), e.platform(typ, data)) }
	}
	h := newHouse(t)
	for name, c := range map[string]struct {
		events func(*teller) []store.NewEvent
		want   []string // customers of s1
		off    string   // reasons of what is on no list
	}{
		"without an address":   {sale("", named), nil, "user_unconfirmed"},
		"with another address": {sale("eve@x.example", named), []string{"eve@x.example"}, ""},
		"by client_reference_id": {sale("eve@x.example", `"client_reference_id":"user_ann"`), []string{"eve@x.example"},
			""},
		"with the user's address": {sale("Ann@home.example", named), []string{anns}, ""},
		"enrolled in the store": {
			also(sale("eve@x.example", named), "enrollment.upserted", `{"course_id":"c1","store_id":"s1","user_id":"user_ann"}`),
			[]string{anns}, ""},
		"enrolled, by the course": {also(sale("", named), "enrollment.upserted", `{"course_id":"c1","user_id":"user_ann"}`),
			[]string{anns}, ""},
		"enrolled in another": {
			also(sale("eve@x.example", named), "enrollment.upserted", `{"course_id":"c2","store_id":"s2","user_id":"user_ann"}`),
			[]string{"eve@x.example"}, ""},
		"an end, never enrolled": {also(sale("", named), "enrollment.deleted", `{"course_id":"c1","user_id":"user_ann"}`),
			nil, "never_enrolled user_unconfirmed"},
		"bought on the platform": {
			also(sale("eve@x.example", named), "purchase.recorded",
				`{"id":"p1","product_id":"c1","user_id":"user_ann","amount":500,"currency":"usd",`+
					`"purchased_at":"2026-01-12T10:00:00Z"}`), []string{anns}, ""},
		"a subscription, enrolled": {
			also(subscribedTo("acct_1"), "enrollment.upserted", `{"course_id":"c1","store_id":"s1","user_id":"user_ann"}`),
			[]string{anns}, ""},
		"a subscription": {subscribedTo("acct_1"), []string{"eve@x.example"}, ""},
		"a purchase that turns out another's": {func(e *teller) []store.NewEvent {
			const purchase = `{"id":"p1","product_id":"c1","user_id":%q,"amount":500,"currency":"usd",` +
				`"purchased_at":"2026-01-12T10:00:00Z"}`
			return append(sale("eve@x.example", named)(e),
				e.platform("purchase.recorded", fmt.Sprintf(purchase, "user_ann")),
				e.platform("purchase.recorded", fmt.Sprintf(purchase, "user_bob")),
				e.user("user_bob", "bob@x.example", "verified"))
		}, []string{"bob@x.example N", "eve@x.example"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var e teller
			events := append(c.events(&e),
				e.event("clerk", "user.updated", "", secret),
				e.platform("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_eve","stripe_account_id":"acct_1"}`),
				e.platform("store.upserted", `{"id":"s2","name":"Two","owner_user_id":"user_o"}`),
				e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`))
			for i, order := range orders(events) {
				h.empty(t)
				apply(t, h.store, order, []int{1, len(events)}[i%2])
				if diff := cmp.Diff(c.want, h.lines(t, of), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("customers (-want +got):\n%s", diff)
				}
				if off := strings.Join(h.lines(t, offSQL), " "); off != c.off {
					t.Fatalf("on no list for %q, want %q", off, c.off)
				}
				if text := shown(t, h.store, "s1"); !slices.Contains(c.want, anns) &&
					containsAny(text, "ann@home", "Secret", "img.example") {
					t.Fatalf("shows whose the id is: %s", text)
				}
				sound(t, h.store)
			}
		})
	}
}

const offSQL = `
	SELECT DISTINCT unattached
	FROM (SELECT unattached FROM payments UNION ALL SELECT unattached FROM enrollments
	UNION ALL SELECT unattached FROM subscriptions) f
	WHERE unattached IS NOT NULL
	ORDER BY 1`

func containsAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// subscribedTo is a subscription on a connected account, its session and an invoice.
func subscribedTo(account string) func(*teller) []store.NewEvent {
	return func(e *teller) []store.NewEvent {
		const who = `"metadata":{"userId":"user_ann","courseId":"c1"}`
		return []store.NewEvent{
			e.stripe("checkout.session.completed", account,
				`{"id":"cs_2","mode":"subscription","payment_status":"paid","subscription":"sub_1","customer":"cus_1",`+
					`"customer_details":{"email":"eve@x.example"},`+who+`}`),
			e.stripe("customer.subscription.created", account,
				`{"id":"sub_1","status":"active","customer":"cus_1","currency":"usd","start_date":1768211000,`+
					`"items":{"data":[{"price":{"id":"price_1","unit_amount":1900}}]},`+who+`}`),
			e.stripe("invoice.paid", account,
				`{"id":"in_1","amount_paid":1900,"currency":"usd","customer":"cus_1","customer_email":"eve@x.example",`+
					`"subscription":"sub_1"}`),
		}
	}
}

// Of a payment link the buyer can write client_reference_id into the URL.
func TestClientReferenceOfPaymentLink(t *testing.T) {
	const session = `{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",
	"payment_intent":"pi_1","customer_details":{"email":"eve@x.example"},
		"client_reference_id":"user_ann","payment_link":%s,"metadata":{"storeId":"s1","productId":"p"}}`
	for link, want := range map[string]string{`"plink_1"`: "s1 eve@x.example paying active",
		`null`: "s1 ann@x.example paying active"} {
		var e teller
		s, url := openURL(t)
		apply(t, s, []store.NewEvent{e.user("user_ann", "ann@x.example", "verified"),
			e.stripe("checkout.session.completed", "", fmt.Sprintf(session, link))}, 2)
		wantRows(t, url, customersSQL, want)
	}
}

// A sale that names another store's course tells its owner nothing of who is in
// that course, or was.
func TestForgedSaleOfAnotherStoresCourse(t *testing.T) {
	var e teller
	events := []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_eve","stripe_account_id":"acct_1"}`),
		e.platform("store.upserted", `{"id":"s2","name":"Two","owner_user_id":"user_o"}`),
		e.platform("product.upserted", `{"id":"c2","store_id":"s2","kind":"course","title":"Theirs"}`),
		e.user("user_ann", "ann@x.example", "verified"),
		e.stripe("checkout.session.completed", "acct_1",
			`{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":100,"currency":"usd",`+
				`"payment_intent":"pi_1","created":1768211000,"customer_details":{"email":"ann@x.example"},`+
				`"metadata":{"courseId":"c2"}}`),
		e.platform("enrollment.deleted", `{"course_id":"c2","email":"ann@x.example"}`),
		e.platform("enrollment.deleted", `{"course_id":"c2","user_id":"user_ann"}`),
	}
	h := newHouse(t)
	for _, order := range orders(events) {
		h.empty(t)
		apply(t, h.store, order, 1)
		got := h.lines(t, `SELECT concat_ws(' ', store_id, email, type, status, course_ids::text) FROM customers`)
		if diff := cmp.Diff([]string{"s1 ann@x.example paying active {c2}"}, got); diff != "" {
			t.Fatalf("customers (-want +got):\n%s", diff)
		}
		if text := shown(t, h.store, "s1"); containsAny(text, "user_ann", "enrollment_ended", "never_enrolled", "Theirs") {
			t.Fatalf("shows another store's: %s", text)
		}
		sound(t, h.store)
	}
}

// A sale on a connected account and the report of its user, applied at one moment
// by two workers, do not miss each other.
func TestReportBesideTheSaleItConfirms(t *testing.T) {
	h := newHouse(t)
	h.empty(t)
	var e teller
	apply(t, h.store,
		[]store.NewEvent{
			e.platform("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_eve","stripe_account_id":"acct_1"}`)}, 1)
	var events []store.NewEvent
	const sales = 80
	for i := range sales {
		user := fmt.Sprintf("user_%d", i)
		apply(t, h.store, []store.NewEvent{e.user(user, fmt.Sprintf("buyer%d@x.example", i), "verified")}, 1)
		events = append(events,
			e.stripe("checkout.session.completed", "acct_1",
				fmt.Sprintf(
					`{"id":"cs_%[1]d","mode":"payment","payment_status":"paid","amount_total":100,"currency":"usd",`+
						`"payment_intent":"pi_%[1]d","metadata":{"userId":"%[2]s"}}`, i, user)),
			e.enrolled("c1", fmt.Sprintf(`"user_id":%q`, user)))
	}
	h.tell(t, events, plan{batch: 1, workers: 2})
	if n := h.lines(t, `SELECT count(*) || ' of ' || count(customer_id) FROM payments`); n[0] != fmt.Sprintf(
		"%[1]d of %[1]d", sales) {
		t.Errorf("%s sales are on a list", n[0])
	}
}

// The owner of a connected account writes a user's id into a sale without an address.
// Which of their other customers that user is, nobody tells them.
func TestUncountedTellsNoUser(t *testing.T) {
	var e teller
	s, url := openURL(t)
	const sale = `{"id":"cs_%[1]d","mode":"payment","payment_status":%[2]q,"amount_total":100,"currency":"usd",` +
		`"payment_intent":"pi_%[1]d","customer_details":{"email":%[3]q},"metadata":{%[4]s}}`
	apply(t, s, []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_eve","stripe_account_id":"acct_1"}`),
		e.user("user_ann", "ann@x.example", "verified"),
		e.stripe("checkout.session.completed", "acct_1", fmt.Sprintf(sale, 1, "paid", "ann@x.example", "")),
		e.stripe("checkout.session.completed", "acct_1", fmt.Sprintf(sale, 2, "paid", "", `"userId":"user_ann"`)),
		e.stripe("checkout.session.completed", "acct_1", fmt.Sprintf(sale, 3, "unpaid", "", `"userId":"user_ann"`)),
		e.stripe("customer.subscription.created", "acct_1",
			`{"id":"sub_4","status":"incomplete","currency":"usd","items":{"data":[]},"metadata":{"userId":"user_ann"}}`),
	}, 1)
	wantRows(t, url, customersSQL, "s1 ann@x.example paying active")
	if text := shown(t, s, "s1"); containsAny(text, "pi_2", "pi_3", "sub_4", "user_ann") {
		t.Errorf("shows whose the id is: %s", text)
	}
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"user_id":"user_ann"`)}, 1)
	if text := shown(t, s, "s1"); !strings.Contains(text, "pi_3") || !strings.Contains(text, "sub_4") {
		t.Errorf("the platform has reported the user, and what does not count is not told: %s", text)
	}
}

// On a connected account a price of another store's product leads nowhere.
func TestForeignPriceOnConnectedAccount(t *testing.T) {
	var e teller
	events := []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"One","owner_user_id":"user_eve","stripe_account_id":"acct_1"}`),
		e.platform("store.upserted", `{"id":"s2","name":"Two","owner_user_id":"user_o"}`),
		e.platform("product.upserted", `{"id":"own","store_id":"s1","kind":"digital","stripe_price_ids":["price_own"]}`),
		e.platform("product.upserted",
			`{"id":"secret","store_id":"s2","kind":"digital","stripe_price_ids":["price_theirs"]}`),
		e.stripe("checkout.session.completed", "acct_1",
			`{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":100,"currency":"usd",`+
				`"payment_intent":"pi_1","customer_details":{"email":"a@x.example"},"metadata":{"productId":"price_theirs"}}`),
		e.stripe("checkout.session.completed", "acct_1",
			`{"id":"cs_2","mode":"payment","payment_status":"paid","amount_total":100,"currency":"usd",`+
				`"payment_intent":"pi_2","customer_details":{"email":"b@x.example"},"metadata":{"productId":"price_own"}}`),
	}
	h := newHouse(t)
	for _, order := range orders(events) {
		h.empty(t)
		apply(t, h.store, order, 1)
		if diff := cmp.Diff([]string{"a@x.example {price_theirs}", "b@x.example {own}"},
			h.lines(t, `SELECT email || ' ' || product_ids::text FROM customers WHERE store_id = 's1' ORDER BY 1`)); diff != "" {
			t.Fatal(diff)
		}
		if text := shown(t, h.store, "s1"); strings.Contains(text, "secret") {
			t.Fatalf("shows another store's product: %s", text)
		}
		sound(t, h.store)
	}
}

// A user who proves an address anew after they were deleted owns what guests did there.
func TestAddressProvedAnewAfterDeletion(t *testing.T) {
	s, url := openURL(t)
	proves := func(nth int, second time.Duration, email string) store.NewEvent {
		at := storyStart.Add(second * time.Second)
		return drawer{at: at, nth: nth}.event("clerk", "user.updated", "",
			userPayload("user_1", "Ann", at, address(email, "verified")))
	}
	apply(t, s, []store.NewEvent{
		proves(6, 2, "ann@x.example"),
		drawer{at: storyStart, nth: 2}.event("clerk", "user.deleted", "", `{"data":{"id":"user_1","deleted":true}}`),
		proves(3, 0, "dot@x.example"),
		drawer{at: storyStart, nth: 1}.platform("store.upserted", `{"id":"s1","name":"One"}`),
		drawer{at: storyStart, nth: 4}.platform("enrollment.upserted",
			`{"course_id":"c1","store_id":"s1","email":"dot@x.example"}`),
		proves(5, 1, "dot@x.example"), // late
	}, 1)
	wantRows(t, url, `SELECT email FROM customers`, "ann@x.example")
}
