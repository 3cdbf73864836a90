package customers

import "slices"

// ReadySegment is a segment that every store has.
type ReadySegment struct{ ID, Name, Rule string }

// ReadySegments are the segments that every store has. Filters and rules name them as
// those that a store saves.
var ReadySegments = []ReadySegment{
	{"at_risk", "At risk", `{"customer":{"last_activity_before":"30d","type":["paying","subscription"]}}`},
	{"stuck", "Stuck", `{"enrollment":{"completed":"no","progressed_before":"14d"}}`},
	{"finished", "Finished", `{"enrollment":{"completed":"yes"}}`},
	{"never_started", "Never started", `{"enrollment":{"completed":"no","enrolled_before":"7d","progress_max":0}}`},
	{"big_spenders", "Big spenders", `{"spent":{"min":"500"}}`},
	{"new_this_week", "New this week", `{"customer":{"first_seen_after":"7d"}}`},
}

// ReadySegmentOf is the one with an id; nil: there is none.
func ReadySegmentOf(id string) *ReadySegment {
	i := slices.IndexFunc(ReadySegments, func(s ReadySegment) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return &ReadySegments[i]
}
