package web

import (
	"context"
	"net/http"
	"strconv"

	"rollcall/store"
	"rollcall/store/pg"
)

// listBackfills answers a page of the runs, the newest first.
func (s *Site) listBackfills(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	runs, err := s.cfg.Store.Backfills(r.Context(), p.from, p.limit+1)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, cut(runs, p.limit, func(b store.Backfill) int64 { return b.ID }))
	return nil
}

// showBackfill answers one run.
func (s *Site) showBackfill(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	f, err := s.cfg.Store.FullBackfill(r.Context(), id, pg.MaxLimit)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, f)
	return nil
}

// listBackfillErrors answers a page of what a run could not use, and of its
// notes, in the order found.
func (s *Site) listBackfillErrors(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Store.Backfill(r.Context(), id); err != nil {
		return err // an empty list would say that all went well
	}
	found, err := s.cfg.Store.BackfillErrors(r.Context(), id, p.from, p.limit+1)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, cut(found, p.limit, func(e store.BackfillError) int64 { return e.ID }))
	return nil
}

// orderBackfill makes a handler of a word to one run.
func (s *Site) orderBackfill(order func(context.Context, int64) (store.Backfill, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := idOf(r)
		if err != nil {
			return err
		}
		b, err := order(r.Context(), id)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, b)
		return nil
	}
}

// startBackfill begins a run, and says where to look at it.
func (s *Site) startBackfill(w http.ResponseWriter, r *http.Request) error {
	var asked newBackfill
	if err := readJSON(w, r, &asked); err != nil {
		return err
	}
	b, err := s.beginBackfill(r.Context(), asked, "api")
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/admin/backfills/"+strconv.FormatInt(b.ID, 10))
	writeJSON(w, http.StatusAccepted, b)
	return nil
}
