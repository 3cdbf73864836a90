package value

import (
	"cmp"
	"fmt"
	"math"
	"sync"
)

// What a prediction needs, so that it says something.
const (
	fewestBuyers = 200
	fewestAgain  = 50
	fewestWeeks  = 26
	worstMiss    = .25
)

// Year is a year in weeks.
const Year = 365.2425 / 7

// History is what buyers of one currency did, now and before the last fifth of the time.
type History struct {
	Now, Before []Buyers
	Spenders    []Spenders // of those who bought again, now
	Weeks       float64    // since the first purchase of all
	Later       int64      // purchases again in the last fifth of those who had bought before it
	LaterWeeks  float64    // how long that fifth is
}

// Forecast is a fitted model, or why there is none.
type Forecast struct {
	Again   *Again   `json:"again"`
	Amounts *Amounts `json:"amounts"`
	Miss    Number   `json:"miss"` // how far the last fifth of the time was from what was predicted for it
	Why     string   `json:"why,omitempty"`
}

// Predict fits the models of buying again and of amounts. It refuses where there are too few people, where no model
// fits, and where the model, fitted to the first four fifths of the time, misses the last fifth by more than a quarter.
func Predict(h History) Forecast {
	if why := tooFew(h); why != "" {
		return Forecast{Why: why, Miss: None(why)}
	}
	again, amounts, miss, err := h.fit()
	if err != nil {
		return Forecast{Why: err.Error(), Miss: None(err.Error())}
	}
	switch {
	case miss.Value == nil:
		return Forecast{Why: miss.Why, Miss: miss}
	case math.Abs(*miss.Value) > worstMiss:
		return Forecast{Miss: miss, Why: fmt.Sprintf("a prediction of the last %.0f weeks missed by %.0f%%",
			h.LaterWeeks, 100*math.Abs(*miss.Value))}
	}
	return Forecast{Again: &again, Amounts: &amounts, Miss: miss}
}

// fit fits all models at once.
func (h History) fit() (again Again, amounts Amounts, miss Number, err error) {
	var all sync.WaitGroup
	var noAgain, noAmounts error
	all.Go(func() { again, noAgain = FitAgain(h.Now) })
	all.Go(func() { amounts, noAmounts = FitAmounts(h.Spenders) })
	all.Go(func() { miss = missOf(h) })
	all.Wait()
	if amounts.Q <= 1 {
		noAmounts = errNoFit
	}
	return again, amounts, miss, cmp.Or(noAgain, noAmounts)
}

// tooFew says what a prediction lacks; empty: nothing.
func tooFew(h History) string {
	all, again := int64(0), int64(0)
	for _, p := range h.Now {
		if all += p.N; p.X > 0 {
			again += p.N
		}
	}
	switch {
	case all < fewestBuyers:
		return fmt.Sprintf("too few to say: %d of %d buyers", all, fewestBuyers)
	case again < fewestAgain:
		return fmt.Sprintf("too few to say: %d of %d who bought again", again, fewestAgain)
	case h.Weeks < fewestWeeks:
		return fmt.Sprintf("too early to say: %.0f of %d weeks", math.Floor(h.Weeks), fewestWeeks)
	}
	return ""
}

// missOf is how far a model of the first four fifths of the time is from what came then: 0.1 is ten percent
// too many.
func missOf(h History) Number {
	if h.Later == 0 {
		return None("no one bought again lately, so no prediction can be checked")
	}
	before, err := FitAgain(h.Before)
	if err != nil {
		return None(err.Error())
	}
	return Known(before.Predicted(h.Before, h.LaterWeeks)/float64(h.Later) - 1)
}

// Outlook is what people with the same history are expected to do.
type Outlook struct {
	Alive  float64 // the probability that they may buy again
	Spends float64 // in the next year; besides
	More   float64 // this times all they spent when they bought again
}

// Outlook says what to expect of people, but for what they spent, which differs.
func (f Forecast) Outlook(p Buyers) Outlook {
	each := f.Again.Next(p, Year) * f.Amounts.part(p.X)
	return Outlook{f.Again.Alive(p), each * f.Amounts.V, each}
}
