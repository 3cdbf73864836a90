package facts

import (
	"slices"
	"strings"
)

// decimals holds the currencies without exactly two decimals. It follows Stripe
// (docs.stripe.com/currencies), and all amounts are stored in Stripe's units. ISK and UGX, which
// have no minor unit, have two digits, and so do those that CLDR shows without any (ALL, IDR, RSD
// and more).
var decimals = map[string]int{
	"bif": 0, "clp": 0, "djf": 0, "gnf": 0, "jpy": 0, "kmf": 0, "krw": 0, "mga": 0, "pyg": 0,
	"rwf": 0, "vnd": 0, "vuv": 0, "xaf": 0, "xof": 0, "xpf": 0,
	"bhd": 3, "jod": 3, "kwd": 3, "omr": 3, "tnd": 3,
}

// Digits returns the number of decimals of a currency: 2 for usd, 0 for jpy, 3 for kwd.
func Digits(currency string) int {
	if n, ok := decimals[strings.ToLower(currency)]; ok {
		return n
	}
	return 2
}

// CurrenciesOf returns the currencies with n decimals (0 or 3), sorted.
func CurrenciesOf(n int) (codes []string) {
	for code, digits := range decimals {
		if digits == n {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return codes
}
