package store

import (
	"strings"

	"rollcall/facts"
)

// Currencies whose minor unit is not the hundredth, as lists of SQL: those that
// have none, and those that have thousandths.
var (
	zeroDecimal  = "'" + strings.Join(facts.CurrenciesOf(0), "', '") + "'"
	threeDecimal = "'" + strings.Join(facts.CurrenciesOf(3), "', '") + "'"
)

// Money is an amount with its currency.
type Money = facts.Money
