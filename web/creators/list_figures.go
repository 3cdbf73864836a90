package creators

import (
	"errors"
	"math"
	"net/http"
	"time"

	"rollcall/internal/show"
	"rollcall/store/customers"
	"rollcall/web/core"
)

// chartDays is the number of days in the chart of new customers.
const chartDays = 30

// Countable is the longest list on which a filter's matches are counted unasked. On
// longer ones a person asks for the count: no page reads a million rows.
const Countable = 5000

// figures are the numbers above the list.
type figures struct {
	customers.Figures
	Chart   chart
	Known   bool // false: the list is too long to count unasked
	counted bool // a person asked for the count
}

// PayingShare is the part of the customers who pay or paid, in percent.
func (f figures) PayingShare() float64 {
	return math.Round(100 * float64(f.EverPaid()) / float64(max(1, f.Total)))
}

// EverPaid is the number of customers who pay or paid.
func (f figures) EverPaid() int64 { return f.Paying + f.Subscribers }

// figure fills in the figures and the tabs.
func (s *Pages) figure(r *http.Request, p *customersPage) error {
	var err error
	if p.Figures.Known, err = s.countable(r, p.Filter, p.Figures.counted); err != nil {
		return err
	}
	if p.Figures.Known {
		today := s.Cfg.Now().UTC().Truncate(24 * time.Hour)
		since := today.AddDate(0, 0, 1-2*chartDays) // what is shown, and as much before
		p.Figures.Known, err = s.counting(r, p, p.Filter, func() (err error) {
			p.Figures.Figures, err = customers.New(s.Cfg.Store).Figures(r.Context(), p.Filter, since)
			return err
		})
		p.Figures.Chart = chartOf(p.Figures.Days, today)
	}
	if err == nil {
		err = s.tabs(r, p)
	}
	return err
}

// countable tells whether a filter's matches are counted: in no time, unasked on a list
// that is not long, or because a person asked.
func (s *Pages) countable(r *http.Request, f customers.Filter, asked bool) (bool, error) {
	if asked || f.Quick() {
		return true, nil
	}
	among, err := customers.New(s.Cfg.Store).Stats(r.Context(), f.OfFacets())
	return among.Total <= Countable, err
}

// counting counts the matches of f by count; known is false if too many others count
// just now and nobody asked for it.
func (s *Pages) counting(r *http.Request, p *customersPage, f customers.Filter, count func() error) (
	known bool, err error,
) {
	err = s.Counting(r.Context(), f.Quick(), count)
	if !p.Figures.counted && (errors.Is(err, core.ErrCrowd) || errors.Is(err, core.ErrBusy)) {
		return false, nil
	}
	return err == nil, err
}

// tab is a link above the list to the customers of a type or status.
type tab struct {
	Label, URL string
	N          int64
	Known      bool // false: N would take too long to count
	On         bool
}

// tabs fills in the tabs. Their counts obey all filters but type and status, which they
// replace.
func (s *Pages) tabs(r *http.Request, p *customersPage) error {
	f := p.Filter
	f.Type, f.Status = "", ""
	stats, known := p.Figures.Stats, p.Figures.Known
	if f != p.Filter {
		var err error
		if known, err = s.countable(r, f, p.Figures.counted); err == nil && known {
			known, err = s.counting(r, p, f, func() (err error) {
				stats, err = customers.New(s.Cfg.Store).Stats(r.Context(), f)
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	for _, t := range []struct {
		label, typ, status string
		n                  int64
	}{
		{"All", "", "", stats.Total},
		{"Leads", "lead", "", stats.Leads},
		{"Customers", "paying", "", stats.Paying},
		{"Subscribers", "subscription", "", stats.Subscribers},
		{"Inactive", "", "inactive", stats.Total - stats.Active},
	} {
		p.Tabs = append(p.Tabs, tab{Label: t.label, URL: p.with("type", t.typ, "status", t.status), N: t.n, Known: known,
			On: t.typ == p.Filter.Type && t.status == p.Filter.Status && (t.typ+t.status != "" || p.Filter.Segment == "")})
	}
	return nil
}

// chart shows how many customers were new on each of the last days.
type chart struct {
	Bars   []bar
	Came   int64
	Before int64       // in as many days before
	Most   int64       // on one day
	Scale  int64       // what the height of the drawing stands for
	Axis   []time.Time // first, middle and last day
}

// bar is a day of the chart, in the coordinates of its drawing: chartHeight high,
// chartStep wide for each day.
type bar struct {
	customers.Day
	X, Y, Height int
}

const (
	chartHeight = 34
	chartStep   = 10
)

// chartOf draws the days that end today.
func chartOf(days []customers.Day, today time.Time) chart {
	of := map[time.Time]int64{}
	since := today.AddDate(0, 0, 1-chartDays)
	c := chart{Axis: []time.Time{since, today.AddDate(0, 0, -chartDays/2), today}}
	for _, d := range days {
		switch {
		case d.Date.After(today): // from a clock that is ahead
		case d.Date.Before(since):
			c.Before += d.Customers
		default:
			of[d.Date] = d.Customers
			c.Came += d.Customers
			c.Most = max(c.Most, d.Customers)
		}
	}
	c.Scale = max(1, c.Most)
	for i := range chartDays {
		at := since.AddDate(0, 0, i)
		height := int((of[at]*chartHeight + c.Scale - 1) / c.Scale)
		c.Bars = append(c.Bars, bar{customers.Day{Date: at, Customers: of[at]}, i * chartStep, chartHeight - height, height})
	}
	return c
}

// Grew tells whether more were new than before.
func (c chart) Grew() bool { return c.Came > c.Before }

// Change is the difference to as many days before, for people. Of a few customers it is
// no percentage.
func (c chart) Change(locale *show.Locale) string {
	switch by := c.Came - c.Before; {
	case c.Came == 0 && c.Before == 0:
		return ""
	case by == 0:
		return "as many as before"
	case c.Before < 10:
		return direction(by) + " from " + locale.Number(c.Before)
	default:
		return direction(by) + " " + locale.Percent(float64(max(by, -by)*100/c.Before))
	}
}

func direction(by int64) string {
	if by < 0 {
		return "down"
	}
	return "up"
}
