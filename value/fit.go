package value

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/optimize"
)

var errNoFit = errors.New("no model fits these figures")

// The parameters of a model that describes people at all. Outside, the search has run off to where the model
// says nothing any more.
const (
	smallest = 1e-3
	largest  = 1e3
)

// likeliest finds the n positive parameters for which a logarithm of a likelihood is greatest. It searches on the scale
// of logarithms, from 1, and begins again where it ended until that changes nothing.
func likeliest(n int, likelihood func([]float64) float64) (at []float64, most float64, err error) {
	at, most = make([]float64, n), math.Inf(-1)
	problem := optimize.Problem{Func: func(logs []float64) float64 {
		cost := -likelihood(exp(logs))
		if math.IsNaN(cost) || math.IsInf(cost, 0) {
			return math.MaxFloat64
		}
		return cost
	}}
	for range 5 {
		result, err := optimize.Minimize(problem, at, &optimize.Settings{MajorIterations: 2000}, &optimize.NelderMead{})
		if err != nil {
			return nil, 0, errNoFit
		}
		gain := -result.F - most
		at, most = result.X, -result.F
		if gain < 1e-6*math.Abs(most) {
			break
		}
	}
	at = exp(at)
	for _, p := range at {
		if !(p > smallest && p < largest) {
			return nil, 0, errNoFit
		}
	}
	return at, most, nil
}

func exp(logs []float64) []float64 {
	values := make([]float64, len(logs))
	for i, l := range logs {
		values[i] = math.Exp(l)
	}
	return values
}
