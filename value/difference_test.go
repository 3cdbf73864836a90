package value

import (
	"math"
	"testing"
)

// The examples of Newcombe's paper, table II.
func TestCompare(t *testing.T) {
	for _, x := range []struct {
		did, of, other, otherOf int64
		low, high               float64
		clear                   bool
	}{
		{56, 70, 48, 80, 0.0524, 0.3339, true},
		{9, 10, 3, 10, 0.1705, 0.8090, true},
		{10, 10, 0, 20, 0.6791, 1, true},
		{5, 56, 0, 29, -0.0381, 0.1926, false},
		{0, 10, 0, 20, -0.1611, 0.2775, false},
	} {
		d := Compare(Proportion(x.did, x.of, ""), Proportion(x.other, x.otherOf, ""))
		if math.Abs(d.Low-x.low) > 0.0001 || math.Abs(d.High-x.high) > 0.0001 || d.Clear != x.clear {
			t.Errorf("%+v: %+v", x, *d)
		}
	}
	if d := Compare(Proportion(1, 2, ""), Proportion(0, 0, "no one")); d != nil {
		t.Errorf("of no one: %+v", *d)
	}
}
