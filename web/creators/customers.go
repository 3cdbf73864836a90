package creators

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"rollcall/internal/moment"
	"rollcall/internal/show"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// customersPage is the data of customers.html.
type customersPage struct {
	core.Shell
	Store     customers.StoreInfo
	Filter    customers.Filter
	Customers []customers.Customer
	Next      string        // URL of the next page; empty at the end
	First     int           // the number of the first in the list, from 1
	Chips     []filterGroup // filters that are set
	Filters   []filterGroup // those that are not
	Sorts     []core.Option
	Columns   map[string]column // by order
	Choice    []core.Option     // of columns
	Refused   *pg.BadParam      // what of the filter is not valid; nil: nothing
	Wrong     string            // the same for people
	Figures   figures
	Tabs      []tab
	Pinned    []pinnedTab // for browsers without a script
	ListURL   string      // without a filter
	PageURL   string      // of the first page with this filter
	CSVURL    string
	LiveURL   string
	TagsURL   string
	PinnedURL string
	SaveURL   string           // makes a segment of the filter; empty: there is no such page
	labels    customers.Labels // of what a rule or segment in the filter names
	filter    url.Values       // without the cursor and limit
	Query     string           // the same, for the form of the selection
	Unknown   bool             // no event has mentioned the store
	CountURL  string
	shown     int   // how many were shown when the reader left: as many come again
	newest    int64 // the customer after whom others are new
	Part      bool  // only the results and what follows from them, for htmx
}

// Customers shows a store's list, or for htmx a part of it.
func (s *Pages) Customers(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request")
	var page customersPage
	err := s.asked(r, &page)
	if wrong, is := errors.AsType[*pg.BadParam](err); is {
		page.Refused, page.Wrong = wrong, wrong.Error()
		page.Filter.Sort = cmp.Or(page.Filter.Sort, customers.DefaultSort)
		if err := errors.Join(s.shell(r, &page), s.around(r, &page)); err != nil {
			return err
		}
		return s.show(w, r, page)
	}
	if err != nil {
		return err
	}
	return s.list(w, r, page)
}

// asked reads what the address asks for.
func (s *Pages) asked(r *http.Request, page *customersPage) error {
	q, err := s.ListQuery(r)
	if err != nil && !errors.Is(err, core.ErrCursor) {
		return err
	}
	page.First, page.shown = numberIn(q, "from", 1e9), numberIn(q, "shown", mostShown)
	page.Figures.counted = q.Has("count")
	q.Del("count")
	q.Del("from")
	q.Del("shown")
	if err := s.plain(r, q); err != nil {
		return err
	}
	var wrong error
	page.Filter, wrong = customers.ParseFilter(r.PathValue("store"), q)
	return cmp.Or(err, wrong)
}

// plain has what was typed in a filter as in its address: numbers with a point, and days as
// times, which begin in the page's time zone.
func (s *Pages) plain(r *http.Request, q url.Values) error {
	locale := show.LocaleIn(r.Context())
	for _, p := range new(customers.Filter).Params() {
		if p.Kind == pg.Moment && len(q[p.Name]) > 1 { // an option and a day: one is empty, or the day counts
			q[p.Name] = []string{cmp.Or(q[p.Name][len(q[p.Name])-1], q[p.Name][0])}
		}
		for i, value := range q[p.Name] {
			if p.Kind == pg.Moment && moment.IsDay(value) {
				on, err := s.Shell(r, "customers")
				if err != nil {
					return err
				}
				q[p.Name][i] = typed(p.Kind, value, on)
			} else {
				q[p.Name][i] = customers.Typed(p.Kind, value, locale)
			}
		}
	}
	return nil
}

// list reads the customers and the figures, and shows them.
func (s *Pages) list(w http.ResponseWriter, r *http.Request, page customersPage) (err error) {
	page.urls()
	if core.IsPart(r) && page.Filter.Cursor != "" {
		if err := errors.Join(s.shell(r, &page), s.people(r, &page)); err != nil {
			return err
		}
		return s.Page(w, http.StatusOK, "rows", page)
	}
	// Side by side: none of them needs another, and together they wait for Postgres once.
	var group errgroup.Group
	for _, read := range []func(*http.Request, *customersPage) error{s.people, s.figure, s.around, s.shell} {
		group.Go(func() error { return read(r, &page) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return s.show(w, r, page)
}

// people reads the customers.
func (s *Pages) people(r *http.Request, page *customersPage) (err error) {
	all := page.Filter
	all.Limit = max(all.Limit, page.shown)
	if page.Customers, page.Next, err = customers.New(s.Cfg.Store).Customers(r.Context(), all); err != nil {
		return err
	}
	s.IDs().Customers(page.Customers)
	if page.Next != "" {
		page.Next = page.at("cursor", s.IDs().Cursor(core.ListScope(r), page.Next),
			"from", strconv.Itoa(page.First+len(page.Customers)))
	}
	return nil
}

func (s *Pages) shell(r *http.Request, page *customersPage) (err error) {
	page.Shell, err = s.Shell(r, "customers")
	return err
}

// around reads what the list stands in: the store, and the customer after whom others
// are new.
func (s *Pages) around(r *http.Request, page *customersPage) (err error) {
	if page.Store, err = customers.New(s.Cfg.Store).Store(r.Context(), page.Filter.Store); err != nil {
		return err
	}
	for _, one := range page.Store.Pinned {
		f := customers.Filter{Store: page.Store.ID, Segment: one.ID}
		page.Pinned = append(page.Pinned, pinnedOf(r, one, s.counts.last(f)))
	}
	page.newest, err = customers.New(s.Cfg.Store).LastCustomer(r.Context())
	return err
}

// show writes the page, or only its results.
func (s *Pages) show(w http.ResponseWriter, r *http.Request, page customersPage) (err error) {
	if page.IsAdmin && len(page.Customers) == 0 { // an id may be misspelt; creators only have stores that exist
		if page.Unknown, err = s.Unmentioned(r.Context(), page.Filter.Store); err != nil {
			return err
		}
	}
	page.urls()
	page.LiveURL = page.live(s.IDs().Cursor(liveScope(r), strconv.FormatInt(page.newest, 10)))
	if page.labels, err = s.labels(r, page.Filter); err != nil {
		return err
	}
	page.menus()
	page.columns()
	page.Choice = columnChoice(r, page.Forecasts)
	page.Part = core.IsPart(r)
	switch {
	case page.Part:
		if page.Wrong == "" {
			w.Header().Set("HX-Push-Url", page.PageURL)
		}
		return s.Page(w, http.StatusOK, "results", page)
	case page.Wrong != "":
		return s.Page(w, http.StatusBadRequest, "customers.html", page)
	}
	return s.Page(w, http.StatusOK, "customers.html", page)
}

// urls fills in the page's links.
func (p *customersPage) urls() {
	f := p.Filter
	f.Cursor, f.Limit = "", 0
	p.filter = f.Values()
	base := customersPath(f.Store)
	p.ListURL = base
	p.TagsURL = "/store/" + url.PathEscape(p.Filter.Store) + "/tags"
	p.PageURL = p.with()
	q := p.query()
	p.Query = q.Encode()
	p.PinnedURL = base + "/pinned"
	if p.Filter.Segment != "" {
		p.PinnedURL += "?segment=" + url.QueryEscape(p.Filter.Segment)
	}
	p.CSVURL = csvURL(p.Filter)
	if p.Shell.Has("segments") {
		q.Del("sort")
		p.SaveURL = core.Address("/store/"+url.PathEscape(p.Filter.Store)+"/segments/new", q)
	}
	p.CountURL = p.with("count", "1")
}

// labels are those of what the filter names by a rule or a segment.
func (s *Pages) labels(r *http.Request, f customers.Filter) (customers.Labels, error) {
	if f.Rule == "" && f.Segment == "" {
		return customers.Labels{}, nil
	}
	rule, err := f.AsRule()
	if err != nil {
		return customers.Labels{}, nil // it is refused elsewhere
	}
	return customers.New(s.Cfg.Store).LabelsOf(r.Context(), f.Store, rule)
}

// csvURL is where the export of a list is.
func csvURL(f customers.Filter) string {
	f.Cursor, f.Limit = "", 0
	return core.Address("/api/stores/"+url.PathEscape(f.Store)+"/customers.csv", f.Values())
}

// live is the URL of the long poll for customers newer than last.
func (p *customersPage) live(last string) string {
	q := p.query()
	q.Del("sort")
	q.Set("after", last)
	return core.Address(p.ListURL+"/live", q)
}

// query is the filter's query without the cursor and limit, to be changed.
func (p *customersPage) query() url.Values { return maps.Clone(p.filter) }

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

// at is the URL of the list with some parameters set.
func (p *customersPage) at(nameValues ...string) string {
	q := p.Filter.Values()
	for pair := range slices.Chunk(nameValues, 2) {
		q.Set(pair[0], pair[1])
	}
	return core.Address(p.ListURL, q)
}

// mostShown is how many customers a page has at most, when its reader comes back.
const mostShown = 1000

// numberIn is a number in the address of a page that the script wrote there: 1 if it is none.
func numberIn(q url.Values, name string, most int) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 {
		return 1
	}
	return min(n, most)
}

// Last is the number of the last customer of the page.
func (p customersPage) Last() int { return p.First + len(p.Customers) - 1 }

// Rows are the customers of the page, whose pages lead on along this list.
func (p customersPage) Rows() (rows []core.Row) {
	list := p.query() // that they go back to
	for i := range p.Customers {
		c := &p.Customers[i]
		rows = append(rows, core.Row{Customer: c, URL: core.Address(p.ListURL+"/"+c.ID, list)})
	}
	return rows
}

// Empty tells whether the store has no customer at all.
func (p customersPage) Empty() bool {
	return len(p.Customers) == 0 && p.Wrong == "" && p.Filter.Cursor == "" && !p.Filter.Narrow()
}

// column is the head of a column that the list can be sorted by.
type column struct {
	URL  string
	Sort string // for aria-sort: ascending or descending; empty: the list is sorted otherwise
}

// columns are the heads. Each sorts by itself, first as people mostly want it, then the
// other way round.
func (p *customersPage) columns() {
	p.Columns = map[string]column{}
	for order, first := range map[string]string{"name": "", "spent": "-", "last_activity": "-", "first_seen": "-",
		"expected": "-"} {
		c, next := column{}, first+order
		switch p.Filter.Sort {
		case order:
			c.Sort, next = "ascending", "-"+order
		case "-" + order:
			c.Sort, next = "descending", order
		}
		c.URL = p.with("sort", next)
		p.Columns[order] = c
	}
}
