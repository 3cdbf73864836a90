package main

import (
	"fmt"
	"slices"

	"github.com/agext/levenshtein"

	"rollcall/facts"
)

// alike suggests which of the known words was meant: ` (did you mean "invoice.paid"?)`;
// nothing if the word is one of them, or none is alike.
func alike(word string, known []string) string {
	if word == "" || slices.Contains(known, word) || len(known) == 0 {
		return ""
	}
	likeness := func(other string) float64 { return levenshtein.Match(word, other, nil) }
	nearest := slices.MaxFunc(known, func(a, b string) int {
		if likeness(a) > likeness(b) {
			return 1
		}
		return -1
	})
	if likeness(nearest) < 0.6 {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", nearest)
}

// eventTypes are the types of events that Rollcall reads.
func eventTypes() []string {
	return slices.Concat(facts.StripeTypes(""), facts.ClerkTypes(), facts.PlatformTypes())
}
