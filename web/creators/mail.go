package creators

import (
	"net/http"
	"net/url"

	"rollcall/store/campaigns"
	"rollcall/store/customers"
	storemail "rollcall/store/mail"
	"rollcall/web/core"
)

// mailPage is what the pages about mail share.
type mailPage struct {
	core.Shell
	Tabs  []choice
	Lacks []string // what keeps the store from sending, in words for the reader
	Lane  storemail.Lane
	URL   string // of the first of the pages
	Wrong string // why a change was refused
}

// newMailPage is what the page called so shares with the others.
func (s *Pages) newMailPage(r *http.Request, here string) (p mailPage, err error) {
	if p.Shell, err = s.Shell(r, "mail"); err != nil {
		return p, err
	}
	id, mails := r.PathValue("store"), s.mails()
	p.URL = pathOf(r, "mail")
	if _, p.Lane, err = mails.Settings(r.Context(), id); err != nil {
		return p, err
	}
	if p.Lacks, err = s.lacks(r, p.IsAdmin); err != nil {
		return p, err
	}
	keeps, err := mails.Keeps(r.Context(), id)
	p.Tabs = []choice{{"Campaigns", p.URL, here == "campaigns"}}
	if keeps || here == "mailbox" {
		p.Tabs = append(p.Tabs, choice{"Mailbox", p.URL + "/mailbox", here == "mailbox"})
	}
	p.Tabs = append(p.Tabs, choice{"Deliverability", p.URL + "/deliverability", here == "deliverability"})
	return p, err
}

// lacks is what keeps the store from sending, in words. Operators read which settings of the installation they are.
func (s *Pages) lacks(r *http.Request, operator bool) ([]string, error) {
	installation, own, err := s.mails().Missing(r.Context(), r.PathValue("store"))
	if len(installation) > 0 && !operator {
		installation = []string{"Mail is not set up on this marketplace yet. The people who run it can do that."}
	}
	return append(installation, own...), err
}

func (s *Pages) campaigns() *campaigns.Campaigns { return campaigns.New(s.Cfg.Store) }

func (s *Pages) mails() *storemail.Mails { return storemail.New(s.Cfg.Store, s.campaigns().Skips) }

// mailHome is the data of mail.html: the campaigns of a store, and recipes for more.
type mailHome struct {
	mailPage
	Campaigns []campaignRow
	Recipes   []recipeCard
	Refused   string // the recipe that Wrong is about
}

// campaignRow is a campaign on the page.
type campaignRow struct {
	campaigns.Campaign
	campaigns.Figures
	URL  string
	Text string
}

// State is what its state is called.
func (c campaignRow) State() string { return stateLabels[c.Campaign.State] }

// stateLabels are what states of campaigns are called.
var stateLabels = map[string]string{campaigns.Draft: "Draft", campaigns.Rehearsal: "Rehearsal", campaigns.On: "On",
	campaigns.Paused: "Paused", campaigns.Ended: "Ended"}

// Mail shows a store's campaigns.
func (s *Pages) Mail(w http.ResponseWriter, r *http.Request) error { return s.showMail(w, r, nil) }

// showMail shows the page; refused is why a recipe was refused, or nil.
func (s *Pages) showMail(w http.ResponseWriter, r *http.Request, refused error) (err error) {
	page, id := mailHome{}, r.PathValue("store")
	if page.mailPage, err = s.newMailPage(r, "campaigns"); err != nil {
		return err
	}
	all, err := s.campaigns().List(r.Context(), id)
	if err != nil {
		return err
	}
	figures, err := s.campaigns().Figures(r.Context(), id, s.Cfg.Now())
	if err != nil {
		return err
	}
	info, err := customers.New(s.Cfg.Store).Store(r.Context(), id)
	if err != nil {
		return err
	}
	labels, err := s.labelsOf(r)
	if err != nil {
		return err
	}
	for _, c := range all {
		page.Campaigns = append(page.Campaigns, campaignRow{c, figures[c.ID], page.campaignURL(c.ID), whoText(c, labels)})
	}
	page.Recipes = recipesOf(info, page, r.PostForm)
	status := http.StatusOK
	if refused != nil {
		page.Wrong, page.Refused, status = reasonFor(refused), r.PathValue("recipe"), core.Explain(refused).Status
	}
	return s.Page(w, status, "mail.html", page)
}

// campaignURL is the page of a campaign.
func (p mailPage) campaignURL(id string) string { return p.URL + "/campaigns/" + url.PathEscape(id) }

// PauseText says why the store sends nothing.
func (p mailPage) PauseText() string {
	return map[string]string{
		"hand":       "it was paused by hand.",
		"bounces":    "more than 5% of the last mails went to addresses that do not exist.",
		"complaints": "more than 0.3% of those who got the last mails called them spam.",
		"refused":    "more than 5% of the last mails were refused for their text or their sender.",
	}[p.Lane.PausedFor]
}

// MailPaused handles the button that stops the sending of a store.
func (s *Pages) MailPaused(w http.ResponseWriter, r *http.Request) error {
	return changed(w, r, pathOf(r, "mail")+"/deliverability", func() error {
		return s.mails().Pause(r.Context(), r.PathValue("store"), "hand")
	}, s.showMail)
}

// MailResumed handles the button that lets a store send again.
func (s *Pages) MailResumed(w http.ResponseWriter, r *http.Request) error {
	return changed(w, r, pathOf(r, "mail")+"/deliverability", func() error {
		return s.mails().Resume(r.Context(), r.PathValue("store"))
	}, s.showMail)
}
