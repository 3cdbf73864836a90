package creators

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// chartDays is the number of days in the chart of new customers.
const chartDays = 30

// Countable is the longest list on which a filter's matches are counted unasked. On
// longer ones a person asks for the count: no page reads a million rows.
const Countable = 5000

// customersPage is the data of customers.html.
type customersPage struct {
	core.Shell
	Store     customers.StoreInfo
	Filter    customers.Filter
	Customers []customers.Customer
	Next      string // URL of the next page; empty at the end
	Menus     []core.Menu
	Sorts     []core.Option
	Chips     []core.Chip
	Open      bool         // whether the menus are unfolded: one of them is set
	Refused   *pg.BadParam // what of the filter is not valid; nil: nothing
	Wrong     string       // the same for people
	Figures   figures
	ListURL   string // without a filter
	PageURL   string // of the first page with this filter
	CSVURL    string
	LiveURL   string
	TagsURL   string
	Unknown   bool // no event has mentioned the store
	CountURL  string
	Part      bool // only the results and what follows from them, for htmx
}

// figures are the numbers above the list.
type figures struct {
	customers.Figures
	Tiles   []core.Tile
	Days    []bar
	Came    int64 // in all days of the chart
	Known   bool  // false: the list is too long to count unasked
	OfAll   bool  // of the whole list, without a filter
	Counted bool  // a person asked for the count
}

// Customers shows a store's list, or for htmx a part of it.
func (s *Pages) Customers(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request")
	q, err := s.ListQuery(r)
	if err != nil && !errors.Is(err, core.ErrCursor) {
		return err
	}
	counted := q.Has("count")
	q.Del("count")
	filter, wrongFilter := customers.ParseFilter(r.PathValue("store"), q)
	err = cmp.Or(err, wrongFilter)
	shell, shellErr := s.Shell(r, "customers")
	if shellErr != nil {
		return shellErr
	}
	page := customersPage{Shell: shell, Filter: filter}
	var wrong *pg.BadParam
	if errors.As(err, &wrong) {
		page.Refused, page.Wrong = wrong, wrong.Error()
		page.Filter.Sort = cmp.Or(page.Filter.Sort, customers.DefaultSort)
		return s.show(w, r, page)
	}
	page.urls()
	if page.Customers, page.Next, err = customers.New(s.Cfg.Store).Customers(r.Context(), filter); err != nil {
		return err
	}
	s.IDs().Customers(page.Customers)
	if page.Next != "" {
		page.Next = page.at("cursor", s.IDs().Cursor(core.ListScope(r), page.Next))
	}
	if core.IsPart(r) && filter.Cursor != "" {
		s.Page(w, http.StatusOK, "rows", page)
		return nil
	}
	if err := s.figure(r, &page, counted); err != nil {
		return err
	}
	return s.show(w, r, page)
}

// show writes the page, or only its results.
func (s *Pages) show(w http.ResponseWriter, r *http.Request, page customersPage) (err error) {
	if page.Store, err = customers.New(s.Cfg.Store).Store(r.Context(), page.Filter.Store); err != nil {
		return err
	}
	if page.IsAdmin && len(page.Customers) == 0 { // an id may be misspelt; creators only have stores that exist
		_, err := s.Cfg.Store.StoreAccounts(r.Context(), page.Filter.Store)
		if page.Unknown = errors.Is(err, pg.ErrNotFound); err != nil && !page.Unknown {
			return err
		}
	}
	last, err := customers.New(s.Cfg.Store).LastCustomer(r.Context())
	if err != nil {
		return err
	}
	page.urls()
	page.LiveURL = page.live(s.IDs().Cursor(liveScope(r), strconv.FormatInt(last, 10)))
	page.menus()
	page.Part = core.IsPart(r)
	switch {
	case page.Part:
		if page.Wrong == "" {
			w.Header().Set("HX-Push-Url", page.PageURL)
		}
		s.Page(w, http.StatusOK, "results", page)
	case page.Wrong != "":
		s.Page(w, http.StatusBadRequest, "customers.html", page)
	default:
		s.Page(w, http.StatusOK, "customers.html", page)
	}
	return nil
}

// figure fills in the figures.
func (s *Pages) figure(r *http.Request, p *customersPage, counted bool) error {
	today := s.Cfg.Now().UTC().Truncate(24 * time.Hour)
	since := today.AddDate(0, 0, 1-chartDays)
	p.Figures.OfAll, p.Figures.Counted = !p.Filter.Narrow(), counted
	if countable, err := s.countable(r, p.Filter, counted); err != nil || !countable {
		return err // Known stays false
	}
	err := s.Counting(r.Context(), p.Filter.Quick(), func() (err error) {
		p.Figures.Figures, err = customers.New(s.Cfg.Store).Figures(r.Context(), p.Filter, since)
		return err
	})
	if !counted && (errors.Is(err, core.ErrCrowd) || errors.Is(err, core.ErrBusy)) {
		return nil // Known stays false
	}
	if err != nil {
		return err
	}
	p.Figures.Known = true
	p.Figures.Days, p.Figures.Came = bars(p.Figures.Figures.Days, since, today)
	return s.tiles(r, p)
}

// countable tells whether a filter's matches are counted: in no time, unasked on a list
// that is not long, or because a person asked.
func (s *Pages) countable(r *http.Request, f customers.Filter, asked bool) (bool, error) {
	if asked || f.Quick() {
		return true, nil
	}
	among, err := customers.New(s.Cfg.Store).Stats(r.Context(), f.OfFacets())
	return among.Total <= Countable, err
}

// tiles fills in the tiles. Each counts what the list has once it is chosen: its count
// comes from the figures without what it replaces.
func (s *Pages) tiles(r *http.Request, p *customersPage) error {
	f, types, states, all := p.Filter, p.Filter, p.Filter, p.Filter
	types.Type, states.Status, all.Type, all.Status = "", "", "", ""
	known := map[customers.Filter]*customers.Stats{f: &p.Figures.Stats}
	for _, t := range []struct {
		label, typ, status string
		of                 customers.Filter
		count              func(customers.Stats) int64
	}{
		{"All", "", "", all, func(s customers.Stats) int64 { return s.Total }},
		{"Leads", "lead", f.Status, types, func(s customers.Stats) int64 { return s.Leads }},
		{"Customers", "paying", f.Status, types, func(s customers.Stats) int64 { return s.Paying }},
		{"Subscribers", "subscription", f.Status, types, func(s customers.Stats) int64 { return s.Subscribers }},
		{"Active", f.Type, "active", states, func(s customers.Stats) int64 { return s.Active }},
	} {
		shown := core.Tile{Label: t.label, URL: p.with("type", t.typ, "status", t.status),
			On: t.typ == f.Type && t.status == f.Status}
		if shown.On { // its matches have been counted
			t.of = f
		}
		if _, asked := known[t.of]; !asked {
			var err error
			if known[t.of], err = s.statsIfQuick(r, t.of, p.Figures.Counted); err != nil {
				return err
			}
		}
		if stats := known[t.of]; stats != nil {
			shown.Known, shown.N = true, t.count(*stats)
		}
		p.Figures.Tiles = append(p.Figures.Tiles, shown)
	}
	return nil
}

// statsIfQuick counts a filter's matches; nil if that would take too long.
func (s *Pages) statsIfQuick(r *http.Request, f customers.Filter, asked bool) (*customers.Stats, error) {
	if countable, err := s.countable(r, f, asked); err != nil || !countable {
		return nil, err
	}
	var stats customers.Stats
	err := s.Counting(r.Context(), f.Quick(), func() (err error) {
		stats, err = customers.New(s.Cfg.Store).Stats(r.Context(), f)
		return err
	})
	if !asked && (errors.Is(err, core.ErrCrowd) || errors.Is(err, core.ErrBusy)) {
		return nil, nil
	}
	return &stats, err
}

// urls fills in the page's links.
func (p *customersPage) urls() {
	base := "/store/" + url.PathEscape(p.Filter.Store) + "/customers"
	p.ListURL = base
	p.TagsURL = "/store/" + url.PathEscape(p.Filter.Store) + "/tags"
	p.PageURL = p.with()
	q := p.query()
	p.CSVURL = core.Address("/api/stores/"+url.PathEscape(p.Filter.Store)+"/customers.csv", q)
	p.CountURL = p.with("count", "1")
}

// live is the URL of the long poll for customers newer than last.
func (p *customersPage) live(last string) string {
	q := p.query()
	q.Del("sort")
	q.Set("after", last)
	return core.Address(p.ListURL+"/live", q)
}

// query is the filter's query without the cursor and limit.
func (p *customersPage) query() url.Values {
	f := p.Filter
	f.Cursor, f.Limit = "", 0
	return f.Values()
}

// with is the URL of the first page with some parameters changed.
func (p *customersPage) with(nameValues ...string) string {
	q := p.query()
	for i := 0; i < len(nameValues); i += 2 {
		q.Del(nameValues[i])
		if value := nameValues[i+1]; value != "" {
			q.Set(nameValues[i], value)
		}
	}
	return core.Address(p.ListURL, q)
}

// at is the URL of the list with one parameter set.
func (p *customersPage) at(name, value string) string {
	q := p.Filter.Values()
	q.Set(name, value)
	return core.Address(p.ListURL, q)
}

// bar is a day of the chart, in the coordinates of its drawing: chartHeight high,
// chartStep wide for each day.
type bar struct {
	customers.Day
	X, Y, Height int
}

const (
	chartHeight = 40
	chartStep   = 8
)

// bars makes a bar for each day from since to today.
func bars(days []customers.Day, since, today time.Time) (out []bar, came int64) {
	most := int64(4) // so that a few new customers look like a few
	of := map[time.Time]int64{}
	for _, d := range days {
		if !d.Date.After(today) {
			of[d.Date] = d.Customers
			most = max(most, d.Customers)
		}
	}
	for at := since; !at.After(today); at = at.AddDate(0, 0, 1) {
		n := of[at]
		height := int((n*chartHeight + most - 1) / most)
		out = append(out, bar{customers.Day{Date: at, Customers: n}, len(out) * chartStep, chartHeight - height, height})
		came += n
	}
	return out, came
}
