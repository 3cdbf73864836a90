package api

import (
	"encoding/json"
	"net/http"
	"net/url"

	"rollcall/store/bulk"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// bulkBody is the body of a request to change many customers.
type bulkBody struct {
	Action    string          `json:"action"`
	Tag       string          `json:"tag"`
	TagName   string          `json:"tag_name"`
	Segment   string          `json:"segment"`
	Filter    *string         `json:"filter"` // the query of a list
	Rule      json.RawMessage `json:"rule"`
	Customers []string        `json:"customers"`
	Expected  *int            `json:"expected"`
	DryRun    bool            `json:"dry_run"`
}

// StartBulk starts a bulk action or, as a dry run, says how many customers it is about.
func (s *API) StartBulk(w http.ResponseWriter, r *http.Request) error {
	var sent bulkBody
	if err := core.ReadJSON(w, r, &sent); err != nil {
		return err
	}
	order, err := s.bulkOrder(r, sent)
	if err != nil {
		return err
	}
	actions, store := bulk.New(s.Cfg.Store), r.PathValue("store")
	var n int
	var started bulk.Action
	err = s.Counting(r.Context(), order.Filter == nil, func() (err error) {
		if sent.DryRun {
			n, err = actions.Count(r.Context(), store, order)
		} else {
			started, err = actions.Start(r.Context(), store, order, core.Admitted(r).Name())
		}
		return err
	})
	if err != nil {
		return err
	}
	if sent.DryRun {
		core.WriteJSON(w, http.StatusOK, map[string]int{"customers": n})
		return nil
	}
	w.Header().Set("Location", r.URL.EscapedPath()+"/"+started.ID)
	s.writeBulk(w, r, http.StatusAccepted, started)
	return nil
}

// bulkOrder is what a body asks for.
func (s *API) bulkOrder(r *http.Request, sent bulkBody) (o bulk.Order, err error) {
	o = bulk.Order{Action: sent.Action, Target: sent.Tag, TagName: sent.TagName, Expected: sent.Expected}
	if sent.Segment != "" {
		if o.Target != "" {
			return o, pg.Refuse("segment", "is given beside a tag; give one of them")
		}
		o.Target = sent.Segment
	}
	if o.Filter, err = sent.matches(r.PathValue("store")); err != nil {
		return o, err
	}
	switch {
	case len(sent.Customers) > 0 && o.Filter != nil:
		return o, pg.Refuse("customers", "are given beside a filter; give one of them")
	case o.Filter != nil && sent.Expected == nil && !sent.DryRun:
		return o, pg.Refuse("expected", "is missing: say how many customers you expect; dry_run counts them")
	}
	o.Customers = s.CustomerNumbers(core.Admitted(r), sent.Customers)
	return o, nil
}

// matches is the filter that a body gives; nil: none.
func (b bulkBody) matches(store string) (*customers.Filter, error) {
	rule := string(b.Rule)
	if b.Filter == nil && (rule == "" || rule == "null") {
		return nil, nil
	}
	q := url.Values{}
	if b.Filter != nil {
		var err error
		if q, err = url.ParseQuery(*b.Filter); err != nil {
			return nil, pg.Refuse("filter", "is not the query of a list, as type=paying&course=course_1; check its %% signs")
		}
	}
	if rule != "" && rule != "null" {
		q.Add("rule", rule)
	}
	f, err := customers.ParseExport(store, q)
	return &f, err
}

// ListBulk answers a store's latest bulk actions.
func (s *API) ListBulk(w http.ResponseWriter, r *http.Request) error {
	all, err := bulk.New(s.Cfg.Store).Latest(r.Context(), r.PathValue("store"), pg.DefaultLimit)
	if err != nil {
		return err
	}
	for i := range all {
		all[i].StartedBy = s.ShownAuthor(r, all[i].StartedBy)
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(all, ""))
	return nil
}

// ShowBulk answers a bulk action.
func (s *API) ShowBulk(w http.ResponseWriter, r *http.Request) error {
	a, err := bulk.New(s.Cfg.Store).Action(r.Context(), r.PathValue("store"), r.PathValue("bulk"))
	if err != nil {
		return err
	}
	s.writeBulk(w, r, http.StatusOK, a)
	return nil
}

// UndoBulk starts an action that takes back what another one changed.
func (s *API) UndoBulk(w http.ResponseWriter, r *http.Request) error {
	a, err := bulk.New(s.Cfg.Store).Undo(r.Context(), r.PathValue("store"), r.PathValue("bulk"), core.Admitted(r).Name())
	if err != nil {
		return err
	}
	s.writeBulk(w, r, http.StatusAccepted, a)
	return nil
}

// CancelBulk ends an action.
func (s *API) CancelBulk(w http.ResponseWriter, r *http.Request) error {
	a, err := bulk.New(s.Cfg.Store).Cancel(r.Context(), r.PathValue("store"), r.PathValue("bulk"))
	if err != nil {
		return err
	}
	s.writeBulk(w, r, http.StatusOK, a)
	return nil
}

func (s *API) writeBulk(w http.ResponseWriter, r *http.Request, status int, a bulk.Action) {
	a.StartedBy = s.ShownAuthor(r, a.StartedBy)
	core.WriteJSON(w, status, a)
}
