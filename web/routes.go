package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"rollcall/web/core"
	"rollcall/web/recipients"
)

// route is a method and path, with its handler.
type route struct {
	method string // GET includes HEAD; "": any
	path   string // pattern of http.ServeMux
	caller string // says who calls it
	who    core.Audience
	handle core.Handler
}

// routes lists every route of the site.
func (s *Server) routes() []route {
	return []route{
		{"GET", "/api/stores/{store}/customers", "a creator's programs", core.Sellers, s.api.ListCustomers},
		{"GET", core.CSVRoute, "creators, for their spreadsheets", core.Sellers, s.creators.ExportCustomers},
		{"GET", "/api/stores/{store}/customers/{id}", "a creator's programs", core.Sellers, s.api.ShowCustomer},
		{"GET", "/api/stores/{store}/customers/{id}/explain", "a creator's programs", core.Sellers, s.api.ExplainCustomer},
		{"GET", "/api/stores/{store}/customers/{id}/timeline", "a creator's programs", core.Sellers, s.api.ShowTimeline},
		{"GET", "/api/stores/{store}/customers/{id}/notes", "a creator's programs", core.Sellers, s.api.ListNotes},
		{"POST", "/api/stores/{store}/customers/{id}/notes", "a creator's programs", core.Sellers, s.api.AddNote},
		{"PATCH", "/api/stores/{store}/customers/{id}/notes/{note}", "a creator's programs", core.Sellers, s.api.EditNote},
		{"DELETE", "/api/stores/{store}/customers/{id}/notes/{note}", "a creator's programs", core.Sellers, s.api.DeleteNote},
		{"PUT", "/api/stores/{store}/customers/{id}/tags/{tag}", "a creator's programs", core.Sellers, s.api.PutTag},
		{"DELETE", "/api/stores/{store}/customers/{id}/tags/{tag}", "a creator's programs", core.Sellers,
			s.api.TakeTag},
		{"GET", "/api/stores/{store}/customers/{id}/campaigns", "a creator's programs", core.Sellers,
			s.api.ListTheirCampaigns},
		{"GET", "/api/stores/{store}/customers/{id}/stops", "a creator's programs", core.Sellers, s.api.ListTheirStops},
		{"PUT", "/api/stores/{store}/customers/{id}/stops/manual", "a creator's programs", core.Sellers, s.api.PutStop},
		{"DELETE", "/api/stores/{store}/customers/{id}/stops/manual", "a creator's programs", core.Sellers,
			s.api.TakeStop},
		{"GET", "/api/stores/{store}/stops", "a creator's programs", core.Sellers, s.api.ListStops},
		{"POST", "/api/stores/{store}/consents", "a creator's programs", core.Sellers, s.api.ImportConsents},
		{"GET", "/api/stores/{store}/recipes", "a creator's programs", core.Sellers, s.api.ListRecipes},
		{"GET", "/api/stores/{store}/campaigns", "a creator's programs", core.Sellers, s.api.ListCampaigns},
		{"POST", "/api/stores/{store}/campaigns", "a creator's programs", core.Sellers, s.api.AddCampaign},
		{"GET", "/api/stores/{store}/campaigns/{campaign}", "a creator's programs", core.Sellers, s.api.ShowCampaign},
		{"PATCH", "/api/stores/{store}/campaigns/{campaign}", "a creator's programs", core.Sellers, s.api.EditCampaign},
		{"POST", "/api/stores/{store}/campaigns/{campaign}/switch", "a creator's programs", core.Sellers,
			s.api.SwitchCampaign},
		{"POST", "/api/stores/{store}/campaigns/{campaign}/test", "a creator's programs", core.Sellers,
			s.api.TestCampaign},
		{"GET", "/api/stores/{store}/campaigns/{campaign}/preview", "a creator's programs", core.Sellers,
			s.api.PreviewCampaign},
		{"GET", "/api/stores/{store}/campaigns/{campaign}/results", "a creator's programs", core.Sellers,
			s.api.ShowResults},
		{"DELETE", "/api/stores/{store}/campaigns/{campaign}", "a creator's programs", core.Sellers, s.api.DeleteCampaign},
		{"GET", "/api/stores/{store}/tags", "a creator's programs", core.Sellers, s.api.ListTags},
		{"POST", "/api/stores/{store}/tags", "a creator's programs", core.Sellers, s.api.AddTag},
		{"PATCH", "/api/stores/{store}/tags/{tag}", "a creator's programs", core.Sellers, s.api.EditTag},
		{"DELETE", "/api/stores/{store}/tags/{tag}", "a creator's programs", core.Sellers, s.api.DeleteTag},
		{"POST", "/api/stores/{store}/tags/{tag}/merge", "a creator's programs", core.Sellers, s.api.MergeTag},
		{"GET", "/api/stores/{store}/segments", "a creator's programs", core.Sellers, s.api.ListSegments},
		{"POST", "/api/stores/{store}/segments", "a creator's programs", core.Sellers, s.api.AddSegment},
		{"POST", "/api/stores/{store}/segments/preview", "a creator's programs", core.Sellers, s.api.PreviewSegment},
		{"GET", "/api/stores/{store}/segments/{segment}", "a creator's programs", core.Sellers, s.api.ShowSegment},
		{"PATCH", "/api/stores/{store}/segments/{segment}", "a creator's programs", core.Sellers, s.api.EditSegment},
		{"GET", "/api/stores/{store}/segments/{segment}/why", "a creator's programs", core.Sellers, s.api.WhySegment},
		{"GET", "/api/stores/{store}/segments/{segment}/moves", "a creator's programs", core.Sellers, s.api.ListMoves},
		{"PUT", "/api/stores/{store}/segments/{segment}/members/{id}", "a creator's programs", core.Sellers,
			s.api.PutMember},
		{"DELETE", "/api/stores/{store}/segments/{segment}/members/{id}", "a creator's programs", core.Sellers,
			s.api.TakeMember},
		{"DELETE", "/api/stores/{store}/segments/{segment}", "a creator's programs", core.Sellers, s.api.DeleteSegment},
		{"GET", "/api/stores/{store}/bulk", "a creator's programs", core.Sellers, s.api.ListBulk},
		{"POST", "/api/stores/{store}/bulk", "a creator's programs", core.Sellers, s.api.StartBulk},
		{"GET", "/api/stores/{store}/bulk/{bulk}", "a creator's programs", core.Sellers, s.api.ShowBulk},
		{"POST", "/api/stores/{store}/bulk/{bulk}/undo", "a creator's programs", core.Sellers, s.api.UndoBulk},
		{"POST", "/api/stores/{store}/bulk/{bulk}/cancel", "a creator's programs", core.Sellers, s.api.CancelBulk},
		{"GET", "/api/stores/{store}/stats", "a creator's programs", core.Sellers, s.api.ShowStats},
		{"GET", "/api/stores/{store}/value", "a creator's programs", core.Sellers, s.api.ShowValue},
		{"GET", "/api/stores/{store}/value/cohorts", "a creator's programs", core.Sellers, s.api.ListCohorts},
		{"GET", "/api/stores/{store}/value/customers", "a creator's programs", core.Sellers, s.api.ListExpected},
		{"GET", "/api/stores/{store}/value/help", "a creator's programs", core.Sellers, s.api.ListHelp},
		{"GET", "/store/{store}/customers", "creators", core.Sellers, s.creators.Customers},
		{"GET", "/store/{store}/customers/pinned", "the script of the page above", core.Sellers, s.creators.Pinned},
		{"POST", "/store/{store}/customers/columns", "the form of columns above that list", core.Sellers,
			s.creators.ColumnsForm},
		{"POST", "/store/{store}/customers/selection", "the form below that list", core.Sellers, s.creators.Selected},
		{"GET", "/store/{store}/bulk/{bulk}", "creators, and the script of the page itself", core.Sellers, s.creators.Bulk},
		{"POST", "/store/{store}/bulk/{bulk}/undo", "a button of the page above", core.Sellers, s.creators.BulkUndone},
		{"POST", "/store/{store}/bulk/{bulk}/cancel", "a button of the page above", core.Sellers, s.creators.BulkCancelled},
		{"GET", core.LivePath, "the script of the page above", core.Sellers, s.creators.Watch},
		{"GET", "/store/{store}/customers/{id}", "creators", core.Sellers, s.creators.Customer},
		{"POST", "/store/{store}/customers/{id}/notes", "the form on the page above", core.Sellers, s.creators.NoteForm},
		{"POST", "/store/{store}/customers/{id}/notes/{note}", "the form of a note", core.Sellers, s.creators.NoteForm},
		{"POST", "/store/{store}/customers/{id}/notes/{note}/delete", "the button of a note", core.Sellers,
			s.creators.NoteDeleted},
		{"POST", "/store/{store}/customers/{id}/tags", "the form of tags on the page above", core.Sellers,
			s.creators.TagForm},
		{"POST", "/store/{store}/customers/{id}/tags/{tag}/remove", "the button of a tag", core.Sellers,
			s.creators.TagRemoved},
		{"GET", "/store/{store}/segments", "creators", core.Sellers, s.creators.Segments},
		{"GET", "/store/{store}/segments/count", "a part of pages: how many a filter selects", core.Sellers,
			s.creators.SegmentCount},
		{"GET", "/store/{store}/segments/new", "creators", core.Sellers, s.creators.NewSegment},
		{"POST", "/store/{store}/segments/new", "the form on the page above", core.Sellers, s.creators.SegmentForm},
		{"GET", "/store/{store}/segments/{segment}", "creators", core.Sellers, s.creators.Segment},
		{"POST", "/store/{store}/segments/{segment}", "the form on the page above", core.Sellers, s.creators.SegmentForm},
		{"GET", "/store/{store}/segments/{segment}/why", "creators", core.Sellers, s.creators.SegmentWhy},
		{"POST", "/store/{store}/segments/{segment}/pin", "the button of a segment", core.Sellers, s.creators.SegmentPinned},
		{"POST", "/store/{store}/segments/{segment}/delete", "the button of a segment", core.Sellers,
			s.creators.SegmentDeleted},
		{"GET", "/store/{store}/mail", "creators", core.Sellers, s.creators.Mail},
		{"POST", "/store/{store}/mail/recipes/{recipe}", "the form of a recipe on the page above", core.Sellers,
			s.creators.RecipeForm},
		{"GET", "/store/{store}/mail/new", "creators", core.Sellers, s.creators.NewCampaign},
		{"POST", "/store/{store}/mail/new", "the form on the page above", core.Sellers, s.creators.CampaignForm},
		{"GET", "/store/{store}/mail/campaigns/{campaign}", "creators", core.Sellers, s.creators.Campaign},
		{"GET", "/store/{store}/mail/campaigns/{campaign}/edit", "creators", core.Sellers, s.creators.EditCampaign},
		{"POST", "/store/{store}/mail/campaigns/{campaign}/edit", "the form on the page above", core.Sellers,
			s.creators.CampaignForm},
		{"POST", "/store/{store}/mail/campaigns/{campaign}/switch", "the buttons of a campaign", core.Sellers,
			s.creators.CampaignSwitched},
		{"GET", "/store/{store}/mail/campaigns/{campaign}/preview", "creators", core.Sellers, s.creators.CampaignPreview},
		{"POST", "/store/{store}/mail/campaigns/{campaign}/test", "the form of tests of a campaign", core.Sellers,
			s.creators.CampaignTested},
		{"POST", "/store/{store}/mail/campaigns/{campaign}/delete", "the button of a draft", core.Sellers,
			s.creators.CampaignDeleted},
		{"GET", "/store/{store}/mail/mailbox", "creators", core.Sellers, s.creators.Mailbox},
		{"GET", "/store/{store}/mail/mailbox/{mail}", "creators", core.Sellers, s.creators.Kept},
		{"GET", "/store/{store}/mail/mailbox/{mail}/html", "a frame in the page above", core.Sellers, s.creators.KeptHTML},
		{"GET", "/store/{store}/mail/deliverability", "creators", core.Sellers, s.creators.Deliverability},
		{"POST", "/store/{store}/mail/mails/{mail}/again", "the button of a mail of unknown end", core.Sellers,
			s.creators.MailAgain},
		{"GET", "/store/{store}/customers/{id}/mail", "creators", core.Sellers, s.creators.CustomerMail},
		{"POST", "/store/{store}/customers/{id}/mail/stop", "a button of a customer's page", core.Sellers,
			s.creators.MailStopped},
		{"POST", "/store/{store}/customers/{id}/mail/lift", "a button of a customer's page", core.Sellers,
			s.creators.MailLifted},
		{"POST", "/store/{store}/mail/pause", "a button of the pages about mail", core.Sellers, s.creators.MailPaused},
		{"POST", "/store/{store}/mail/resume", "a button of the pages about mail", core.Sellers, s.creators.MailResumed},
		{"POST", "/store/{store}/settings/mail", "the form of mail on the page of settings", core.Sellers,
			s.creators.MailSettingsForm},
		{"GET", "/store/{store}/value", "creators", core.Sellers, s.creators.Value},
		{"POST", "/store/{store}/value", "the button on the page above", core.Sellers, s.creators.ValueAsked},
		{"GET", "/store/{store}/value/{table}", "creators, for their spreadsheets", core.Sellers, s.creators.ValueFile},
		{"GET", "/store/{store}/tags", "creators", core.Sellers, s.creators.Tags},
		{"POST", "/store/{store}/tags/{tag}", "the form of a tag on the page above", core.Sellers, s.creators.TagRenamed},
		{"POST", "/store/{store}/tags/{tag}/delete", "the button of a tag", core.Sellers, s.creators.TagDeleted},
		{"POST", "/store/{store}/tags/{tag}/merge", "the form that merges tags", core.Sellers, s.creators.TagMerged},
		{"GET", "/api/admin/events", "operators' programs", core.Admins, s.api.ListEvents},
		{"GET", "/api/admin/events/{id}", "operators' programs", core.Admins, s.api.ShowEvent},
		{"GET", "/api/admin/backfills", "operators' programs", core.Admins, s.api.ListBackfills},
		{"POST", "/api/admin/backfills", "operators' programs", core.Admins, s.api.StartBackfill},
		{"GET", "/api/admin/backfills/{id}", "operators' programs", core.Admins, s.api.ShowBackfill},
		{"GET", "/api/admin/backfills/{id}/errors", "operators' programs", core.Admins, s.api.ListBackfillErrors},
		{"POST", "/api/admin/backfills/{id}/pause", "operators' programs", core.Admins,
			s.api.OrderBackfill(s.Cfg.Store.PauseBackfill)},
		{"POST", "/api/admin/backfills/{id}/resume", "operators' programs", core.Admins,
			s.api.OrderBackfill(s.Cfg.Store.ResumeBackfill)},
		{"POST", "/api/admin/backfills/{id}/cancel", "operators' programs", core.Admins,
			s.api.OrderBackfill(s.Cfg.Store.CancelBackfill)},
		{"GET", "/api/admin/events/{id}/facts", "operators' programs", core.Admins, s.operators.ShowEventFacts},
		{"POST", "/api/admin/events/retry", "operators' programs", core.Admins, s.operators.ReopenAPI("retry")},
		{"POST", "/api/admin/events/dismiss", "operators' programs", core.Admins, s.operators.ReopenAPI("dismiss")},
		{"POST", "/api/admin/events/replay", "operators' programs", core.Admins, s.operators.ReopenAPI("replay")},
		{"GET", "/api/admin/health", "operators' programs", core.Admins, s.operators.ShowHealth},
		{"GET", "/api/admin/unattached", "operators' programs", core.Admins, s.operators.ListOffReasons},
		{"GET", "/api/admin/unattached/{reason}", "operators' programs", core.Admins, s.operators.ListOffFacts},
		{"POST", "/api/admin/unattached/{reason}/attach", "operators' programs", core.Admins, s.operators.AttachAPI},
		{"GET", "/api/admin/stores", "operators' programs", core.Admins, s.operators.ListStores},
		{"GET", "/api/openapi.json", "whoever writes a program for it", core.Anyone, s.api.Describe},
		{"GET", "/admin", "operators, and the script of the page itself", core.Admins, s.operators.Overview},
		{"GET", "/admin/rejected", "operators", core.Admins, s.operators.Rejected},
		{"GET", "/admin/events", "operators", core.Admins, s.operators.Events},
		{"GET", "/admin/event-states", "the script of the page above", core.Admins, s.operators.EventStates},
		{"GET", "/admin/events/{id}", "operators", core.Admins, s.operators.Event},
		{"POST", "/admin/events/{id}/retry", "a button of the page above", core.Admins, s.operators.ReopenOne("retry")},
		{"POST", "/admin/events/{id}/dismiss", "the form of the page above", core.Admins, s.operators.ReopenOne("dismiss")},
		{"POST", "/admin/events/{id}/replay", "a button of the page above", core.Admins, s.operators.ReopenOne("replay")},
		{"GET", "/admin/reopen", "operators, before many events are applied again", core.Admins, s.operators.ReopenPageOf},
		{"POST", "/admin/reopen", "the form of the page above", core.Admins, s.operators.ReopenMany},
		{"GET", "/admin/unattached", "operators", core.Admins, s.operators.Unattached},
		{"GET", "/admin/unattached/{reason}", "operators", core.Admins, s.operators.UnattachedFacts},
		{"POST", "/admin/unattached/{reason}/attach", "a button of the pages above", core.Admins, s.operators.AttachForm},
		{"GET", "/admin/backfills", "operators", core.Admins, s.operators.Backfills},
		{"POST", "/admin/backfills", "the form of the page above", core.Admins, s.operators.BackfillForm},
		{"GET", "/admin/backfills/{id}", "operators", core.Admins, s.operators.BackfillPage},
		{"POST", "/admin/backfills/{id}/pause", "a button of the page above", core.Admins,
			s.operators.OrderForm("pause", s.Cfg.Store.PauseBackfill)},
		{"POST", "/admin/backfills/{id}/resume", "a button of the page above", core.Admins,
			s.operators.OrderForm("resume", s.Cfg.Store.ResumeBackfill)},
		{"POST", "/admin/backfills/{id}/cancel", "a button of the page above", core.Admins,
			s.operators.OrderForm("cancel", s.Cfg.Store.CancelBackfill)},
		{"GET", "/admin/mail", "operators", core.Admins, s.operators.Mail},
		{"GET", "/admin/stores", "operators", core.Admins, s.operators.Stores},
		{"GET", "/admin/stores/{store}", "operators", core.Admins, s.operators.Store},
		{"GET", "/admin/{$}", "operators who type a slash too many", core.Anyone, s.start},
		{"GET", "/{$}", "everyone, to find the rest", core.Anyone, s.creators.Home},
		{"GET", "/stores", "creators with several stores", core.Known, s.creators.OwnStores},
		{"GET", "/store/{store}", "creators who shorten an address", core.Sellers, s.creators.StoreHome},
		{"GET", "/store/{store}/settings", "creators", core.Sellers, s.creators.Settings},
		{"POST", "/store/{store}/settings", "the form on the page above", core.Sellers, s.creators.SettingsForm},
		{"POST", "/store/{store}/settings/tokens", "the form of tokens on that page", core.Sellers, s.creators.TokenForm},
		{"POST", "/store/{store}/settings/tokens/{token}/revoke", "the button of a token", core.Sellers,
			s.creators.TokenRevoked},
		{"GET", "/signin", "creators and operators", core.Anyone, s.access.SignInPage},
		{"POST", "/signin", "the form of the page above", core.Anyone, s.access.SignIn},
		{"POST", "/signout", "the button on every page", core.Anyone, s.access.SignOut},
		{"", core.MonitoringPath, "operators, by hand", core.Admins, s.operators.Monitor},
		{"", core.MonitoringPath + "/", "operators, and asynqmon's own page", core.Admins, s.operators.Monitor},
		{"GET", "/metrics", "Prometheus with the admin token, and operators by hand", core.Admins, s.operators.Scrape},
		{"GET", recipients.LeavePath, "people who got a mail, and programs that check mails", core.Anyone,
			s.recipients.Throttled(s.recipients.Leave)},
		{"POST", recipients.LeavePath, "the buttons of the page above, and mail programs", core.Anyone,
			s.recipients.Throttled(s.recipients.Left)},
		{"GET", recipients.ClickPath, "links in mails", core.Anyone, s.recipients.Throttled(s.recipients.Click)},
		{"GET", "/healthz", "process supervisors: restart me?", core.Anyone, s.operators.Healthz},
		{"GET", "/readyz", "load balancers: send me requests?", core.Anyone, s.operators.Readyz},
		{"GET", "/assets/{file}", "our pages", core.Anyone, s.Asset},
	}
}

// mux dispatches by path, then by method, so that the answer to a wrong method has
// the site's form and names the allowed ones.
func (s *Server) mux() *http.ServeMux {
	byPath := map[string][]route{}
	for _, r := range s.routes() {
		byPath[r.path] = append(byPath[r.path], r)
	}
	mux := http.NewServeMux()
	for path, routes := range byPath {
		for i := range routes {
			if r := &routes[i]; r.who != core.Anyone && r.path != core.LivePath && r.path != core.CSVRoute {
				r.handle = s.Gates.Requests.Through(r.handle)
			}
		}
		mux.Handle(path, s.Answer(s.dispatch(routes, above(path, byPath))))
	}
	mux.Handle("/", s.Answer(func(http.ResponseWriter, *http.Request) error { return core.ErrNoRoute }))
	return mux
}

// above is how many steps up from a path the next page is.
func above(path string, byPath map[string][]route) (steps int) {
	for path != "" {
		path = path[:strings.LastIndexByte(path, '/')]
		steps++
		if slices.ContainsFunc(byPath[path], func(r route) bool { return r.method == http.MethodGet }) {
			return steps
		}
	}
	return 0
}

// dispatch selects the route by method, and admits the visitor. A form that failed leaves its
// address in the browser: who opens that gets the page so many steps above.
func (s *Server) dispatch(routes []route, above int) core.Handler {
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
		if i < 0 && above > 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) && !core.IsAPI(r) {
			up := strings.Split(r.URL.EscapedPath(), "/")
			http.Redirect(w, r, core.Address(strings.Join(up[:len(up)-above], "/"), r.URL.Query()), http.StatusSeeOther)
			return nil
		}
		if i < 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			return core.ErrMethod
		}
		v, err := s.Admit(routes[i].who, r)
		if err != nil {
			return err
		}
		core.LogOf(r.Context()).Who = v.Who()
		if routes[i].who == core.Sellers {
			if err := s.Named(r, v); err != nil {
				return err
			}
		}
		return routes[i].handle(w, r.WithContext(context.WithValue(r.Context(), core.VisitorKey{}, v)))
	}
}
