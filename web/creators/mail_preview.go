package creators

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rollcall/internal/show"
	"rollcall/mail"
	"rollcall/store/campaigns"
	"rollcall/store/pg"
	"rollcall/web/charts"
	"rollcall/web/core"
)

// previewPage is the data of campaign_preview.html: who would get a campaign on a day, and who not.
type previewPage struct {
	mailPage
	campaigns.Preview
	C      campaigns.Campaign
	Back   string
	Day    string // that is looked at
	Coming bool   // it is a day to come
	Counts []reasonRow
	People []previewedRow
	Chosen string // the reason whose people are shown; empty: all
	Next   string // where the people go on; empty: they do not
	Chart  *charts.Figure
}

// reasonRow is how many mails a reason is about.
type reasonRow struct {
	Label, URL string
	N          int64
	On         bool
}

// previewedRow is a mail in a preview.
type previewedRow struct {
	campaigns.Previewed
	URL    string // of the customer; empty: there is none any more
	Reason string
}

// Called is what the customer is called.
func (p previewedRow) Called() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Email
}

// Asked says which customers the numbers come from; empty: from all.
func (p previewPage) Asked() string {
	if p.Every == 1 {
		return ""
	}
	return "There are too many customers to look at each. Rollcall looked at one in " + show.Number(p.Every) +
		", and multiplied. A rare reason may be missing. The list shows only customers that were looked at."
}

// previewRows is how many people the page shows.
const previewRows = 50

// CampaignPreview shows who would get a campaign on a day, and who not and why.
func (s *Pages) CampaignPreview(w http.ResponseWriter, r *http.Request) (err error) {
	q, err := s.QueryWith(r, "cursor", "preview of "+r.PathValue("campaign"))
	if err != nil {
		return err
	}
	page := previewPage{Chosen: q.Get("reason")}
	if page.mailPage, err = s.newMailPage(r, "campaigns"); err != nil {
		return err
	}
	id := r.PathValue("store")
	if page.C, err = s.campaigns().Campaign(r.Context(), id, r.PathValue("campaign")); err != nil {
		return err
	}
	page.Back = page.campaignURL(page.C.ID)
	now := s.Cfg.Now()
	of := campaigns.PreviewOf{At: now, Cursor: q.Get("cursor"), Limit: previewRows}
	today := now.In(page.Zone()).Format(time.DateOnly)
	if page.Day = cmp.Or(q.Get("day"), today); page.Day != today {
		if of.At, err = s.campaigns().At(r.Context(), id, page.Day, now); err != nil {
			return err
		}
	}
	page.Coming = of.At.After(now)
	if page.Chosen != "" {
		reason := page.Chosen
		if reason == wouldGet {
			reason = ""
		}
		if !pg.Storable(reason) {
			return pg.Refuse("reason", "is not known")
		}
		of.Reason = &reason
	}
	if page.Preview, err = s.campaigns().Preview(r.Context(), id, page.C.ID, of, now); err != nil {
		return err
	}
	s.tellPreview(r, &page)
	return s.Page(w, http.StatusOK, "campaign_preview.html", page)
}

// wouldGet stands for no reason not to be sent.
const wouldGet = "sent"

// tellPreview fills in the texts and links of the page.
func (s *Pages) tellPreview(r *http.Request, page *previewPage) {
	link := func(reason, cursor string) string {
		q := url.Values{"day": {page.Day}}
		if reason != "" {
			q.Set("reason", reason)
		}
		if cursor != "" {
			q.Set("cursor", s.IDs().Cursor("preview of "+page.C.ID, cursor))
		}
		return core.Address(page.Back+"/preview", q)
	}
	for _, c := range page.Preview.Counts {
		name := c.Reason
		if name == "" {
			name = wouldGet
		}
		page.Counts = append(page.Counts, reasonRow{mail.ReasonText(c.Reason), link(name, ""), c.Mails, name == page.Chosen})
	}
	for _, p := range page.Preview.People {
		row := previewedRow{Previewed: p, Reason: p.Why()}
		if p.Customer != "" {
			row.URL = pathOf(r, "customers") + "/" + s.IDs().Customer(p.Customer)
		}
		page.People = append(page.People, row)
	}
	if page.Preview.Next != "" {
		page.Next = link(page.Chosen, page.Preview.Next)
	}
	page.Chart = forecastChart(page.Preview)
}

// forecastChart draws how many mails become due on the next days.
func forecastChart(p campaigns.Preview) *charts.Figure {
	days := p.Forecast
	c := &charts.Figure{Name: "forecast", Title: "Mails that become due in the next days", Head: []string{"Day", "Mails"}}
	line, sum := charts.Series{Class: "c1", Label: "Mails"}, int64(0)
	for _, d := range days {
		line.Values = append(line.Values, float64(d.Mails))
		c.Rows = append(c.Rows, []string{d.Day, show.Number(d.Mails)})
		sum += d.Mails
	}
	if len(days) == 0 {
		return nil
	}
	c.Times = []string{days[0].Day, days[len(days)-1].Day}
	c.Drawing = charts.Bars(line)
	c.Sum, c.Note = show.Number(sum), "in "+strconv.Itoa(len(days))+" days, if nothing happens until then"
	if p.ForecastEvery > 1 {
		c.Sum = "about " + c.Sum
	}
	return c
}
