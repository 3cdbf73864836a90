package value

import (
	"cmp"
	"math"
	"slices"
)

// fine is how many groups a model is fitted to as they are. More are put together first: their model differs by less
// than what it says is worth, and takes seconds.
const fine = 20_000

// coarse puts buyers together by whole weeks, if there are very many groups of them.
func coarse(people []Buyers) []Buyers {
	return together(people, func(p Buyers) Buyers {
		return Buyers{X: p.X, Last: math.Round(p.Last), Watched: math.Round(p.Watched)}
	}, func(p *Buyers) *int64 { return &p.N })
}

// coarseMeans puts spenders together whose means differ by less than five percent, if there are very many.
func coarseMeans(people []Spenders) []Spenders {
	return together(people, func(p Spenders) Spenders {
		return Spenders{X: p.X, Mean: math.Exp(math.Round(math.Log(p.Mean)*20) / 20)}
	}, func(p *Spenders) *int64 { return &p.N })
}

// together adds up the groups that have a key in common, if there are more than fine. The key is the group without N.
func together[G comparable](groups []G, key func(G) G, n func(*G) *int64) []G {
	if len(groups) <= fine {
		return slices.Clone(groups)
	}
	sums := map[G]int64{}
	for _, g := range groups {
		sums[key(g)] += *n(&g)
	}
	all := make([]G, 0, len(sums))
	for g, sum := range sums {
		*n(&g) = sum
		all = append(all, g)
	}
	return all
}

func byX(a, b Buyers) int {
	return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Watched, b.Watched), cmp.Compare(a.Last, b.Last))
}

func spendersByX(a, b Spenders) int {
	return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Mean, b.Mean))
}
