package operators

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/pg"
	"rollcall/store/status"
	"rollcall/watch"
	"rollcall/web/core"
)

// note is a finding on the overview.
type note struct {
	finding.Finding
	Since     *time.Time // its beginning; nil: unknown
	URL, Link string     // a link and its text
}

// Title is the first sentence of what is wrong, Rest what follows it.
func (n note) Title() string { title, _ := n.sentences(); return title }
func (n note) Rest() string  { _, rest := n.sentences(); return rest }

func (n note) sentences() (title, rest string) {
	title, rest, more := strings.Cut(n.What, ". ")
	if more {
		title += "."
	}
	return title, rest
}

// Bad tells whether something is wrong, not only worth a look.
func (n note) Bad() bool { return n.Severity == finding.Problem }

// troubles are the findings that pg.Trouble's results are.
var troubles = map[string]finding.Finding{
	"away":         {Kind: "database_away", What: "Postgres is down."},
	"not_migrated": {Kind: "schema_behind", What: "The database schema is not up to date: run rollcall migrate up."},
	"read_only":    {Kind: "database_read_only", What: "Postgres is read-only."},
	"not_allowed": {Kind: "database_not_able",
		What: "The role of DATABASE_URL may not write the inbox: see rollcall doctor."},
	"refused": {Kind: "database_away",
		What: "Postgres refuses the login, or has no such database: check DATABASE_URL."},
	"full": {Kind: "database_not_able", What: "Postgres is out of disk, memory or connections."},
}

// slow is how long an event may wait without a note.
const slow = time.Minute

// newNote is a note as severe as findings of its kind.
func newNote(kind, what string) note {
	return note{Finding: finding.Finding{Kind: kind, Severity: checks.KindOf(kind).Severity, What: what}}
}

// notes are what the vitals show that an operator should know.
func (s *Pages) notes(v Vitals) []note {
	notes := slices.Concat(serverNotes(v), queueNotes(v))
	if v.Inbox == nil {
		return notes
	}
	return slices.Concat(notes, heldNotes(v.Inbox.Held), s.eventNotes(*v.Inbox))
}

func serverNotes(v Vitals) (notes []note) {
	if trouble, troubled := troubles[v.Postgres]; troubled {
		notes = append(notes, newNote(trouble.Kind, trouble.What+" Senders retry, so nothing is lost."))
	}
	if v.Postgres == "ok" && v.Inbox == nil {
		notes = append(notes, newNote("check_failed", "Postgres is responding too slowly to show the inbox."))
	}
	if v.Redis == "away" {
		notes = append(notes, newNote("redis_away", "Redis is down. Events are stored, and applied when it is back."))
	}
	return notes
}

func queueNotes(v Vitals) (notes []note) {
	if v.Workers != nil && len(v.Workers) == 0 {
		n := newNote("workers_missing", "No worker is running. Events are stored, and applied when one runs.")
		n.Fix = []string{"rollcall work"}
		notes = append(notes, n)
	}
	for _, q := range v.Queues {
		if q.Paused {
			n := newNote("queue_paused", "The queue "+q.Name+" is paused.")
			n.Severity = finding.Warning // an operator did it, on the page that this leads to
			n.URL, n.Link = core.MonitoringPath+"/queues/"+q.Name, "Queues"
			notes = append(notes, n)
		}
	}
	return notes
}

func heldNotes(sessions []pg.HeldSession) (notes []note) {
	for _, h := range sessions {
		n := newNote("session_held", "The idle database "+h.String()+" has rows locked: other sessions wait for them.")
		n.Since = &h.Since
		n.Fix = []string{fmt.Sprintf(`psql "$DATABASE_URL" -c 'SELECT pg_terminate_backend(%d)'`, h.PID)}
		notes = append(notes, n)
	}
	return notes
}

// eventNotes are the watches that are not ok, and what they will see in a moment.
func (s *Pages) eventNotes(v status.Vitals) (notes []note) {
	told := map[string]bool{}
	for _, w := range v.Watches {
		kind, _ := w.Parts()
		if kind == watch.Signatures && w.Leaning != nil && *w.Leaning == status.OK {
			continue // others match by now; the alert waits, in case it recurs
		}
		told[kind+w.State] = true
		notes = append(notes, noteOf(w))
	}
	if failed := v.Counts["failed"]; failed > 0 && !told[watch.Failing+status.Problem] {
		n := newNote(watch.Failing, show.Plural(failed, "event")+" failed.")
		n.URL, n.Link = "/admin/events?status=failed", "Review"
		notes = append(notes, n)
	}
	e := v.OldestPending
	if e == nil || told[watch.Overdue+status.Warning] || told[watch.Overdue+status.Problem] {
		return notes
	}
	if waits := s.Cfg.Now().Sub(e.ReceivedAt); waits > slow {
		n := newNote(watch.Overdue, "An event has waited for "+show.Lasted(waits)+".")
		n.URL, n.Link = "/admin/events/"+strconv.FormatInt(e.ID, 10), "Review"
		notes = append(notes, n)
	}
	return notes
}

// asSentence ends a text with a full stop, unless it has an end.
func asSentence(text string) string {
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".?!") {
		return text
	}
	return text + "."
}

// noteOf makes a note of a watch that is not ok, with a link to its events.
func noteOf(w status.Watch) note {
	kind, subject := w.Parts()
	n := note{Since: &w.Since, Link: "Review events", Finding: finding.Finding{
		Kind: kind, Subject: subject, Severity: finding.Severity(w.State), What: asSentence(w.Detail),
	}}
	if w.Fix != "" {
		n.Fix = strings.Split(w.Fix, "\n")
	}
	source, eventType, _ := strings.Cut(subject, "/")
	q := url.Values{}
	if kind == watch.Signatures || kind == watch.Refused {
		q.Set("source", source)
		q.Set("span", "day")
		n.URL, n.Link = core.Address("/admin/rejected", q), "See rejected"
		return n
	}
	switch kind {
	case watch.MailPaused, watch.MailFailing, watch.CampaignPaused:
		n.URL, n.Link = "/admin/mail", "Mail"
		return n
	case watch.Failing:
		q.Set("type", eventType)
		q.Set("status", "pending")
		if n.Bad() {
			q.Set("status", "failed")
		}
	case watch.Overdue:
		q.Set("status", "pending")
	}
	if source != "" {
		q.Set("source", source)
	}
	n.URL = "/admin/events?" + q.Encode()
	return n
}
