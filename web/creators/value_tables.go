package creators

import (
	"math"
	"net/http"

	"rollcall/store/segments"
	"rollcall/store/value"
)

// cohortTable is the table of cohorts: what a customer has brought by the end of each month since their first one.
type cohortTable struct {
	After   []int // months
	Rows    []cohortRow
	Average []cohortCell
}

type cohortRow struct {
	Name  string
	N     int64
	Cells []cohortCell
}

// cohortCell is what customers of a cohort have paid by the end of a month, each on average.
type cohortCell struct {
	Each   int64 // minor units
	Buyers int64 // who paid in that month
	Open   bool  // the month is running
	Heat   int   // 0 to 5
	None   bool  // of an average: no month is over yet
}

// shownCohorts is how many cohorts and months the table shows.
const shownCohorts = 12

// cohortsOf makes the table of the latest cohorts.
func cohortsOf(r *value.Report) (t cohortTable) {
	var sum int64
	for _, c := range r.Cohorts {
		if c.After == 0 {
			t.Rows, sum = append(t.Rows, cohortRow{Name: monthName(c.First), N: c.Buyers}), 0
		}
		row := &t.Rows[len(t.Rows)-1]
		if sum += c.Net; c.After < shownCohorts {
			row.Cells = append(row.Cells, cohortCell{Each: roundDiv(sum, row.N), Buyers: c.Buyers, Open: !c.Over})
		}
	}
	t.Rows = t.Rows[max(0, len(t.Rows)-shownCohorts):]
	most, longest := int64(1), 0
	for _, row := range t.Rows {
		longest = max(longest, len(row.Cells))
		for _, cell := range row.Cells {
			most = max(most, cell.Each)
		}
	}
	for after := range longest {
		t.After, t.Average = append(t.After, after), append(t.Average, t.average(after))
	}
	for _, row := range t.Rows {
		for i := range row.Cells {
			row.Cells[i].Heat = int(math.Ceil(5 * float64(row.Cells[i].Each) / float64(most)))
		}
	}
	return t
}

// average is that of all customers of cohorts whose month is over.
func (t cohortTable) average(after int) (a cohortCell) {
	var sum, n int64
	for _, row := range t.Rows {
		if after < len(row.Cells) && !row.Cells[after].Open {
			sum, n = sum+row.Cells[after].Each*row.N, n+row.N
		}
	}
	return cohortCell{Each: roundDiv(sum, n), None: n == 0}
}

func roundDiv(a, b int64) int64 { return int64(math.Round(float64(a) / float64(max(1, b)))) }

// segmentNames are the names of a store's segments by their ids.
func (s *Pages) segmentNames(r *http.Request) (map[string]string, error) {
	all, err := segments.New(s.Cfg.Store).List(r.Context(), r.PathValue("store"))
	names := map[string]string{}
	for _, one := range all {
		names[one.ID] = one.Name
	}
	return names, err
}
