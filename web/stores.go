package web

import (
	"errors"
	"net/http"

	"rollcall/store/pg"
	"rollcall/store/status"
)

// storesPage is what stores.html shows.
type storesPage struct {
	adminPage
	Filter status.StoreFilter
	Stores []status.StoreLine
	Next   string
	Sorts  []option
	Wrong  string
}

var storeSorts = []option{{Value: status.DefaultStoreSort, Label: "Longest lists first"}, {Value: "id", Label: "By id"}}

// stores lists the stores as a page, or more of them to a script.
func (s *Site) stores(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Vary", "HX-Request")
	q, err := query(r)
	if err != nil {
		return err
	}
	page := storesPage{adminPage: s.adminPage("stores", "Stores")}
	page.Filter, err = status.ParseStoreFilter(q)
	page.Sorts = menu{Options: storeSorts}.choose(page.Filter.Sort).Options
	var wrong *pg.BadParam
	code, next := http.StatusOK, ""
	if errors.As(err, &wrong) {
		page.Wrong, code = wrong.Error(), http.StatusBadRequest
	} else if page.Stores, next, err = status.New(s.cfg.Store).StoreLines(r.Context(), page.Filter); err != nil {
		return err
	}
	if next != "" {
		page.Next = address("/admin/stores", withQuery(page.Filter.Values(), "cursor", next))
	}
	switch {
	case isPart(r) && page.Filter.Cursor != "":
		s.page(w, code, "storerows", page)
	case isPart(r):
		page.Filter.Cursor = ""
		w.Header().Set("HX-Push-Url", address("/admin/stores", page.Filter.Values()))
		s.page(w, http.StatusOK, "storeresults", page)
	default:
		s.page(w, code, "stores.html", page)
	}
	return nil
}

// listStores answers a page of the stores.
func (s *Site) listStores(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	f, err := status.ParseStoreFilter(q)
	if err != nil {
		return err
	}
	lines, next, err := status.New(s.cfg.Store).StoreLines(r.Context(), f)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList(append([]status.StoreLine{}, lines...), next))
	return nil
}
