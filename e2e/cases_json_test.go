package e2e

import (
	"fmt"
	"slices"
	"strings"
)

// keys are what the entries of a list go by.
func keys(list []any) []string {
	out := []string{}
	for _, x := range list {
		out = append(out, key(x))
	}
	return out
}

// byKey sorts a list by what its entries go by.
func byKey(list []any) []any {
	return slices.SortedStableFunc(slices.Values(list), func(a, b any) int { return strings.Compare(key(a), key(b)) })
}

// at is an object in a list, or none.
func at(list any, i int) object {
	l, _ := list.([]any)
	if i >= len(l) {
		return nil
	}
	o, _ := l[i].(object)
	return o
}

func words(list any) []string {
	out := []string{}
	for _, x := range list.([]any) {
		out = append(out, x.(string))
	}
	return out
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// money writes amounts by currency, those of zero left out.
func money(list any) []string {
	out := []string{}
	l, _ := list.([]any)
	for i := range l {
		if m := at(l, i); m["amount"] != 0.0 {
			out = append(out, fmt.Sprint(m["amount"], m["currency"]))
		}
	}
	return sorted(out)
}
