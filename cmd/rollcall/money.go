package main

import (
	"strings"

	"rollcall/cmd/rollcall/internal/show"
	"rollcall/store"
)

// What nearly every command prints with, by short names.
var (
	ago       = show.Ago
	clip      = show.Clip
	count     = show.Count
	harmless  = show.Visible
	money     = show.Money
	number    = show.Number
	printJSON = show.JSON
	quote     = show.Quote
)

// monies writes amounts of several currencies, which are never added up.
func monies(all []store.Money) string {
	var texts []string
	for _, m := range all {
		texts = append(texts, money(m.Amount, m.Currency))
	}
	return strings.Join(texts, " + ")
}
