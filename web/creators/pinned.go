package creators

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/segments"
	"rollcall/web/core"
)

// mostPinned is how many segments stand beside the tabs.
const mostPinned = 6

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
	all, err := segments.New(s.Cfg.Store).List(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	page := pinnedPage{}
	if page.Shell, err = s.Shell(r, "customers"); err != nil {
		return err
	}
	for _, g := range all {
		if !g.Pinned || len(page.Tabs) == mostPinned {
			continue
		}
		count, err := s.sizeNow(r, customers.Filter{Store: r.PathValue("store"), Segment: g.ID})
		if err != nil && !errors.As(err, new(*pg.BadParam)) { // a rule that is not valid any more has no count
			return err
		}
		page.Tabs = append(page.Tabs, pinnedTab{tab{Label: g.Name, On: g.ID == r.URL.Query().Get("segment"),
			URL: pathOf(r, "customers") + "?segment=" + url.QueryEscape(g.ID), N: count.N, Known: count.Known},
			count.AsOf})
	}
	return s.Page(w, http.StatusOK, "pinned", page)
}
