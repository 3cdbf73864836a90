package creators

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// pinnedPage is the data of the pinned segments, which a list loads once it is there.
type pinnedPage struct {
	core.Shell
	Tabs []pinnedTab
}

// pinnedTab is a pinned segment, and when it was counted.
type pinnedTab struct {
	tab
	AsOf time.Time
}

// Pinned shows the pinned segments with their counts, for the script of the list.
func (s *Pages) Pinned(w http.ResponseWriter, r *http.Request) error {
	store, err := customers.New(s.Cfg.Store).Store(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	page := pinnedPage{}
	if page.Shell, err = s.Shell(r, "customers"); err != nil {
		return err
	}
	for _, g := range store.Pinned {
		count, err := s.sizeNow(r, customers.Filter{Store: r.PathValue("store"), Segment: g.ID})
		if err != nil && !errors.As(err, new(*pg.BadParam)) { // a rule that is not valid any more has no count
			return err
		}
		page.Tabs = append(page.Tabs, pinnedOf(r, g, count))
	}
	return s.Page(w, http.StatusOK, "pinned", page)
}

// pinnedOf is the tab of a pinned segment, with its count as far as it is known.
func pinnedOf(r *http.Request, g customers.Named, count segmentCount) pinnedTab {
	return pinnedTab{tab{Label: g.Name, On: g.ID == r.URL.Query().Get("segment"),
		URL: pathOf(r, "customers") + "?segment=" + url.QueryEscape(g.ID), N: count.N, Known: count.Known}, count.AsOf}
}
