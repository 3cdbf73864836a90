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

// UnitsSQL is SQL for how many minor units a major one of a currency has: 100 for usd.
func UnitsSQL(currency string) string {
	return "CASE WHEN " + currency + " IN (" + zeroDecimal + ") THEN 1.0 WHEN " + currency + " IN (" + threeDecimal +
		") THEN 1000.0 ELSE 100.0 END"
}
