package main

import (
	"fmt"
	"strings"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"rollcall/store"
)

var english = message.NewPrinter(language.AmericanEnglish)

// money writes minor units as people do: $299.00, ¥5,800.
func money(amount int64, code string) string {
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	unit, err := currency.ParseISO(code)
	if err != nil {
		return fmt.Sprintf("%s%d %s", sign, amount, strings.ToUpper(code))
	}
	digits, _ := currency.Standard.Rounding(unit)
	per := int64(1)
	for range digits {
		per *= 10
	}
	text := sign + symbol(unit) + english.Sprintf("%d", amount/per)
	if digits > 0 {
		text += fmt.Sprintf(".%0*d", digits, amount%per)
	}
	return text
}

// symbol is $ or €, or a code with a space where there is no symbol.
func symbol(unit currency.Unit) string {
	s := english.Sprint(currency.NarrowSymbol(unit))
	if s == unit.String() {
		s += " "
	}
	return s
}

// monies writes amounts of several currencies, which are never added up.
func monies(all []store.Money) string {
	var texts []string
	for _, m := range all {
		texts = append(texts, money(m.Amount, m.Currency))
	}
	return strings.Join(texts, " + ")
}
