package web

import (
	"net/http"
	"net/url"

	"rollcall/store"
)

// startStores is how many stores the start page shows.
const startStores = 100

// startPage is what start.html shows.
type startPage struct {
	Stores  []storeLine
	Limit   int
	Counts  map[string]int64
	Version string
}

type storeLine struct {
	store.StoreSize
	PageURL           string
	ListURL, StatsURL string // of its API
}

// start shows operators where everything is, and strangers where to sign in.
func (s *Site) start(w http.ResponseWriter, r *http.Request) error {
	v := s.visitor(r)
	if v.doubt == errTooMany {
		return v.doubt
	}
	if !v.admin {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return nil
	}
	stores, err := s.cfg.Store.Stores(r.Context(), startStores)
	if err != nil {
		return err
	}
	counts, err := s.cfg.Store.EventCounts(r.Context())
	if err != nil {
		return err
	}
	page := startPage{Limit: startStores, Counts: counts, Version: s.cfg.Version}
	for _, one := range stores {
		id := url.PathEscape(one.ID)
		page.Stores = append(page.Stores, storeLine{one, "/store/" + id + "/customers", "/api/stores/" + id + "/customers", "/api/stores/" + id + "/stats"})
	}
	s.page(w, http.StatusOK, "start.html", page)
	return nil
}
