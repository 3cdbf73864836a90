package facts_test

import (
	"testing"

	"rollcall/facts"
)

// What Stripe counts in whole units, in thousandths, and in hundredths although the
// currency's own minor unit is another (docs.stripe.com/currencies).
func TestDigits(t *testing.T) {
	for _, of := range []struct {
		digits int
		codes  []string
	}{
		{0, []string{"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
			"JPY"}},
		{3, []string{"bhd", "jod", "kwd", "omr", "tnd", "Kwd"}},
		{2, []string{"usd", "USD", "eur", "isk", "ugx", "all", "idr", "rsd", "cop", "lak", "mmk", "kpw", "huf", "twd",
			"zzz", "jp", "', '", ""}},
	} {
		for _, code := range of.codes {
			if got := facts.Digits(code); got != of.digits {
				t.Errorf("%q: %d, want %d", code, got, of.digits)
			}
		}
	}
}
