package value

import "fmt"

// Month is the mean length of a month in days.
const Month = 365.2425 / 12

// horizon is how many months of a subscription its value counts.
const horizon = 24

// Lifetime is what a subscriber brings in the first months.
type Lifetime struct {
	Value  Number `json:"value"`
	Months int    `json:"months"` // how many months it counts: 24, or as many as anyone was watched
}

// Subscriber sums what a subscriber pays at the beginning of each of the first 24 months: the share who are still
// there, times the mean of a month. A curve is in days. Months that no one was watched for are left out, as
// nothing is known about them.
func Subscriber(c Curve, mean Number) Lifetime {
	if c.N == 0 {
		return Lifetime{Value: None("no one has subscribed yet")}
	}
	if mean.Value == nil {
		return Lifetime{Value: mean}
	}
	sum, months := 0.0, 0
	for ; months < horizon && float64(months)*Month <= c.Until; months++ {
		sum += c.At(float64(months) * Month)
	}
	return Lifetime{Known(sum * *mean.Value), months}
}

// What the simple formula needs, so that a few people do not throw it about.
const (
	simpleLost   = 20
	simpleActive = 100
)

// Simple is the widespread ARPU / churn. It misleads where many leave early, and says nothing where few have left.
func Simple(mean Number, churn Share) Number {
	switch {
	case mean.Value == nil:
		return mean
	case churn.Did == 0:
		return None("no one has left yet")
	case churn.Did < simpleLost:
		return None(fmt.Sprintf("too few to say: %d of %d who left", churn.Did, simpleLost))
	case churn.Of < simpleActive:
		return None(fmt.Sprintf("too few to say: %d of %d subscribers", churn.Of, simpleActive))
	}
	return Known(*mean.Value / *churn.Value)
}
