package watch

import (
	"slices"
	"time"

	"rollcall/store"
	"rollcall/store/status"
)

// Anyone can send to the receivers. A delivery without a valid signature may come from a stranger,
// or from a sender whose secret is missing here; its content proves neither. But a stranger cannot
// stop the sender's own deliveries. So such refusals only count in a gap: a time in which the
// source should have sent and no delivery was accepted.

// proven lists the refusals of deliveries with a valid signature.
var proven = []string{badEncoding, badJSON, badField, noID, noType, noTime, unstorable, internal}

// gap is a time between two accepted deliveries of a source.
type gap struct{ from, to time.Time }

// has tells whether deliveries came in the gap, or may have. Those that go on after the source is first
// heard are another's.
func (g gap) has(d store.Delivered) bool {
	if g.from.IsZero() {
		return d.Last.Before(g.to)
	}
	return d.Last.After(g.from) && d.First.Before(g.to)
}

// own returns r without the refusals that most likely belong to strangers.
func (r rhythm) own() rhythm {
	gaps := r.gaps()
	r.hours = slices.DeleteFunc(slices.Clone(r.hours), func(d store.Delivered) bool {
		return !isKept(d) && !slices.Contains(proven, d.Outcome) &&
			!slices.ContainsFunc(gaps, func(g gap) bool { return g.has(d) })
	})
	return r
}

// gaps returns the times in which the source should have sent and no delivery was accepted. The
// time before the first delivery is a gap, as nothing is known about it.
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

// missed reports whether the source should have sent in a gap. It should if it sent in the same
// hours of most earlier weeks. Without such weeks, it should if pauses of that length are rare.
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

// countIn adds up deliveries within a gap.
func countIn(kept []store.Delivered, g gap) (n int64) {
	for _, d := range kept {
		if d.Last.After(g.from) && d.First.Before(g.to) {
			n += d.Count
		}
	}
	return n
}

// LastKept is the time of a source's last stored event; zero if there is none.
func LastKept(source string, seen status.Traffic) time.Time { return rhythmOf(source, seen).lastKept() }

// Unsigned counts recent deliveries with wrong signatures while the source's own were accepted.
// They come from strangers, or from a second endpoint whose secret is missing. No watch reports
// them, as strangers could then raise alarms.
func Unsigned(source string, seen status.Traffic) (unsigned, signed int64) {
	r := rhythmOf(source, seen)
	return max(0, r.count(badSignature)-r.refusedWrongly()), r.count(store.Kept...)
}

// Strangers tells whether deliveries that are refused for this reason mostly come from strangers.
func Strangers(outcome string) bool { return outcome == missingSignature || outcome == wrongMethod }

// Refuses tells whether deliveries of a source were refused lately that strangers seldom send.
func Refuses(source string, seen status.Traffic) bool {
	r := rhythmOf(source, seen)
	return slices.ContainsFunc(r.hours, func(d store.Delivered) bool {
		return !isKept(d) && !Strangers(d.Outcome) && r.now.Sub(d.Last) <= betweenTries
	})
}
