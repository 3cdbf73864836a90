// Package charts computes the lines and bars of charts that a template draws as SVG. A chart is drawn in a box
// of Width by Height, which the page stretches; texts stand beside it, so that they keep their size.
package charts

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"rollcall/internal/show"
)

// The box of every chart.
const (
	Width  = 600.0
	Height = 120.0
)

// Figure is a chart of a page and its numbers, as the template "chart" has them.
type Figure struct {
	Drawing
	Name, Title string
	Sum, Note   string     // the figure above it
	Legend      []Series   // class and label of each colour
	Times       []string   // labels of the axis
	Head        []string   // of the table of its numbers
	Rows        [][]string // one for each step in which something happened
	Empty       bool
	Means       string // what it shows, in one sentence; may be empty
	CSV         string // name of the file with its numbers; empty: there is none
}

// Series is one thing that a chart shows, in each step.
type Series struct {
	Class  string // of its colour
	Label  string
	Values []float64 // NaN: not known
}

// Path is a shape of the SVG.
type Path struct{ Class, D string }

// Drawing is what a template draws.
type Drawing struct {
	Paths []Path
	Scale []string // labels of the axis, the highest first, at equal distances
	Good  float64  // how high the good part is, from the ground; 0: there is none
}

// Above is where the good part ends.
func (d Drawing) Above() float64 { return round(Height - d.Good) }

// Lines are the heights of the scale's labels.
func (d Drawing) Lines() (all []float64) {
	for i := range d.Scale {
		all = append(all, round(float64(i)*Height/float64(len(d.Scale)-1)))
	}
	return all
}

// Bars draws series as bars, stacked on each other.
func Bars(series ...Series) Drawing {
	most := 0.0
	for step := range series[0].Values {
		sum := 0.0
		for _, s := range series {
			sum += s.Values[step]
		}
		most = max(most, sum)
	}
	top := ceiling(most)
	d := Drawing{Scale: countScale(top)}
	base := make([]float64, len(series[0].Values))
	for _, s := range series {
		var path strings.Builder
		slot := Width / float64(len(s.Values))
		for i, v := range s.Values {
			if v == 0 {
				continue
			}
			bottom := Height * (1 - base[i]/top)
			base[i] += v
			fmt.Fprintf(&path, "M%s %sV%sh%sV%sz", text(float64(i)*slot+slot*.08), text(bottom),
				text(Height*(1-base[i]/top)), text(slot*.84), text(bottom))
		}
		d.Paths = append(d.Paths, Path{s.Class, path.String()})
	}
	return d
}

// Area draws a series as a line with the space below it filled.
func Area(s Series) Drawing {
	most := 0.0
	for _, v := range s.Values {
		if !math.IsNaN(v) {
			most = max(most, v)
		}
	}
	top := ceiling(most)
	height := func(v float64) float64 { return Height * (1 - v/top) }
	return Drawing{Scale: countScale(top), Paths: []Path{
		{s.Class + " area", line(s.Values, height, true)},
		{s.Class + " line", line(s.Values, height, false)},
	}}
}

// Durations draws times in milliseconds as lines, on a scale of powers of ten from one millisecond on.
// The good part is below a second.
func Durations(series ...Series) Drawing {
	most := 0.0
	for _, s := range series {
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
	}
	powers := 3
	for most > math.Pow10(powers) && powers < 6 {
		powers++
	}
	height := func(ms float64) float64 {
		return Height * (1 - math.Log10(min(max(ms, 1), math.Pow10(powers)))/float64(powers))
	}
	d := Drawing{Good: round(Height - height(1000))}
	for p := powers; p >= 0; p-- {
		d.Scale = append(d.Scale, powersOfTen[p])
	}
	for _, s := range series {
		d.Paths = append(d.Paths, Path{s.Class + " line", line(s.Values, height, false)})
	}
	return d
}

var powersOfTen = []string{"1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s", "1,000 s"}

// line joins values; one that stands alone is as wide as its step. Unknown ones are gaps.
func line(values []float64, height func(float64) float64, filled bool) string {
	slot := Width / float64(len(values))
	var path strings.Builder
	for i := 0; i < len(values); i++ {
		if math.IsNaN(values[i]) {
			continue
		}
		from := float64(i) * slot
		fmt.Fprintf(&path, "M%s %s", text(from), text(height(values[i])))
		for ; i < len(values) && !math.IsNaN(values[i]); i++ {
			fmt.Fprintf(&path, "L%s %s", text((float64(i)+.5)*slot), text(height(values[i])))
		}
		end := float64(i) * slot
		fmt.Fprintf(&path, "L%s %s", text(end), text(height(values[i-1])))
		if filled {
			fmt.Fprintf(&path, "V%sH%sz", text(Height), text(from))
		}
	}
	return path.String()
}

// ceiling is a round number that is not less, and even.
func ceiling(most float64) float64 {
	for unit := 1.0; ; unit *= 10 {
		for _, times := range []float64{2, 4, 10} {
			if most <= times*unit {
				return times * unit
			}
		}
	}
}

func countScale(top float64) []string {
	return []string{show.Number(int64(top)), show.Number(int64(top / 2)), "0"}
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

func text(v float64) string { return strconv.FormatFloat(round(v), 'f', -1, 64) }
