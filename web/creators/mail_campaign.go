package creators

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/mail"
	"rollcall/store/campaigns"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// campaignPage is the data of campaign.html.
type campaignPage struct {
	mailPage
	campaigns.Figures
	C        campaigns.Campaign
	Action   string // where the forms go
	Text     string // whom it is for
	Audience string // to whom that is limited; empty: to no one
	Goal     string // behind "the customer"; empty: it has none
	Steps    []readStep
	OnGoal   []string
	Holdout  int
	Order    switchForm
	Said     string             // what was just done
	Nowhere  string             // which of its texts leads nowhere; empty: none does
	Results  *resultsPart       // nil: there are none
	Counting bool               // they are being counted
	Testers  []customers.Member // to whom tests can go
}

// readStep is a step with what its mails say.
type readStep struct {
	stepRow
	Texts []readText
}

// readText is a text of a mail, with the values of an invented customer.
type readText struct{ Label, Subject, Body string }

// State is what its state is called.
func (p campaignPage) State() string { return stateLabels[p.C.State] }

// Is tells whether it is in one of some states.
func (p campaignPage) Is(states ...string) bool {
	return slices.Contains(states, p.C.State)
}

// Once tells whether it is sent once, at a time.
func (p campaignPage) Once() bool { return p.C.Kind == campaigns.Once }

// Confirmed is how many customers were typed in.
func (p campaignPage) Confirmed() (n int64) {
	if p.C.Confirmed != nil {
		n = int64(*p.C.Confirmed)
	}
	return n
}

// Service tells whether its mails need no consent.
func (p campaignPage) Service() bool { return p.C.Class == campaigns.Service }

// Campaign shows a campaign.
func (s *Pages) Campaign(w http.ResponseWriter, r *http.Request) error {
	page := campaignPage{Said: said[r.URL.Query().Get("said")]}
	return s.showCampaign(w, r, page, nil)
}

// said is what pages say of what was just done.
var said = map[string]string{"tested": "The test is on its way.", "saved": "Saved."}

// showCampaign shows the page; refused is why a change was refused, or nil.
func (s *Pages) showCampaign(w http.ResponseWriter, r *http.Request, page campaignPage, refused error) (err error) {
	id, ctx := r.PathValue("store"), r.Context()
	if page.mailPage, err = s.newMailPage(r, "campaigns"); err != nil {
		return err
	}
	if page.C, err = s.campaigns().Campaign(ctx, id, r.PathValue("campaign")); err != nil {
		return err
	}
	page.Action = page.campaignURL(page.C.ID)
	figures, err := s.campaigns().Figures(ctx, id, s.Cfg.Now())
	if err != nil {
		return err
	}
	page.Figures = figures[page.C.ID]
	if err := s.tellCampaign(r, &page); err != nil {
		return err
	}
	if page.C.State != campaigns.Draft {
		now := s.Cfg.Now()
		results, err := s.campaigns().Results(ctx, id, page.C.ID, now)
		if page.Counting = errors.Is(err, campaigns.ErrCounting); err != nil && !page.Counting {
			return err
		}
		if !page.Counting {
			page.Results = resultsOf(results, now)
		}
	}
	if page.Testers, err = customers.New(s.Cfg.Store).Members(ctx, id); err != nil {
		return err
	}
	page.Testers = slices.DeleteFunc(page.Testers, func(m customers.Member) bool { return m.Email == "" })
	page.Order.fill(page, s.Cfg.Now())
	if page.Nowhere, err = s.campaigns().Lacks(ctx, id, page.C); err != nil {
		return err
	}
	status := http.StatusOK
	if refused != nil {
		page.Wrong, status = reasonFor(refused), core.Explain(refused).Status
	}
	return s.Page(w, status, "campaign.html", page)
}

// tellCampaign fills in what a campaign does, in words.
func (s *Pages) tellCampaign(r *http.Request, page *campaignPage) error {
	labels, err := s.labelsOf(r)
	if err != nil {
		return err
	}
	c := page.C
	page.Text = whoText(c, labels)
	if c.Goal != nil {
		page.Goal = testText(*c.Goal, labels)
	}
	for n, st := range c.Steps {
		page.Steps = append(page.Steps, readStep{stepRow{st, whenText(n, st), doText(st, labels), conditionText(st.If,
			labels)}, read(st, page.Shell.Store.Name)})
	}
	for _, st := range c.OnGoal {
		page.OnGoal = append(page.OnGoal, doText(st, labels))
	}
	if len(c.Audience) > 0 {
		rule, err := customers.ParseRule(string(c.Audience))
		if err != nil {
			return err
		}
		page.Audience, err = customers.New(s.Cfg.Store).RuleText(r.Context(), r.PathValue("store"), rule)
		return err
	}
	return nil
}

// read are the texts of a step as an invented customer would read them.
func read(st campaigns.Step, store string) (all []readText) {
	for label, t := range map[string]*campaigns.Text{"": st.Mail, "To half of them instead": st.B} {
		if t == nil {
			continue
		}
		subject, _, plain, err := mail.Render(t.Subject, t.Body, mail.Values{Name: "Ada Lovelace", FirstName: "Ada",
			Email: "ada@example.com", Store: store, Link: "https://example.com/go"})
		if err != nil { // it was saved before something else was refused
			subject, plain = t.Subject, t.Body
		}
		one := readText{label, subject, plain}
		if all = append(all, one); label == "" {
			all[0], all[len(all)-1] = one, all[0]
		}
	}
	return all
}

// switchForm is the form that switches a campaign.
type switchForm struct {
	campaigns.Order
	Days     string
	At       string // of a campaign of one time, as the browser writes it
	Zone     string
	Earliest string
	Asked    bool // whether a number is to be typed in
	Count    string
}

// fill completes the form for a page that is shown.
func (f *switchForm) fill(page campaignPage, now time.Time) {
	f.Zone = page.Zone().String()
	f.Earliest = now.In(page.Zone()).Format(localTime)
	if f.Past == "" {
		f.Past = "none"
	}
	if f.Days == "" {
		f.Days = "7"
	}
}

// localTime is how browsers write a day with a time.
const localTime = "2006-01-02T15:04"

// orderOf reads the form.
func orderOf(r *http.Request, zone *time.Location) (f switchForm, err error) {
	get := r.PostForm.Get
	f = switchForm{Order: campaigns.Order{To: get("to"), Past: get("past")}, Days: get("days"), At: get("at"),
		Count: strings.TrimSpace(get("count"))}
	if f.Past == "days" {
		if f.Order.Days, err = strconv.Atoi(f.Days); err != nil {
			return f, pg.Refuse("days", "must be a whole number")
		}
	}
	if f.Count != "" {
		n, err := strconv.Atoi(f.Count)
		if err != nil {
			return f, pg.Refuse("count", "must be a whole number")
		}
		f.Order.Count = &n
	}
	if f.At != "" && get("when") != "now" {
		at, err := time.ParseInLocation(localTime, f.At, zone)
		if err != nil {
			return f, pg.Refuse("at", "is not a day with a time")
		}
		f.Order.At = at.UTC().Format(time.RFC3339)
	}
	return f, nil
}

// CampaignSwitched handles the buttons that switch a campaign.
func (s *Pages) CampaignSwitched(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	shell, err := s.Shell(r, "mail")
	if err != nil {
		return err
	}
	order, err := orderOf(r, shell.Zone())
	if err == nil {
		_, err = s.campaigns().Switch(r.Context(), r.PathValue("store"), r.PathValue("campaign"), order.Order, s.Cfg.Now())
	}
	var wrong *pg.BadParam
	var conflict *pg.Conflict
	if errors.As(err, &wrong) || errors.As(err, &conflict) {
		order.Asked = wrong != nil && wrong.Name == "count" || conflict != nil && conflict.Code == "count_differs"
		return s.showCampaign(w, r, campaignPage{Order: order}, err)
	}
	return s.backToCampaign(w, r, "", err)
}

// backToCampaign goes back to the page of a campaign, unless err is set.
func (s *Pages) backToCampaign(w http.ResponseWriter, r *http.Request, said string, err error) error {
	if err != nil {
		return err
	}
	q := url.Values{}
	if said != "" {
		q.Set("said", said)
	}
	http.Redirect(w, r, core.Address(mailPage{URL: pathOf(r, "mail")}.campaignURL(r.PathValue("campaign")), q),
		http.StatusSeeOther)
	return nil
}

// CampaignDeleted handles the button that deletes a draft.
func (s *Pages) CampaignDeleted(w http.ResponseWriter, r *http.Request) error {
	return changed(w, r, pathOf(r, "mail"), func() error {
		return gone(s.campaigns().Delete(r.Context(), r.PathValue("store"), r.PathValue("campaign")))
	}, func(w http.ResponseWriter, r *http.Request, err error) error {
		return s.showCampaign(w, r, campaignPage{}, err)
	})
}

// CampaignTested handles the form that sends a mail of a campaign to someone of the team.
func (s *Pages) CampaignTested(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	step, variant, _ := strings.Cut(r.PostForm.Get("mail"), " ")
	err := s.campaigns().TestMail(r.Context(), r.PathValue("store"), r.PathValue("campaign"), step, variant,
		r.PostForm.Get("to"), s.Cfg.Now())
	if errors.As(err, new(*pg.BadParam)) {
		return s.showCampaign(w, r, campaignPage{}, err)
	}
	return s.backToCampaign(w, r, "tested", err)
}
