package value

import (
	"math"
	"slices"
)

// Spenders are people who bought X times again, for Mean on average.
type Spenders struct {
	X    int64   `json:"x"`
	Mean float64 `json:"mean"`
	N    int64   `json:"n"`
}

// Amounts is the Gamma-Gamma model of how much people spend at a time (Fader and Hardie, 2013,
// brucehardie.com/notes/025).
type Amounts struct {
	P          float64 `json:"p"`
	Q          float64 `json:"q"`
	V          float64 `json:"v"`
	Likelihood float64 `json:"likelihood"` // its logarithm
}

// FitAmounts finds the likeliest model. Amounts are in any unit; all of them are positive.
func FitAmounts(people []Spenders) (Amounts, error) {
	people = coarseMeans(people)
	slices.SortFunc(people, spendersByX)
	scale := meanOf(people) // so that the search begins near the end
	at, likelihood, err := likeliest(3, 3, func(p []float64) float64 {
		return Amounts{P: p[0], Q: p[1], V: p[2] * scale}.likelihood(people)
	})
	if err != nil {
		return Amounts{}, err
	}
	return Amounts{at[0], at[1], at[2] * scale, likelihood}, nil
}

func meanOf(people []Spenders) float64 {
	sum, n := 0.0, 0.0
	for _, p := range people {
		sum, n = sum+p.Mean*float64(p.N), n+float64(p.N)
	}
	return sum / max(n, 1)
}

func (m Amounts) likelihood(people []Spenders) (sum float64) {
	before, ofX := int64(-1), 0.0 // what depends on X alone is computed once
	for _, p := range people {
		x := float64(p.X)
		if p.X != before {
			before = p.X
			ofX = gammaLog(m.P*x+m.Q) - gammaLog(m.P*x) - gammaLog(m.Q) + m.Q*math.Log(m.V) + m.P*x*math.Log(x)
		}
		sum += float64(p.N) * (ofX + (m.P*x-1)*math.Log(p.Mean) - (m.P*x+m.Q)*math.Log(m.V+x*p.Mean))
	}
	return sum
}

// Expected is the average amount of a person's further purchases. Who has not bought again spends what all spend
// on average.
func (m Amounts) Expected(x int64, mean float64) float64 {
	return m.part(x) * (m.V + float64(x)*mean)
}

// part is which part of V, and of all that a person has spent when they bought again, their further purchases are for.
func (m Amounts) part(x int64) float64 { return m.P / (m.P*float64(x) + m.Q - 1) }
