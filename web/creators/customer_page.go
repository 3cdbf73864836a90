package creators

import (
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

const (
	pageEntries = 20  // of the timeline
	pageNotes   = 100 // the newest; more are rare
)

// customerPage is the data of customer.html.
type customerPage struct {
	core.Shell
	Store          customers.StoreInfo
	Customer       customers.Customer
	Why            customers.Explanation
	Figures        customerFigures
	Payments       []payment
	Days           []activityDay // of the timeline
	Abouts         []about
	Earlier        string // URL of earlier entries; empty: none
	Notes          []core.CustomerNote
	Names          map[string]string // of people who wrote notes, by Clerk id
	Draft          string            // of a note that was refused
	Editing        string            // the id of that note; empty: a new one
	Wrong          string            // why it was refused
	TagDraft       string            // name of a tag that was refused
	TagWrong       string            // why
	Mail           *mailOfCustomer
	StripeURLs     []string // of the customer in Stripe's dashboard
	ListURL        string   // the list that the visitor came from
	AllURL         string   // of the whole list
	Previous, Next string   // URLs of the neighbours on that list; empty: none
	URL            string
	Query          string // of that list, with "?"; empty: none

	filter customers.Filter
}

// about is a link to a part of the timeline.
type about struct {
	Label, URL string
	On         bool
}

// Customer shows the page of a customer, or for htmx the next part of the timeline. Its
// query is that of the list that the visitor came from, and where the timeline goes on.
func (s *Pages) Customer(w http.ResponseWriter, r *http.Request) error {
	q, err := s.QueryWith(r, "before", core.TimelineScope(r))
	if err != nil {
		return err
	}
	page := s.newCustomerPage(r)
	if core.IsNumber(path.Base(r.URL.Path)) { // an operator's shortcut, redirected to the address that others can use
		http.Redirect(w, r, core.Address(page.URL, q), http.StatusSeeOther)
		return nil
	}
	filter := customers.TimelineFilter{About: q.Get("about"), Cursor: q.Get("before"), Limit: pageEntries}
	if core.IsPart(r) {
		if page.Shell, err = s.Shell(r, "customers"); err != nil {
			return err
		}
		if err := s.timeline(r, &page, filter); err != nil {
			return err
		}
		return s.Page(w, http.StatusOK, "entries", page)
	}
	return s.showCustomerPage(w, r, filter, page)
}

// newCustomerPage is the page of the customer in the path. A list that cannot be is
// taken for that of all.
func (s *Pages) newCustomerPage(r *http.Request) (page customerPage) {
	list := pathOf(r, "customers")
	page.ListURL, page.AllURL, page.URL = list, list, list+"/"+s.IDs().Customer(r.PathValue("id"))
	page.filter = customers.Filter{Store: r.PathValue("store")}
	q := r.URL.Query()
	for _, own := range []string{"before", "about", "day", "cursor", "limit"} {
		q.Del(own)
	}
	if f, err := customers.ParseFilter(page.filter.Store, q); err == nil {
		page.filter = f
		page.ListURL = core.Address(list, f.Values())
		page.Query = strings.TrimPrefix(page.ListURL, list)
	}
	return page
}

// showCustomerPage reads and writes the page, which may have a note or tag that was
// refused.
func (s *Pages) showCustomerPage(w http.ResponseWriter, r *http.Request, f customers.TimelineFilter,
	page customerPage) (err error) {
	ctx, storeID, id, reader := r.Context(), r.PathValue("store"), r.PathValue("id"), customers.New(s.Cfg.Store)
	if page.Shell, err = s.Shell(r, "customers"); err != nil {
		return err
	}
	if page.Customer, err = reader.Customer(ctx, storeID, id); err != nil {
		return err
	}
	if page.Why, err = reader.Explain(ctx, storeID, id); err != nil {
		return err
	}
	page.Payments, page.Figures = paymentsOf(page.Why, s.Cfg.Now()), figuresOf(page.Customer, page.Why)
	page.StripeURLs = stripeURLs(page.Why)
	if page.Store, err = reader.Store(ctx, storeID); err != nil {
		return err
	}
	for _, read := range []func(*http.Request, *customerPage) error{s.notes, s.neighbours, s.mailOf,
		func(r *http.Request, page *customerPage) error { return s.timeline(r, page, f) }} {
		if err := read(r, &page); err != nil {
			return err
		}
	}
	status := http.StatusOK
	if page.Wrong != "" || page.TagWrong != "" {
		status = http.StatusBadRequest
	}
	return s.Page(w, status, "customer.html", page)
}

// notes reads the notes and the names of their authors.
func (s *Pages) notes(r *http.Request, page *customerPage) error {
	reader := customers.New(s.Cfg.Store)
	notes, err := reader.Notes(r.Context(), r.PathValue("store"), r.PathValue("id"), 0, pageNotes)
	if err != nil {
		return err
	}
	page.Notes = s.ShownNotes(r, notes)
	var authors []string
	for _, n := range notes {
		authors = append(authors, n.Author, n.Editor)
	}
	page.Names, err = reader.Names(r.Context(), authors)
	return err
}

// neighbours links to the customers before and after this one on the list. A list that
// is searched for too long links to none.
func (s *Pages) neighbours(r *http.Request, page *customerPage) error {
	previous, next, err := customers.New(s.Cfg.Store).Neighbours(r.Context(), page.filter, r.PathValue("id"))
	if err != nil {
		return err
	}
	page.Previous, page.Next = s.neighbour(r, page, previous), s.neighbour(r, page, next)
	return nil
}

// neighbour is the URL of another customer's page on the same list.
func (s *Pages) neighbour(r *http.Request, page *customerPage, id string) string {
	if id == "" {
		return ""
	}
	return pathOf(r, "customers/") + s.IDs().Customer(id) + page.Query
}

// timeline reads a page of the timeline.
func (s *Pages) timeline(r *http.Request, page *customerPage, f customers.TimelineFilter) error {
	entries, next, err := customers.New(s.Cfg.Store).Timeline(r.Context(), r.PathValue("store"), r.PathValue("id"), f)
	if err != nil {
		return err
	}
	page.Days = daysOf(entries, s.Cfg.Now(), page.Zone(), r.URL.Query().Get("day"))
	for _, c := range f.Abouts() {
		page.Abouts = append(page.Abouts, about{c.Label, page.at("about", c.Value), c.Value == f.About})
	}
	if next != "" {
		page.Earlier = page.at("about", f.About, "before", s.IDs().Cursor(core.TimelineScope(r), next),
			"day", page.Days[len(page.Days)-1].Day)
	}
	return nil
}

// at is the page's URL with some parameters besides those of the list.
func (p customerPage) at(nameValues ...string) string {
	q := p.filter.Values()
	for i := 0; i < len(nameValues); i += 2 {
		if value := nameValues[i+1]; value != "" {
			q.Set(nameValues[i], value)
		}
	}
	return core.Address(p.URL, q)
}

// editing is a note's number as an id; empty for a new note.
func (s *Pages) editing(number string) string {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return ""
	}
	return s.IDs().ID(core.NoteID, n)
}

// NoteForm handles the form that adds or edits a note.
func (s *Pages) NoteForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	ctx, storeID, id, text := r.Context(), r.PathValue("store"), r.PathValue("id"), r.PostForm.Get("body")
	var err error
	note := r.PathValue("note")
	if note != "" {
		_, err = customers.New(s.Cfg.Store).EditNote(ctx, storeID, id, note, core.NewNote(r, text))
	} else {
		_, err = customers.New(s.Cfg.Store).AddNote(ctx, storeID, id, core.NewNote(r, text))
	}
	if wrong, is := errors.AsType[*pg.BadParam](err); is {
		page := s.newCustomerPage(r)
		page.Draft, page.Editing, page.Wrong = text, s.editing(note), "The note "+wrong.Reason+"."
		return s.showCustomerPage(w, r, customers.TimelineFilter{Limit: pageEntries}, page)
	}
	return s.backTo(w, r, "#notes", err)
}

// NoteDeleted handles the delete button of a note.
func (s *Pages) NoteDeleted(w http.ResponseWriter, r *http.Request) error {
	return s.backTo(w, r, "#notes", gone(customers.New(s.Cfg.Store).DeleteNote(r.Context(), r.PathValue("store"),
		r.PathValue("id"), r.PathValue("note"))))
}

// backTo redirects to a part of the page, unless err is set.
func (s *Pages) backTo(w http.ResponseWriter, r *http.Request, part string, err error) error {
	if err != nil {
		return err
	}
	page := s.newCustomerPage(r)
	http.Redirect(w, r, page.URL+page.Query+part, http.StatusSeeOther)
	return nil
}
