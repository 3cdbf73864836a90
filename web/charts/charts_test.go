package charts

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The heights of the bars are the numbers, whatever they are, and stand on each other.
func TestBarsAreTheNumbers(t *testing.T) {
	one, two := []float64{0, 3, 1000, 0}, []float64{4, 2, 0, 0}
	d := Bars(Series{Class: "a", Values: one}, Series{Class: "b", Values: two})
	if diff := cmp.Diff([]string{"1,000", "500", "0"}, d.Scale); diff != "" {
		t.Error(diff)
	}
	bars := regexp.MustCompile(`M([\d.]+) ([\d.]+)V([\d.]+)h126V([\d.]+)z`)
	got := map[string][]float64{"a": make([]float64, 4), "b": make([]float64, 4)}
	for _, p := range d.Paths {
		for _, m := range bars.FindAllStringSubmatch(p.D, -1) {
			x, bottom, top := number(t, m[1]), number(t, m[2]), number(t, m[3])
			got[p.Class][int(x/150)] = (bottom - top) / Height * 1000
		}
	}
	for i := range one {
		if math.Abs(got["a"][i]-one[i]) > 1 || math.Abs(got["b"][i]-two[i]) > 1 {
			t.Errorf("step %d: %v and %v", i, got["a"][i], got["b"][i])
		}
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDrawings(t *testing.T) {
	none := math.NaN()
	for name, c := range map[string]struct {
		got   Drawing
		scale []string
		paths []string
		good  float64
	}{
		"nothing": {Bars(Series{Values: []float64{0, 0}}), []string{"2", "1", "0"}, []string{""}, 0},
		"gaps are gaps, and one alone is seen": {Durations(Series{Values: []float64{none, 10, none, none, 1, 1000}}),
			[]string{"1 s", "100 ms", "10 ms", "1 ms"}, []string{"M100 80L150 80L200 80M400 120L450 120L550 0L600 0"}, 120},
		"slow": {Durations(Series{Values: []float64{70_000}}), []string{"100 s", "10 s", "1 s", "100 ms", "10 ms", "1 ms"},
			[]string{"M0 3.7L300 3.7L600 3.7"}, 72},
		"an area": {Area(Series{Values: []float64{2, 0}}), []string{"2", "1", "0"},
			[]string{"M0 0L150 0L450 120L600 120V120H0z", "M0 0L150 0L450 120L600 120"}, 0},
	} {
		var paths []string
		for _, p := range c.got.Paths {
			paths = append(paths, p.D)
		}
		if diff := cmp.Diff(c.scale, c.got.Scale) + cmp.Diff(c.paths, paths); diff != "" || c.got.Good != c.good {
			t.Errorf("%s: good %v %s", name, c.got.Good, diff)
		}
	}
	if lines := (Drawing{Scale: strings.Split("abcd", "")}).Lines(); !cmp.Equal(lines, []float64{0, 40, 80, 120}) {
		t.Error(lines)
	}
}
