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

// chartDays is how many days the chart of newcomers shows.
const chartDays = 30

// Countable is among how many people those who meet a filter are counted by the
// way. Among more, who wants it asks for it: no page reads a million rows.
const Countable = 5000

// customersPage is what customers.html shows.
type customersPage struct {
	Store     customers.StoreInfo
	Filter    customers.Filter
	Customers []customers.Customer
	Next      string // URL of what comes after; empty at the end
	Menus     []core.Menu
	Sorts     []core.Option
	Chips     []core.Chip
	Open      bool   // the menus: one of them is on
	Wrong     string // why the filter cannot be used
	Figures   figures
	ListURL   string // without a filter
	PageURL   string // of this list, from its beginning
	CSVURL    string
	LiveURL   string
	CountURL  string
	Part      bool // not the page but its results, for a script, and what elsewhere follows from them
	IsAdmin   bool
	Version   string
}

// figures are the numbers above the list.
type figures struct {
	customers.Stats
	Tiles   []core.Tile
	Days    []bar
	Came    int64 // in all these days
	Known   bool  // false: there are too many to count by the way
	OfAll   bool  // of the whole list, not of a part
	Counted bool  // asked for by hand
}

// Customers shows a store's list as a page, or what of it a script asks for.
func (s *Pages) Customers(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request")
	q, err := s.ListQuery(r)
	if err != nil && !errors.Is(err, core.ErrCursor) {
		return err
	}
	counted := q.Has("count")
	q.Del("count")
	for _, f := range new(customers.Filter).Params() { // what the form says of a course that was not chosen
		if f.Of != nil && q.Get(f.Of.Name) == "" {
			q.Del(f.Name)
		}
	}
	filter, wrongFilter := customers.ParseFilter(r.PathValue("store"), q)
	err = cmp.Or(err, wrongFilter)
	page := customersPage{Filter: filter, IsAdmin: core.Admitted(r).Admin, Version: s.Cfg.Version}
	var wrong *pg.BadParam
	if errors.As(err, &wrong) {
		page.Wrong, page.Filter = wrong.Error(), customers.Filter{Store: filter.Store, Sort: customers.DefaultSort}
		return s.show(w, r, page)
	}
	page.urls()
	if page.Customers, page.Next, err = customers.New(s.Cfg.Store).Customers(r.Context(), filter); err != nil {
		return err
	}
	s.Ids().Customers(page.Customers)
	if page.Next != "" {
		page.Next = page.at("cursor", s.Ids().Cursor(core.ListScope(r), page.Next))
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

// show writes the page, or its results alone to a script.
func (s *Pages) show(w http.ResponseWriter, r *http.Request, page customersPage) (err error) {
	if page.Store, err = customers.New(s.Cfg.Store).Store(r.Context(), page.Filter.Store); err != nil {
		return err
	}
	last, err := customers.New(s.Cfg.Store).LastCustomer(r.Context())
	if err != nil {
		return err
	}
	page.urls()
	page.LiveURL = page.live(s.Ids().Cursor(liveScope(r), strconv.FormatInt(last, 10)))
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

// figure fills in the numbers above the list.
func (s *Pages) figure(r *http.Request, p *customersPage, counted bool) error {
	today := s.Cfg.Now().UTC().Truncate(24 * time.Hour)
	since := today.AddDate(0, 0, 1-chartDays)
	p.Figures.OfAll, p.Figures.Counted = !p.Filter.Narrow(), counted
	if !p.Filter.Quick() && !counted {
		among, err := customers.New(s.Cfg.Store).Stats(r.Context(), customers.Filter{Store: p.Filter.Store, Type: p.Filter.Type, Status: p.Filter.Status, Source: p.Filter.Source})
		if err != nil || among.Total > Countable {
			return err // Known stays false
		}
	}
	var days []customers.Day
	err := s.Counting(r.Context(), p.Filter.Quick(), func() (err error) {
		p.Figures.Stats, days, err = customers.New(s.Cfg.Store).Figures(r.Context(), p.Filter, since)
		return err
	})
	if !counted && (errors.Is(err, core.ErrCrowd) || errors.Is(err, core.ErrBusy)) {
		return nil // Known stays false
	}
	if err != nil {
		return err
	}
	stats := p.Figures.Stats
	p.Figures.Known = true
	p.Figures.Days, p.Figures.Came = bars(days, since, today)
	p.Figures.Tiles = []core.Tile{
		{Label: "All", URL: p.with("type", "", "status", ""), N: stats.Total,
			On: p.Filter.Type == "" && p.Filter.Status == ""},
		{Label: "Leads", URL: p.with("type", "lead"), N: stats.Leads, On: p.Filter.Type == "lead"},
		{Label: "Customers", URL: p.with("type", "paying"), N: stats.Paying, On: p.Filter.Type == "paying"},
		{Label: "Subscribers", URL: p.with("type", "subscription"), N: stats.Subscribers, On: p.Filter.Type == "subscription"},
		{Label: "Current", URL: p.with("status", "active"), N: stats.Active, On: p.Filter.Status == "active"},
	}
	return nil
}

// urls fills in the addresses around the list.
func (p *customersPage) urls() {
	base := "/store/" + url.PathEscape(p.Filter.Store) + "/customers"
	p.ListURL = base
	p.PageURL = p.with()
	q := p.query()
	p.CSVURL = core.Address("/api/stores/"+url.PathEscape(p.Filter.Store)+"/customers.csv", q)
	p.CountURL = p.with("count", "1")
}

// live is where the page hears of those who come after a customer.
func (p *customersPage) live(last string) string {
	q := p.query()
	q.Del("sort")
	q.Set("after", last)
	return core.Address(p.ListURL+"/live", q)
}

// query is the filter without what belongs to one page of it.
func (p *customersPage) query() url.Values {
	f := p.Filter
	f.Cursor, f.Limit = "", 0
	return f.Values()
}

// with is the address of the list with some parameters changed, from its beginning.
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

// at is the address of another page of the same list.
func (p *customersPage) at(name, value string) string {
	q := p.Filter.Values()
	q.Set(name, value)
	return core.Address(p.ListURL, q)
}

// bar is a day of the chart. Places and sizes are those of its drawing, which
// is chartHeight high and has chartStep for each day.
type bar struct {
	customers.Day
	X, Y, Height int
}

const (
	chartHeight = 40
	chartStep   = 8
)

// bars draws the days from since to today, those without newcomers too.
func bars(days []customers.Day, since, today time.Time) (out []bar, came int64) {
	most := int64(4) // a few newcomers are few to the eye too
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
