package web

import (
	"net/http"

	"rollcall/store/customers"
)

// What hangs on one customer: why they are as they are, what happened to them,
// and what is noted about them.

// explainCustomer answers why a customer's row is as it is.
func (s *Site) explainCustomer(w http.ResponseWriter, r *http.Request) error {
	explanation, err := customers.New(s.cfg.Store).Explain(r.Context(), r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	explanation.CustomerID = s.ids().customer(explanation.CustomerID)
	hideEvents(admitted(r), explanation.Origins()...)
	writeJSON(w, http.StatusOK, explanation)
	return nil
}

// showTimeline answers a page of what happened to a customer, the newest first.
func (s *Site) showTimeline(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queryWith(r, "cursor", timelineScope(r))
	if err != nil {
		return err
	}
	filter, err := customers.ParseTimelineFilter(q)
	if err != nil {
		return err
	}
	entries, next, err := customers.New(s.cfg.Store).Timeline(r.Context(), r.PathValue("store"), r.PathValue("id"), filter)
	if err != nil {
		return err
	}
	s.ids().entries(entries)
	for _, e := range entries {
		hideEvents(admitted(r), e.Origins)
	}
	writeJSON(w, http.StatusOK, newList(entries, s.ids().cursor(timelineScope(r), next)))
	return nil
}

// listNotes answers a page of the notes about a customer, the newest first.
func (s *Site) listNotes(w http.ResponseWriter, r *http.Request) error {
	p, err := pageBy(r, func(cursor string) (int64, bool) { return s.ids().number(noteID, cursor) })
	if err != nil {
		return err
	}
	notes, err := customers.New(s.cfg.Store).Notes(r.Context(), r.PathValue("store"), r.PathValue("id"), p.from, p.limit+1)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, cutBy(s.shownNotes(r, notes), p.limit, func(n customerNote) string { return n.ID }))
	return nil
}

// addNote writes a note, and says where it is.
func (s *Site) addNote(w http.ResponseWriter, r *http.Request) error {
	var sent noteBody
	if err := readJSON(w, r, &sent); err != nil {
		return err
	}
	added, err := customers.New(s.cfg.Store).AddNote(r.Context(), r.PathValue("store"), r.PathValue("id"), newNote(r, sent.Body))
	if err != nil {
		return err
	}
	shown := s.shownNote(r, added)
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+shown.ID)
	writeJSON(w, http.StatusCreated, shown)
	return nil
}

// editNote writes a note anew.
func (s *Site) editNote(w http.ResponseWriter, r *http.Request) error {
	var sent noteBody
	if err := readJSON(w, r, &sent); err != nil {
		return err
	}
	edited, err := customers.New(s.cfg.Store).EditNote(r.Context(), r.PathValue("store"), r.PathValue("id"), r.PathValue("note"), newNote(r, sent.Body))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.shownNote(r, edited))
	return nil
}

// deleteNote removes a note.
func (s *Site) deleteNote(w http.ResponseWriter, r *http.Request) error {
	err := customers.New(s.cfg.Store).DeleteNote(r.Context(), r.PathValue("store"), r.PathValue("id"), r.PathValue("note"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
