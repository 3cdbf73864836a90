package creators

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"

	"rollcall/store/pg"
	"rollcall/store/value"
	model "rollcall/value"
)

// valueFiles are the tables of what customers are worth as CSV, with all currencies, or the part
// that is asked for. Amounts are in minor units.
var valueFiles = map[string]func(value.Reports, labels) [][]string{
	"months.csv": monthsFile, "cohorts.csv": cohortsFile, "groups.csv": groupsFile, "courses.csv": coursesFile,
	"within.csv": withinFile,
	"again.csv":  curveFile(func(r value.Report) model.Curve { return r.Again.Curve }),
	"stay.csv":   curveFile(func(r value.Report) model.Curve { return r.Subscribers.Curve }),
}

// ValueFile answers a table of what customers are worth.
func (s *Pages) ValueFile(w http.ResponseWriter, r *http.Request) error {
	write, known := valueFiles[r.PathValue("table")]
	if !known {
		return pg.ErrNotFound
	}
	part, err := askedPart(r)
	if err != nil {
		return err
	}
	kept, labels, err := s.kept(r)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+r.PathValue("table")+`"`)
	out := csv.NewWriter(w)
	out.UseCRLF = true
	w.Write([]byte("\ufeff")) // without it Excel reads an old Windows character set
	for _, row := range write(kept.Part(part), labels) {
		out.Write(row)
	}
	out.Flush()
	return nil // who has gone away needs no answer
}

func digits(n int64) string { return strconv.FormatInt(n, 10) }

// some writes a figure that may be missing.
func some(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

// shareCells are a share and its interval; empty: it cannot be said.
func shareCells(s model.Share) []string {
	if s.Value == nil {
		return []string{"", "", ""}
	}
	return []string{some(s.Value), some(&s.Low), some(&s.High)}
}

func monthsFile(kept value.Reports, _ labels) [][]string {
	rows := [][]string{{"currency", "month", "over", "new", "returning", "recurring", "refunded", "customers", "mrr_start",
		"mrr_new", "mrr_expansion", "mrr_contraction", "mrr_churn", "mrr_reactivation", "mrr_end", "subscribers_at_start",
		"subscribers_lost", "churn", "churn_low", "churn_high", "each"}}
	for _, r := range kept.All {
		for _, m := range r.Months {
			rows = append(rows, slices.Concat([]string{r.Currency, m.Month, strconv.FormatBool(m.Over),
				digits(m.New), digits(m.Returning),
				digits(m.Recurring), digits(m.Refunded), digits(m.Customers), digits(m.MRR.Start), digits(m.MRR.New),
				digits(m.MRR.Expansion), digits(m.MRR.Contraction), digits(m.MRR.Churn), digits(m.MRR.Reactivation),
				digits(m.MRR.End), digits(m.Churn.Of), digits(m.Churn.Did)}, shareCells(m.Churn),
				[]string{some(m.PerHead.Value)}))
		}
	}
	return rows
}

func cohortsFile(kept value.Reports, _ labels) [][]string {
	rows := [][]string{{"currency", "first_month", "months_after", "over", "buyers", "net"}}
	for _, r := range kept.All {
		for _, c := range r.Cohorts {
			rows = append(rows, []string{r.Currency, c.First, strconv.Itoa(c.After), strconv.FormatBool(c.Over),
				digits(c.Buyers), digits(c.Net)})
		}
	}
	return rows
}

func groupsFile(kept value.Reports, all labels) [][]string {
	rows := [][]string{{"currency", "by", "key", "name", "customers", "net", "mean", "median", "p90"}}
	for _, r := range kept.All {
		for _, g := range r.Groups {
			rows = append(rows, []string{r.Currency, g.By, Defused(g.Key), Defused(all.of(g.Key)), digits(g.N), digits(g.Net),
				digits(g.Mean), digits(g.Median), digits(g.P90)})
		}
	}
	return rows
}

func withinFile(kept value.Reports, _ labels) [][]string {
	rows := [][]string{{"currency", "days", "customers", "bought_again", "share", "low", "high"}}
	for _, r := range kept.All {
		for _, w := range r.Again.Within {
			rows = append(rows, append([]string{r.Currency, strconv.Itoa(w.Days), digits(w.Of), digits(w.Did)},
				shareCells(w.Share)...))
		}
	}
	return rows
}

// curveFile is the file of a survival curve, with a row for each day on which it falls.
func curveFile(of func(value.Report) model.Curve) func(value.Reports, labels) [][]string {
	return func(kept value.Reports, _ labels) [][]string {
		rows := [][]string{{"currency", "days", "watched", "ended", "left", "low", "high"}}
		for _, r := range kept.All {
			for _, step := range of(r).Steps {
				rows = append(rows, []string{r.Currency, some(&step.Time), digits(step.AtRisk), digits(step.Ended),
					some(&step.Survival), some(&step.Low), some(&step.High)})
			}
		}
		return rows
	}
}

func coursesFile(kept value.Reports, all labels) [][]string {
	rows := [][]string{{"course", "title", "enrolled", "started", "quarter", "half", "three_quarters", "completed",
		"median_days"}}
	for _, c := range kept.Courses {
		rows = append(rows, []string{Defused(c.ID), Defused(all.of(c.ID)), digits(c.Enrolled), digits(c.Started),
			digits(c.Quarter), digits(c.Half), digits(c.Most), digits(c.Completed), some(c.Days.Value)})
	}
	return rows
}
