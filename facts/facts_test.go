package facts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 12, 12, 0, 0, 0, time.UTC)

func read(t *testing.T, source, typ, payload string) Set {
	t.Helper()
	set, err := Read(Event{Source: source, ID: "evt_1", Type: typ, OccurredAt: noon, Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func object(o string) string { return `{"data":{"object":` + o + `}}` }

// Versions sort as text by time, then rank, then id.
func TestVersionOrder(t *testing.T) {
	want := []Version{
		hearsay(version(noon.AddDate(5, 0, 0), rankDeleted, "z")),
		version(noon, rankCreated, "b"),
		version(noon, rankUpdated, "a"),
		version(noon, rankUpdated, "b"),
		version(noon, rankDeleted, "a"),
		version(noon.Add(time.Microsecond), rankCreated, "a"),
		version(noon.Add(time.Second), rankCreated, "a"),
		version(noon.AddDate(1, 0, 0), rankCreated, "a"),
	}
	got := slices.Clone(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The two shapes of an invoice say the same.
func TestInvoiceShapes(t *testing.T) {
	old := read(t, "stripe", "invoice.paid",
		object(`{"id":"in_1","amount_paid":1900,"currency":"EUR","customer":"cus_1","subscription":"sub_1",`+
			`"subscription_details":{"metadata":{"storeId":"s1"}},`+
			`"lines":{"data":[{"price":{"id":"price_1","product":"prod_1"}}]}}`))
	basil := read(t, "stripe", "invoice.paid",
		object(`{"id":"in_1","amount_paid":1900,"currency":"eur","customer":{"id":"cus_1"},`+
			`"parent":{"subscription_details":{"subscription":"sub_1","metadata":{"store_id":"s1"}}},`+
			`"lines":{"data":[{"pricing":{"price_details":{"price":"price_1","product":"prod_1"}}}]}}`))
	if diff := cmp.Diff(old, basil); diff != "" {
		t.Error(diff)
	}
	p := old.Payments[0]
	if p.Subscription != "sub_1" || p.StoreRef != "s1" || *p.Amount != 1900 || p.Currency != "eur" ||
		!slices.Equal(p.Catalogue(), []string{"price_1", "prod_1"}) {
		t.Errorf("%+v", p)
	}
}

// Which checkouts claim money, and how strongly.
func TestCheckoutClaims(t *testing.T) {
	for _, c := range []struct {
		status, intent string
		id             string
		paid           bool
		claim          string
	}{
		{"paid", `"pi_1"`, "pi_1", true, "4 "},
		{"unpaid", `"pi_1"`, "pi_1", false, "1 "},
		{"no_payment_required", `null`, "cs_1", true, "4 "},
	} {
		set := read(t, "stripe", "checkout.session.completed",
			object(fmt.Sprintf(
				`{"id":"cs_1","mode":"payment","payment_status":%q,"payment_intent":%s,"amount_total":5,"currency":"usd",`+
					`"customer_email":"prefill@x.example","metadata":{"amount":"1998.9999999999998"}}`, c.status, c.intent)))
		p := set.Payments[0]
		if p.ID != c.id || p.Paid != c.paid || !strings.HasPrefix(string(p.ClaimVersion), c.claim) || *p.Amount != 5 ||
			p.Email != "" {
			t.Errorf("%s: %+v", c.status, p)
		}
	}
	if set := read(t, "stripe", "checkout.session.completed",
		object(`{"id":"cs_1","mode":"setup","setup_intent":"seti_1"}`)); !cmp.Equal(set, Set{}) {
		t.Errorf("a set-up says %+v", set)
	}
}

// A bare payment intent links, and claims nothing.
func TestBarePaymentIntent(t *testing.T) {
	p := read(t, "stripe", "payment_intent.succeeded",
		object(`{"id":"pi_1","amount_received":5,"currency":"usd","invoice":"in_1",`+
			`"transfer_data":{"destination":"acct_1"},"metadata":{"storeId":"s1"}}`)).Payments[0]
	if p.ClaimVersion != "" || p.Amount != nil || p.Invoice != "in_1" || p.Destination != "acct_1" {
		t.Errorf("%+v", p)
	}
}

func TestDisputeWithdrawn(t *testing.T) {
	for _, c := range []struct {
		typ, status, moved string
		want               bool
	}{
		{"created", "needs_response", ``, false},
		{"created", "needs_response", `{"amount":-2900}`, true},
		{"funds_withdrawn", "needs_response", ``, true},
		{"created", "warning_needs_response", ``, false},
		{"closed", "won", `{"amount":-2900}`, false},
		{"closed", "lost", `{"amount":-2900}`, true},
		{"funds_reinstated", "won", `{"amount":-2900},{"amount":2900}`, false},
	} {
		d := read(t, "stripe", "charge.dispute."+c.typ,
			object(fmt.Sprintf(`{"id":"dp_1","amount":2900,"currency":"usd","status":%q,"balance_transactions":[%s]}`, c.status,
				c.moved))).Disputes[0]
		if d.Withdrawn != c.want {
			t.Errorf("%+v: withdrawn %v", c, d.Withdrawn)
		}
	}
}

// Metadata in any spelling; the first key that names a product wins.
func TestMetadata(t *testing.T) {
	got := contextOf(metadata{"store_id": "s1", "submitterId": "u1", "creator_id": "u2", "bundleId": "b1",
		"productType": "bundle", "courseIds": `["c1","c2"]`, "planId": "x"})
	want := Context{StoreRef: "s1", UserRef: "u1", CreatorRef: "u2", ProductRef: "b1", ProductKind: "bundle",
		ProductType: "bundle", Named: []Line{{Ref: "c1", Kind: "course"}, {Ref: "c2", Kind: "course"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A course that is the only product named is no news of others that were named.
func TestMetadataOfOneCourse(t *testing.T) {
	course := []Line{{Ref: "c1", Kind: "course"}}
	for _, c := range []struct {
		m    metadata
		want []Line
	}{
		{metadata{"courseId": "c1"}, nil},
		{metadata{"courseId": "c1", "bundleId": "b1"}, course},
		{metadata{"courseId": "c1", "courseIds": `["c1"]`}, course},
		{metadata{"courseIds": `["c1"]`}, course},
	} {
		if diff := cmp.Diff(c.want, contextOf(c.m).Named); diff != "" {
			t.Errorf("%v: %s", c.m, diff)
		}
	}
}

func TestStripNUL(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":"x\u0000y"}`: `{"a":"xy"}`, `{"a":"\\u0000"}`: `{"a":"\\u0000"}`, `{"a":"\\\u0000"}`: `{"a":"\\"}`, `{}`: `{}`,
	} {
		if got := string(stripNUL([]byte(in))); got != want {
			t.Errorf("%s → %s, want %s", in, got, want)
		}
	}
}
