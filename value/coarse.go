package value

import (
	"cmp"
	"math"
	"slices"
)

// fine is how many groups a model is fitted to. More are put together first: their model differs by less than what it
// says is worth, and takes seconds.
const fine = 3000

// coarse puts buyers together by weeks, or by more of them until there are few enough groups.
func coarse(people []Buyers) []Buyers {
	groups := slices.Clone(people)
	for weeks := 1.; len(groups) > fine && weeks < 64; weeks *= 2 {
		groups = together(people, func(p Buyers) Buyers {
			return Buyers{X: p.X, Last: weeks * math.Round(p.Last/weeks), Watched: weeks * math.Round(p.Watched/weeks)}
		}, func(p *Buyers) *int64 { return &p.N })
	}
	return groups
}

// coarseMeans puts spenders together whose means differ by less than two percent, or by more until there are few
// enough groups.
func coarseMeans(people []Spenders) []Spenders {
	groups := slices.Clone(people)
	for part := .02; len(groups) > fine && part < 1; part *= 2 {
		groups = together(people, func(p Spenders) Spenders {
			return Spenders{X: p.X, Mean: math.Exp(math.Round(math.Log(p.Mean)/part) * part)}
		}, func(p *Spenders) *int64 { return &p.N })
	}
	return groups
}

// together adds up the groups that have a key in common. The key is the group without N.
func together[G comparable](groups []G, key func(G) G, n func(*G) *int64) []G {
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
