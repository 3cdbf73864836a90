package value

// CohortTable follows the customers whose first payment was in a month, a line for each month.
type CohortTable struct {
	Currency string         `json:"currency"`
	Cohorts  []CohortLine   `json:"cohorts"`
	Average  []CohortMonths `json:"average"` // of all lines, as many months later; of months that are over
}

// CohortLine are the customers whose first payment was in a month.
type CohortLine struct {
	First     string         `json:"first"` // 2026-01
	Customers int64          `json:"customers"`
	Months    []CohortMonths `json:"months"`
}

// CohortMonths is what customers did in the month that is so many months after their first one.
type CohortMonths struct {
	After     int   `json:"after"`
	Over      bool  `json:"over"`      // false: the month is running, so its figures will rise
	Customers int64 `json:"customers"` // how many of them there are
	Buyers    int64 `json:"buyers"`    // who paid in it
	Net       int64 `json:"net"`       // what they paid in it
	Each      int64 `json:"each"`      // what each of all has brought by its end, on average
	soFar     int64 // what all have brought by its end
}

// CohortTable is the table of the cohorts of the report. A month that is not over is in no average: only those are
// compared of which as much is known.
func (r Report) CohortTable() CohortTable {
	t := CohortTable{r.Currency, []CohortLine{}, []CohortMonths{}}
	for _, c := range r.Cohorts {
		if c.After == 0 {
			t.Cohorts = append(t.Cohorts, CohortLine{First: c.First, Customers: c.Buyers})
		}
		line := &t.Cohorts[len(t.Cohorts)-1]
		m := CohortMonths{After: c.After, Over: c.Over, Customers: line.Customers, Buyers: c.Buyers, Net: c.Net,
			soFar: c.Net}
		if c.After > 0 {
			m.soFar += line.Months[c.After-1].soFar
		}
		line.Months = append(line.Months, m.shared())
		if c.Over {
			t.add(m)
		}
	}
	for i := range t.Average {
		t.Average[i] = t.Average[i].shared()
	}
	return t
}

// add counts a month in the averages.
func (t *CohortTable) add(m CohortMonths) {
	for len(t.Average) <= m.After {
		t.Average = append(t.Average, CohortMonths{After: len(t.Average), Over: true})
	}
	a := &t.Average[m.After]
	a.Customers, a.Buyers, a.Net, a.soFar = a.Customers+m.Customers, a.Buyers+m.Buyers, a.Net+m.Net, a.soFar+m.soFar
}

// shared divides what all have brought among them. A cohort has a customer at least.
func (m CohortMonths) shared() CohortMonths {
	m.Each = (m.soFar + m.Customers/2) / max(1, m.Customers) // what is kept of payments is never below 0
	return m
}
