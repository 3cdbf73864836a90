package creators

import (
	"fmt"
	"math"

	"rollcall/store/campaigns"
	"rollcall/value"
)

// resultsPart is what the page of a campaign shows of its results.
type resultsPart struct {
	campaigns.Results
	Arms []armRow
}

// armRow is what became of those who got the same.
type armRow struct {
	campaigns.Arm
	Label   string
	Percent string // that reached the goal; empty: it cannot be said yet
	Between string // its interval
}

// armLabels are what arms are called, where there are two texts and where there is one.
var armLabels = map[string]string{"a": "First text", "b": "Second text", "held": "Got nothing, to compare"}

// resultsOf are the results of a campaign as its page shows them.
func resultsOf(r campaigns.Results) *resultsPart {
	part := &resultsPart{Results: r}
	for _, a := range r.Arms {
		row := armRow{Arm: a, Label: armLabels[a.Arm]}
		if a.Arm == "a" && r.Versus == nil {
			row.Label = "Got the mails"
		}
		if a.Share.Value != nil {
			row.Percent = fmt.Sprintf("%.1f%%", 100**a.Share.Value)
			row.Between = fmt.Sprintf("%.1f%% to %.1f%%", 100*a.Share.Low, 100*a.Share.High)
		}
		part.Arms = append(part.Arms, row)
	}
	return part
}

// EffectText says what the mails changed.
func (p resultsPart) EffectText() string {
	return compared(p.Effect, "The mails", "reach the goal with them than without")
}

// VersusText says which text is better.
func (p resultsPart) VersusText() string {
	return compared(p.Versus, "The second text", "reach the goal with it than with the first")
}

// compared says what a difference is; empty: it is not known.
func compared(d *value.Difference, what, than string) string {
	switch {
	case d == nil:
		return ""
	case !d.Clear:
		return fmt.Sprintf("%s: not yet clear. The difference is between %s and %s.", what, points(d.Low), points(d.High))
	}
	more := "more"
	if d.Value < 0 {
		more = "fewer"
	}
	return fmt.Sprintf("%s: %.1f in a hundred %s %s (between %s and %s).", what, 100*math.Abs(d.Value), more, than,
		points(d.Low), points(d.High))
}

// points writes a difference of shares.
func points(d float64) string { return fmt.Sprintf("%+.1f points", 100*d) }
