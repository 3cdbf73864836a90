package facts

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// readTime is long after all samples.
var readTime = time.Date(2026, 11, 1, 9, 30, 15, 700e6, time.UTC)

func readAPI(t *testing.T, kind, raw string) Set {
	t.Helper()
	set, err := ReadStripeObject(kind, "", readTime, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// same compares what was said, whenever it was; how strong a claim is counts.
var same = cmp.Options{
	cmpopts.IgnoreFields(Subscription{}, "Context.Earlier", "StatusMoves"), // an event knows what it changed
	cmp.FilterValues(func(a, b Version) bool { return a != "" && b != "" && strength(a) == strength(b) }, cmp.Ignore()),
	cmpopts.IgnoreFields(Refund{}, "SaidAt"),
	cmpopts.IgnoreFields(Set{}, "At"),
}

// strength is a version without its time: the rank of a claim, or hearsay.
func strength(v Version) string {
	if len(v) > 1 && v[1] == ' ' || strings.HasPrefix(string(v), "-") {
		return string(v[:1])
	}
	return ""
}

// An event, and a read of the object that it carries, say the same.
func TestEventsAndObjectsAgree(t *testing.T) {
	paths, err := filepath.Glob("../testdata/fixtures/stripe/*.json")
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d samples: %v", len(paths), err)
	}
	agreed := map[string]int{}
	for _, path := range paths {
		payload, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			ID, Type, Account string
			Created           json.RawMessage
			Data              struct{ Object json.RawMessage }
		}
		var kind struct{ Object string }
		if json.Unmarshal(payload, &e) != nil || json.Unmarshal(e.Data.Object, &kind) != nil ||
			apiReaders[kind.Object] == nil || e.Type == "customer.deleted" {
			continue
		}
		var seconds int64
		if err := json.Unmarshal(e.Created, &seconds); err != nil {
			t.Fatal(err)
		}
		// invoice.payment_succeeded leaves the claim to its twin invoice.paid.
		typ := strings.Replace(e.Type, "invoice.payment_succeeded", "invoice.paid", 1)
		if e.Type == "invoice.created" || e.Type == "invoice.finalized" {
			typ = "invoice.payment_failed"
		}
		want, err := Read(Event{Source: "stripe", ID: e.ID, Type: typ, Account: e.Account,
			OccurredAt: time.Unix(seconds, 0).UTC(), Payload: payload})
		var ignored *Ignored
		if err != nil && !errors.As(err, &ignored) {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := ReadStripeObject(kind.Object, e.Account, readTime, e.Data.Object)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("%s: event - object +\n%s", filepath.Base(path), diff)
		}
		if !reflect.ValueOf(got).IsZero() {
			agreed[kind.Object]++
		}
	}
	for kind := range apiReaders {
		if agreed[kind] == 0 && kind != "product" && kind != "price" {
			t.Errorf("no sample of a %s says anything", kind)
		}
	}
}

// Times that customers are made of are the object's own.
func TestTimesAreTheObjects(t *testing.T) {
	made := time.Unix(1700000000, 0).UTC()
	for _, c := range []struct{ typ, kind, object string }{
		{"checkout.session.completed", "checkout.session",
			`{"id":"cs_1","mode":"payment","status":"complete","payment_status":"paid","payment_intent":"pi_1",` +
				`"currency":"usd","created":1700000000}`},
		{"checkout.session.async_payment_succeeded", "checkout.session",
			`{"id":"cs_1","mode":"subscription","status":"complete","subscription":"sub_1","created":1700000000}`},
		{"payment_intent.succeeded", "payment_intent",
			`{"id":"pi_1","status":"succeeded","currency":"usd","metadata":{"courseId":"c1"},"created":1700000000}`},
		{"invoice.paid", "invoice",
			`{"id":"in_1","status":"paid","currency":"usd","created":1600000000,"status_transitions":{"paid_at":1700000000}}`},
		{"invoice.paid", "invoice",
			`{"id":"in_1","status":"paid","currency":"usd","created":1700000000,"status_transitions":null}`},
		{"customer.subscription.updated", "subscription", `{"id":"sub_1","status":"active","created":1700000000}`},
	} {
		for _, set := range []Set{read(t, "stripe", c.typ, object(c.object)), readAPI(t, c.kind, c.object)} {
			var at *time.Time
			for _, p := range set.Payments {
				at = p.PaidAt
			}
			for _, s := range set.Subscriptions {
				if at = s.StartedAt; at == nil {
					at = s.CheckoutAt
				}
			}
			if at == nil || !at.Equal(made) {
				t.Errorf("%s %s: %v", c.typ, c.object, at)
			}
		}
	}
	// One without any time of its own takes the event's.
	if p := read(t, "stripe", "invoice.paid", object(`{"id":"in_1","currency":"usd"}`)).Payments[0]; !p.PaidAt.Equal(
		noon) {
		t.Errorf("paid at %v", p.PaidAt)
	}
}

// Of objects in states that no event tells of, nothing is said.
func TestUnfinishedObjectsSayNothing(t *testing.T) {
	for _, c := range []struct{ kind, object string }{
		{"checkout.session",
			`{"id":"cs_1","mode":"payment","status":"open","payment_status":"unpaid","currency":"usd","amount_total":5}`},
		{"checkout.session",
			`{"id":"cs_1","mode":"payment","status":"expired","payment_status":"unpaid","currency":"usd","amount_total":5}`},
		{"payment_intent", `{"id":"pi_1","status":"requires_payment_method","currency":"usd","metadata":{"courseId":"c1"}}`},
		{"payment_intent", `{"id":"pi_1","status":"canceled","currency":"usd","metadata":{"courseId":"c1"}}`},
		{"price", `{"id":"price_1","metadata":{"courseId":"c1"}}`},
	} {
		if set := readAPI(t, c.kind, c.object); !cmp.Equal(set, Set{}) {
			t.Errorf("%s says %+v", c.object, set)
		}
	}
	for _, p := range readAPI(t, "invoice",
		`{"id":"in_1","status":"open","amount_paid":5,"currency":"usd","payment_intent":"pi_1"}`).Payments {
		if p.ClaimVersion != "" || p.Invoice != "in_1" {
			t.Errorf("an open invoice claims: %+v", p)
		}
	}
}

// What was sold, told by the line items: only where metadata does not, and then
// it stays, whichever telling comes later.
func TestLineItems(t *testing.T) {
	const head = `{"id":"cs_1","mode":"payment","status":"complete","payment_status":"paid","payment_intent":"pi_1",` +
		`"currency":"usd"`
	bare := readAPI(t, "checkout.session",
		head+`,"line_items":{"data":[{"price":{"id":"price_1","product":"prod_1"}},{"price":null},`+
			`{"price":{"id":"price_2","product":{"id":"prod_2"}}}]}}`).Payments[0]
	if want := []string{"price_1", "prod_1", "price_2", "prod_2"}; !slices.Equal(bare.Catalogue(), want) {
		t.Errorf("sold %v", bare.Catalogue())
	}
	later := claim(claimCheckout, version(readTime.AddDate(1, 0, 0), rankFinal, "evt_2"))
	if bare.ClaimVersion <= later {
		t.Errorf("an event without line items replaces %q", bare.ClaimVersion)
	}
	priced := readAPI(t, "checkout.session",
		head+`,"line_items":{"data":[{"price":{"id":"price_1","product":"prod_1",`+
			`"metadata":{"courseId":"c1","userId":"seller"}}},`+
			`{"price":{"id":"price_2","product":"prod_2","metadata":{"courseId":"c2"}}}]}}`).Payments[0]
	if want := []Line{{Ref: "c1", Kind: "course", Stripe: []string{"price_1", "prod_1"}},
		{Ref: "c2", Kind: "course", Stripe: []string{"price_2", "prod_2"}}}; !cmp.Equal(priced.Lines, want) ||
		priced.UserRef != "" {
		t.Errorf("prices name %+v", priced.Context)
	}
	named := readAPI(t, "checkout.session",
		head+`,"metadata":{"courseId":"c9"},`+
			`"line_items":{"data":[{"price":{"id":"price_1","product":"prod_1","metadata":{"courseId":"c1"}}}]}}`).Payments[0]
	if named.ProductRef != "c9" || named.Catalogue() != nil || !strings.HasPrefix(string(named.ClaimVersion), "4 ") {
		t.Errorf("the session's own metadata: %+v", named)
	}
	unpaid := readAPI(t, "checkout.session", strings.Replace(head, `"paid"`, `"unpaid"`, 1)+
		`,"line_items":{"data":[{"price":{"id":"price_1","product":"prod_1"}}]}}`).Payments[0]
	if unpaid.Paid || !strings.HasPrefix(string(unpaid.ClaimVersion), "1 ") {
		t.Errorf("an unpaid session: %+v", unpaid)
	}
}

// Stripe's products teach the catalogue, below what the platform says itself.
func TestStripeProducts(t *testing.T) {
	const course = `{"id":"prod_1","name":" Mixing  Basics ","created":1600000000,"updated":1700000000,` +
		`"metadata":{"courseId":"c1","storeId":"s1","creatorId":"u1"}}`
	want := Product{ID: "c1", StoreRef: "s1", Kind: "course", Title: "Mixing Basics", StripeProductIDs: []string{"prod_1"},
		Version: hearsay(version(time.Unix(1700000000, 0), rankUpdated, "prod_1"))}
	if diff := cmp.Diff(Set{Products: []Product{want}}, readAPI(t, "product", course)); diff != "" {
		t.Error(diff)
	}
	told := read(t, "platform", "product.upserted", `{"data":{"id":"c1","kind":"course"}}`).Products[0]
	if told.Version <= want.Version {
		t.Errorf("the platform's %q is below %q", told.Version, want.Version)
	}
	if p := readAPI(t, "product",
		`{"id":"prod_1","metadata":{"productId":"p1","creatorId":"u1"}}`).Products[0]; p.StoreRef != "u1" || p.Kind != "" {
		t.Errorf("%+v", p)
	}
	for _, silent := range []string{
		`{"id":"prod_1","metadata":{"storeId":"s1"}}`,
		`{"id":"prod_1","metadata":{"planId":"p1","storeId":"s1","productType":"creator_plan"}}`,
	} {
		if set := readAPI(t, "product", silent); !cmp.Equal(set, Set{}) {
			t.Errorf("%s says %+v", silent, set)
		}
	}
	if set, err := ReadStripeObject("product", "acct_1", readTime, []byte(course)); err != nil || !cmp.Equal(set, Set{}) {
		t.Errorf("a connected account claims a product: %+v %v", set, err)
	}
}

// Only the API can show that a subscription called off within a day was paid.
func TestPaidAndCanceledWithinADay(t *testing.T) {
	for invoice, want := range map[string]bool{`{"id":"in_1","status":"paid"}`: true,
		`{"id":"in_1","status":"void"}`: false, `"in_1"`: false, `null`: false} {
		s := readAPI(t, "subscription",
			`{"id":"sub_1","status":"canceled","created":1700000000,"ended_at":1700000600,"latest_invoice":`+invoice+
				`}`).Subscriptions[0]
		if s.EverActive != want {
			t.Errorf("latest invoice %s: ever active %v", invoice, s.EverActive)
		}
	}
}

// What a subscription costs now is less all its discounts. What never ends of them is known apart.
func TestDiscountsThatEnd(t *testing.T) {
	const forever = `{"coupon":{"percent_off":10,"duration":"forever"}}`
	const once = `{"source":{"coupon":{"amount_off":300,"duration":"once"}}}`
	s := readAPI(t, "subscription", `{"id":"sub_1","status":"active","created":1700000000,"currency":"usd",
		"discounts":[`+forever+`,`+once+`,"di_1"],"items":{"data":[{"quantity":2,"price":{"unit_amount":1000,
		"recurring":{"interval":"month","interval_count":1}},"discounts":[`+once+`]}]}}`).Subscriptions[0]
	line := s.Lines[0]
	if line.Amount == nil || *line.Amount != 1700 || line.Regular == nil || *line.Regular != 2000 {
		t.Errorf("of the item: %+v", line)
	}
	want := &Discount{PercentOff: 10, AmountOff: 300, Forever: &Discount{PercentOff: 10}}
	if d := cmp.Diff(want, s.Discount); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if s.Amount == nil || *s.Amount != 1230 {
		t.Errorf("it costs %v", s.Amount)
	}
}

func TestRefundOfWholeCharge(t *testing.T) {
	r := readAPI(t, "refund",
		`{"id":"re_1","amount":500,"currency":"eur","charge":{"id":"ch_1","amount":2000},"payment_intent":"pi_1"}`).Refunds[0]
	if r.Charge != "ch_1" || r.ChargeAmount == nil || *r.ChargeAmount != 2000 || r.Cumulative {
		t.Errorf("%+v", r)
	}
}

// What an invoice holds of its customer is as old as the invoice, whenever it
// is read or told.
func TestInvoiceHearsay(t *testing.T) {
	const invoice = `{"id":"in_1","status":"paid","currency":"usd","created":1700000000,"customer":"cus_1",` +
		`"customer_email":"a@x.example"}`
	event, api := read(t, "stripe", "invoice.paid", object(invoice)).StripeCustomers,
		readAPI(t, "invoice", invoice).StripeCustomers
	if diff := cmp.Diff(event, api); diff != "" || len(api) != 1 {
		t.Errorf("%v %s", api, diff)
	}
	// Whatever differs has versions that differ: there is always one winner.
	if other := readAPI(t, "invoice",
		strings.Replace(invoice, "a@x", "b@x", 1)).StripeCustomers; other[0].Version == api[0].Version {
		t.Errorf("two addresses, one version %q", other[0].Version)
	}
}

// A read is as of its second's beginning: events of that second may be later.
func TestReadLosesTies(t *testing.T) {
	const customer = `{"id":"cus_1"}`
	at := readTime.Truncate(time.Second)
	event, err := Read(Event{Source: "stripe", ID: "evt_1", Type: "customer.updated", OccurredAt: at,
		Payload: []byte(object(customer))})
	if err != nil || event.StripeCustomers[0].Version <= readAPI(t, "customer", customer).StripeCustomers[0].Version {
		t.Errorf("%v %v", event, err)
	}
}

func TestReadStripeObjectErrors(t *testing.T) {
	var bad *Malformed
	var ignored *Ignored
	if _, err := ReadStripeObject("customer", "", readTime, []byte(`{"object":"customer"}`)); !errors.As(err, &bad) {
		t.Errorf("without an id: %v", err)
	}
	if _, err := ReadStripeObject("invoice", "", readTime, []byte(`[]`)); !errors.As(err, &bad) {
		t.Errorf("no object: %v", err)
	}
	if _, err := ReadStripeObject("payout", "", readTime, []byte(`{"id":"po_1"}`)); !errors.As(err, &ignored) {
		t.Errorf("a payout: %v", err)
	}
}

func TestStripeReads(t *testing.T) {
	for typ, want := range map[string]bool{
		"invoice.paid": true, "charge.dispute.closed": true, "customer.subscription.paused": true,
		"charge.captured": false, "customer.": false, "payout.paid": false, "": false,
	} {
		if StripeReads(typ) != want {
			t.Errorf("StripeReads(%q) = %v", typ, !want)
		}
	}
}

func TestNeedsWholeList(t *testing.T) {
	const session = `{"id":"cs_1","mode":"payment","status":"complete"`
	for _, c := range []struct {
		kind, object string
		want         bool
	}{
		{"checkout.session", session + `}`, true},
		{"checkout.session", session + `,"metadata":{"courseId":"c1"}}`, true},
		{"checkout.session", `{"id":"cs_1","mode":"payment","status":"open"}`, false},
		{"checkout.session", `{"id":"cs_1","mode":"subscription","status":"complete"}`, false},
		{"invoice", `{"id":"in_1"}`, true},
		{"invoice", `{"id":"in_1","subscription_details":{"metadata":{"productId":"p1"}}}`, true},
		{"subscription", `{"id":"sub_1","metadata":{"productId":"p1"}}`, true},
		{"customer", `{"id":"cus_1"}`, false},
	} {
		if got := NeedsWholeList(c.kind, []byte(c.object)); got != c.want {
			t.Errorf("%s %s: %v", c.kind, c.object, got)
		}
	}
}

// Whatever is in an object, reading it neither panics nor fails but as told.
func FuzzStripeObject(f *testing.F) {
	for kind := range apiReaders {
		f.Add(kind, []byte(
			`{"id":"x_1","status":"complete","mode":"payment","currency":"usd","created":1,"metadata":{"courseId":"c1"},`+
				`"line_items":{"data":[{"price":null}]}}`))
		f.Add(kind, []byte(`{"id":"x_1\u0000","charge":{"id":7},"latest_invoice":[],"status_transitions":{"paid_at":"x"}}`))
	}
	f.Fuzz(func(t *testing.T, kind string, raw []byte) {
		set, err := ReadStripeObject(kind, "", readTime, raw)
		var bad *Malformed
		var ignored *Ignored
		if err != nil && !errors.As(err, &bad) && !errors.As(err, &ignored) {
			t.Errorf("%T %v", err, err)
		}
		for _, p := range set.Payments {
			if p.ID == "" || p.ClaimVersion != "" && (p.Amount == nil || p.PaidAt == nil || p.Kind == "") {
				t.Errorf("%+v", p)
			}
		}
	})
}

// A currency is three ASCII letters, in any case. Money in anything else fails the
// event, as money without a currency does.
func TestStripeCurrency(t *testing.T) {
	for said, want := range map[string]string{
		`"usd"`: "usd", `"EUR"`: "eur", `"us1"`: "", `"€"`: "", `"u d"`: "", `"US\u0000D"`: "usd", `" us"`: "",
		`"\u212aw"`: "", `"dollar"`: "", `""`: "", `null`: "", `7`: "", `"ÜS"`: "",
	} {
		for typ, object := range map[string]string{
			"checkout.session.completed": `{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":5,"currency":` +
				said + `}`,
			"invoice.paid":             `{"id":"in_1","amount_paid":5,"currency":` + said + `}`,
			"payment_intent.succeeded": `{"id":"pi_1","amount_received":5,"metadata":{"courseId":"c1"},"currency":` + said + `}`,
		} {
			set, err := Read(Event{Source: "stripe", ID: "evt_1", Type: typ, OccurredAt: noon,
				Payload: []byte(`{"data":{"object":` + object + `}}`)})
			switch {
			case want == "" && (err == nil || !strings.Contains(err.Error(), errNoCurrency.Error())):
				t.Errorf("%s in %s: %v", typ, said, err)
			case want != "" && (err != nil || set.Payments[0].Currency != want):
				t.Errorf("%s in %s: %+v %v", typ, said, set.Payments, err)
			}
		}
		if s := readAPI(t, "subscription", `{"id":"sub_1","status":"active","currency":`+said+
			`}`).Subscriptions[0]; s.Currency != want {
			t.Errorf("a subscription in %s: %q", said, s.Currency)
		}
	}
}
