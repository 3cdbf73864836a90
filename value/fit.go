package value

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/optimize"
)

var errNoFit = errors.New("no model fits these figures")

// The parameters of a model that describes people at all, as logarithms.
var (
	smallest = math.Log(1e-3)
	largest  = math.Log(1e3)
)

// likeliest finds the n positive parameters for which a logarithm of a likelihood is greatest. It searches on the scale
// of logarithms, from 1, and begins again where it ended until that changes nothing. If one of the first firm
// parameters runs off to a limit, the model says nothing any more, and there is no fit.
func likeliest(n, firm int, likelihood func([]float64) float64) (at []float64, most float64, err error) {
	at, most = make([]float64, n), math.Inf(-1)
	problem := optimize.Problem{Func: func(logs []float64) float64 {
		within, beyond := clamp(logs)
		cost := -likelihood(within)
		if math.IsNaN(cost) || math.IsInf(cost, 0) {
			return math.MaxFloat64
		}
		return cost + beyond
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
	for _, log := range at[:firm] {
		if log < smallest+.01 || log > largest-.01 {
			return nil, 0, errNoFit
		}
	}
	at, _ = clamp(at)
	return at, most, nil
}

// clamp is the parameters within their limits, and how far beyond these they were.
func clamp(logs []float64) (values []float64, beyond float64) {
	values = make([]float64, len(logs))
	for i, log := range logs {
		within := min(max(log, smallest), largest)
		values[i] = math.Exp(within)
		beyond += (log - within) * (log - within)
	}
	return values, beyond
}
