package creators

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"rollcall/store/pg"
	"rollcall/store/value"
	model "rollcall/value"
)

// valueFile is a file in the making: it has all currencies, or the part that is asked for. Amounts are in minor units.
type valueFile struct {
	kept   value.Reports
	labels labels
	write  func(rows [][]string) error
}

// valueFiles are the tables and lists of what customers are worth as CSV.
var valueFiles = map[string]func(*Pages, *http.Request, valueFile) error{
	"months.csv": table(monthsFile), "cohorts.csv": table(cohortsFile), "groups.csv": table(groupsFile),
	"courses.csv": table(coursesFile), "within.csv": table(withinFile),
	"again.csv":    table(curveFile(func(r value.Report) model.Curve { return r.Again.Curve })),
	"stay.csv":     table(curveFile(func(r value.Report) model.Curve { return r.Subscribers.Curve })),
	"expected.csv": (*Pages).expectedFile, "help.csv": (*Pages).helpFile,
}

// ValueFile answers a table or a list of what customers are worth.
func (s *Pages) ValueFile(w http.ResponseWriter, r *http.Request) error {
	file, known := valueFiles[r.PathValue("table")]
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
	d := &download{ResponseWriter: w, r: r, name: r.PathValue("table")}
	if r.Method == http.MethodHead {
		d.header()
		return nil
	}
	out := csv.NewWriter(d)
	out.UseCRLF = true
	err = file(s, r, valueFile{kept.Part(part), labels, func(rows [][]string) error {
		if !d.begun {
			d.begun = true
			d.header()
			d.Write([]byte("\ufeff")) // without it Excel reads an old Windows character set
		}
		if err := out.WriteAll(rows); err != nil {
			return fmt.Errorf("%w: %w", errReader, err)
		}
		return nil
	}})
	if err != nil && d.begun {
		s.broken(r, err)
	}
	return err
}

// table is a file that is made at once of what is kept.
func table(rows func(value.Reports, labels) [][]string) func(*Pages, *http.Request, valueFile) error {
	return func(_ *Pages, _ *http.Request, f valueFile) error { return f.write(rows(f.kept, f.labels)) }
}

// expectedFile has all of whom something is expected, those first of whom most is. A store may have a million.
func (s *Pages) expectedFile(r *http.Request, f valueFile) error {
	return s.exporting(r, func(ctx context.Context, still func() error) error {
		err := f.write([][]string{{"currency", "id", "email", "name", "expected", "may_buy_again"}})
		for _, report := range f.kept.All {
			if err != nil {
				return err
			}
			people := value.PeopleFilter{Store: r.PathValue("store"), Currency: report.Currency, Sort: "-expected", Limit: 1000}
			err = value.New(s.Cfg.Store).EachPage(ctx, people, func(all []value.Expected) error {
				rows := make([][]string, len(all))
				for i, e := range all {
					rows[i] = []string{report.Currency, s.IDs().Customer(e.Customer), Defused(e.Email), Defused(e.Name),
						digits(e.Expected), some(&e.Alive)}
				}
				if err := still(); err != nil {
					return err
				}
				return f.write(rows)
			})
		}
		return err
	})
}

// helpFile has all who need help.
func (s *Pages) helpFile(r *http.Request, f valueFile) error {
	all, err := value.New(s.Cfg.Store).Help(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	rows := [][]string{{"id", "email", "name", "reason", "about", "about_title", "since_utc"}}
	for _, h := range all {
		rows = append(rows, []string{s.IDs().Customer(h.Customer), Defused(h.Email), Defused(h.Name), h.Reason,
			Defused(h.About), Defused(f.labels.of(h.About)), h.Since.Format(time.DateTime)})
	}
	return f.write(rows)
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

// curveFile is the file of a survival curve, with a row for each step that is kept.
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
