package facts

import (
	"math"
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

// Money is an amount in the currency's minor units: 29900 usd is $299.00, 5800 jpy is ¥5,800.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Digits is how many of an amount's digits come after the decimal point.
func (m Money) Digits() int { return Digits(m.Currency) }

// Add adds an amount of the same currency. Like minor_units, which sums them in SQL,
// it stops at the most that there can be: a sum never turns negative.
func (m *Money) Add(amount int64) {
	switch sum := m.Amount + amount; {
	case m.Amount > 0 && amount > 0 && sum < 0:
		m.Amount = math.MaxInt64
	case m.Amount < 0 && amount < 0 && sum >= 0:
		m.Amount = -math.MaxInt64
	default:
		m.Amount = sum
	}
}
