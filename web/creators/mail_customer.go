package creators

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rollcall/mail"
	"rollcall/store/campaigns"
	"rollcall/store/customers"
	storemail "rollcall/store/mail"
	"rollcall/web/core"
)

// mailOfCustomer is the part of a customer's page about mail.
type mailOfCustomer struct {
	Rows    []mailRow
	Stops   []string // why they are not mailed, in sentences
	ByHand  bool     // one of them can be lifted
	WhyURL  string
	StopURL string
}

// mailed is how many mails the page of a customer shows.
const mailed = 5

// mailOf fills in the part about mail.
func (s *Pages) mailOf(r *http.Request, page *customerPage) (err error) {
	m := &mailOfCustomer{WhyURL: page.URL + "/mail" + page.Query, StopURL: page.URL + "/mail/"}
	page.Mail = m
	if m.Rows, err = s.mailRows(r, storemail.Filter{Store: r.PathValue("store"), Email: page.Customer.Email}); err != nil {
		return err
	}
	m.Rows = m.Rows[:min(len(m.Rows), mailed)]
	m.Stops, m.ByHand, err = s.stopsOf(r)
	return err
}

// stopsOf says why the customer in the path is not mailed.
func (s *Pages) stopsOf(r *http.Request) (texts []string, byHand bool, err error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return nil, false, nil
	}
	stops, err := storemail.NewRecipients(s.Cfg.Store).Stops(r.Context(), r.PathValue("store"), id)
	for _, stop := range stops {
		text := stopTexts[stop.Reason]
		if stop.CampaignID != "" {
			text = "They want no more mail of one kind"
		}
		texts = append(texts, text+", since "+stop.Since.UTC().Format("2 Jan 2006")+".")
		byHand = byHand || stop.Reason == "manual"
	}
	return texts, byHand, err
}

// stopTexts say why someone is not mailed.
var stopTexts = map[string]string{
	"unsubscribed": "They unsubscribed from marketing mail",
	"hard":         "Their address does not exist",
	"soft":         "Their mailbox has taken no mail for some time",
	"complained":   "They called a mail spam",
	"manual":       "Your team stopped all mail to them",
}

// MailStopped handles the button that ends all mail of the store to a customer.
func (s *Pages) MailStopped(w http.ResponseWriter, r *http.Request) error {
	return s.changeStop(w, r, func(to *storemail.Recipients, id int64) error {
		return to.StopByHand(r.Context(), r.PathValue("store"), id, core.Admitted(r).Name(), s.Cfg.Now())
	})
}

// MailLifted handles the button that takes that back.
func (s *Pages) MailLifted(w http.ResponseWriter, r *http.Request) error {
	return s.changeStop(w, r, func(to *storemail.Recipients, id int64) error {
		return gone(to.LiftByHand(r.Context(), r.PathValue("store"), id))
	})
}

func (s *Pages) changeStop(w http.ResponseWriter, r *http.Request,
	change func(*storemail.Recipients, int64) error) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err == nil {
		err = change(storemail.NewRecipients(s.Cfg.Store), id)
	}
	return s.backTo(w, r, "#mail", err)
}

// whyMailPage is the data of mail_why.html: what each campaign was for a customer.
type whyMailPage struct {
	mailPage
	Customer customers.Customer
	Back     string
	Stories  []storyRow
	Mails    []mailRow
	Stops    []string
}

// storyRow is what a campaign was for the customer.
type storyRow struct {
	campaigns.Story
	URL   string
	State string
	Runs  []runRow
}

// runRow is one way of the customer through a campaign.
type runRow struct {
	campaigns.TheirRun
	About string // a course; may be empty
	Held  bool
	Lines []runLine
	End   string // how it ended, or what comes next
	At    *time.Time
}

// runLine is a step of it.
type runLine struct {
	At         time.Time
	Text, Tone string
}

// CustomerMail shows which mail a customer got, which not, and why.
func (s *Pages) CustomerMail(w http.ResponseWriter, r *http.Request) (err error) {
	page, id := whyMailPage{}, r.PathValue("store")
	if page.mailPage, err = s.newMailPage(r, ""); err != nil {
		return err
	}
	of := s.newCustomerPage(r)
	page.Back, page.Shell.Here = of.URL+of.Query, "customers"
	if page.Customer, err = customers.New(s.Cfg.Store).Customer(r.Context(), id, r.PathValue("id")); err != nil {
		return err
	}
	stories, err := s.campaigns().OfCustomer(r.Context(), id, r.PathValue("id"), s.Cfg.Now())
	if err != nil {
		return err
	}
	named, err := s.stepNames(r)
	if err != nil {
		return err
	}
	for _, story := range stories {
		row := storyRow{Story: story, URL: page.campaignURL(story.Campaign), State: stateLabels[story.State]}
		for _, run := range story.Runs {
			row.Runs = append(row.Runs, named.run(story.Campaign, run))
		}
		page.Stories = append(page.Stories, row)
	}
	if page.Mails, err = s.mailRows(r, storemail.Filter{Store: id, Email: page.Customer.Email}); err != nil {
		return err
	}
	page.Stops, _, err = s.stopsOf(r)
	if err != nil {
		return err
	}
	return s.Page(w, http.StatusOK, "mail_why.html", page)
}

// stepNames says what the steps of campaigns do, which are known by keys.
type stepNames struct {
	labels labels
	steps  map[string]string // by campaign and key
}

func (s *Pages) stepNames(r *http.Request) (n stepNames, err error) {
	if n.labels, err = s.labelsOf(r); err != nil {
		return n, err
	}
	all, err := s.campaigns().List(r.Context(), r.PathValue("store"))
	n.steps = map[string]string{}
	for _, c := range all {
		for _, st := range c.Steps {
			what := doText(st, n.labels)
			if st.Mail != nil {
				what = "mail “" + st.Mail.Subject + "”"
			}
			n.steps[c.ID+" "+st.Key] = what
		}
	}
	return n, err
}

// run tells a run of a campaign.
func (n stepNames) run(campaign string, run campaigns.TheirRun) runRow {
	name := func(key string) string { return cmp.Or(n.steps[campaign+" "+key], "a step that was removed") }
	row := runRow{TheirRun: run, Held: run.Arm == "held", At: run.NextAt}
	_, about, _ := strings.Cut(run.Occurrence, ":")
	about, _, _ = strings.Cut(about, "#")
	row.About = n.labels[about]
	for _, step := range run.Done {
		line := runLine{At: step.At, Text: name(step.Step) + ": " + step.Outcome}
		if step.Mail != "" {
			line.Text = name(step.Step) + ": " + statusLabels[step.Mail]
			line.Tone = mailRow{Mail: storemail.Mail{Status: step.Mail}}.Tone()
		}
		if step.Reason != "" {
			line.Text += ". " + mail.ReasonText(step.Reason)
		}
		row.Lines = append(row.Lines, line)
	}
	switch {
	case run.EndedAt != nil:
		row.End, row.At = "It ended: "+campaigns.EndText(run.EndedFor), run.EndedAt
	case run.NextStep != "":
		row.End = "Next: " + name(run.NextStep)
	default:
		row.End = "All steps are done; the goal counts until"
	}
	return row
}
