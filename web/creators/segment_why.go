package creators

import (
	"errors"
	"net/http"
	"strings"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/segments"
	"rollcall/web/core"
)

// whyPage is the data of segment_why.html.
type whyPage struct {
	core.Shell
	Customer    customers.Customer
	Name        string // of the segment
	Why         customers.Why
	URL         string // of the segments
	CustomerURL string
}

// SegmentWhy shows why a customer is in a segment, or is not.
func (s *Pages) SegmentWhy(w http.ResponseWriter, r *http.Request) (err error) {
	page := whyPage{URL: pathOf(r, "segments")}
	number, err := s.AskedCustomer(r)
	if errors.Is(err, pg.ErrNotFound) {
		return s.showKept(w, r, segmentPage{Who: r.URL.Query().Get("customer")})
	}
	if err != nil {
		return err
	}
	page.Name, page.Why, page.Customer, err = segments.New(s.Cfg.Store).Why(r.Context(), r.PathValue("store"),
		r.PathValue("segment"), number)
	if err != nil {
		return err
	}
	page.Customer.ID = s.IDs().Customer(page.Customer.ID)
	page.CustomerURL = strings.TrimSuffix(page.URL, "/segments") + "/customers/" + page.Customer.ID
	if page.Shell, err = s.Shell(r, "segments"); err != nil {
		return err
	}
	return s.Page(w, http.StatusOK, "segment_why.html", page)
}
