package operators

import (
	"net/http"
	"net/url"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/customers"
	"rollcall/store/inbox"
	"rollcall/store/status"
	"rollcall/web/core"
)

// storePage is the data of store.html.
type storePage struct {
	adminPage
	core.TokenList
	Store     status.StoreLine
	Members   []customers.Member
	Products  []customers.ProductInfo
	Missing   []offReason
	Events    []store.Event // the last that name the store
	EventsURL string
	Share     string // the address of its customers page
	Stripe    string // its account in Stripe's dashboard; empty: none is known
}

// storeEvents is how many of a store's events are shown.
const storeEvents = 10

// Store shows what is known of one store.
func (s *Pages) Store(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("store")
	line, err := status.New(s.Cfg.Store).StoreLine(r.Context(), id)
	if err != nil {
		return err
	}
	page := storePage{Store: line, Share: s.address(r) + "/store/" + url.PathEscape(id) + "/customers",
		TokenList: core.TokenList{URL: "/store/" + url.PathEscape(id) + "/settings", May: true}}
	title := id
	if line.Name != nil && *line.Name != "" {
		title = *line.Name
	}
	page.adminPage = s.adminPage("stores", show.VisibleLines(title))
	if line.StripeAccountID != nil {
		page.Stripe = core.StripeAccount(*line.StripeAccountID)
	}
	if err := s.AddTokens(r.Context(), id, &page.TokenList); err != nil {
		return err
	}
	if err := s.fillStore(r, &page); err != nil {
		return err
	}
	return s.Page(w, http.StatusOK, "store.html", page)
}

// fillStore reads the parts of the page that have lists of their own elsewhere.
func (s *Pages) fillStore(r *http.Request, page *storePage) error {
	ctx, id := r.Context(), page.Store.ID
	info, err := customers.New(s.Cfg.Store).Store(ctx, id)
	if err != nil {
		return err
	}
	page.Products = info.Products
	if page.Members, err = customers.New(s.Cfg.Store).Members(ctx, id); err != nil {
		return err
	}
	reasons, err := checks.New(s.Cfg.Store).OffCounts(ctx, id)
	if err != nil {
		return err
	}
	for _, reason := range reasons {
		if reason.Remedy != nil {
			page.Missing = append(page.Missing, offReasonOf(reason, id))
		}
	}
	page.EventsURL = core.Address("/admin/events", storeQuery(id))
	page.Events, _, err = inbox.New(s.Cfg.Store).Events(ctx, store.EventFilter{Store: id, Limit: storeEvents})
	return err
}
