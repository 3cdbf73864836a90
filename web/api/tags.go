package api

import (
	"net/http"

	"rollcall/store/tags"
	"rollcall/web/core"
)

// tagBody is the body of a request to write a tag.
type tagBody struct {
	Name string `json:"name"`
}

// mergeBody names the tag that another is merged into.
type mergeBody struct {
	Into string `json:"into"`
}

// ListTags answers a store's tags, by name.
func (s *API) ListTags(w http.ResponseWriter, r *http.Request) error {
	all, err := tags.New(s.Cfg.Store).List(r.Context(), r.PathValue("store"))
	if err == nil && len(all) == 0 {
		err = s.mentioned(r)
	}
	if err != nil {
		return err
	}
	for i := range all {
		all[i].CreatedBy = s.ShownAuthor(r, all[i].CreatedBy)
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(all, ""))
	return nil
}

// AddTag makes a tag of a store.
func (s *API) AddTag(w http.ResponseWriter, r *http.Request) error {
	var sent tagBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	if err := s.mentioned(r); err != nil {
		return err
	}
	t, err := tags.New(s.Cfg.Store).Create(r.Context(), r.PathValue("store"), sent.Name, core.Admitted(r).Name())
	if err != nil {
		return err
	}
	t.CreatedBy = s.ShownAuthor(r, t.CreatedBy)
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+t.ID)
	core.WriteJSON(w, http.StatusCreated, t)
	return nil
}

// EditTag renames a tag.
func (s *API) EditTag(w http.ResponseWriter, r *http.Request) error {
	var sent tagBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	if err := tags.New(s.Cfg.Store).Rename(r.Context(), r.PathValue("store"), r.PathValue("tag"), sent.Name); err != nil {
		return err
	}
	return s.showTag(w, r, r.PathValue("tag"))
}

// DeleteTag deletes a tag, and takes it off all customers.
func (s *API) DeleteTag(w http.ResponseWriter, r *http.Request) error {
	err := tags.New(s.Cfg.Store).Delete(r.Context(), r.PathValue("store"), r.PathValue("tag"))
	return empty(w, err)
}

// MergeTag gives a tag's customers another tag instead, and deletes it.
func (s *API) MergeTag(w http.ResponseWriter, r *http.Request) error {
	var sent mergeBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	if err := tags.New(s.Cfg.Store).Merge(r.Context(), r.PathValue("store"), r.PathValue("tag"), sent.Into); err != nil {
		return err
	}
	return s.showTag(w, r, sent.Into)
}

func (s *API) showTag(w http.ResponseWriter, r *http.Request, id string) error {
	t, err := tags.New(s.Cfg.Store).Tag(r.Context(), r.PathValue("store"), id)
	if err != nil {
		return err
	}
	t.CreatedBy = s.ShownAuthor(r, t.CreatedBy)
	core.WriteJSON(w, http.StatusOK, t)
	return nil
}

// PutTag gives a customer a tag.
func (s *API) PutTag(w http.ResponseWriter, r *http.Request) error {
	return empty(w, tags.New(s.Cfg.Store).Put(r.Context(),
		r.PathValue("store"), r.PathValue("id"), r.PathValue("tag"), core.Admitted(r).Name()))
}

// TakeTag takes a tag off a customer.
func (s *API) TakeTag(w http.ResponseWriter, r *http.Request) error {
	return empty(w, tags.New(s.Cfg.Store).Take(r.Context(), r.PathValue("store"), r.PathValue("id"), r.PathValue("tag")))
}

// empty answers without a body, unless err is set.
func empty(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
