package creators

import (
	"maps"
	"net/http"
	"net/url"

	"rollcall/store/customers"
	"rollcall/store/segments"
	"rollcall/web/core"
)

// segmentsPage is the data of segments.html.
type segmentsPage struct {
	core.Shell
	Store       customers.StoreInfo
	Ready, Kept []segmentRow
	URL         string
	Wrong       string // why a change was refused
	Editing     string // the segment whose change that was
}

// segmentRow is a segment on the page.
type segmentRow struct {
	segments.Segment
	Text string // its rule as a sentence
	Copy string // for a ready-made one: see copyOf
	size
}

// size is how a page fills in a count after it is loaded.
type size struct {
	ListURL    string // the customers
	CountedURL string // the same with their number, even if it takes long
	CountURL   string // the part of a page with their number
}

// sizeOf is the size of what a filter of a store selects.
func sizeOf(storeID string, q url.Values) size {
	base := "/store/" + url.PathEscape(storeID)
	counted := maps.Clone(q)
	counted.Set("count", "1")
	return size{core.Address(base+"/customers", q), core.Address(base+"/customers", counted),
		core.Address(base+"/segments/count", q)}
}

// Segments shows a store's segments.
func (s *Pages) Segments(w http.ResponseWriter, r *http.Request) error {
	return s.showSegments(w, r, nil)
}

// showSegments shows the page; refused is why a change was refused, or nil.
func (s *Pages) showSegments(w http.ResponseWriter, r *http.Request, refused error) (err error) {
	id := r.PathValue("store")
	page := segmentsPage{URL: pathOf(r, "segments")}
	if page.Shell, err = s.Shell(r, "segments"); err != nil {
		return err
	}
	if page.Store, err = customers.New(s.Cfg.Store).Store(r.Context(), id); err != nil {
		return err
	}
	all, err := segments.New(s.Cfg.Store).List(r.Context(), id)
	if err != nil {
		return err
	}
	texts, err := segments.New(s.Cfg.Store).Texts(r.Context(), id, all)
	if err != nil {
		return err
	}
	for i, one := range all {
		row := segmentRow{one, texts[i], copyOf(page.URL, one), sizeOf(id, url.Values{"segment": {one.ID}})}
		if one.ReadyMade {
			page.Ready = append(page.Ready, row)
		} else {
			page.Kept = append(page.Kept, row)
		}
	}
	status := http.StatusOK
	if refused != nil {
		page.Wrong, page.Editing, status = core.Explain(refused).Message, r.PathValue("segment"), core.Explain(refused).Status
	}
	return s.Page(w, status, "segments.html", page)
}

// copyOf is the address that begins a new segment with the rule of a ready-made one; empty for others.
func copyOf(all string, g segments.Segment) string {
	if !g.ReadyMade {
		return ""
	}
	return core.Address(all+"/new", url.Values{"rule": {string(g.Rule)}, "name": {g.Name + " (copy)"}})
}

// SegmentDeleted handles the button that deletes a segment.
func (s *Pages) SegmentDeleted(w http.ResponseWriter, r *http.Request) error {
	return s.changeSegment(w, r, func(g *segments.Segments) error {
		return gone(g.Delete(r.Context(), r.PathValue("store"), r.PathValue("segment")))
	})
}

// SegmentPinned handles the buttons that pin a segment to the list, and unpin it.
func (s *Pages) SegmentPinned(w http.ResponseWriter, r *http.Request) error {
	return s.changeSegment(w, r, func(g *segments.Segments) error {
		pinned := r.PostForm.Get("pinned") == "yes"
		_, err := g.Update(r.Context(), r.PathValue("store"), r.PathValue("segment"), segments.Change{Pinned: &pinned})
		return err
	})
}

// changeSegment reads the form, makes the change, and goes back to the page.
func (s *Pages) changeSegment(w http.ResponseWriter, r *http.Request, change func(*segments.Segments) error) error {
	return changed(w, r, pathOf(r, "segments"), func() error { return change(segments.New(s.Cfg.Store)) }, s.showSegments)
}
