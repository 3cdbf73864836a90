package creators

import (
	"math"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/value"
	model "rollcall/value"
	"rollcall/web/charts"
)

// shownMonths is how many months charts show, if no one asks for others.
const shownMonths = 24

// chartsOf are the charts of a report: those of months only if it has any, those of curves only if they are longer than
// a month.
func chartsOf(r *value.Report, months []value.Month) (all []*charts.Figure) {
	if len(months) > 0 {
		all = append(all, moneyChart(r.Currency, months))
		if r.Subscribers.Curve.N > 0 {
			all = append(all, mrrChart(r.Currency, months))
		}
	}
	if r.Subscribers.Curve.Until >= model.Month {
		all = append(all, curveChart(stayChart, r.Subscribers.Curve, r.Subscribers.Median))
	}
	if r.Again.Curve.Until >= model.Month {
		all = append(all, curveChart(againChart, r.Again.Curve, r.Again.Median))
	}
	return all
}

// major is an amount in major units, as charts scale them.
func major(amount int64, currency string) float64 {
	return float64(amount) / math.Pow10(store.Money{Currency: currency}.Digits())
}

// monthAxis are the labels below a chart of months.
func monthAxis(months []value.Month) []string {
	axis := []string{monthName(months[0].Month)}
	if len(months) > 2 {
		axis = append(axis, monthName(months[len(months)/2].Month))
	}
	if len(months) > 1 {
		axis = append(axis, monthName(months[len(months)-1].Month))
	}
	return axis
}

func moneyChart(currency string, months []value.Month) *charts.Figure {
	c := &charts.Figure{Name: "money", Title: "Paid per month, " + strings.ToUpper(currency), Times: monthAxis(months),
		Head: []string{"Month", "New", "Returning", "Subscriptions", "Refunded", "Customers", "Each"}, CSV: "months.csv",
		Means: "What was paid in a month, less what was refunded or lost of it whenever that was. New is a customer’s " +
			"first month. Each is all of it by those who paid or subscribed."}
	series := []charts.Series{{Class: "c1", Label: "New"}, {Class: "c2", Label: "Returning"},
		{Class: "c3", Label: "Subscriptions"}}
	total := int64(0)
	for _, m := range months {
		for i, amount := range []int64{m.New, m.Returning, m.Recurring} {
			series[i].Values = append(series[i].Values, major(max(0, amount), currency))
		}
		total += m.Net()
	}
	for i := len(months) - 1; i >= 0; i-- {
		m := months[i]
		each := "–"
		if m.PerHead.Value != nil {
			each = show.Money(int64(math.Round(*m.PerHead.Value)), currency)
		}
		c.Rows = append(c.Rows, []string{running(m), show.Money(m.New, currency), show.Money(m.Returning, currency),
			show.Money(m.Recurring, currency), show.Money(m.Refunded, currency), show.Number(m.Customers), each})
	}
	c.Drawing, c.Legend = charts.Bars(series...), series
	c.Sum, c.Note = show.Money(total, currency), "in "+show.Plural(len(months), "month")
	return c
}

func mrrChart(currency string, months []value.Month) *charts.Figure {
	c := &charts.Figure{Name: "mrr", Title: "Monthly recurring revenue, " + strings.ToUpper(currency),
		Times: monthAxis(months),
		Head:  []string{"Month", "Start", "New", "Expansion", "Contraction", "Lost", "Back", "End", "Who left"},
		CSV:   "months.csv",
		Means: "What running and past due subscriptions cost in a month: a twelfth of yearly prices, without trials. " +
			"Start and all movements are the end. Who left is the share of those who subscribed when the month began."}
	line := charts.Series{Class: "kept", Label: "MRR"}
	for _, m := range months {
		line.Values = append(line.Values, major(m.MRR.End, currency))
	}
	for i := len(months) - 1; i >= 0; i-- {
		m, row := months[i], []string{running(months[i])}
		for _, amount := range []int64{m.MRR.Start, m.MRR.New, m.MRR.Expansion, m.MRR.Contraction, m.MRR.Churn,
			m.MRR.Reactivation, m.MRR.End} {
			row = append(row, show.Money(amount, currency))
		}
		c.Rows = append(c.Rows, append(row, shareText(m.Churn)))
	}
	c.Drawing = charts.Area(line)
	c.Sum, c.Note = show.Money(months[len(months)-1].MRR.End, currency), "a month in "+running(months[len(months)-1])
	return c
}

// running is the name of a month, which says if it is not over.
func running(m value.Month) string {
	if m.Over {
		return monthName(m.Month)
	}
	return monthName(m.Month) + " so far"
}

// shareText is a share with its interval.
func shareText(s model.Share) string {
	if s.Value == nil {
		return "–"
	}
	return percentText(*s.Value) + " (" + percentText(s.Low) + "–" + percentText(s.High) + ")"
}

func percentText(share float64) string {
	return strconv.FormatFloat(math.Round(100*share), 'f', 0, 64) + "%"
}

// What the charts of curves are about.
var (
	stayChart = charts.Figure{Name: "stay", CSV: "stay.csv", Title: "Subscribers who are still there, percent",
		Means: "Of those who began to subscribe, how many still did after that many months, by Kaplan and Meier. " +
			"A person who began lately counts for as long as they could be seen."}
	againChart = charts.Figure{Name: "again", CSV: "again.csv", Title: "Customers who have not bought again, percent",
		Means: "Of those who bought once, how many had not bought a second time after that many months, by Kaplan and " +
			"Meier. Subscriptions do not count."}
)

// curveChart draws a survival curve at the end of each month, for as long as anyone was watched.
func curveChart(about charts.Figure, curve model.Curve, median model.Number) *charts.Figure {
	c, line := about, charts.Series{Class: "kept"}
	c.Head = []string{"After", "Percent", "95% interval"}
	for m := 0; m <= shownMonths && float64(m)*model.Month <= curve.Until; m++ {
		at, low, high := curve.At(float64(m)*model.Month), 1., 1.
		for _, step := range curve.Steps {
			if step.Time <= float64(m)*model.Month {
				low, high = step.Low, step.High
			}
		}
		line.Values = append(line.Values, 100*at)
		c.Rows = append(c.Rows, []string{show.Plural(m, "month"), percentText(at),
			percentText(low) + "–" + percentText(high)})
	}
	c.Times = []string{"at first", "after " + show.Plural(len(line.Values)-1, "month")}
	c.Drawing = charts.Area(line)
	if median.Value != nil {
		c.Sum, c.Note = show.Plural(int(*median.Value), "day"), "until it was half of them"
	} else {
		c.Sum, c.Note = "–", "median "+median.Why
	}
	return &c
}

// monthName writes 2026-03 as Mar 2026; empty: that is no month.
func monthName(month string) string {
	t, err := time.Parse("2006-01", month)
	if err != nil {
		return ""
	}
	return t.Format("Jan 2006")
}
