package watch

import (
	"slices"
	"time"

	"rollcall/store"
	"rollcall/store/status"
)

// Anybody can send to the receivers. What is refused before a signature was found
// right may be a stranger's, or of a sender whose secret is not set here; nothing in
// it proves which. What tells them apart is what a stranger cannot do: keep the
// sender's own deliveries away. So such refusals count only in a gap, a time in which
// the source should have sent and nothing of it came in.

// proven are the refusals of deliveries that bear a right signature.
var proven = []string{badEncoding, badJSON, badField, noID, noType, noTime, unstorable, internal}

// gap is a time between two deliveries of a source that came in.
type gap struct{ from, to time.Time }

// own is r without the refusals that are most likely strangers'.
func (r rhythm) own() rhythm {
	gaps := r.gaps()
	r.hours = slices.DeleteFunc(slices.Clone(r.hours), func(d store.Delivered) bool {
		return !isKept(d) && !slices.Contains(proven, d.Outcome) &&
			!slices.ContainsFunc(gaps, func(g gap) bool { return d.Last.After(g.from) && d.First.Before(g.to) })
	})
	return r
}

// gaps are the times in which the source should have sent and nothing came in. Before
// the first delivery is one: of a source that never sent, nobody knows what is usual.
func (r rhythm) gaps() (all []gap) {
	kept := r.kept()
	if len(kept) == 0 {
		return []gap{{to: r.now.Add(time.Hour)}}
	}
	all = append(all, gap{to: kept[0].First})
	end := kept[0].Last
	for _, d := range append(kept[1:], store.Delivered{First: r.now, Last: r.now}) {
		if g := (gap{end, d.First}); d.First.Sub(end) >= leastPause && r.missed(kept, g) {
			all = append(all, g)
		}
		if d.Last.After(end) {
			end = d.Last
		}
	}
	return all
}

// missed tells whether the source should have sent in a gap: it did so in the same
// hours of most earlier weeks, or, if there are none, it seldom pauses for that long.
func (r rhythm) missed(kept []store.Delivered, g gap) bool {
	weeks, sent := 0, 0
	for back := 7 * 24 * time.Hour; back < Weeks && !g.from.Add(-back).Before(kept[0].First); back += 7 * 24 * time.Hour {
		weeks++
		if countIn(kept, gap{g.from.Add(-back), g.to.Add(-back)}) >= fewBad {
			sent++
		}
	}
	if weeks > 0 {
		return 2*sent > weeks
	}
	_, usual, _, ok := r.pause()
	return !ok || g.to.Sub(g.from) > max(2*usual, leastMost)
}

// countIn adds up deliveries of the hours within a gap.
func countIn(kept []store.Delivered, g gap) (n int64) {
	for _, d := range kept {
		if d.Last.After(g.from) && d.First.Before(g.to) {
			n += d.Count
		}
	}
	return n
}

// Unsigned counts the deliveries of the last hours that no secret of ours has signed,
// beside those of the source that came in: a stranger's, or of a second endpoint whose
// secret is missing. No watch tells of them, or strangers could raise alarms.
func Unsigned(source string, seen status.Traffic) (unsigned, signed int64) {
	r := rhythmOf(source, seen)
	return r.count(badSignature), r.count(store.Accepted, store.Duplicate)
}
