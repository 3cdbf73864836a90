package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/status"
)

// rhythm is the sending history of a source.
type rhythm struct {
	source    string
	now       time.Time
	hours     []store.Delivered // of the source, by hour
	secrets   []status.SecretUse
	recovered time.Time // earlier gaps were imported by a backfill; zero: none was
}

func rhythmOf(source string, seen status.Traffic) rhythm {
	r := rhythm{source: source, now: seen.At, recovered: seen.Recovered[source]}
	for _, d := range seen.Deliveries {
		if d.Source == source && !d.Hour.After(seen.At) {
			r.hours = append(r.hours, d)
		}
	}
	for _, u := range seen.Secrets {
		if u.Source == source {
			r.secrets = append(r.secrets, u)
		}
	}
	slices.SortStableFunc(r.hours, func(a, b store.Delivered) int { return a.First.Compare(b.First) })
	return r
}

// kept returns the hours in which the inbox accepted deliveries.
func (r rhythm) kept() (kept []store.Delivered) {
	for _, d := range r.hours {
		if isKept(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

func isKept(d store.Delivered) bool {
	return slices.Contains(store.Kept, d.Outcome)
}

const (
	// aWeek covers every weekday once. Before that, a pause may be the first weekend.
	aWeek = 8 * 24 * time.Hour
	// fewHours is how many hours with deliveries are too few for a rhythm.
	fewHours = 6
	// forgiven is how many of the longest pauses count as outages.
	forgiven = 2
	// leastPause is the resolution of hourly counts; leastMost is a pause that is always allowed.
	leastPause = time.Hour
	leastMost  = 3 * time.Hour
)

// pause returns the current pause and the allowed one: a multiple of the longest pause of the last
// weeks, which includes nights and weekends. ok is false without enough history.
func (r rhythm) pause() (now, usual, most time.Duration, ok bool) {
	kept := r.kept()
	if len(kept) < fewHours {
		return 0, 0, 0, false
	}
	var pauses []time.Duration
	end := kept[0].Last
	for _, d := range kept[1:] {
		if d.First.After(end) {
			pauses = append(pauses, d.First.Sub(end))
		}
		if d.Last.After(end) {
			end = d.Last
		}
	}
	slices.Sort(pauses)
	if n := len(pauses) - 1 - forgiven; n >= 3*forgiven {
		pauses = pauses[:n+1]
	}
	usual = leastPause
	if len(pauses) > 0 {
		usual = max(usual, pauses[len(pauses)-1])
	}
	times := time.Duration(2)
	if r.now.Sub(kept[0].First) < aWeek {
		times = 6
	}
	return r.now.Sub(end), usual, max(times*usual, leastMost), true
}

// silent checks whether a source has stopped sending. A source whose deliveries are refused is not
// silent; other watches report that. A provider of mail reports when mail was sent, so its silence
// says nothing.
func silent(r rhythm) finding.Finding {
	v := finding.Finding{Severity: finding.OK}
	now, usual, most, ok := r.pause()
	if mail := slices.Contains(facts.MailSources, r.source); mail || !ok || now <= most || r.count(comes...) >= fewBad {
		return v
	}
	v.Severity = finding.Warning
	if now > 2*most {
		v.Severity = finding.Problem
	}
	v.What = fmt.Sprintf("No webhook from %s for %s; it usually pauses for %s at most", Sender(r.source), Span(now),
		Span(usual))
	v.Fix = []string{missed[r.source]}
	return v
}

// comes lists the reasons of refused deliveries that most likely came from the source.
var comes = []string{badSignature, notConfigured, tooOld, tooNew, unavailable, internal}

// missed maps a source to the command that imports refused events.
var missed = map[string]string{
	"clerk":    "rollcall backfill start clerk --follow",
	"stripe":   "rollcall backfill start stripe-events --account all --follow",
	"platform": "rollcall events list --source platform",
	"resend":   "rollcall events list --source resend",
	"postmark": "rollcall events list --source postmark",
	"ses":      "rollcall events list --source ses",
	"mailgun":  "rollcall events list --source mailgun",
}

// The outcomes that the watches use, named as in webhooks: its tests compare Outcomes.
const (
	badSignature     = store.BadSignature
	missingSignature = "missing_signature"
	notConfigured    = "not_configured"
	wrongMethod      = "method_not_allowed"
	tooOld           = "timestamp_too_old"
	tooNew           = "timestamp_too_new"
	unavailable      = "unavailable"
	internal         = "internal"
	incomplete       = "incomplete_body"
	badEncoding      = "invalid_encoding"
	badJSON          = "invalid_json"
	badField         = "invalid_field"
	noID             = "missing_id"
	noType           = "missing_type"
	noTime           = "missing_timestamp"
	unstorable       = "unstorable"
)

var Outcomes = []string{badSignature, missingSignature, notConfigured, wrongMethod, tooOld, tooNew, unavailable,
	internal, incomplete,
	badEncoding, badJSON, badField, noID, noType, noTime, unstorable}

// lately is the beginning of the hours in which bad signatures are reported.
func (r rhythm) lately() time.Time { return r.now.Add(-signatureHours).Truncate(time.Hour) }

// count adds up recent deliveries with certain outcomes.
func (r rhythm) count(outcomes ...string) (n int64) {
	for _, d := range r.hours {
		if !d.Hour.Before(r.lately()) && slices.Contains(outcomes, d.Outcome) {
			n += d.Count
		}
	}
	return n
}

const (
	// signatureHours is how long bad signatures are reported.
	signatureHours = 2 * time.Hour
	// fewBad is how many bad signatures are too few to report.
	fewBad = 3
)

// signatures checks for deliveries with wrong signatures while no valid one arrives. The source may
// not have sent them, and the text says so.
func signatures(r rhythm) finding.Finding {
	if u, is := r.wrongSecret(); is {
		return wrong(r.source, u)
	}
	last, since := r.lastKept(), "in the last four weeks"
	if !last.IsZero() {
		since = "since " + stamp(last)
	}
	bad := r.after(last).count(badSignature, missingSignature)
	if bad < fewBad {
		return finding.Finding{Severity: finding.OK}
	}
	return finding.Finding{Severity: finding.Problem,
		What: fmt.Sprintf("Rejected %d webhooks from %s in the last hours: their signature doesn't match %s, and no "+
			"other has come %s. Check that it contains %s, and that no proxy changes bodies. If "+
			"the sender's dashboard shows no failures, they are a stranger's, and the sender is silent", bad, Sender(r.source),
			variable[r.source], since, proofOf(r.source).named),
		Fix: []string{newSecret(r.source)}}
}

// lastKept returns when a delivery was last accepted; zero if never.
func (r rhythm) lastKept() (last time.Time) {
	for _, d := range r.kept() {
		if d.Last.After(last) {
			last = d.Last
		}
	}
	return last
}

// after returns r without the deliveries up to a moment.
func (r rhythm) after(moment time.Time) rhythm {
	r.hours = slices.DeleteFunc(slices.Clone(r.hours), func(d store.Delivered) bool { return !d.Last.After(moment) })
	return r
}

// newSecret returns the command that adds a signing secret.
func newSecret(source string) string {
	return "export " + variable[source] + "=" + proofOf(source).both + "   # where serve runs, then restart it"
}

// proof is what a source proves by that it is the sender: in words, and a new and an old one in its variable.
type proof struct{ named, both string }

func proofOf(source string) proof {
	switch source {
	case "postmark":
		return proof{"the password of its webhook", "NEW,OLD"}
	case "mailgun":
		return proof{"the signing key of the account", "NEW,OLD"}
	case "ses":
		return proof{"the topic that SES publishes to", "arn:aws:sns:REGION:ACCOUNT:NEW,arn:aws:sns:REGION:ACCOUNT:OLD"}
	}
	return proof{"this endpoint's signing secret", "whsec_NEW,whsec_OLD"}
}

// SecretsOf returns the environment variable with a source's signing secrets.
func SecretsOf(source string) string { return variable[source] }

// variable maps a source to the environment variable with its secrets.
var variable = map[string]string{
	"clerk":    "CLERK_WEBHOOK_SECRETS",
	"stripe":   "STRIPE_WEBHOOK_SECRETS",
	"platform": "PLATFORM_WEBHOOK_SECRETS",
	"resend":   "RESEND_WEBHOOK_SECRETS",
	"postmark": "POSTMARK_WEBHOOK_SECRETS",
	"ses":      "SES_SNS_TOPICS",
	"mailgun":  "MAILGUN_WEBHOOK_KEYS",
}

// horizon is how long a sender retries. Clerk makes eight attempts in about 27.5 hours
// (docs.svix.com/retries), Stripe retries for three days (docs.stripe.com/webhooks). The platform's
// is unknown, so one day is assumed. Providers of mail give up within hours.
var horizon = map[string]time.Duration{
	"clerk":    27*time.Hour + 35*time.Minute,
	"stripe":   72 * time.Hour,
	"platform": 24 * time.Hour,
	"resend":   10 * time.Hour, // resend.com/docs/dashboard/webhooks/introduction
	"postmark": 10 * time.Hour,
	"ses":      time.Hour, // of SNS
	"mailgun":  8 * time.Hour,
}

const (
	// betweenTries is the longest pause between two attempts of one delivery.
	betweenTries = 12 * time.Hour
	// refusedFor is how long deliveries are refused before it is reported.
	refusedFor = time.Hour
	// lostFor is how long lost deliveries are reported.
	lostFor = 7 * 24 * time.Hour
)

// streak is a period of repeated refusals.
type streak struct {
	first, last time.Time
	count       int64
	reasons     map[string]int64
}

// passing lists temporary reasons and those that a setting fixes. When deliveries are accepted
// again, the retries of these are, too.
var passing = []string{badSignature, missingSignature, notConfigured, tooOld, tooNew, unavailable, internal, incomplete}

// refusals returns the last streak of refusals that may be the source's own deliveries.
func (r rhythm) refusals() streak {
	s := streak{reasons: map[string]int64{}}
	for _, d := range slices.Backward(r.hours) {
		switch {
		case isKept(d) || d.Outcome == wrongMethod || !d.Last.After(r.recovered):
			continue
		case s.count > 0 && slices.Contains(passing, d.Outcome) && r.keptBetween(d.First, s.first):
			continue
		case s.count > 0 && s.first.Sub(d.Last) > betweenTries:
			return s
		}
		s.add(d)
	}
	return s
}

func (s *streak) add(d store.Delivered) {
	if s.count == 0 || d.First.Before(s.first) {
		s.first = d.First
	}
	if d.Last.After(s.last) {
		s.last = d.Last
	}
	s.count += d.Count
	s.reasons[d.Outcome] += d.Count
}

// keptBetween reports whether a delivery was accepted between two moments.
func (r rhythm) keptBetween(from, to time.Time) bool {
	return slices.ContainsFunc(r.hours, func(d store.Delivered) bool {
		return isKept(d) && d.Last.After(from) && d.First.Before(to)
	})
}

// passed reports whether retries bring in everything that was refused lately.
func (r rhythm) passed(s streak) bool {
	for reason := range s.reasons {
		if !slices.Contains(passing, reason) {
			return false
		}
	}
	return r.keptBetween(s.last.Truncate(time.Hour), r.now)
}

// refused checks for refused deliveries. Their sender retries for some time; then they are lost.
func refused(r rhythm) finding.Finding {
	v := finding.Finding{Severity: finding.OK}
	s := r.refusals()
	lasted, given := s.last.Sub(s.first), s.first.Add(horizon[r.source])
	going := r.now.Sub(s.last) <= betweenTries && !r.passed(s)
	lost := lasted >= horizon[r.source] && r.now.Sub(s.last) <= lostFor || going && !r.now.Before(given)
	since := fmt.Sprintf("%d deliveries from %s were rejected since %s (%s)", s.count, Sender(r.source), stamp(s.first),
		s.because())
	switch {
	case s.count < fewBad || lasted < refusedFor || !going && !lost:
		return v
	case lost:
		v.Severity = finding.Problem
		v.What = since + ": the sender stopped retrying the first about " + stamp(given) +
			"; they are lost unless a backfill brings them"
	default:
		v.Severity = finding.Warning
		if r.now.Sub(s.first) >= horizon[r.source]/2 {
			v.Severity = finding.Problem
		}
		v.What = since + ", and are kept nowhere: their sender gives the first up about " + stamp(given)
	}
	v.Fix = s.fix(r.source)
	return v
}

// because lists reasons, most frequent first.
func (s streak) because() string {
	var parts []string
	for _, reason := range s.byCount() {
		parts = append(parts, fmt.Sprintf("%s %d", reason, s.reasons[reason]))
	}
	return strings.Join(parts, ", ")
}

func (s streak) byCount() []string {
	return slices.SortedFunc(maps.Keys(s.reasons), func(a, b string) int {
		if s.reasons[a] != s.reasons[b] {
			return int(s.reasons[b] - s.reasons[a])
		}
		return strings.Compare(a, b)
	})
}

// fix returns what ends the refusals, and what imports the lost events.
func (s streak) fix(source string) []string {
	cure := "rollcall doctor"
	switch s.byCount()[0] {
	case badSignature, missingSignature, notConfigured:
		cure = newSecret(source)
	case tooOld, tooNew:
		cure = "sudo timedatectl set-ntp true   # where serve runs"
	}
	return []string{cure, missed[source]}
}

// stamp formats a time to the minute.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
