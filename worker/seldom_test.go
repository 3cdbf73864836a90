package worker

import (
	"testing"
	"time"
)

// An error is logged when it is new, when it comes back, and once a day while it lasts.
func TestTroublesAreLoggedSeldom(t *testing.T) {
	t.Parallel()
	var all troubles
	start := time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		text  string
		after time.Duration
		want  bool
	}{
		{"port 4711 is closed", 0, true},
		{"port 4712 is closed", time.Second, false},
		{"the disk is full", 2 * time.Second, true},
		{"port 4713 is closed", 3 * time.Second, false},
		{"the disk is full", 4 * time.Second, false},
		{"the disk is full", 9 * time.Minute, false},
		{"port 4713 is closed", 12 * time.Minute, true},
		{"the disk is full", 18 * time.Minute, false},
	} {
		if got := all.isNew(c.text, start.Add(c.after)); got != c.want {
			t.Errorf("%q after %s: new is %v", c.text, c.after, got)
		}
	}
	logged := 0
	for at := start.Add(18 * time.Minute); at.Before(start.Add(72 * time.Hour)); at = at.Add(time.Minute) {
		if all.isNew("the disk is full", at) {
			logged++
		}
	}
	if logged != 2 {
		t.Errorf("an error of three days was logged %d times after the first", logged)
	}
}
