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
	Tabs []tab
	AsOf time.Time // when they were counted
}

// Pinned shows the pinned segments with their counts, for the script of the list.
func (s *Pages) Pinned(w http.ResponseWriter, r *http.Request) error {
	all, err := segments.New(s.Cfg.Store).List(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	page := pinnedPage{AsOf: s.Cfg.Now()}
	if page.Shell, err = s.Shell(r, "customers"); err != nil {
		return err
	}
	for _, g := range all {
		if !g.Pinned || len(page.Tabs) == mostPinned {
			continue
		}
		t := tab{Label: g.Name, On: g.ID == r.URL.Query().Get("segment"),
			URL: "/store/" + url.PathEscape(r.PathValue("store")) + "/customers?segment=" + url.QueryEscape(g.ID)}
		if t.N, t.Known, err = s.countSegment(r, g.ID); err != nil {
			return err
		}
		page.Tabs = append(page.Tabs, t)
	}
	s.Page(w, http.StatusOK, "pinned", page)
	return nil
}

// countSegment counts a segment; known is false if that takes too long just now, or its
// rule is not valid any more.
func (s *Pages) countSegment(r *http.Request, id string) (n int64, known bool, err error) {
	var stats customers.Stats
	err = s.Counting(r.Context(), false, func() (err error) {
		stats, err = customers.New(s.Cfg.Store).Stats(r.Context(), customers.Filter{Store: r.PathValue("store"), Segment: id})
		return err
	})
	var wrong *pg.BadParam
	if errors.Is(err, core.ErrCrowd) || errors.Is(err, core.ErrBusy) || pg.TimedOut(err) || errors.As(err, &wrong) {
		return 0, false, nil
	}
	return stats.Total, err == nil, err
}
