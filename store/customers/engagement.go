package customers

import (
	"strconv"
	"time"

	"rollcall/internal/show"
	"rollcall/store/pg"
)

// Engagement is how engaged a customer is: what follows from what is known of them and the time.
// SQL decides the same for filters (engaged), and a law compares the two.
type Engagement struct {
	State string `json:"state"` // new, active, slipping, dormant or lost
	Why   string `json:"why"`   // a sentence without an end
}

const day = 24 * time.Hour

// Thresholds of the states, by how long ago a customer joined or was active.
const (
	newFor       = 14 * day
	slippingFrom = 14 * day // or half as long again as they usually are away
	dormantFrom  = 60 * day
	lostFrom     = 180 * day
)

var engagements = pg.Choices("new", "New", "active", "Active", "slipping", "Slipping", "dormant", "Dormant",
	"lost", "Lost")

// Label is the state in words.
func (e Engagement) Label() string {
	for _, c := range engagements {
		if c.Value == e.State {
			return c.Label
		}
	}
	return e.State
}

// engagement is that of a customer now; nil: no time is known of them.
func (c *Customer) engagement(now time.Time) *Engagement {
	silent := func(from time.Duration) bool { return c.LastActivityAt.Before(now.Add(-from)) }
	switch {
	case c.gaveUp():
		return &Engagement{"lost", "all that they paid went back to them"}
	case c.FirstSeenAt != nil && !c.FirstSeenAt.Before(now.Add(-newFor)):
		return &Engagement{"new", "joined " + daysAgo(*c.FirstSeenAt, now)}
	case c.LastActivityAt == nil:
		return nil
	}
	e := Engagement{"active", "last active " + daysAgo(*c.LastActivityAt, now)}
	switch {
	case silent(lostFrom):
		e.State = "lost"
	case silent(dormantFrom):
		e.State = "dormant"
	case silent(slippingFrom) && c.awaited(now):
		e.State = "slipping"
	}
	if span, gaps := c.usual(); gaps > 0 && span > 0 && silent(slippingFrom) && !silent(dormantFrom) {
		e.Why += ", usually back within " + show.Count(max(1, (int64(span/day)+int64(gaps)-1)/int64(gaps)), "day")
	}
	return &e
}

// gaveUp tells whether they got back all that they paid.
func (c *Customer) gaveUp() bool {
	paid := false
	for _, m := range c.TotalSpent {
		paid = paid || m.Amount > 0
	}
	return len(c.Refunded) > 0 && !paid
}

// usual is the time in which they did a number of things before they were last active: courses
// that they enrolled in, or purchases if there are more. With fewer than three, nothing is usual.
func (c *Customer) usual() (span time.Duration, gaps int) {
	things := max(len(c.Courses), len(c.Purchases))
	if things < 3 || c.FirstSeenAt == nil || c.LastActivityAt == nil {
		return 0, 0
	}
	return c.LastActivityAt.Sub(*c.FirstSeenAt), things - 1
}

// awaited tells whether they are away for more than half as long again as usual.
func (c *Customer) awaited(now time.Time) bool {
	span, gaps := c.usual()
	return gaps == 0 || 2*now.Sub(*c.LastActivityAt).Microseconds()*int64(gaps) > 3*span.Microseconds()
}

// daysAgo says how many days ago something was.
func daysAgo(t, now time.Time) string {
	switch n := int(now.Sub(t) / day); {
	case n < 1:
		return "today"
	case n == 1:
		return "1 day ago"
	default:
		return strconv.Itoa(n) + " days ago"
	}
}

const (
	gaveUpSQL = "(c.refunded <> '[]' AND c.spent_rank <= 0)"
	// awaitedSQL is whether they are away for more than half as long again as usual.
	awaitedSQL = `(GREATEST(jsonb_array_length(c.courses), jsonb_array_length(c.purchases)) < 3
		OR coalesce(extract(epoch FROM $?::timestamptz - c.last_activity_at) * 2
			* (GREATEST(jsonb_array_length(c.courses), jsonb_array_length(c.purchases)) - 1)
			> extract(epoch FROM c.last_activity_at - c.first_seen_at) * 3, true))`
)

// engaged are the conditions that a customer is in one of some states. Of states that are a range
// of the last activity, or of joining, that comes first, so that lists begin there.
func (k compiler) engaged(states []string) []cond {
	ago := func(column, sign string, age time.Duration) cond {
		return cond{sql: column + sign + "$?", args: []any{k.now.Add(-age)}, key: column}
	}
	before := func(age time.Duration) cond { return ago(onLastActivity, " < ", age) }
	since := func(age time.Duration) cond { return ago(onLastActivity, " >= ", age) }
	joined := ago(onFirstSeen, " >= ", newFor)
	gaveUp, awaited := cond{sql: gaveUpSQL}, cond{sql: awaitedSQL, args: []any{k.now}}
	fit := func(conds ...cond) []cond { return append(conds, not(joined), not(gaveUp)) }
	slipping := and([]cond{before(slippingFrom), awaited})
	conds := map[string][]cond{
		"new":      {joined, not(gaveUp)},
		"active":   fit(since(dormantFrom), not(slipping)),
		"slipping": fit(since(dormantFrom), before(slippingFrom), awaited),
		"dormant":  fit(since(lostFrom), before(dormantFrom)),
		"lost":     {join([]cond{gaveUp, and([]cond{before(lostFrom), not(joined)})}, " OR ", "")},
	}
	if len(states) == 1 {
		return conds[states[0]]
	}
	var each []cond
	for _, state := range states {
		each = append(each, and(conds[state]))
	}
	return []cond{join(each, " OR ", "false")}
}
