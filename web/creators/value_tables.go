package creators

import (
	"math"
	"net/http"

	"rollcall/internal/show"
	"rollcall/store/pg"
	"rollcall/store/segments"
	"rollcall/store/value"
)

// cohortTable is the table of cohorts as the page shows it.
type cohortTable struct {
	After   []int // months
	Rows    []cohortRow
	Average []cohortCell // of months that are over in at least one cohort
}

type cohortRow struct {
	Name  string
	N     int64
	Cells []cohortCell
}

// cohortCell is what a cohort did in a month.
type cohortCell struct {
	Text string
	Open bool // the month is running
	Heat int  // 0 to 5
}

// shownCohorts is how many cohorts and months the table shows.
const shownCohorts = 12

// cellKinds are what the cells may show.
var cellKinds = pg.Choices("each", "Brought so far", "net", "Paid in the month", "buyers", "Who paid")

// cellMeans says what cells of a kind show.
var cellMeans = map[string]string{
	"each": "What a customer whose first payment was in a month has brought by the end of each month since, on average.",
	"net":  "What a customer whose first payment was in a month paid in each month since, on average.",
	"buyers": "How many of the customers whose first payment was in a month paid in each month since, also for " +
		"subscriptions.",
}

// cohortCells makes cells of a kind.
type cohortCells struct {
	kind, currency string
	most           float64 // the highest figure
}

func (c cohortCells) figure(m value.CohortMonths) float64 {
	switch c.kind {
	case "net":
		return float64(m.Net) / float64(m.Customers)
	case "buyers":
		return float64(m.Buyers) / float64(m.Customers)
	}
	return float64(m.Each)
}

// look finds the highest figure. In the first month all have paid, which says nothing.
func (c *cohortCells) look(all []value.CohortMonths) {
	for _, m := range all {
		if c.kind != "buyers" || m.After > 0 {
			c.most = max(c.most, c.figure(m))
		}
	}
}

// row makes the cells of as many months as the table shows.
func (c cohortCells) row(all []value.CohortMonths) (cells []cohortCell) {
	for _, m := range all[:min(len(all), shownCohorts)] {
		v := c.figure(m)
		cell := cohortCell{Text: percentText(v), Open: !m.Over, Heat: min(5, int(math.Ceil(5*v/max(c.most, 1e-9))))}
		if c.kind != "buyers" {
			cell.Text = show.Money(int64(math.Round(v)), c.currency)
		}
		cells = append(cells, cell)
	}
	return cells
}

// cohortsOf makes the table of the latest cohorts, with averages of these.
func cohortsOf(r value.Report, kind string) (t cohortTable) {
	table := r.CohortTable()
	if n := len(table.Cohorts); n > shownCohorts {
		table = r.Since(table.Cohorts[n-shownCohorts].First).CohortTable()
	}
	cells := cohortCells{kind: kind, currency: r.Currency}
	for _, line := range table.Cohorts {
		cells.look(line.Months[:min(len(line.Months), shownCohorts)])
	}
	for _, line := range table.Cohorts {
		t.Rows = append(t.Rows, cohortRow{monthName(line.First), line.Customers, cells.row(line.Months)})
		for len(t.After) < len(line.Months) && len(t.After) < shownCohorts {
			t.After = append(t.After, len(t.After))
		}
	}
	t.Average = cells.row(table.Average)
	return t
}

// segmentNames are the names of a store's segments by their ids.
func (s *Pages) segmentNames(r *http.Request) (map[string]string, error) {
	all, err := segments.New(s.Cfg.Store).List(r.Context(), r.PathValue("store"))
	names := map[string]string{}
	for _, one := range all {
		names[one.ID] = one.Name
	}
	return names, err
}
