package value

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Buyers are people with the same history of buying: X times again after the first, the last time Last weeks
// after it, watched for Watched weeks.
type Buyers struct {
	X       int64   `json:"x"`
	Last    float64 `json:"last"`
	Watched float64 `json:"watched"`
	N       int64   `json:"n"`
}

// Again is the BG/NBD model of how often people buy again (Fader, Hardie and Lee, 2005, "Counting Your Customers"
// the Easy Way): each buys at a rate of their own, which are spread by a gamma distribution (R, Alpha), and after
// each purchase leaves for good with a chance of their own, spread by a beta distribution (A, B).
type Again struct {
	R          float64 `json:"r"`
	Alpha      float64 `json:"alpha"`
	A          float64 `json:"a"`
	B          float64 `json:"b"`
	Likelihood float64 `json:"likelihood"` // its logarithm
}

// FitAgain finds the likeliest model. That people leave with about the same chance, or never, is a model
// as well: then A and B are at their limits.
func FitAgain(people []Buyers) (Again, error) {
	people = coarse(people)
	slices.SortFunc(people, byX)
	at, likelihood, err := likeliest(4, 2, func(p []float64) float64 {
		return Again{R: p[0], Alpha: p[1], A: p[2], B: p[3]}.likelihood(people)
	})
	if err != nil {
		return Again{}, err
	}
	return Again{at[0], at[1], at[2], at[3], likelihood}, nil
}

// likelihood is the logarithm of how likely the histories are. People are sorted by X: what depends on it
// alone is computed once.
func (m Again) likelihood(people []Buyers) (sum float64) {
	logAlpha := m.R * math.Log(m.Alpha)
	before, ofX, left := int64(-1), 0.0, 0.0
	for _, p := range people {
		x := float64(p.X)
		if p.X != before {
			before = p.X
			ofX = gammaLog(m.R+x) - gammaLog(m.R) + logAlpha +
				gammaLog(m.A+m.B) + gammaLog(m.B+x) - gammaLog(m.B) - gammaLog(m.A+m.B+x)
			left = math.Log(m.A) - math.Log(m.B+x-1)
		}
		stays := -(m.R + x) * math.Log(m.Alpha+p.Watched)
		if p.X > 0 {
			stays = logSum(stays, left-(m.R+x)*math.Log(m.Alpha+p.Last))
		}
		sum += float64(p.N) * (ofX + stays)
	}
	return sum
}

// gone is how much likelier it is that such a person has left for good than not.
func (m Again) gone(p Buyers) float64 {
	if p.X == 0 {
		return 0
	}
	x := float64(p.X)
	return m.A / (m.B + x - 1) * math.Pow((m.Alpha+p.Watched)/(m.Alpha+p.Last), m.R+x)
}

// Alive is the probability that such a person may buy again. It is 1 of people who bought once: the model lets
// people leave only after they bought again.
func (m Again) Alive(p Buyers) float64 { return 1 / (1 + m.gone(p)) }

// Next is how often such a person will buy in the next weeks, on average.
func (m Again) Next(p Buyers, weeks float64) float64 {
	return m.times(float64(p.X), m.Alpha+p.Watched, weeks) / (1 + m.gone(p))
}

// Expected is how often a new buyer buys again in the first weeks, on average.
func (m Again) Expected(weeks float64) float64 { return m.times(0, m.Alpha, weeks) }

// times is how often a person who bought x times and has not left will buy.
func (m Again) times(x, alpha, weeks float64) float64 {
	a := m.A
	if math.Abs(a-1) < 1e-6 {
		a = 1 + 1e-6 // the formula has a hole there
	}
	c := a + m.B + x - 1
	f := mathext.Hypergeo(m.R+x, m.B+x, c, weeks/(alpha+weeks))
	return c / (a - 1) * (1 - math.Pow(alpha/(alpha+weeks), m.R+x)*f)
}

// Never is the probability that a new buyer does not buy again in the first weeks.
func (m Again) Never(weeks float64) float64 { return math.Pow(m.Alpha/(m.Alpha+weeks), m.R) }

// Predicted is how often people will buy in the next weeks, all together.
func (m Again) Predicted(people []Buyers, weeks float64) (sum float64) {
	for _, p := range people {
		sum += float64(p.N) * m.Next(p, weeks)
	}
	return sum
}

func gammaLog(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

// logSum is log(exp a + exp b).
func logSum(a, b float64) float64 { return max(a, b) + math.Log1p(math.Exp(-math.Abs(a-b))) }
