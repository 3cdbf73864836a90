package value

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// Bys are what customers are grouped by, in the order of pages.
var Bys = pg.Choices("product", "First product", "source", "Source", "course", "Course", "month", "First month",
	"tag", "Tag", "segment", "Segment")

// Part says which part of the figures is asked for. What is empty asks for all.
type Part struct {
	Currency string
	One      bool   // if no currency is named: only that of most buyers
	From, To string // months: 2026-01
	By       string // the kind of groups
	Segment  string // the id of a segment: of groups, it alone
}

// PartParams are the parameters of a part; CohortParams those of one of cohorts alone.
var (
	PartParams   = []string{"currency", "from", "to", "by", "segment"}
	CohortParams = PartParams[:3:3]
)

// ReadPart reads a part from a query that may have these parameters; what is not valid is a *pg.BadParam.
func ReadPart(q url.Values, allowed ...string) (Part, error) {
	for name, values := range q {
		switch {
		case !slices.Contains(allowed, name):
			return Part{}, pg.Refuse(name, "is not a parameter here; allowed are %s", strings.Join(allowed, ", "))
		case len(values) > 1:
			return Part{}, pg.Refuse(name, "is given %d times, once is allowed", len(values))
		}
	}
	p := Part{Currency: strings.ToLower(q.Get("currency")), From: q.Get("from"), To: q.Get("to"), By: q.Get("by"),
		Segment: q.Get("segment")}
	return p, p.check()
}

func (p Part) check() error {
	if p.Currency != "" {
		if err := customers.Currency.Check("currency", p.Currency); err != nil {
			return err
		}
	}
	for name, month := range map[string]string{"from": p.From, "to": p.To} {
		if _, err := time.Parse("2006-01", month); month != "" && err != nil {
			return pg.Refuse(name, "%q is not a month; give one like 2026-01", month)
		}
	}
	if p.From > p.To && p.To != "" {
		return pg.Refuse("from", "%s is after %s; give a month that is not", p.From, p.To)
	}
	if p.By == "" {
		return nil
	}
	return pg.Param{Name: "by", Choices: Bys}.Check(p.By)
}

// within tells whether a month is asked for.
func (p Part) within(month string) bool {
	return month >= p.From && (p.To == "" || month <= p.To)
}

// Part is the part that is asked for: months from one to another, those whose first payment was in them, and groups.
// What all customers have paid is in each part.
func (r Reports) Part(p Part) Reports {
	all := r.All
	r.All = []Report{}
	for _, one := range all {
		if p.Currency == "" || one.Currency == p.Currency {
			r.All = append(r.All, one.part(p))
		}
	}
	return r
}

func (r Report) part(p Part) Report {
	r.Months = kept(r.Months, func(m Month) bool { return p.within(m.Month) })
	r.Cohorts = kept(r.Cohorts, func(c Cohort) bool { return p.within(c.First) })
	r.Groups = kept(r.Groups, func(g Group) bool {
		return g.By == "all" || (p.By == "" || g.By == p.By) && (p.Segment == "" || g.By == "segment" && g.Key == p.Segment)
	})
	return r
}

// Since is the part of the report from a month on.
func (r Report) Since(month string) Report { return r.part(Part{From: month}) }

// kept are those of all that are to be kept.
func kept[T any](all []T, keep func(T) bool) []T {
	some := []T{}
	for _, one := range all {
		if keep(one) {
			some = append(some, one)
		}
	}
	return some
}
