// Package value holds the mathematics of what customers are worth: survival, proportions, and the models of
// buying again. It knows no database. docs/value.md has the definitions in words.
package value

import "math"

// Number is a figure, or the reason why there is none. It is never infinite and never NaN.
type Number struct {
	Value *float64 `json:"value"`
	Why   string   `json:"why,omitempty"` // why there is no value
}

// Known is a figure; one that is no number becomes a Number without a value.
func Known(v float64) Number {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return None("it cannot be computed from these figures")
	}
	return Number{Value: &v}
}

// None is no figure, for a reason.
func None(why string) Number { return Number{Why: why} }

// Share is a proportion with its 95 % interval.
type Share struct {
	Number
	Of   int64   `json:"of"`  // how many could
	Did  int64   `json:"did"` // how many did
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// normal is the quantile of the normal distribution for an interval of 95 %.
const normal = 1.959963984540054

// Proportion returns did/of with Wilson's score interval (E. B. Wilson, 1927). Of no one there is no share.
func Proportion(did, of int64, none string) Share {
	if of <= 0 {
		return Share{Number: None(none)}
	}
	n, p := float64(of), float64(did)/float64(of)
	middle := p + normal*normal/(2*n)
	reach := normal * math.Sqrt(p*(1-p)/n+normal*normal/(4*n*n))
	all := 1 + normal*normal/n
	return Share{Known(p), of, did, max(0, (middle-reach)/all), min(1, (middle+reach)/all)}
}
