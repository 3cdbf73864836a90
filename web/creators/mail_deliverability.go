package creators

import (
	"net/http"
	"strconv"
	"time"

	"rollcall/mail"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// deliverabilityPage is the data of deliverability.html: what became of a store's mails.
type deliverabilityPage struct {
	mailPage
	Rates   storemail.Rates
	Totals  []totalTile
	Reasons []storemail.Count // of mails that were not sent
	Counted bool              // false: that takes too long just now
	Unknown []mailRow         // of which it is not known whether they were sent
	Failed  []mailRow
	Paused  bool
}

// totalTile is how many mails are in a status.
type totalTile struct {
	Label, Means string
	N            int64
	Bad          bool
}

// mailRow is a mail on a page.
type mailRow struct {
	storemail.Mail
	Why      string
	Again    string // where the form that sends it again goes; empty: it cannot be
	Campaign string // what its campaign is called; empty: it has none
	URL      string // of the campaign
}

// Label is what its status is called.
func (m mailRow) Label() string { return statusLabels[m.Status] }

// Tone is that of its status.
func (m mailRow) Tone() string {
	switch m.Status {
	case mail.Sent:
		return "good"
	case mail.Failed, mail.Unknown:
		return "bad"
	}
	return ""
}

// statusLabels are what statuses of mails are called.
var statusLabels = map[string]string{mail.Due: "Waits", "sending": "Being sent", mail.Sent: "Sent",
	mail.Failed: "Failed", mail.Skipped: "Not sent", mail.Unknown: "Unknown"}

const (
	countedDays = 30
	shownMails  = 20
)

// Deliverability shows what became of a store's mails.
func (s *Pages) Deliverability(w http.ResponseWriter, r *http.Request) error {
	return s.showDeliverability(w, r, nil)
}

// showDeliverability shows the page; refused is why a mail was not sent again, or nil.
func (s *Pages) showDeliverability(w http.ResponseWriter, r *http.Request, refused error) (err error) {
	page, id, mails := deliverabilityPage{Counted: true}, r.PathValue("store"), s.mails()
	if page.mailPage, err = s.newMailPage(r, "deliverability"); err != nil {
		return err
	}
	page.Paused = page.Lane.PausedFor != ""
	if page.Rates, err = mails.Rates(r.Context(), id); err != nil {
		return err
	}
	counts, err := mails.Counts(r.Context(), id, s.Cfg.Now().AddDate(0, 0, -countedDays))
	if pg.TimedOut(err) {
		page.Counted, err = false, nil
	}
	if err != nil {
		return err
	}
	page.count(counts)
	for status, rows := range map[string]*[]mailRow{mail.Unknown: &page.Unknown, mail.Failed: &page.Failed} {
		if *rows, err = s.mailRows(r, storemail.Filter{Store: id, Status: status}); err != nil {
			return err
		}
	}
	status := http.StatusOK
	if refused != nil {
		page.Wrong, status = reasonFor(refused), core.Explain(refused).Status
	}
	return s.Page(w, status, "deliverability.html", page)
}

// count fills in the tiles and the table of reasons.
func (p *deliverabilityPage) count(counts []storemail.Count) {
	sums := map[string]int64{}
	for _, c := range counts {
		sums[c.Status] += c.Mails
		if c.Status == mail.Skipped || c.Status == mail.Failed {
			p.Reasons = append(p.Reasons, c)
		}
	}
	p.Totals = []totalTile{
		{"sent", "in " + strconv.Itoa(countedDays) + " days", sums[mail.Sent], false},
		{"wait", "for their time, or for what is missing", sums[mail.Due] + sums["sending"], false},
		{"not sent", "for a reason below", sums[mail.Skipped], false},
		{"failed", "the mail server refused them", sums[mail.Failed], sums[mail.Failed] > 0},
		{"unknown", "they may have arrived, or not", sums[mail.Unknown], sums[mail.Unknown] > 0},
	}
}

// Share is a part of the last mails, in percent.
func (p deliverabilityPage) Share(n int) float64 {
	if p.Rates.Mails == 0 {
		return 0
	}
	return 100 * float64(n) / float64(p.Rates.Mails)
}

// mailRows are some mails, the newest first.
func (s *Pages) mailRows(r *http.Request, f storemail.Filter) (rows []mailRow, err error) {
	all, err := s.mails().List(r.Context(), f, shownMails)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	campaigns, err := s.campaigns().List(r.Context(), f.Store)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, c := range campaigns {
		names[c.ID] = c.Name
	}
	base := mailPage{URL: pathOf(r, "mail")}
	for _, m := range all {
		row := mailRow{Mail: m, Campaign: names[m.Campaign]}
		if row.Why, err = s.whyOf(r, m); err != nil {
			return nil, err
		}
		if m.Status == mail.Unknown {
			row.Again = base.URL + "/mails/" + s.IDs().ID(core.MailID, m.ID) + "/again"
		}
		if row.Campaign != "" {
			row.URL = base.campaignURL(m.Campaign)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// whyOf says why a mail was not sent, or what it waits for; empty: nothing.
func (s *Pages) whyOf(r *http.Request, m storemail.Mail) (why string, err error) {
	switch {
	case m.Reason == "":
		return "", nil
	case m.Reason == "quiet":
		zone, err := s.mails().TheirZone(r.Context(), m.Email)
		return storemail.Why(m.Reason, zone, &m.DueAt), err
	}
	return mail.ReasonText(m.Reason), nil
}

// At is when something last happened to the mail.
func (m mailRow) At() time.Time {
	if m.SentAt != nil {
		return *m.SentAt
	}
	return m.DueAt
}

// MailAgain handles the button that sends a mail of unknown end again.
func (s *Pages) MailAgain(w http.ResponseWriter, r *http.Request) error {
	id, err := mailNumber(r)
	if err != nil {
		return err
	}
	return changed(w, r, pathOf(r, "mail")+"/deliverability#unknown", func() error {
		return s.mails().SendAgain(r.Context(), r.PathValue("store"), id, s.Cfg.Now())
	}, s.showDeliverability)
}
