package campaigns

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"rollcall/store/pg"
)

// day is as long as days are in campaigns: waiting seven days ends at the same time of the day but for the hour of a
// clock change. Mails are held back until the morning of the store's zone anyway.
const day = 24 * time.Hour

// Wait is a time to wait: whole hours, or days. As text it is 12h or 7d.
type Wait time.Duration

// maxWait is the longest wait.
const maxWait = Wait(400 * day)

var waits = regexp.MustCompile(`^([0-9]{1,5})([hd])$`)

// ParseWait reads a wait.
func ParseWait(text string) (Wait, error) {
	parts := waits.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%q is not a time to wait; write for example 12h or 7d", text)
	}
	n, _ := strconv.Atoi(parts[1]) // five digits at most
	unit := time.Hour
	if parts[2] == "d" {
		unit = day
	}
	if w := Wait(time.Duration(n) * unit); w <= maxWait {
		return w, nil
	}
	return 0, fmt.Errorf("%q is too long to wait: 400d is the most", text)
}

// String is the wait as ParseWait reads it.
func (w Wait) String() string {
	if d := time.Duration(w); d%day == 0 && d > 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return strconv.Itoa(int(time.Duration(w)/time.Hour)) + "h"
}

// Text is the wait in words: 7 days.
func (w Wait) Text() string {
	n, unit := int(time.Duration(w)/time.Hour), "hour"
	if d := time.Duration(w); d%day == 0 && d > 0 {
		n, unit = int(d/day), "day"
	}
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit
}

// MarshalJSON writes the wait as text.
func (w Wait) MarshalJSON() ([]byte, error) { return json.Marshal(w.String()) }

// UnmarshalJSON reads it. Its errors are *pg.BadParam.
func (w *Wait) UnmarshalJSON(b []byte) (err error) {
	var text string
	if err = json.Unmarshal(b, &text); err != nil {
		return pg.Refuse("wait", "is not text; write for example 12h or 7d")
	}
	if *w, err = ParseWait(text); err != nil {
		return pg.Refuse("wait", "%s", err)
	}
	return nil
}

// seconds is the wait for Postgres.
func (w Wait) seconds() float64 { return time.Duration(w).Seconds() }
