package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// route is one thing that may be asked for.
type route struct {
	method string // GET answers HEAD too; "" is any
	path   string // pattern of http.ServeMux
	caller string // who calls it
	who    audience
	handle handler
}

// routes lists every route of the site once: its map.
func (s *Site) routes() []route {
	return []route{
		{"GET", "/api/stores/{store}/customers", "a creator's programs", sellers, s.listCustomers},
		{"GET", csvRoute, "creators, for their spreadsheets", sellers, s.exportCustomers},
		{"GET", "/api/stores/{store}/customers/{id}", "a creator's programs", sellers, s.showCustomer},
		{"GET", "/api/stores/{store}/customers/{id}/explain", "a creator's programs", sellers, s.explainCustomer},
		{"GET", "/api/stores/{store}/customers/{id}/timeline", "a creator's programs", sellers, s.showTimeline},
		{"GET", "/api/stores/{store}/customers/{id}/notes", "a creator's programs", sellers, s.listNotes},
		{"POST", "/api/stores/{store}/customers/{id}/notes", "a creator's programs", sellers, s.addNote},
		{"PATCH", "/api/stores/{store}/customers/{id}/notes/{note}", "a creator's programs", sellers, s.editNote},
		{"DELETE", "/api/stores/{store}/customers/{id}/notes/{note}", "a creator's programs", sellers, s.deleteNote},
		{"GET", "/api/stores/{store}/stats", "a creator's programs", sellers, s.showStats},
		{"GET", "/store/{store}/customers", "creators", sellers, s.customers},
		{"GET", livePath, "the script of the page above", sellers, s.watch},
		{"GET", "/store/{store}/customers/{id}", "creators", sellers, s.customer},
		{"POST", "/store/{store}/customers/{id}/notes", "the form on the page above", sellers, s.noteForm},
		{"POST", "/store/{store}/customers/{id}/notes/{note}", "the form of a note", sellers, s.noteForm},
		{"POST", "/store/{store}/customers/{id}/notes/{note}/delete", "the button of a note", sellers, s.noteDeleted},
		{"GET", "/api/admin/events", "operators' programs", admins, s.listEvents},
		{"GET", "/api/admin/events/{id}", "operators' programs", admins, s.showEvent},
		{"GET", "/api/admin/backfills", "operators' programs", admins, s.listBackfills},
		{"POST", "/api/admin/backfills", "operators' programs", admins, s.startBackfill},
		{"GET", "/api/admin/backfills/{id}", "operators' programs", admins, s.showBackfill},
		{"GET", "/api/admin/backfills/{id}/errors", "operators' programs", admins, s.listBackfillErrors},
		{"POST", "/api/admin/backfills/{id}/pause", "operators' programs", admins, s.orderBackfill(s.cfg.Store.PauseBackfill)},
		{"POST", "/api/admin/backfills/{id}/resume", "operators' programs", admins, s.orderBackfill(s.cfg.Store.ResumeBackfill)},
		{"POST", "/api/admin/backfills/{id}/cancel", "operators' programs", admins, s.orderBackfill(s.cfg.Store.CancelBackfill)},
		{"GET", "/api/admin/events/{id}/facts", "operators' programs", admins, s.showEventFacts},
		{"POST", "/api/admin/events/retry", "operators' programs", admins, s.reopenAPI("retry")},
		{"POST", "/api/admin/events/replay", "operators' programs", admins, s.reopenAPI("replay")},
		{"GET", "/api/admin/health", "operators' programs", admins, s.showHealth},
		{"GET", "/api/admin/unattached", "operators' programs", admins, s.listOffReasons},
		{"GET", "/api/admin/unattached/{reason}", "operators' programs", admins, s.listOffFacts},
		{"POST", "/api/admin/unattached/{reason}/attach", "operators' programs", admins, s.attachAPI},
		{"GET", "/api/admin/stores", "operators' programs", admins, s.listStores},
		{"GET", "/api/openapi.json", "whoever writes a program for it", anyone, s.describe},
		{"GET", "/admin", "operators", admins, s.health},
		{"GET", "/admin/events", "operators", admins, s.events},
		{"GET", "/admin/event-states", "the script of the page above", admins, s.eventStates},
		{"GET", "/admin/events/{id}", "operators", admins, s.event},
		{"POST", "/admin/events/{id}/retry", "a button of the page above", admins, s.reopenOne("retry")},
		{"POST", "/admin/events/{id}/replay", "a button of the page above", admins, s.reopenOne("replay")},
		{"GET", "/admin/reopen", "operators, before many events are applied again", admins, s.reopenPageOf},
		{"POST", "/admin/reopen", "the form of the page above", admins, s.reopenMany},
		{"GET", "/admin/unattached", "operators", admins, s.unattached},
		{"GET", "/admin/unattached/{reason}", "operators", admins, s.unattachedFacts},
		{"POST", "/admin/unattached/{reason}/attach", "a button of the pages above", admins, s.attachForm},
		{"GET", "/admin/backfills", "operators", admins, s.backfills},
		{"POST", "/admin/backfills", "the form of the page above", admins, s.backfillForm},
		{"GET", "/admin/backfills/{id}", "operators", admins, s.backfillPage},
		{"POST", "/admin/backfills/{id}/pause", "a button of the page above", admins, s.orderForm("pause", s.cfg.Store.PauseBackfill)},
		{"POST", "/admin/backfills/{id}/resume", "a button of the page above", admins, s.orderForm("resume", s.cfg.Store.ResumeBackfill)},
		{"POST", "/admin/backfills/{id}/cancel", "a button of the page above", admins, s.orderForm("cancel", s.cfg.Store.CancelBackfill)},
		{"GET", "/admin/stores", "operators", admins, s.stores},
		{"GET", "/admin/{$}", "operators who type a slash too many", anyone, s.start},
		{"GET", "/{$}", "operators, to find the rest", anyone, s.start},
		{"GET", "/signin", "operators", anyone, s.signInPage},
		{"POST", "/signin", "the form of the page above", anyone, s.signIn},
		{"POST", "/signout", "the button on every page", anyone, s.signOut},
		{"", monitoringPath, "operators, by hand", admins, s.monitor},
		{"", monitoringPath + "/", "operators, and asynqmon's own page", admins, s.monitor},
		{"GET", "/metrics", "Prometheus with the admin token, and operators by hand", admins, s.scrape},
		{"GET", "/healthz", "process supervisors: restart me?", anyone, s.healthz},
		{"GET", "/readyz", "load balancers: send me requests?", anyone, s.readyz},
		{"GET", "/assets/{file}", "our pages", anyone, s.asset},
	}
}

// mux dispatches by path, then by method, so that a wrong method is answered in
// our form and names the right ones.
func (s *Site) mux() *http.ServeMux {
	byPath := map[string][]route{}
	for _, r := range s.routes() {
		byPath[r.path] = append(byPath[r.path], r)
	}
	mux := http.NewServeMux()
	for path, routes := range byPath {
		for i := range routes {
			if r := &routes[i]; r.who != anyone && r.path != livePath && r.path != csvRoute {
				r.handle = s.gates.requests.through(r.handle)
			}
		}
		mux.Handle(path, s.answer(s.dispatch(routes)))
	}
	mux.Handle("/", s.answer(func(http.ResponseWriter, *http.Request) error { return errNoRoute }))
	return mux
}

// dispatch picks the route of the request's method and lets in who may come in.
func (s *Site) dispatch(routes []route) handler {
	var allow []string
	for _, r := range routes {
		allow = append(allow, r.method)
		if r.method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		i := slices.IndexFunc(routes, func(x route) bool {
			return x.method == "" || x.method == r.Method || x.method == http.MethodGet && r.Method == http.MethodHead
		})
		if i < 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			return errMethod
		}
		v, err := s.admit(routes[i].who, r)
		if err != nil {
			return err
		}
		tellingOf(r.Context()).who = v.who()
		if routes[i].who == sellers {
			if err := s.named(r, v); err != nil {
				return err
			}
		}
		return routes[i].handle(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
	}
}
