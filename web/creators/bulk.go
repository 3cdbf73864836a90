package creators

import (
	"errors"
	"net/http"
	"net/url"

	"rollcall/store/bulk"
	"rollcall/store/pg"
	"rollcall/store/segments"
	"rollcall/store/tags"
	"rollcall/web/core"
)

// bulkPage is the data of bulk.html.
type bulkPage struct {
	core.Shell
	bulk.Action
	Target string // name of the tag or segment
	Wrong  string // why it was not undone or cancelled
	URL    string
	Back   string // URL of the list
}

// Bulk shows how far a change of many customers is; for htmx only that.
func (s *Pages) Bulk(w http.ResponseWriter, r *http.Request) error {
	return s.showBulk(w, r, http.StatusOK, "")
}

// BulkUndone handles the button that takes back what an action changed.
func (s *Pages) BulkUndone(w http.ResponseWriter, r *http.Request) error {
	a, err := bulk.New(s.Cfg.Store).Undo(r.Context(), r.PathValue("store"), r.PathValue("bulk"), core.Admitted(r).Name())
	return s.changedBulk(w, r, a, err)
}

// BulkCancelled handles the button that ends an action.
func (s *Pages) BulkCancelled(w http.ResponseWriter, r *http.Request) error {
	a, err := bulk.New(s.Cfg.Store).Cancel(r.Context(), r.PathValue("store"), r.PathValue("bulk"))
	return s.changedBulk(w, r, a, err)
}

// changedBulk goes to an action's page, or says why it could not be changed.
func (s *Pages) changedBulk(w http.ResponseWriter, r *http.Request, a bulk.Action, err error) error {
	if conflict, is := errors.AsType[*pg.Conflict](err); is {
		return s.showBulk(w, r, http.StatusConflict, conflict.Reason)
	}
	if err != nil {
		return err
	}
	return s.toBulk(w, r, a.ID)
}

// toBulk goes to an action's page.
func (s *Pages) toBulk(w http.ResponseWriter, r *http.Request, id string) error {
	http.Redirect(w, r, pathOf(r, "bulk/"+url.PathEscape(id)), http.StatusSeeOther)
	return nil
}

// showBulk shows an action.
func (s *Pages) showBulk(w http.ResponseWriter, r *http.Request, status int, wrong string) (err error) {
	w.Header().Set("Vary", "HX-Request")
	page := bulkPage{Wrong: wrong, Back: pathOf(r, "customers")}
	page.Action, err = bulk.New(s.Cfg.Store).Action(r.Context(), r.PathValue("store"), r.PathValue("bulk"))
	if err != nil {
		return err
	}
	page.URL = pathOf(r, "bulk/"+url.PathEscape(page.Action.ID))
	if page.Shell, err = s.Shell(r, "customers"); err != nil {
		return err
	}
	if page.Target, err = s.target(r, page.Action.Target); err != nil {
		return err
	}
	name := "bulk.html"
	if core.IsPart(r) {
		name = "progress"
	}
	return s.Page(w, status, name, page)
}

// target is the name of a tag or segment; empty if it was deleted.
func (s *Pages) target(r *http.Request, id string) (name string, err error) {
	if tags.IsSegment(id) {
		var of segments.Segment
		of, err = segments.New(s.Cfg.Store).Segment(r.Context(), r.PathValue("store"), id)
		name = of.Name
	} else {
		var of tags.Tag
		of, err = tags.New(s.Cfg.Store).Tag(r.Context(), r.PathValue("store"), id)
		name = of.Name
	}
	if errors.Is(err, pg.ErrNotFound) {
		err = nil
	}
	return name, err
}
