package value

import "math"

// Difference is how much larger one share is than another, with a 95 % interval.
type Difference struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Clear bool    `json:"clear"` // the interval leaves out 0
}

// Compare returns a less b with Newcombe's hybrid score interval (R. G. Newcombe, 1998, method 10). It is nil if one of
// them is of no one.
func Compare(a, b Share) *Difference {
	if a.Of == 0 || b.Of == 0 {
		return nil
	}
	p, q := *a.Value, *b.Value
	d := Difference{Value: p - q}
	d.Low = d.Value - math.Hypot(p-a.Low, b.High-q)
	d.High = d.Value + math.Hypot(a.High-p, q-b.Low)
	d.Clear = d.Low > 0 || d.High < 0
	return &d
}
