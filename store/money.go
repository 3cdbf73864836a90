package store

import (
	"math"
	"strings"
)

// Currencies whose minor unit is not the hundredth, as lists of SQL: those that
// have none, and those that have thousandths. Stripe counts so
// (docs.stripe.com/currencies), and amounts of others are kept in its units:
// ISK and UGX, which have no minor unit, are written with two digits all the
// same, and so is what CLDR shows without any (ALL, IDR, RSD and more).
const (
	zeroDecimal  = `'bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'`
	threeDecimal = `'bhd', 'jod', 'kwd', 'omr', 'tnd'`
)

// Digits is how many of an amount's digits come after the decimal point: 2 for
// usd, 0 for jpy, 3 for kwd.
func (m Money) Digits() int {
	quoted := "'" + strings.ToLower(m.Currency) + "'"
	switch {
	case strings.Contains(zeroDecimal, quoted):
		return 0
	case strings.Contains(threeDecimal, quoted):
		return 3
	}
	return 2
}

// add adds an amount of the same currency. Like minor_units, which sums them in SQL,
// it stops at the most that there can be: a sum never turns negative.
func (m *Money) add(amount int64) {
	switch sum := m.Amount + amount; {
	case m.Amount > 0 && amount > 0 && sum < 0:
		m.Amount = math.MaxInt64
	case m.Amount < 0 && amount < 0 && sum >= 0:
		m.Amount = -math.MaxInt64
	default:
		m.Amount = sum
	}
}

// Money is an amount in minor units of its currency: 29900 usd is $299.00.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}
