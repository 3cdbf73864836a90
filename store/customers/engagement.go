package customers

import (
	"fmt"
	"slices"
	"strconv"
	"time"

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
	usual := c.usualGap()
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
	case silent(slippingFrom) && silent(usual*3/2):
		e.State = "slipping"
	}
	if usual > 0 && silent(slippingFrom) && !silent(dormantFrom) {
		e.Why += fmt.Sprintf(", and usually every %d days", (usual+day/2)/day)
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

// usualGap is the mean time between the days on which they enrolled, completed a course or bought;
// 0: there are fewer than three.
func (c *Customer) usualGap() time.Duration {
	var days []int64
	add := func(t *time.Time) {
		if t != nil {
			days = append(days, t.UTC().Truncate(day).Unix()/int64(day/time.Second))
		}
	}
	for _, k := range c.Courses {
		add(k.EnrolledAt)
		add(k.CompletedAt)
	}
	for _, p := range c.Purchases {
		add(p.PurchasedAt)
	}
	slices.Sort(days)
	days = slices.Compact(days)
	last := len(days) - 1
	if last < 2 {
		return 0
	}
	return time.Duration(days[last]-days[0]) * day / time.Duration(last)
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
	// usualSQL is half as long again as usualGap. Who has one thing only has no three days.
	usualSQL = `CASE WHEN jsonb_array_length(c.courses) + jsonb_array_length(c.purchases) > 1 THEN (
		SELECT CASE WHEN count(DISTINCT d) > 2
			THEN interval '36 hours' * (max(d)::date - min(d)::date) / (count(DISTINCT d) - 1) END
		FROM (
			SELECT left(unnest(ARRAY[k ->> 'enrolled_at', k ->> 'completed_at']), 10) FROM jsonb_array_elements(c.courses) k
			UNION ALL
			SELECT left(p ->> 'purchased_at', 10) FROM jsonb_array_elements(c.purchases) p
		) g(d)
	) END`
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
	gaveUp, awaited := cond{sql: gaveUpSQL}, cond{
		sql:  "coalesce(" + onLastActivity + " < $?::timestamptz - " + usualSQL + ", true)",
		args: []any{k.now}}
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
	var any []cond
	for _, state := range states {
		any = append(any, and(conds[state]))
	}
	return []cond{join(any, " OR ", "false")}
}
