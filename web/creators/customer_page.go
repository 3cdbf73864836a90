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
	pageEntries = 20  // of the timeline
	pageNotes   = 100 // the newest; more are rare
)

// customerPage is the data of customer.html.
type customerPage struct {
	core.Shell
	Store    customers.StoreInfo
	Customer customers.Customer
	Why      customers.Explanation
	Timeline []customers.Entry
	Earlier  string // URL of earlier entries; empty: none
	Notes    []core.CustomerNote
	Names    map[string]string // of people who wrote notes, by Clerk id
	Draft    string            // of a note that was refused
	Editing  string            // the id of that note; empty: a new one
	Wrong    string            // why it was refused
	TagDraft string            // name of a tag that was refused
	TagWrong string            // why
	ListURL  string
	URL      string
}

// Customer shows the page of a customer, or for htmx the next part of the timeline.
func (s *Pages) Customer(w http.ResponseWriter, r *http.Request) error {
	q, err := s.QueryWith(r, "before", core.TimelineScope(r))
	if err != nil {
		return err
	}
	page, err := s.newCustomerPage(r)
	if err != nil {
		return err
	}
	if core.IsNumber(path.Base(r.URL.Path)) { // an operator's shortcut, redirected to the address that others can use
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

// newCustomerPage is the page of the customer in the path.
func (s *Pages) newCustomerPage(r *http.Request) (page customerPage, err error) {
	page.ListURL = "/store/" + url.PathEscape(r.PathValue("store")) + "/customers"
	page.URL = s.customerURL(r)
	page.Shell, err = s.Shell(r, "customers")
	return page, err
}

// customerURL is the path of the page of the customer in the path.
func (s *Pages) customerURL(r *http.Request) string {
	return "/store/" + url.PathEscape(r.PathValue("store")) + "/customers/" + s.IDs().Customer(r.PathValue("id"))
}

// showCustomerPage reads and writes the page; failed has a note that was refused.
func (s *Pages) showCustomerPage(w http.ResponseWriter, r *http.Request, f customers.TimelineFilter,
	failed customerPage) error {
	ctx, storeID, id := r.Context(), r.PathValue("store"), r.PathValue("id")
	page, err := s.newCustomerPage(r)
	if err != nil {
		return err
	}
	page.Draft, page.Editing, page.Wrong = failed.Draft, failed.Editing, failed.Wrong
	page.TagDraft, page.TagWrong = failed.TagDraft, failed.TagWrong
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
	var authors []string
	for _, n := range notes {
		authors = append(authors, n.Author, n.Editor)
	}
	if page.Names, err = customers.New(s.Cfg.Store).Names(ctx, authors); err != nil {
		return err
	}
	if page.Store, err = customers.New(s.Cfg.Store).Store(ctx, storeID); err != nil {
		return err
	}
	status := http.StatusOK
	if page.Wrong != "" || page.TagWrong != "" {
		status = http.StatusBadRequest
	}
	s.Page(w, status, "customer.html", page)
	return nil
}

// Reduced tells whether any payment was refunded or disputed.
func (p customerPage) Reduced() bool {
	return slices.ContainsFunc(p.Why.Payments, func(f customers.PaymentFact) bool {
		return f.Refunded.Amount != 0 ||
			f.Disputed.Amount != 0
	})
}

// timeline reads a page of the timeline.
func (s *Pages) timeline(r *http.Request, page *customerPage, f customers.TimelineFilter) error {
	entries, next, err := customers.New(s.Cfg.Store).Timeline(r.Context(), r.PathValue("store"), r.PathValue("id"), f)
	if err != nil {
		return err
	}
	page.Timeline = entries
	if next != "" {
		page.Earlier = core.Address(page.URL, url.Values{"before": {s.IDs().Cursor(core.TimelineScope(r), next)}})
	}
	return nil
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
	var wrong *pg.BadParam
	if errors.As(err, &wrong) {
		return s.showCustomerPage(w, r, customers.TimelineFilter{Limit: pageEntries},
			customerPage{Draft: text, Editing: s.editing(note), Wrong: "The note " + wrong.Reason + "."})
	}
	return s.backTo(w, r, "#notes", err)
}

// NoteDeleted handles the delete button of a note.
func (s *Pages) NoteDeleted(w http.ResponseWriter, r *http.Request) error {
	return s.backTo(w, r, "#notes", customers.New(s.Cfg.Store).DeleteNote(r.Context(), r.PathValue("store"),
		r.PathValue("id"), r.PathValue("note")))
}

// backTo redirects to a part of the page, unless err is set.
func (s *Pages) backTo(w http.ResponseWriter, r *http.Request, part string, err error) error {
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.customerURL(r)+part, http.StatusSeeOther)
	return nil
}
