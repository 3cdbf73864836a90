package store

import (
	"math"
	"strings"

	"rollcall/facts"
)

// Currencies whose minor unit is not the hundredth, as lists of SQL: those that
// have none, and those that have thousandths.
var (
	zeroDecimal  = "'" + strings.Join(facts.CurrenciesOf(0), "', '") + "'"
	threeDecimal = "'" + strings.Join(facts.CurrenciesOf(3), "', '") + "'"
)

// Digits is how many of an amount's digits come after the decimal point.
func (m Money) Digits() int { return facts.Digits(m.Currency) }

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

// Money is an amount in minor units of its currency: 29900 usd is $299.00.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}
