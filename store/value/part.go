package value

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"rollcall/store/pg"
)

// Bys are what customers are grouped by, in the order of pages.
var Bys = pg.Choices("product", "First product", "source", "Source", "course", "Course", "month", "First month",
	"tag", "Tag", "segment", "Segment")

// Part says which part of the figures is asked for. What is empty asks for all.
type Part struct {
	Currency string
	From, To string // months: 2026-01
	By       string // the kind of groups
	Segment  string // the id of a segment: of groups, it alone
}

// PartParams are the parameters that ReadPart reads, but for the currency.
var PartParams = []string{"from", "to", "by", "segment"}

// ReadPart reads a part from a query; what is not valid is a *pg.BadParam.
func ReadPart(currency string, q url.Values) (Part, error) {
	p := Part{currency, q.Get("from"), q.Get("to"), q.Get("by"), q.Get("segment")}
	for name, month := range map[string]string{"from": p.From, "to": p.To} {
		if _, err := time.Parse("2006-01", month); month != "" && err != nil {
			return p, pg.Refuse(name, "%q is not a month; give one like 2026-01", month)
		}
	}
	if p.From > p.To && p.To != "" {
		return p, pg.Refuse("from", "%s is after %s; give a month that is not", p.From, p.To)
	}
	if p.By != "" && !slices.ContainsFunc(Bys, func(c pg.Choice) bool { return c.Value == p.By }) {
		var allowed []string
		for _, c := range Bys {
			allowed = append(allowed, c.Value)
		}
		return p, pg.Refuse("by", "%q is not known; allowed are %s", p.By, strings.Join(allowed, ", "))
	}
	return p, nil
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
			one.Months = kept(one.Months, func(m Month) bool { return p.within(m.Month) })
			one.Cohorts = kept(one.Cohorts, func(c Cohort) bool { return p.within(c.First) })
			one.Groups = kept(one.Groups, func(g Group) bool {
				return g.By == "all" || (p.By == "" || g.By == p.By) && (p.Segment == "" || g.By == "segment" && g.Key == p.Segment)
			})
			r.All = append(r.All, one)
		}
	}
	return r
}

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
