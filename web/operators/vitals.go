package operators

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"rollcall/internal/show"
	"rollcall/jobs"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/status"
	"rollcall/watch"
	"rollcall/web/core"
)

// Vitals are the state of the whole system. Their JSON is the API's.
type Vitals struct {
	At       time.Time      `json:"at"`
	Postgres string         `json:"postgres"` // a result of pg.Trouble
	Redis    string         `json:"redis"`    // "ok" or "away"
	Inbox    *status.Vitals `json:"inbox"`    // null: Postgres is away or too slow
	Queues   []jobs.Queue   `json:"queues"`   // null: Redis is away
	Workers  []jobs.Worker  `json:"workers"`  // null: Redis is away

	senders []status.Sender // nil as Inbox
	setup   status.Setup
}

const (
	// statusMaxAge is how old cached vitals may be: however many pages poll, each second
	// has one query.
	statusMaxAge = time.Second
	// statusTimeout limits the query.
	statusTimeout = 3 * time.Second
)

// statusCache takes the vitals once for all concurrent requests.
type statusCache struct {
	looks singleflight.Group
	mu    sync.Mutex
	last  Vitals
	Until time.Time
}

// vitals are those of now, or cached ones.
func (s *Pages) vitals(ctx context.Context) Vitals {
	p := s.Status
	p.mu.Lock()
	last, fresh := p.last, time.Now().Before(p.Until)
	p.mu.Unlock()
	if fresh {
		return last
	}
	v, _, _ := p.looks.Do("vitals", func() (any, error) {
		v := s.look(context.WithoutCancel(ctx)) // other requests wait for it too
		p.mu.Lock()
		defer p.mu.Unlock()
		p.last, p.Until = v, time.Now().Add(statusMaxAge)
		return v, nil
	})
	return v.(Vitals)
}

// look queries Postgres and Redis concurrently; one that does not answer is away.
func (s *Pages) look(ctx context.Context) Vitals {
	redis, postgres, queues := s.pingRedis(ctx), ask(ctx, s.Cfg.Store.Ready), s.askQueues()
	v := Vitals{At: s.Cfg.Now().UTC(), Postgres: <-postgres, Redis: <-redis}
	if v.Postgres == "ok" {
		ctx, cancel := context.WithTimeout(ctx, statusTimeout)
		defer cancel()
		inbox, err := status.New(s.Cfg.Store).Vitals(ctx)
		if err == nil {
			v.senders, err = status.New(s.Cfg.Store).Senders(ctx, v.At)
		}
		if err == nil {
			v.setup, err = status.New(s.Cfg.Store).Setup(ctx)
		}
		if err == nil {
			v.Inbox = &inbox
		} else {
			s.Cfg.Log.Warn("the vitals could not be taken", "error", err)
		}
	}
	select {
	case r := <-queues:
		if is, ok := r.Val.(jobs.Snapshot); ok && r.Err == nil && v.Redis == "ok" {
			v.Queues, v.Workers = is.Queues, is.Workers
		}
	case <-time.After(readyTimeout):
		v.Redis = "away"
	}
	return v
}

// askQueues asks asynchronously, one query at a time: the Redis client ignores contexts while it
// reads, and a Redis that hangs must not pile up goroutines.
func (s *Pages) askQueues() <-chan singleflight.Result {
	return s.Status.looks.DoChan("queues", func() (any, error) { return jobs.Inspect(context.Background(), s.Redis) })
}

// note is a finding on the health page.
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

// notes are what the vitals show that an operator should know. They are as severe as
// findings of their kind, unless it says otherwise.
func (s *Pages) notes(v Vitals) (notes []note) {
	add := func(when bool, kind, text, url, link string) {
		if when {
			f := finding.Finding{Kind: kind, Severity: checks.KindOf(kind).Severity, What: text}
			notes = append(notes, note{Finding: f, URL: url, Link: link})
		}
	}
	trouble, troubled := troubles[v.Postgres]
	add(troubled, trouble.Kind, trouble.What+" Senders retry, so nothing is lost.", "", "")
	add(v.Postgres == "ok" && v.Inbox == nil, "check_failed",
		"Postgres is responding too slowly to show the inbox.", "", "")
	add(v.Redis == "away", "redis_away", "Redis is down. Events are stored, and applied when it is back.", "", "")
	add(v.Workers != nil && len(v.Workers) == 0, "workers_missing",
		"No worker is running. Events are stored, and applied when one runs.", "", "")
	if v.Workers != nil && len(v.Workers) == 0 {
		notes[len(notes)-1].Fix = []string{"rollcall work"}
	}
	for _, q := range v.Queues {
		add(q.Paused, "queue_paused", "The queue "+q.Name+" is paused.", core.MonitoringPath+"/queues/"+q.Name, "Queues")
		if q.Paused {
			notes[len(notes)-1].Severity = finding.Warning // an operator did it, on the page that this leads to
		}
	}
	if v.Inbox == nil {
		return notes
	}
	for _, h := range v.Inbox.Held {
		add(true, "session_held", "The idle database "+h.String()+" has rows locked: other sessions wait for them.", "", "")
		held := &notes[len(notes)-1]
		held.Since = &h.Since
		held.Fix = []string{fmt.Sprintf(`psql "$DATABASE_URL" -c 'SELECT pg_terminate_backend(%d)'`, h.PID)}
	}
	told := map[string]bool{}
	for _, w := range v.Inbox.Watches {
		kind, _ := w.Parts()
		if kind == watch.Signatures && w.Leaning != nil && *w.Leaning == status.OK {
			continue // others match by now; the alert waits, in case it recurs
		}
		told[kind+w.State] = true
		notes = append(notes, noteOf(w))
	}
	failed := v.Inbox.Counts["failed"]
	add(failed > 0 && !told[watch.Failing+status.Problem], watch.Failing, show.Plural(int(failed), "event")+" failed.",
		"/admin/events?status=failed", "Review")
	if e := v.Inbox.OldestPending; e != nil {
		waits := s.Cfg.Now().Sub(e.ReceivedAt)
		add(waits > slow && !told[watch.Overdue+status.Warning] && !told[watch.Overdue+status.Problem], watch.Overdue,
			"An event has waited for "+show.Lasted(waits)+".", "/admin/events/"+strconv.FormatInt(e.ID, 10), "Review")
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

// ShowHealth answers the vitals.
func (s *Pages) ShowHealth(w http.ResponseWriter, r *http.Request) error {
	core.WriteJSON(w, http.StatusOK, s.vitals(r.Context()))
	return nil
}
