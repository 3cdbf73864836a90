// Package watch checks that senders still send webhooks, that Rollcall can process them, and that mail goes out. Each
// watch is a stateless rule from statistics to a verdict. A state changes only after a verdict has
// held for a while, and each change is sent once (see Alert).
package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/store/finding"
	"rollcall/store/status"
)

// Kinds of watches. A watch's name is its kind, a slash and its subject.
const (
	Silent     = "source_silent"  // a source that used to send has stopped
	Signatures = "bad_signatures" // deliveries with wrong signatures
	Refused    = "retries_ending" // refused deliveries that their sender will stop retrying
	Failing    = "events_failing" // events of one type that fail
	Overdue    = "events_overdue" // pending events that no worker applies

	MailPaused  = "mail_paused"  // a store sends no mail, as too much of it came back
	MailFailing = "mail_failing" // a provider takes no mail of a store

	CampaignPaused = "campaign_paused" // a campaign waits for someone to confirm whom it reaches
)

var Kinds = []string{Silent, Signatures, Refused, Failing, Overdue, MailPaused, MailFailing, CampaignPaused}

// Weeks is the length of the history.
const Weeks = 28 * 24 * time.Hour

// judgement is what a watch shows now.
type judgement struct {
	finding.Finding
	certain bool // it need not last to count, unless the state has changed just before
}

// Judge returns the current verdict of each watch.
func Judge(seen status.Traffic) (all []finding.Finding) {
	for _, v := range judge(seen) {
		all = append(all, v.Finding)
	}
	return all
}

func judge(seen status.Traffic) (all []judgement) {
	for _, source := range status.Sources() {
		r := rhythmOf(source, seen).own()
		_, isWrong := r.wrongSecret()
		for kind, judge := range map[string]func(rhythm) finding.Finding{
			Silent: silent, Signatures: signatures, Refused: refused,
		} {
			v := judge(r)
			v.Kind, v.Subject = kind, source
			all = append(all, judgement{v, kind == Signatures && (isWrong || r.secretsFixed())})
		}
	}
	for _, f := range seen.Failing {
		all = append(all, judgement{Finding: failing(f)})
	}
	all = append(all, judgement{Finding: overdue(seen)})
	for _, m := range seen.Mail {
		all = append(all, stopped(m, seen.At)...)
	}
	for _, c := range seen.Campaigns {
		all = append(all, unconfirmed(c))
	}
	slices.SortFunc(all, func(a, b judgement) int { return strings.Compare(a.Name(), b.Name()) })
	return all
}

// Next returns the next states of the watches. A state changes after a different verdict has held
// for long enough. A watch without a verdict counts as ok.
func Next(seen status.Traffic, now []status.Watch) []status.Watch {
	byName := map[string]status.Watch{}
	for _, w := range now {
		byName[w.Name] = w
	}
	var next []status.Watch
	for _, v := range judge(seen) {
		w, known := byName[v.Name()]
		if !known {
			w = status.Watch{Name: v.Name(), State: status.OK, Since: seen.At}
		}
		next = append(next, step(w, v, seen.At))
		delete(byName, v.Name())
	}
	for _, w := range now {
		if _, left := byName[w.Name]; left {
			next = append(next, step(w, judgement{Finding: finding.Finding{Severity: finding.OK}}, seen.At))
		}
	}
	return next
}

const (
	// worseAfter is how long a worse verdict must hold: one bad minute is not reported.
	worseAfter = 2 * time.Minute
	// betterAfter is longer, so that a recurring problem is reported once.
	betterAfter = 10 * time.Minute
)

// step returns a watch's next state, given its state and a new verdict.
func step(w status.Watch, v judgement, now time.Time) status.Watch {
	w.CheckedAt = now
	state, fix := string(v.Severity), strings.Join(v.Fix, "\n")
	if state == w.State {
		w.Leaning, w.LeaningSince, w.Detail, w.Fix = nil, nil, v.What, fix
		return w
	}
	worse, after := worseThan(state, w.State), betterAfter
	if worse {
		after = worseAfter
	}
	if w.Leaning == nil || worseThan(*w.Leaning, w.State) != worse {
		w.LeaningSince = &now
	}
	w.Leaning = &state
	if v.certain && (!worse || w.Changes == 0 || now.Sub(w.Since) >= betterAfter) || now.Sub(*w.LeaningSince) >= after {
		w.State, w.Since, w.Detail, w.Fix = state, *w.LeaningSince, v.What, fix
		w.Leaning, w.LeaningSince = nil, nil
	}
	return w
}

// worseThan reports whether a state is worse than another.
func worseThan(a, b string) bool {
	return finding.Severity(a).Rank() > finding.Severity(b).Rank()
}

// failing checks the events of one type.
func failing(f status.FailingEvents) finding.Finding {
	v := finding.Finding{Kind: Failing, Subject: f.Source + "/" + f.Type, Severity: finding.Warning,
		What: fmt.Sprintf("%s of type %s from %s could not be applied yet, and will be retried",
			show.Count(f.Trying, "event"), f.Type, Sender(f.Source)),
		Fix: []string{"rollcall events list --source " + f.Source + " --status pending"}}
	if f.Failed > 0 {
		v.Severity, v.Fix[0] = finding.Problem, "rollcall events retry --source "+f.Source
		if finding.Plain(f.Type) {
			v.Fix[0] += " --type " + f.Type
		}
		v.What = fmt.Sprintf("%s of type %s from %s failed, and will not be retried", show.Count(f.Failed, "event"),
			f.Type, Sender(f.Source))
	}
	return v
}

const (
	overdueWarns = 5 * time.Minute
	overdueFails = 30 * time.Minute
)

// overdue checks the pending events of the inbox.
func overdue(seen status.Traffic) finding.Finding {
	v := finding.Finding{Kind: Overdue, Severity: finding.OK}
	if seen.Overdue.Oldest == nil {
		return v
	}
	waited := seen.At.Sub(*seen.Overdue.Oldest)
	switch {
	case waited >= overdueFails:
		v.Severity = finding.Problem
	case waited >= overdueWarns:
		v.Severity = finding.Warning
	default:
		return v
	}
	wait := "wait"
	if seen.Overdue.Count == 1 {
		wait = "waits"
	}
	v.What = fmt.Sprintf("%s %s to be applied, the oldest for %s", show.Count(seen.Overdue.Count, "event"), wait,
		Span(waited))
	v.Fix = []string{"rollcall work"}
	return v
}

// Span formats a duration roughly: 40 minutes, 9 hours, 3 days.
func Span(d time.Duration) string {
	n, unit := int(d/time.Minute), "minute"
	switch {
	case d >= 48*time.Hour:
		n, unit = int(d/(24*time.Hour)), "day"
	case d >= 2*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	}
	return show.Count(n, unit)
}
