package creators

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

const (
	pageEntries = 20  // of the timeline, at a time
	pageNotes   = 100 // the newest; there are seldom more
)

// customerPage is what customer.html shows.
type customerPage struct {
	Store    customers.StoreInfo
	Customer customers.Customer
	Why      customers.Explanation
	Timeline []customers.Entry
	Earlier  string // URL of what was before; empty at the beginning
	Notes    []core.CustomerNote
	Draft    string // of a note that could not be kept
	Editing  string // which one it was to be; empty: a new one
	Wrong    string // why not
	ListURL  string
	URL      string
	IsAdmin  bool
	Version  string
}

// Customer shows a customer's own page, or to a script the next part of its
// timeline.
func (s *Pages) Customer(w http.ResponseWriter, r *http.Request) error {
	q, err := s.QueryWith(r, "before", core.TimelineScope(r))
	if err != nil {
		return err
	}
	page := s.newCustomerPage(r)
	if core.IsNumber(path.Base(r.URL.Path)) { // an operator's shortcut; others can be given the address it leads to
		http.Redirect(w, r, core.Address(page.URL, q), http.StatusSeeOther)
		return nil
	}
	filter := customers.TimelineFilter{Cursor: q.Get("before"), Limit: pageEntries}
	if core.IsPart(r) {
		if err := s.timeline(r, &page, filter); err != nil {
			return err
		}
		s.Page(w, http.StatusOK, "entries", page)
		return nil
	}
	return s.showCustomerPage(w, r, filter, customerPage{})
}

// newCustomerPage is the page of the customer whom the request names.
func (s *Pages) newCustomerPage(r *http.Request) customerPage {
	list := "/store/" + url.PathEscape(r.PathValue("store")) + "/customers"
	return customerPage{ListURL: list, URL: list + "/" + s.Ids().Customer(r.PathValue("id")), IsAdmin: core.Admitted(r).Admin}
}

// showCustomerPage reads and writes all of the page; failed has the note that
// could not be kept, if there is one.
func (s *Pages) showCustomerPage(w http.ResponseWriter, r *http.Request, f customers.TimelineFilter, failed customerPage) (err error) {
	ctx, storeID, id := r.Context(), r.PathValue("store"), r.PathValue("id")
	page := s.newCustomerPage(r)
	page.Draft, page.Editing, page.Wrong, page.Version = failed.Draft, failed.Editing, failed.Wrong, s.Cfg.Version
	if page.Customer, err = customers.New(s.Cfg.Store).Customer(ctx, storeID, id); err != nil {
		return err
	}
	if page.Why, err = customers.New(s.Cfg.Store).Explain(ctx, storeID, id); err != nil {
		return err
	}
	if err := s.timeline(r, &page, f); err != nil {
		return err
	}
	notes, err := customers.New(s.Cfg.Store).Notes(ctx, storeID, id, 0, pageNotes)
	if err != nil {
		return err
	}
	page.Notes = s.ShownNotes(r, notes)
	if page.Store, err = customers.New(s.Cfg.Store).Store(ctx, storeID); err != nil {
		return err
	}
	status := http.StatusOK
	if page.Wrong != "" {
		status = http.StatusBadRequest
	}
	s.Page(w, status, "customer.html", page)
	return nil
}

// Reduced tells whether of what was paid anything was given back or disputed.
func (p customerPage) Reduced() bool {
	return slices.ContainsFunc(p.Why.Payments, func(f customers.PaymentFact) bool { return f.Refunded.Amount != 0 || f.Disputed.Amount != 0 })
}

// timeline reads a part of what happened.
func (s *Pages) timeline(r *http.Request, page *customerPage, f customers.TimelineFilter) error {
	entries, next, err := customers.New(s.Cfg.Store).Timeline(r.Context(), r.PathValue("store"), r.PathValue("id"), f)
	if err != nil {
		return err
	}
	page.Timeline = entries
	if next != "" {
		page.Earlier = core.Address(page.URL, url.Values{"before": {s.Ids().Cursor(core.TimelineScope(r), next)}})
	}
	return nil
}

// editing is how the number of a note is shown; empty for a new one.
func (s *Pages) editing(number string) string {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return ""
	}
	return s.Ids().Id(core.NoteID, n)
}

// NoteForm takes the form of a new note, or of one that is written anew.
func (s *Pages) NoteForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, core.MaxBody)
	if err := r.ParseForm(); err != nil {
		return core.ErrForm
	}
	ctx, storeID, id, text := r.Context(), r.PathValue("store"), r.PathValue("id"), r.PostForm.Get("body")
	var err error
	note := r.PathValue("note")
	if note != "" {
		_, err = customers.New(s.Cfg.Store).EditNote(ctx, storeID, id, note, core.NewNote(r, text))
	} else {
		_, err = customers.New(s.Cfg.Store).AddNote(ctx, storeID, id, core.NewNote(r, text))
	}
	var wrong *pg.BadParam
	if errors.As(err, &wrong) {
		return s.showCustomerPage(w, r, customers.TimelineFilter{Limit: pageEntries}, customerPage{Draft: text, Editing: s.editing(note), Wrong: "The note " + wrong.Reason + "."})
	}
	return s.backToNotes(w, r, err)
}

// NoteDeleted takes the button of a note.
func (s *Pages) NoteDeleted(w http.ResponseWriter, r *http.Request) error {
	return s.backToNotes(w, r, customers.New(s.Cfg.Store).DeleteNote(r.Context(), r.PathValue("store"), r.PathValue("id"), r.PathValue("note")))
}

// backToNotes shows the page again, unless something failed.
func (s *Pages) backToNotes(w http.ResponseWriter, r *http.Request, err error) error {
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.newCustomerPage(r).URL+"#notes", http.StatusSeeOther)
	return nil
}
