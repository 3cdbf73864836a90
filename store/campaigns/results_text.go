package campaigns

import (
	"fmt"
	"math"

	"rollcall/value"
)

// armLabels are what arms are called, where there are two texts and where there is one.
var armLabels = map[string]string{"a": "First text", "b": "Second text", "held": "Got nothing, to compare"}

// LabelOf is what an arm is called.
func (r Results) LabelOf(a Arm) string {
	if a.Arm == "a" && r.Versus == nil {
		return "Meant to get the mails"
	}
	return armLabels[a.Arm]
}

// ShareTexts are a share and its interval; empty: it cannot be said yet.
func ShareTexts(s value.Share) (percent, between string) {
	if s.Value == nil {
		return "", ""
	}
	return fmt.Sprintf("%.1f%%", 100**s.Value), fmt.Sprintf("%.1f%% to %.1f%%", 100*s.Low, 100*s.High)
}

// EffectText says what the mails changed.
func (r Results) EffectText() string {
	return compared(r.Effect, "The mails", "reach the goal with them than without")
}

// VersusText says which text is better.
func (r Results) VersusText() string {
	return compared(r.Versus, "The second text", "reach the goal with it than with the first")
}

// BackText says how many came back.
func (r Results) BackText() string {
	percent, between := ShareTexts(r.CameBack)
	if percent == "" {
		return ""
	}
	return fmt.Sprintf("Came back within 7 days of a mail: %d of %d customers, %s (between %s), or more.", r.CameBack.Did,
		r.CameBack.Of, percent, between)
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
