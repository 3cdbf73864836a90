package watch

import (
	"fmt"
	"time"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/status"
)

// A wrong secret is known at the first delivery, and is told from a stranger's signature by what the
// secrets did before: secrets that have matched once are right, whatever else comes in. Secrets that
// have never matched and refuse a well-formed signature of about now are wrong, if the source was never
// heard, or if its earlier secrets did match.

// wrongSecret finds secrets that match nothing, while nothing else has come.
func (r rhythm) wrongSecret() (worst status.SecretUse, wrong bool) {
	last, matched := r.lastKept(), false
	for _, u := range r.secrets {
		matched = matched || u.Verified != nil
	}
	for _, u := range r.secrets {
		if u.Verified != nil || u.Refused == 0 || !u.LastRefused.After(last) || r.now.Sub(*u.LastRefused) > betweenTries {
			continue
		}
		if last.IsZero() || matched {
			worst, wrong = u, true
		}
	}
	return worst, wrong
}

// secretsFixed tells whether a signature has matched since wrong secrets last refused any, lately.
func (r rhythm) secretsFixed() bool {
	var matched, refused time.Time
	for _, u := range r.secrets {
		switch {
		case u.LastVerified != nil && u.LastVerified.After(matched):
			matched = *u.LastVerified
		case u.Verified == nil && u.LastRefused != nil && u.LastRefused.After(refused):
			refused = *u.LastRefused
		}
	}
	return r.now.Sub(refused) <= betweenTries && matched.After(refused)
}

// refusedWrongly counts the deliveries that secrets refused which never matched, of those that refused any lately.
func (r rhythm) refusedWrongly() (n int64) {
	for _, u := range r.secrets {
		if u.Verified == nil && u.LastRefused != nil && !u.LastRefused.Before(r.lately()) {
			n += u.Refused
		}
	}
	return n
}

// wrong is the finding about secrets that match nothing.
func wrong(source string, u status.SecretUse) finding.Finding {
	return finding.Finding{Severity: finding.Problem,
		What: fmt.Sprintf("Rejected %s from %s since %s: their signature doesn't match %s. No webhook has matched it "+
			"yet. Rejected webhooks are not stored, and %[2]s sends the first again until %[5]s. If %[2]s shows no failures, "+
			"a stranger sent them", show.Count(u.Refused, "webhook"), Sender(source), stamp(*u.FirstRefused),
			variable[source], stamp(u.FirstRefused.Add(horizon[source]))),
		Fix: []string{"export " + variable[source] + "=<SIGNING SECRET>   # of this endpoint, as " + Sender(source) +
			" shows it; where serve runs, then restart it"}}
}

// Sender is what a source is called in a sentence.
func Sender(source string) string {
	if source == "platform" {
		return "your platform"
	}
	return store.SourceLabel(source)
}
