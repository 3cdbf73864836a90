package mail

import (
	"testing"
	"time"
)

// All mails of a day are due at its last moment at which some go out.
func TestLastMomentOfADay(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		hours Hours
		want  string
	}{
		"no quiet hours":         {Hours{}, "23:59:59"},
		"over midnight":          {Hours{21, 9}, "20:59:59"},
		"until midnight":         {Hours{22, 0}, "21:59:59"},
		"in the morning":         {Hours{0, 8}, "23:59:59"},
		"all but one hour":       {Hours{13, 12}, "12:59:59"},
		"all but the first hour": {Hours{1, 0}, "00:59:59"},
	} {
		for _, day := range []int{24, 25, 26} { // the clocks go back on the 25th
			last := c.hours.Last(time.Date(2026, 10, day+1, 0, 0, 0, 0, berlin), berlin)
			if got := last.Format(time.TimeOnly); got != c.want || last.Day() != day || !c.hours.Next(last, berlin).Equal(last) {
				t.Errorf("%s: %s, want %s on the %d", name, last, c.want, day)
			}
		}
	}
}
