package main

import (
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"rollcall/store"
	"rollcall/web"
)

var english = message.NewPrinter(language.AmericanEnglish)

// money writes minor units as people do: $299.00, ¥5,800.
func money(amount int64, code string) string {
	return web.FormatMoney(store.Money{Amount: amount, Currency: code}, language.AmericanEnglish)
}

// monies writes amounts of several currencies, which are never added up.
func monies(all []store.Money) string {
	var texts []string
	for _, m := range all {
		texts = append(texts, money(m.Amount, m.Currency))
	}
	return strings.Join(texts, " + ")
}
