package operators

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/status"
	"rollcall/watch"
	"rollcall/web/charts"
	"rollcall/web/core"
)

// overviewPage is the data of overview.html.
type overviewPage struct {
	adminPage
	Vitals
	Verdict string
	Notes   []note
	Span    chartSpan
	Spans   []chartSpan
	Charts  []charts.Figure // nil: they could not be read
	Senders []sender
	Missing []missing
	Tiles   []statusTile
	Steps   []step // of the set-up; nil: all is done
	Done    int    // of Steps
	Runs    []run
	Busy    []jobs.Queue
}

// Bad tells whether something is wrong, not only worth a look.
func (p overviewPage) Bad() bool { return slices.ContainsFunc(p.Notes, note.Bad) }

// Fresh tells whether nothing has been accepted from anyone yet: then the set-up comes first.
func (p overviewPage) Fresh() bool {
	return !slices.ContainsFunc(p.Senders, func(s sender) bool { return s.Last != nil || s.Accepted > 0 })
}

// Overview shows the state of the system. The script of the page asks for its parts: charts seldom, all
// else often.
func (s *Pages) Overview(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request, HX-Target")
	page := overviewPage{adminPage: s.adminPage("health", "Overview"), Spans: chartSpans,
		Span: spanOf(chartSpans, r.URL.Query().Get("span"), 0)}
	if core.IsPartOf(r, "charts") {
		page.Charts = s.charts(r, page.Span)
		return s.Page(w, http.StatusOK, "plots", page)
	}
	s.fill(&page, s.vitals(r.Context()))
	name := "vitals"
	if !core.IsPart(r) {
		name = "overview.html"
		if page.Postgres == "ok" {
			page.Charts = s.charts(r, page.Span)
		}
	}
	return s.Page(w, http.StatusOK, name, page)
}

// charts are those of a span, or nil if the history cannot be read now.
func (s *Pages) charts(r *http.Request, span chartSpan) []charts.Figure {
	slots, err := s.history(r.Context(), span)
	if err != nil {
		s.Cfg.Log.Warn("the charts could not be made", "error", err)
		return nil
	}
	return chartsOf(span, slots)
}

// fill fills in all but the charts.
func (s *Pages) fill(page *overviewPage, v Vitals) {
	page.Vitals, page.Notes = v, s.notes(v)
	slices.SortStableFunc(page.Notes, func(a, b note) int { return b.Severity.Rank() - a.Severity.Rank() })
	page.Steps, page.Done = s.setupSteps(v)
	page.Busy = busy(v.Queues)
	if v.Inbox != nil {
		s.fillInbox(page, *v.Inbox)
	}
	page.Verdict = verdict(page.Notes, page.Fresh())
}

func (s *Pages) fillInbox(page *overviewPage, v status.Vitals) {
	page.Tiles = statusTiles(v.Counts, v.Rough, func(status string) string { return "/admin/events?status=" + status })
	for _, of := range v.Sources {
		i := slices.IndexFunc(v.Senders, func(from status.Sender) bool { return from.Source == of.Source })
		page.Senders = append(page.Senders, s.sender(v.Senders[i], of, v.Watches))
	}
	page.Missing = missingOf(v.Unattached)
	for _, b := range v.Backfills {
		page.Runs = append(page.Runs, s.Run(b, Sample{}))
	}
}

// busy are the queues that hold jobs, or are paused.
func busy(queues []jobs.Queue) (some []jobs.Queue) {
	for _, q := range queues {
		if q.Paused || q.Waiting+q.InHand+q.Later > 0 {
			some = append(some, q)
		}
	}
	return some
}

// verdict is the first line: whether something is wrong. Where nothing was accepted yet, nobody can say
// that all is well.
func verdict(notes []note, fresh bool) string {
	count := map[finding.Severity]int{}
	for _, n := range notes {
		count[n.Severity]++
	}
	problems, warnings := count[finding.Problem], count[finding.Warning]
	switch {
	case problems > 0 && warnings > 0:
		return show.Plural(problems, "problem") + ", " + show.Plural(warnings, "warning")
	case problems > 0:
		return show.Plural(problems, "problem")
	case warnings > 0:
		return show.Plural(warnings, "warning")
	case fresh:
		return "Waiting for the first webhook"
	}
	return "Everything is working"
}

// missing are facts that are on no list for one reason.
type missing struct {
	Reason, Means, Do string
	N                 int64
	More              bool // than N
}

// missingOf lists missing facts, most first.
func missingOf(counts map[string]int64) (all []missing) {
	for reason, n := range counts {
		m := missing{Reason: reason, N: n, More: n >= status.MaxWaiting}
		if why, err := checks.WhyOff(reason); err == nil && why.Remedy != nil {
			m.Means, m.Do = why.Meaning, why.Remedy.Words
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b missing) int {
		return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Reason, b.Reason))
	})
	return all
}

// sender is a row of the table of senders.
type sender struct {
	status.Sender
	Label  string
	Light  string // ok, some or away, as the servers' lights
	Status string
	Last   *store.Event
}

// sender says of a source whether it sends, and is understood.
func (s *Pages) sender(from status.Sender, v status.SourceVitals, watches []status.Watch) sender {
	row := sender{Sender: from, Label: store.SourceLabel(from.Source), Light: "ok", Status: "Receiving", Last: v.Last}
	silent := false
	for _, w := range watches {
		silent = silent || w.Name == watch.Silent+"/"+from.Source
	}
	rejected := show.Number(from.Rejected) + " rejected: " + watch.RefusalOf(from.Reason).Label
	switch {
	case from.Rejected > 0 && from.Accepted == 0:
		row.Light, row.Status = "away", rejected
	case from.Rejected > 0 && !watch.Strangers(from.Reason):
		row.Light, row.Status = "some", rejected
	case from.Rejected > 0:
		row.Status = "Receiving, " + rejected
	case from.Accepted > 0:
	case v.Last == nil:
		row.Light, row.Status = "none", "Nothing received yet"
	default:
		row.Light, row.Status = "none", "Quiet for "+show.Lasted(s.quiet(v.Last.ReceivedAt))
		if silent {
			row.Light = "some"
		}
	}
	return row
}

func (s *Pages) quiet(since time.Time) time.Duration { return max(0, s.Cfg.Now().Sub(since)) }

// RejectedURL leads to what was rejected of a sender.
func (s sender) RejectedURL() string { return "/admin/rejected?source=" + s.Source }

// FailedURL leads to the failed events of a sender.
func (s sender) FailedURL() string {
	return fmt.Sprintf("/admin/events?source=%s&status=failed", s.Source)
}
