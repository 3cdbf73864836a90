package creators

import (
	"time"

	"rollcall/store/campaigns"
)

// resultsPart is what the page of a campaign shows of its results.
type resultsPart struct {
	campaigns.Results
	Arms []armRow
	Kept bool // they were counted before
}

// armRow is what became of those who got the same.
type armRow struct {
	campaigns.Arm
	Label   string
	Percent string // that reached the goal; empty: it cannot be said yet
	Between string // its interval
}

// resultsOf are the results of a campaign as its page shows them.
func resultsOf(r campaigns.Results, now time.Time) *resultsPart {
	part := &resultsPart{Results: r, Kept: r.AsOf.Before(now.UTC())}
	for _, a := range r.Arms {
		percent, between := campaigns.ShareTexts(a.Share)
		part.Arms = append(part.Arms, armRow{a, r.LabelOf(a), percent, between})
	}
	return part
}
