package api

import (
	"net/http"

	"rollcall/store/customers"
	"rollcall/web/core"
)

// ExplainCustomer answers why a customer's row is as it is.
func (s *API) ExplainCustomer(w http.ResponseWriter, r *http.Request) error {
	explanation, err := customers.New(s.Cfg.Store).Explain(r.Context(), r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	explanation.CustomerID = s.IDs().Customer(explanation.CustomerID)
	core.HideEvents(core.Admitted(r), explanation.Origins()...)
	core.WriteJSON(w, http.StatusOK, explanation)
	return nil
}

// ShowTimeline answers a page of a customer's timeline, the newest first.
func (s *API) ShowTimeline(w http.ResponseWriter, r *http.Request) error {
	q, err := s.QueryWith(r, "cursor", core.TimelineScope(r))
	if err != nil {
		return err
	}
	filter, err := customers.ParseTimelineFilter(q)
	if err != nil {
		return err
	}
	entries, next, err := customers.New(s.Cfg.Store).Timeline(r.Context(), r.PathValue("store"), r.PathValue("id"), filter)
	if err != nil {
		return err
	}
	s.IDs().Entries(entries)
	for _, e := range entries {
		core.HideEvents(core.Admitted(r), e.Origins)
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(entries, s.IDs().Cursor(core.TimelineScope(r), next)))
	return nil
}

// ListNotes answers a page of a customer's notes, the newest first.
func (s *API) ListNotes(w http.ResponseWriter, r *http.Request) error {
	p, err := core.PageBy(r, func(cursor string) (int64, bool) { return s.IDs().Number(core.NoteID, cursor) })
	if err != nil {
		return err
	}
	notes, err := customers.New(s.Cfg.Store).Notes(r.Context(), r.PathValue("store"), r.PathValue("id"), p.From, p.Limit+1)
	page := core.CutBy(s.ShownNotes(r, notes), p.Limit, func(n core.CustomerNote) string { return n.ID })
	return core.AnswerJSON(w, page, err)
}

// AddNote writes a note; Location is its URL.
func (s *API) AddNote(w http.ResponseWriter, r *http.Request) error {
	var sent core.NoteBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	added, err := customers.New(s.Cfg.Store).AddNote(r.Context(), r.PathValue("store"), r.PathValue("id"),
		core.NewNote(r, sent.Body))
	if err != nil {
		return err
	}
	shown := s.ShownNote(r, added)
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+shown.ID)
	core.WriteJSON(w, http.StatusCreated, shown)
	return nil
}

// EditNote replaces the text of a note.
func (s *API) EditNote(w http.ResponseWriter, r *http.Request) error {
	var sent core.NoteBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	edited, err := customers.New(s.Cfg.Store).EditNote(r.Context(), r.PathValue("store"), r.PathValue("id"),
		r.PathValue("note"), core.NewNote(r, sent.Body))
	return core.AnswerJSON(w, s.ShownNote(r, edited), err)
}

// DeleteNote deletes a note.
func (s *API) DeleteNote(w http.ResponseWriter, r *http.Request) error {
	return empty(w, customers.New(s.Cfg.Store).DeleteNote(r.Context(), r.PathValue("store"), r.PathValue("id"),
		r.PathValue("note")))
}
