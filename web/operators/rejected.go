package operators

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"rollcall/store"
	"rollcall/store/status"
	"rollcall/watch"
	"rollcall/web/core"
)

// rejectedSpans are the times that the page of rejected deliveries shows.
var rejectedSpans = slices.Concat(chartSpans, []chartSpan{
	{"quarter", "90 days", status.Span{Step: 24 * time.Hour, Steps: 90}, "day", "2 Jan 2006", "in 90 days"}})

// rejectedPage is the data of rejected.html.
type rejectedPage struct {
	adminPage
	Span     chartSpan
	Spans    []core.Option
	Sources  []core.Option
	Reasons  []core.Option
	Filtered bool
	Why      []why
	Networks []network
	Times    []rejectedAt
	Total    int64
	Most     bool // Times or Networks end at status.MostRejected
}

// why is a reason for which deliveries of a sender were rejected.
type why struct {
	status.RejectedCount
	watch.Refusal
	Label    string
	Sender   string
	Variable string // the setting that has the sender's secrets, if that may be wrong
}

// network is where rejected deliveries came from.
type network struct {
	status.Network
	Label, Sender string
}

// Elsewhere tells whether it stands for many networks.
func (n network) Elsewhere() bool { return n.Network.Network == store.Elsewhere }

// rejectedAt are deliveries that were rejected in one step.
type rejectedAt struct {
	status.Rejected
	When, Label, Sender string
}

// Rejected shows which deliveries were rejected: they are counted, and kept nowhere.
func (s *Pages) Rejected(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page := rejectedPage{adminPage: s.adminPage("health", "Rejected webhooks")}
	filter := page.choose(q)
	page.Filtered = filter.Source != "" || filter.Reason != ""
	reader, now := status.New(s.Cfg.Store), s.Cfg.Now()
	counts, err := reader.RejectedCounts(r.Context(), filter, now)
	if err != nil {
		return err
	}
	networks, err := reader.Networks(r.Context(), filter, now)
	if err != nil {
		return err
	}
	times, err := reader.Rejected(r.Context(), filter, now)
	if err != nil {
		return err
	}
	page.Most = max(len(networks), len(times)) >= status.MostRejected
	page.show(counts, networks, times)
	return s.Page(w, http.StatusOK, "rejected.html", page)
}

// choose reads the filter, and fills in the menus. What is unknown counts as not chosen.
func (p *rejectedPage) choose(q url.Values) (f status.RejectedFilter) {
	p.Span = spanOf(rejectedSpans, q.Get("span"), 1)
	f.Span = p.Span.Span
	for _, span := range rejectedSpans {
		p.Spans = append(p.Spans, core.Option{Value: span.Name, Label: span.Label, On: span.Name == p.Span.Name})
	}
	p.Sources, p.Reasons = []core.Option{{Label: "Any sender"}}, []core.Option{{Label: "Any reason"}}
	for _, source := range store.Sources {
		on := source == q.Get("source")
		if p.Sources = append(p.Sources, core.Option{Value: source, Label: store.SourceLabel(source), On: on}); on {
			f.Source = source
		}
	}
	for _, r := range watch.Refusals {
		on := r.Code == q.Get("reason")
		if p.Reasons = append(p.Reasons, core.Option{Value: r.Code, Label: r.Label, On: on}); on {
			f.Reason = r.Code
		}
	}
	return f
}

// show fills in what was rejected.
func (p *rejectedPage) show(counts []status.RejectedCount, networks []status.Network, times []status.Rejected) {
	for _, c := range counts {
		refusal := watch.RefusalOf(c.Reason)
		one := why{RejectedCount: c, Refusal: refusal, Label: refusal.Label, Sender: store.SourceLabel(c.Source)}
		if c.Reason == store.BadSignature || c.Reason == "not_configured" {
			one.Variable = watch.SecretsOf(c.Source)
		}
		p.Why = append(p.Why, one)
		p.Total += c.Count
	}
	for _, n := range networks {
		p.Networks = append(p.Networks, network{n, watch.RefusalOf(n.Reason).Label, store.SourceLabel(n.Source)})
	}
	for _, t := range times {
		p.Times = append(p.Times, rejectedAt{t, t.At.Format(p.Span.time), watch.RefusalOf(t.Reason).Label,
			store.SourceLabel(t.Source)})
	}
}
