package operators

import (
	"testing"

	"rollcall/jobs"
	"rollcall/store/finding"
)

func TestVerdict(t *testing.T) {
	of := func(severities ...finding.Severity) (notes []note) {
		for _, s := range severities {
			notes = append(notes, note{Finding: finding.Finding{Severity: s}})
		}
		return notes
	}
	for _, c := range []struct {
		notes []note
		fresh bool
		want  string
	}{
		{nil, false, "Everything is working"},
		{nil, true, "Waiting for the first webhook"},
		{of(finding.Problem), true, "1 problem"},
		{of(finding.Warning, finding.Warning), false, "2 warnings"},
		{of(finding.Warning, finding.Problem, finding.Problem), false, "2 problems, 1 warning"},
	} {
		if got := verdict(c.notes, c.fresh); got != c.want {
			t.Errorf("%v, fresh %t: %s, want %s", c.notes, c.fresh, got, c.want)
		}
	}
}

func TestBusyQueues(t *testing.T) {
	got := busy([]jobs.Queue{{Name: "idle", Completed: 9, Today: 9}, {Name: "held", Paused: true},
		{Name: "waits", Waiting: 1}, {Name: "runs", InHand: 1}, {Name: "retries", Later: 1}})
	if len(got) != 4 || got[0].Name != "held" {
		t.Errorf("%+v", got)
	}
}
