package operators

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/store/pg"
	"rollcall/store/status"
	"rollcall/web/core"
)

// eventsPage is the data of events.html.
type eventsPage struct {
	adminPage
	Filter     store.EventFilter
	Events     []store.Event
	Next       string // URL of the next page; empty at the end
	Waiting    string // URL of the states of pending events; empty if none is
	Sources    []core.Option
	Statuses   []core.Option
	Dismissed  []core.Option
	Types      []string
	Chips      []core.Chip
	Open       bool   // whether the menus are unfolded: one of them is set
	Wrong      string // why the filter is not valid
	Tiles      []statusTile
	Opened     int // the number of events that were just reopened
	PageURL    string
	RetryURL   string // of the page that retries or replays all matches
	ReplayURL  string
	DismissURL string
}

// eventOptions are the options of the list's parameters, by name.
var eventOptions = func() map[string][]core.Option {
	all := map[string][]core.Option{}
	for _, p := range new(store.EventFilter).Params() {
		all[p.Name] = core.ChoicesOf(p)
	}
	return all
}()

// eventStatuses are the options for a status.
var eventStatuses = eventOptions["status"][1:]

// Events shows the inbox, or for htmx a part of it.
func (s *Pages) Events(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request, HX-Target")
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	page := eventsPage{adminPage: s.adminPage("events", "Events")}
	page.Opened, _ = strconv.Atoi(q.Get("opened"))
	q.Del("opened")
	page.Filter, err = store.ParseEventFilter(q)
	if wrong, is := errors.AsType[*pg.BadParam](err); is {
		page.Wrong, page.Filter = wrong.Error(), store.EventFilter{}
		return s.showEvents(w, r, &page)
	}
	if core.IsPartOf(r, "counts") {
		return s.showCounts(w, r, &page)
	}
	var next string
	if page.Events, next, err = inbox.New(s.Cfg.Store).Events(r.Context(), page.Filter); err != nil {
		return err
	}
	if next != "" {
		page.Next = page.with("cursor", next)
	}
	page.Waiting = waiting(page.Events)
	if core.IsPart(r) && page.Filter.Cursor != "" {
		return s.Page(w, http.StatusOK, "eventrows", page)
	}
	return s.showEvents(w, r, &page)
}

// showEvents writes the page, or only its results.
func (s *Pages) showEvents(w http.ResponseWriter, r *http.Request, page *eventsPage) error {
	kinds, err := inbox.New(s.Cfg.Store).EventKinds(r.Context(), store.EventFilter{Source: page.Filter.Source})
	if err != nil {
		return err
	}
	for _, k := range kinds {
		page.Types = append(page.Types, k.Type)
	}
	if err := s.fillCounts(r, page); err != nil {
		return err
	}
	page.menus()
	name, status := "events.html", http.StatusOK
	switch {
	case core.IsPart(r):
		name = "eventresults"
		if page.Wrong == "" {
			w.Header().Set("HX-Push-Url", page.PageURL)
		}
	case page.Wrong != "":
		status = http.StatusBadRequest
	}
	return s.Page(w, status, name, page)
}

// showCounts writes only the tiles.
func (s *Pages) showCounts(w http.ResponseWriter, r *http.Request, page *eventsPage) error {
	if err := s.fillCounts(r, page); err != nil {
		return err
	}
	page.menus()
	return s.Page(w, http.StatusOK, "eventcounts", page)
}

// fillCounts fills in the tiles; the counts may be a moment old. They are of all events, so there are none
// beside a list of some.
func (s *Pages) fillCounts(r *http.Request, page *eventsPage) error {
	others := page.Filter
	if others.Status = ""; others.Narrow() {
		return nil
	}
	counts, rough, err := s.eventCounts(r)
	page.Tiles = statusTiles(counts, rough, func(status string) string { return page.with("status", status) })
	for i, o := range eventStatuses {
		page.Tiles[i].On = o.Value == page.Filter.Status
	}
	return err
}

// eventCounts are the cached counts, or else new ones.
func (s *Pages) eventCounts(r *http.Request) (map[string]int64, []string, error) {
	if v := s.vitals(r.Context()); v.Inbox != nil {
		return v.Inbox.Counts, v.Inbox.Rough, nil
	}
	return status.New(s.Cfg.Store).RoughEventCounts(r.Context())
}

// statusTile is a count that links to its events.
type statusTile struct {
	core.Tile
	Text string
}

// statusTiles makes the tiles; rough counts are marked.
func statusTiles(counts map[string]int64, rough []string, url func(status string) string) (tiles []statusTile) {
	for _, o := range eventStatuses {
		n := counts[o.Value]
		t := statusTile{core.Tile{Label: o.Label, URL: url(o.Value), N: n}, show.Number(n)}
		switch {
		case !slices.Contains(rough, o.Value):
		case o.Value == "processed", o.Value == "ignored":
			t.Text = "≈ " + t.Text
		default:
			t.Text += " or more"
		}
		tiles = append(tiles, t)
	}
	return tiles
}

// with is the URL of the first page with one parameter changed.
func (p *eventsPage) with(name, value string) string {
	f := p.Filter
	f.Cursor, f.Limit = "", 0
	q := f.Values()
	if q.Del(name); value != "" {
		q.Set(name, value)
	}
	return core.Address("/admin/events", q)
}

// menus fills in the menus and links.
func (p *eventsPage) menus() {
	f := p.Filter
	p.Sources = core.Menu{Options: eventOptions["source"]}.Choose(f.Source).Options
	p.Statuses = core.Menu{Options: eventOptions["status"]}.Choose(f.Status).Options
	p.Dismissed = core.Menu{Options: eventOptions["dismissed"]}.Choose(f.Dismissed).Options
	p.PageURL = p.with("", "")
	p.Open = f.Store != "" || f.Type != "" || f.Dismissed != "" || f.Error != "" || f.Since != "" || f.Until != ""
	p.Chips = nil
	for _, c := range f.Params() {
		if *c.Value != "" {
			p.Chips = append(p.Chips, core.Chip{Label: c.Label + ": " + *c.Value, URL: p.with(c.Name, "")})
		}
	}
	p.RetryURL, p.ReplayURL, p.DismissURL = reopenURL("retry", f), reopenURL("replay", f), reopenURL("dismiss", f)
}

// reopenURL is the page that retries or replays all matches of a filter.
func reopenURL(do string, f store.EventFilter) string {
	f.Cursor, f.Limit = "", 0
	q := f.Values()
	q.Set("do", do)
	return core.Address("/admin/reopen", q)
}

// waiting is the URL of the states of those events that are pending.
func waiting(events []store.Event) string {
	var ids []string
	for _, e := range events {
		if e.Status == "pending" {
			ids = append(ids, strconv.FormatInt(e.ID, 10))
		}
	}
	if len(ids) == 0 {
		return ""
	}
	return core.Address("/admin/event-states", url.Values{"ids": {strings.Join(ids, ",")}})
}

// statesPage is the data of the states of some events.
type statesPage struct {
	Events  []store.Event
	Waiting string // URL of the next request; empty once none is pending
}

// EventStates answers htmx with the states of events on the list.
func (s *Pages) EventStates(w http.ResponseWriter, r *http.Request) error {
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	var ids []int64
	for text := range strings.SplitSeq(q.Get("ids"), ",") {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || len(ids) >= pg.MaxLimit {
			return &pg.BadParam{Name: "ids", Reason: "must be up to 100 ids of events, separated by commas"}
		}
		ids = append(ids, id)
	}
	var page statesPage
	if page.Events, err = inbox.New(s.Cfg.Store).EventsWithIDs(r.Context(), ids); err != nil {
		return err
	}
	page.Waiting = waiting(page.Events)
	return s.Page(w, http.StatusOK, "eventstates", page)
}
