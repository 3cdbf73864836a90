package api

import (
	"context"
	"net/http"
	"strconv"

	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// ListBackfills answers a page of the runs, the newest first.
func (s *API) ListBackfills(w http.ResponseWriter, r *http.Request) error {
	p, err := core.PageOf(r)
	if err != nil {
		return err
	}
	runs, err := s.Cfg.Store.Backfills(r.Context(), p.From, p.Limit+1)
	return core.AnswerJSON(w, core.Cut(runs, p.Limit, func(b store.Backfill) int64 { return b.ID }), err)
}

// ShowBackfill answers one run.
func (s *API) ShowBackfill(w http.ResponseWriter, r *http.Request) error {
	id, err := core.IDOf(r)
	if err != nil {
		return err
	}
	f, err := s.Cfg.Store.FullBackfill(r.Context(), id, pg.MaxLimit)
	return core.AnswerJSON(w, f, err)
}

// ListBackfillErrors answers a page of a run's errors and notes, in the order found.
func (s *API) ListBackfillErrors(w http.ResponseWriter, r *http.Request) error {
	id, err := core.IDOf(r)
	if err != nil {
		return err
	}
	p, err := core.PageOf(r)
	if err != nil {
		return err
	}
	if _, err := s.Cfg.Store.Backfill(r.Context(), id); err != nil {
		return err // an empty list would look like success
	}
	found, err := s.Cfg.Store.BackfillErrors(r.Context(), id, p.From, p.Limit+1)
	return core.AnswerJSON(w, core.Cut(found, p.Limit, func(e store.BackfillError) int64 { return e.ID }), err)
}

// OrderBackfill handles an action on one run.
func (s *API) OrderBackfill(order func(context.Context, int64) (store.Backfill, error)) core.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := core.IDOf(r)
		if err != nil {
			return err
		}
		b, err := order(r.Context(), id)
		return core.AnswerJSON(w, b, err)
	}
}

// StartBackfill starts a run; Location is its URL.
func (s *API) StartBackfill(w http.ResponseWriter, r *http.Request) error {
	var asked core.NewBackfill
	if err := core.ReadJSON(w, r, &asked); err != nil {
		return err
	}
	b, err := s.BeginBackfill(r.Context(), asked, "api")
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/admin/backfills/"+strconv.FormatInt(b.ID, 10))
	core.WriteJSON(w, http.StatusAccepted, b)
	return nil
}
