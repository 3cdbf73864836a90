package creators

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rollcall/store/campaigns"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// The form of a campaign works without a script, as that of a segment: each button sends the whole form, and the page
// comes back with a step more or less. The fields of the nth step begin with s.n.

// campaignForm is the data of campaign_edit.html: the form of a campaign, new or kept.
type campaignForm struct {
	mailPage
	C         campaigns.Campaign
	Action    string
	Back      string // where Cancel leads
	Question  *campaigns.Question
	Kinds     []choice // the questions that a new one may ask
	Sentence  string
	Numbers   []numberField
	Courses   []core.Option
	Product   []core.Option // that the goal or the trigger is about
	Audience  []core.Option
	Goals     []core.Option
	Steps     []stepForm
	Names     []string // that texts may have
	Nowhere   string   // which text leads nowhere; empty: none does
	WrongStep int      // the step that Wrong is about, from 1; 0: none
	Added     int      // the step that was just added, from 1
}

// numberField is a number of the question.
type numberField struct {
	campaigns.Number
	Value int
}

// stepForm is a step in the form.
type stepForm struct {
	campaigns.Step
	N      int    // from 1
	At     string // begins the names of its fields
	Waits  string // as it was typed
	Ifs    []core.Option
	Tags   []core.Option
	Wrong  string
	Focus  bool
	Single bool // it is the only one
}

// Mails tells whether the step is a mail.
func (f stepForm) Mails() bool { return f.Do == campaigns.DoMail }

// Called is what a step of this kind is called.
func (f stepForm) Called() string {
	return map[string]string{campaigns.DoMail: "Mail", campaigns.DoTag: "Add a tag", campaigns.DoUntag: "Remove a tag",
		campaigns.DoNote: "Add a note"}[f.Do]
}

// NewCampaign shows the form of a new campaign: once to a segment if the query names one, else of any question.
func (s *Pages) NewCampaign(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	question := campaigns.QuestionNamed(q.Get("question"))
	if question == nil {
		question = campaigns.QuestionNamed("everyone")
	}
	c := campaigns.Campaign{Kind: question.Kind, Class: campaigns.Marketing, Name: q.Get("name"), Priority: 5,
		Trigger: campaigns.Trigger{Question: question.Name, Numbers: map[string]int{}},
		Steps:   []campaigns.Step{{Do: campaigns.DoMail, Mail: &campaigns.Text{}}}}
	if segment := q.Get("segment"); segment != "" {
		c.Audience = inSegment(segment)
	}
	return s.showCampaignForm(w, r, campaignForm{C: c}, nil)
}

// inSegment is the rule of those in a segment.
func inSegment(id string) json.RawMessage {
	rule, _ := json.Marshal(map[string]string{"segment": id}) // it cannot fail
	return rule
}

// EditCampaign shows the form of a campaign.
func (s *Pages) EditCampaign(w http.ResponseWriter, r *http.Request) error {
	c, err := s.campaigns().Campaign(r.Context(), r.PathValue("store"), r.PathValue("campaign"))
	if err != nil {
		return err
	}
	return s.showCampaignForm(w, r, campaignForm{C: c}, nil)
}

// CampaignForm handles the buttons of the form: it changes what is in it, or saves it.
func (s *Pages) CampaignForm(w http.ResponseWriter, r *http.Request) (err error) {
	if err := readForm(w, r); err != nil {
		return err
	}
	page := campaignForm{}
	if id := r.PathValue("campaign"); id != "" {
		if page.C, err = s.campaigns().Campaign(r.Context(), r.PathValue("store"), id); err != nil {
			return err
		}
	}
	waits := readCampaign(&page.C, r.PostForm)
	switch do, which, _ := strings.Cut(r.PostForm.Get("do"), " "); do {
	case "add":
		page.C.Steps = append(page.C.Steps, newStep(which))
		page.Added = len(page.C.Steps)
		return s.showCampaignForm(w, r, page, nil)
	case "second":
		if n, err := strconv.Atoi(which); err == nil && n >= 1 && n <= len(page.C.Steps) {
			st := &page.C.Steps[n-1]
			st.B = &campaigns.Text{}
			if st.Mail != nil {
				*st.B = campaigns.Text{Subject: st.Mail.Subject, Body: st.Mail.Body}
			}
		}
		return s.showCampaignForm(w, r, page, nil)
	case "remove":
		if n, err := strconv.Atoi(which); err == nil && n >= 1 && n <= len(page.C.Steps) {
			page.C.Steps = slices.Delete(page.C.Steps, n-1, n)
		}
		return s.showCampaignForm(w, r, page, nil)
	case "save":
		return s.saveCampaign(w, r, page, waits)
	}
	return core.ErrForm
}

// newStep is a step that the form adds.
func newStep(do string) campaigns.Step {
	switch do {
	case campaigns.DoTag, campaigns.DoUntag, campaigns.DoNote:
		return campaigns.Step{Do: do}
	}
	return campaigns.Step{Do: campaigns.DoMail, Wait: campaigns.Wait(7 * 24 * 3600e9), Mail: &campaigns.Text{}}
}

// saveCampaign saves the form; waits is what is wrong with its times to wait.
func (s *Pages) saveCampaign(w http.ResponseWriter, r *http.Request, page campaignForm, waits error) error {
	c, err := page.C, waits
	if err == nil && c.ID == "" {
		c, err = s.campaigns().Create(r.Context(), r.PathValue("store"), c, core.Admitted(r).Name())
	} else if err == nil {
		version, _ := strconv.Atoi(r.PostForm.Get("version"))
		audience, goal := c.Audience, c.Goal
		if audience == nil {
			audience = []byte("null")
		}
		if goal == nil {
			goal = &campaigns.Test{}
		}
		_, err = s.campaigns().Update(r.Context(), r.PathValue("store"), c.ID, campaigns.Change{Name: &c.Name,
			Class: &c.Class, Trigger: &c.Trigger, Audience: audience, Goal: goal, Steps: c.Steps, Holdout: &c.Holdout,
			Reentry: &c.Reentry, ReentryDays: &c.ReentryDays, Priority: &c.Priority, Version: &version})
	}
	if isRefused(err) {
		return s.showCampaignForm(w, r, page, err)
	}
	r.SetPathValue("campaign", c.ID)
	return s.backToCampaign(w, r, "saved", err)
}

// readCampaign reads the form into a campaign. The error is about a time to wait; the campaign may lack other things.
func readCampaign(c *campaigns.Campaign, form url.Values) (err error) {
	c.Name, c.Class = form.Get("name"), form.Get("class")
	if c.ID == "" {
		c.Trigger.Question, c.Kind = form.Get("question"), ""
	}
	c.Trigger.Numbers, c.Trigger.Courses = map[string]int{}, slices.DeleteFunc(slices.Clone(form["course"]), empty)
	for name := range form {
		if number, ok := strings.CutPrefix(name, "n."); ok {
			c.Trigger.Numbers[number] = whole(form.Get(name))
		}
	}
	c.Audience = nil
	if rule := form.Get("audience"); rule != "" {
		c.Audience = []byte(rule)
	}
	c.Goal = testOf(form, "goal")
	c.Holdout, c.Priority = whole(form.Get("holdout")), whole(form.Get("priority"))
	c.Reentry, c.ReentryDays = form.Get("reentry"), 0
	if c.Reentry == campaigns.After {
		c.ReentryDays = whole(form.Get("reentry_days"))
	}
	c.Steps, err = readSteps(form)
	return err
}

// whole is a number of the form; what is none is out of every range.
func whole(text string) int {
	if text = strings.TrimSpace(text); text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

// testOf is the test of a field, or nil. "not started" is the opposite of started.
func testOf(form url.Values, field string) *campaigns.Test {
	fact := form.Get(field)
	if fact == "" {
		return nil
	}
	name, not := strings.CutPrefix(fact, "not ")
	t := &campaigns.Test{Fact: name, Not: not}
	if f := campaigns.FactNamed(name); f != nil && f.Number {
		t.Number = whole(form.Get(field + ".number"))
	} else if f != nil && f.Product {
		t.Product = form.Get(field + ".product")
	}
	return t
}

// readSteps reads the steps of the form.
func readSteps(form url.Values) (all []campaigns.Step, err error) {
	for n := 1; n <= maxFormRules; n++ {
		at := "s." + strconv.Itoa(n) + "."
		if !form.Has(at + "do") {
			break
		}
		st := campaigns.Step{Key: form.Get(at + "key"), Do: form.Get(at + "do"), If: testOf(form, at+"if")}
		var wrong error
		if st.Wait, wrong = waitOf(form.Get(at+"wait"), form.Get(at+"unit")); wrong != nil && err == nil {
			err = pg.Refuse("steps/"+strconv.Itoa(n-1), "%s", wrong)
		}
		switch st.Do {
		case campaigns.DoMail:
			st.Mail = textOf(form, at+"mail")
			if form.Has(at + "b.subject") {
				if st.B = textOf(form, at+"b"); st.B.Subject+strings.TrimSpace(st.B.Body) == "" {
					st.B = nil
				}
			}
		case campaigns.DoTag, campaigns.DoUntag:
			st.Tag = form.Get(at + "tag")
		case campaigns.DoNote:
			st.Note = form.Get(at + "note")
		}
		all = append(all, st)
	}
	return all, err
}

// textOf is a text of the form. Browsers end lines as the web does.
func textOf(form url.Values, at string) *campaigns.Text {
	return &campaigns.Text{Subject: form.Get(at + ".subject"),
		Body: strings.ReplaceAll(form.Get(at+".body"), "\r\n", "\n")}
}

// waitOf is a time to wait: a number of hours or days.
func waitOf(number, unit string) (campaigns.Wait, error) {
	if number = strings.TrimSpace(number); number == "" {
		number = "0"
	}
	if unit != "h" {
		unit = "d"
	}
	if number == "0" {
		unit = "h"
	}
	return campaigns.ParseWait(number + unit)
}
