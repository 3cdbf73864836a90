package creators

import (
	"net/http"
	"net/url"

	"rollcall/store/customers"
	"rollcall/web/core"
)

// Home leads visitors to where they work: operators to their pages, creators to their
// store or to a list of theirs, strangers to the sign-in.
func (s *Pages) Home(w http.ResponseWriter, r *http.Request) error {
	to := "/stores"
	v, err := s.Admit(core.Known, r)
	switch {
	case err != nil && core.Explain(err).Status == http.StatusUnauthorized:
		to = "/signin"
	case err != nil:
		return err
	case v.Admin:
		to = "/admin"
	default:
		stores, err := s.ownStores(r, v)
		if err != nil {
			return err
		}
		if len(stores) == 1 {
			to = customersPath(stores[0].ID)
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// ownStores are the visitor's stores.
func (s *Pages) ownStores(r *http.Request, v core.Visitor) ([]customers.StoreName, error) {
	around, err := customers.New(s.Cfg.Store).Around(r.Context(), v.User, v.Store)
	if v.Store != "" {
		return []customers.StoreName{around.Store}, err
	}
	return around.Stores, err
}

// ownStoresPage is the data of own_stores.html.
type ownStoresPage struct {
	core.Shell
	Mine []customers.StoreName
}

// OwnStores lists a visitor's stores. Operators have a list of all.
func (s *Pages) OwnStores(w http.ResponseWriter, r *http.Request) (err error) {
	if core.Admitted(r).Admin {
		http.Redirect(w, r, "/admin/stores", http.StatusSeeOther)
		return nil
	}
	var page ownStoresPage
	if page.Shell, err = s.Shell(r, "stores"); err != nil {
		return err
	}
	if page.Mine, err = s.ownStores(r, core.Admitted(r)); err != nil {
		return err
	}
	return s.Page(w, http.StatusOK, "own_stores.html", page)
}

// StoreHome leads to the first page of a store.
func (s *Pages) StoreHome(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, pathOf(r, "customers"), http.StatusSeeOther)
	return nil
}

// customersPath is the path of a store's list.
func customersPath(store string) string { return "/store/" + url.PathEscape(store) + "/customers" }

// pathOf is the path of a page about the store in the path of a request.
func pathOf(r *http.Request, page string) string {
	return "/store/" + url.PathEscape(r.PathValue("store")) + "/" + page
}
