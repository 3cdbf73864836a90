package facts

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestStripeTypes(t *testing.T) {
	all := StripeTypes("")
	for _, name := range all {
		if !StripeReads(name) {
			t.Errorf("%s is not read", name)
		}
	}
	for name := range stripeReaders {
		if strings.HasSuffix(name, ".") && stripeFamilies[name] == nil {
			t.Errorf("no members of %s", name)
		}
	}
	old := StripeTypes("2023-10-16")
	if len(old) != len(all)-2 || slices.Contains(old, "invoice_payment.paid") || slices.Contains(old, "refund.failed") ||
		!slices.Contains(old, "charge.dispute.closed") {
		t.Errorf("%v", old)
	}
	if basil := StripeTypes("2025-03-31.basil"); !slices.Equal(basil, all) {
		t.Errorf("%v", basil)
	}
}

// docs/stripe.md tells people to tick these and no others.
func TestDocsListStripeTypes(t *testing.T) {
	text, err := os.ReadFile("../docs/stripe.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "Tick these events")
	list, _, _ = strings.Cut(list, "Other events do no harm")
	var named []string
	last := ""
	for i, part := range strings.Split(list, "`") {
		if i%2 == 0 {
			continue
		}
		if strings.HasPrefix(part, ".") { // "customer.subscription.created, .updated"
			part = last[:strings.LastIndex(last, ".")] + part
		}
		last = part
		named = append(named, part)
	}
	slices.Sort(named)
	if want := StripeTypes(""); !slices.Equal(named, want) {
		t.Errorf("docs/stripe.md lists %v, read are %v", named, want)
	}
}
