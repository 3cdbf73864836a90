package value

import (
	"cmp"
	"math"
	"slices"
)

// Lives are people who were watched for the same time, until what is counted happened or, if not Ended, for as
// long as there is.
type Lives struct {
	Time  float64 `json:"time"`
	Ended bool    `json:"ended"`
	N     int64   `json:"n"`
}

// Step is what a survival curve is from a time on: the share to whom it has not happened, with a 95 % interval.
type Step struct {
	Time     float64 `json:"time"`
	AtRisk   int64   `json:"at_risk"` // watched until then
	Ended    int64   `json:"ended"`   // to whom it happened then, or since the step before that is kept
	Survival float64 `json:"survival"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// Curve is a survival curve by Kaplan and Meier (1958): its steps in order of time. Before the first it is 1.
type Curve struct {
	Steps []Step  `json:"steps"`
	N     int64   `json:"n"`
	Until float64 `json:"until"` // the longest that anyone was watched; beyond it nothing is known
}

// Survive estimates a curve. People who were watched for less than a time do not count at that time.
func Survive(lives []Lives) (c Curve) {
	lives = slices.Clone(lives)
	slices.SortFunc(lives, func(a, b Lives) int { return cmp.Compare(a.Time, b.Time) })
	c.Steps = []Step{}
	for _, l := range lives {
		c.N, c.Until = c.N+l.N, l.Time
	}
	left, survival, greenwood := c.N, 1.0, 0.0
	for len(lives) > 0 {
		step := Step{Time: lives[0].Time, AtRisk: left}
		for len(lives) > 0 && lives[0].Time == step.Time {
			left -= lives[0].N
			if lives[0].Ended {
				step.Ended += lives[0].N
			}
			lives = lives[1:]
		}
		if step.Ended == 0 {
			continue
		}
		n, d := float64(step.AtRisk), float64(step.Ended)
		survival *= 1 - d/n
		greenwood += d / (n * (n - d))
		step.Survival = survival
		step.Low, step.High = survivalInterval(survival, greenwood)
		c.Steps = append(c.Steps, step)
	}
	return c
}

// survivalInterval is Greenwood's on the scale log(-log S), which keeps it between 0 and 1.
func survivalInterval(survival, greenwood float64) (low, high float64) {
	if survival <= 0 || survival >= 1 {
		return survival, survival
	}
	reach := normal * math.Sqrt(greenwood) / math.Abs(math.Log(survival))
	return math.Pow(survival, math.Exp(reach)), math.Pow(survival, math.Exp(-reach))
}

// visible is by how much a curve falls from one step that Thin keeps to the next, if not less by a month's end.
const visible = .005

// Thin leaves out steps that no one would see: the curve is nowhere off by more than half a percent, and exact at the
// ends of months and its own. Years of daily steps are most of a report otherwise. Medians and sums are those of the
// whole curve.
func (c Curve) Thin() Curve {
	whole := c.Steps
	c.Steps = []Step{}
	before, ended := 1.0, int64(0)
	for i, s := range whole {
		ended += s.Ended
		last := i == len(whole)-1
		if i == 0 || last || before-s.Survival >= visible || math.Floor(s.Time/Month) < math.Floor(whole[i+1].Time/Month) {
			before, s.Ended, ended = s.Survival, ended, 0
			c.Steps = append(c.Steps, s)
		}
	}
	return c
}

// At is the share to whom it has not happened by a time.
func (c Curve) At(time float64) float64 {
	survival := 1.0
	for _, s := range c.Steps {
		if s.Time > time {
			break
		}
		survival = s.Survival
	}
	return survival
}

// Median is the time by which it has happened to half of the people.
func (c Curve) Median() Number {
	for _, s := range c.Steps {
		if s.Survival <= .5 {
			return Known(s.Time)
		}
	}
	if c.N == 0 {
		return None("there is no one yet")
	}
	return None("not reached: fewer than half so far")
}
