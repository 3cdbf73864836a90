package operators

import (
	"errors"
	"net/http"

	"rollcall/store/pg"
	"rollcall/store/status"
	"rollcall/web/core"
)

// storesPage is the data of stores.html.
type storesPage struct {
	adminPage
	Filter status.StoreFilter
	Stores []status.StoreLine
	Next   string
	Sorts  []core.Option
	Wrong  string
}

var storeSorts = []core.Option{{Value: status.DefaultStoreSort, Label: "Most customers first"},
	{Value: "id", Label: "Store id"}}

// Stores shows the stores, or for htmx the next page of them.
func (s *Pages) Stores(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request")
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	page := storesPage{adminPage: s.adminPage("stores", "Stores")}
	page.Filter, err = status.ParseStoreFilter(q)
	page.Sorts = core.Menu{Options: storeSorts}.Choose(page.Filter.Sort).Options
	var wrong *pg.BadParam
	code, next := http.StatusOK, ""
	if errors.As(err, &wrong) {
		page.Wrong, code = wrong.Error(), http.StatusBadRequest
	} else if page.Stores, next, err = status.New(s.Cfg.Store).StoreLines(r.Context(), page.Filter); err != nil {
		return err
	}
	if next != "" {
		page.Next = core.Address("/admin/stores", withQuery(page.Filter.Values(), "cursor", next))
	}
	switch {
	case core.IsPart(r) && page.Filter.Cursor != "":
		return s.Page(w, code, "storerows", page)
	case core.IsPart(r):
		page.Filter.Cursor = ""
		w.Header().Set("HX-Push-Url", core.Address("/admin/stores", page.Filter.Values()))
		return s.Page(w, http.StatusOK, "storeresults", page)
	}
	return s.Page(w, code, "stores.html", page)
}

// ListStores answers a page of the stores.
func (s *Pages) ListStores(w http.ResponseWriter, r *http.Request) error {
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	f, err := status.ParseStoreFilter(q)
	if err != nil {
		return err
	}
	lines, next, err := status.New(s.Cfg.Store).StoreLines(r.Context(), f)
	return core.AnswerJSON(w, core.NewList(append([]status.StoreLine{}, lines...), next), err)
}
