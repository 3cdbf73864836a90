package web

import (
	"net/http"
	"strconv"

	"rollcall/store"
)

// What hangs on one customer: why they are as they are, what happened to them,
// and what is noted about them.

// explainCustomer answers why a customer's row is as it is.
func (s *Site) explainCustomer(w http.ResponseWriter, r *http.Request) error {
	explanation, err := s.cfg.Store.Explain(r.Context(), r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, explanation)
	return nil
}

// showTimeline answers a page of what happened to a customer, the newest first.
func (s *Site) showTimeline(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	filter, err := store.ParseTimelineFilter(q)
	if err != nil {
		return err
	}
	entries, next, err := s.cfg.Store.Timeline(r.Context(), r.PathValue("store"), r.PathValue("id"), filter)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList(entries, next))
	return nil
}

// listNotes answers a page of the notes about a customer, the newest first.
func (s *Site) listNotes(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	notes, err := s.cfg.Store.Notes(r.Context(), r.PathValue("store"), r.PathValue("id"), p.from, p.limit+1)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, cut(notes, p.limit, func(n store.Note) int64 { return n.ID }))
	return nil
}

// noteBody is what is sent to write a note.
type noteBody struct {
	Body string `json:"body"`
}

// addNote writes a note, and says where it is.
func (s *Site) addNote(w http.ResponseWriter, r *http.Request) error {
	var sent noteBody
	if err := readJSON(w, r, &sent); err != nil {
		return err
	}
	note, err := s.cfg.Store.AddNote(r.Context(), r.PathValue("store"), r.PathValue("id"), store.NewNote{Body: sent.Body, Author: admitted(r).name()})
	if err != nil {
		return err
	}
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+strconv.FormatInt(note.ID, 10))
	writeJSON(w, http.StatusCreated, note)
	return nil
}

// editNote writes a note anew.
func (s *Site) editNote(w http.ResponseWriter, r *http.Request) error {
	var sent noteBody
	if err := readJSON(w, r, &sent); err != nil {
		return err
	}
	note, err := s.cfg.Store.EditNote(r.Context(), r.PathValue("store"), r.PathValue("id"), r.PathValue("note"), sent.Body)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, note)
	return nil
}

// deleteNote removes a note.
func (s *Site) deleteNote(w http.ResponseWriter, r *http.Request) error {
	err := s.cfg.Store.DeleteNote(r.Context(), r.PathValue("store"), r.PathValue("id"), r.PathValue("note"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
