package main

import "rollcall/internal/show"

// What nearly every command prints with, by short names.
var (
	ago       = show.Ago
	clip      = show.Clip
	count     = show.Count
	harmless  = show.Visible
	money     = show.Money
	monies    = show.Monies
	number    = show.Number[int64]
	printJSON = show.JSON
	quote     = show.Quote
)
