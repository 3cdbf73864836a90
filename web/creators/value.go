package creators

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/value"
	"rollcall/web/charts"
	"rollcall/web/core"
)

// valuePage is the data of value.html: what the customers of a store are worth, in one currency.
type valuePage struct {
	core.Shell
	value.AsOf
	Courses    []courseRow
	Help       []helpRow
	More       int // who need help and are not shown
	Expected   []expectedRow
	Part       value.Part
	Report     *value.Report // nil: no one has paid or subscribed
	Now        int64         // MRR
	URL        string
	Currencies []choice
	By         []choice // what customers are grouped by
	All        value.Group
	Groups     []groupRow
	Charts     []*charts.Figure
	Cells      string   // the kind of what the cells of cohorts show
	Kinds      []choice // of them
	Cohorts    cohortTable
}

// choice is a link to the same page about something else.
type choice struct {
	Label, URL string
	On         bool
}

// Of is an amount in the currency of the page.
func (p valuePage) Of(amount int64) store.Money {
	return store.Money{Amount: amount, Currency: p.Report.Currency}
}

// Round is a figure in minor units as an amount.
func (p valuePage) Round(amount float64) store.Money { return p.Of(int64(math.Round(amount))) }

// link is the address of the page with another value of a parameter.
func (p valuePage) link(name, value string) string {
	q := p.asked()
	q.Set(name, value)
	return core.Address(p.URL, q)
}

// asked is the query of the page.
func (p valuePage) asked() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"currency": p.Part.Currency, "from": p.Part.From, "to": p.Part.To,
		"by": p.Part.By, "cells": p.Cells} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// File is the address of a file of what the page shows.
func (p valuePage) File(name string) string {
	q := p.asked()
	q.Del("cells")
	if name != "groups.csv" {
		q.Del("by")
	}
	if name == "expected.csv" { // of now, not of months
		q.Del("from")
		q.Del("to")
	}
	return core.Address(p.URL+"/"+name, q)
}

// AllMonths is the address of the page with all months.
func (p valuePage) AllMonths() string {
	p.Part.From, p.Part.To = "", ""
	return core.Address(p.URL, p.asked())
}

// askedPart reads which part of the figures is asked for.
func askedPart(r *http.Request, others ...string) (part value.Part, err error) {
	q, err := core.Query(r)
	if err != nil {
		return part, err
	}
	return value.ReadPart(q, append(others, value.PartParams...)...)
}

// Watched tells whether a first purchase is so long ago that buying again can be counted.
func (p valuePage) Watched() bool {
	return slices.ContainsFunc(p.Report.Again.Within, func(w value.Within) bool { return w.Of > 0 })
}

// Percent is a share as templates write shares.
func (p valuePage) Percent(share float64) float64 { return math.Round(1000*share) / 10 }

// Missed says how good the prediction was for the last fifth of the time.
func (p valuePage) Missed() string {
	miss := *p.Report.Forecast.Miss.Value
	than := "more"
	if miss < 0 {
		than = "fewer"
	}
	return fmt.Sprintf("For the last fifth of the time it predicted %.0f%% %s purchases than there were.",
		100*math.Abs(miss), than)
}

// groupRow is a group on the page.
type groupRow struct {
	value.Group
	Label string
}

// courseRow is a course on the page.
type courseRow struct {
	value.Course
	Title string
}

// helpRow is a customer who needs help on the page.
type helpRow struct {
	value.Help
	URL string
	Why string
}

// shownHelp is how many customers the page shows who need help.
const shownHelp = 12

// shownExpected is how many customers the page shows of whom much is expected.
const shownExpected = 10

// expectedRow is such a customer on the page.
type expectedRow struct {
	value.Expected
	URL string
}

// Called is what the customer is called.
func (e expectedRow) Called() string { return cmp.Or(e.Name, e.Email) }

// Called is what the customer is called.
func (h helpRow) Called() string { return cmp.Or(h.Name, h.Email) }

// reasonOf says why a customer needs help.
func reasonOf(h value.Help, labels labels) string {
	switch h.Reason {
	case "failing":
		return "A payment of their subscription fails. Ask them for another card."
	case "silent":
		return "They subscribe, and have not been here. Ask what they miss."
	case "stuck":
		return "Stuck in " + labels.of(h.About) + ". Ask where they stopped."
	}
	return "Has not begun " + labels.of(h.About) + ". Show them the first step."
}

func valueURL(r *http.Request) string {
	return "/store/" + url.PathEscape(r.PathValue("store")) + "/value"
}

// Value shows what the customers of a store are worth.
func (s *Pages) Value(w http.ResponseWriter, r *http.Request) error {
	part, err := askedPart(r, "cells")
	if err != nil {
		return err
	}
	part.One, part.By = true, cmp.Or(part.By, value.Bys[0].Value)
	page := valuePage{URL: valueURL(r), Part: part, Cells: cmp.Or(r.URL.Query().Get("cells"), cellKinds[0].Value)}
	if err := (pg.Param{Name: "cells", Choices: cellKinds}).Check(page.Cells); err != nil {
		return err
	}
	if page.Shell, err = s.Shell(r, "value"); err != nil {
		return err
	}
	kept, err := value.New(s.Cfg.Store).Page(r.Context(), r.PathValue("store"), part, shownExpected)
	if err != nil {
		return err
	}
	labels, err := s.labelsOf(r)
	if err != nil {
		return err
	}
	page.fill(kept, labels, func(id string) string {
		return customersPath(r.PathValue("store")) + "/" + s.IDs().Customer(id)
	})
	return s.Page(w, http.StatusOK, "value.html", page)
}

// fill makes what the page shows of what is kept.
func (p *valuePage) fill(kept value.Page, labels labels, link func(customer string) string) {
	p.AsOf = kept.AsOf
	for _, c := range kept.Courses {
		p.Courses = append(p.Courses, courseRow{c, labels.of(c.ID)})
	}
	p.More = max(0, len(kept.Help)-shownHelp)
	for _, h := range kept.Help[:len(kept.Help)-p.More] {
		p.Help = append(p.Help, helpRow{h, link(h.Customer), reasonOf(h, labels)})
	}
	whole := kept.Of(p.Part.Currency)
	for _, one := range kept.Currencies {
		p.Currencies = append(p.Currencies, choice{strings.ToUpper(one), p.link("currency", one),
			whole != nil && one == whole.Currency})
	}
	if whole == nil {
		return
	}
	p.Part.Currency = whole.Currency
	p.Report = kept.Part(p.Part).Of(whole.Currency)
	if n := len(whole.Months); n > 0 {
		p.Now = whole.Months[n-1].MRR.End
	}
	for _, e := range kept.People {
		p.Expected = append(p.Expected, expectedRow{e, link(e.Customer)})
	}
	p.table(labels)
}

// table makes the tables and charts of the report.
func (p *valuePage) table(labels labels) {
	by := p.Part.By
	for _, c := range value.Bys {
		p.By = append(p.By, choice{c.Label, p.link("by", c.Value) + "#groups", c.Value == by})
	}
	for _, c := range cellKinds {
		p.Kinds = append(p.Kinds, choice{c.Label, p.link("cells", c.Value) + "#cohorts", c.Value == p.Cells})
	}
	for _, g := range p.Report.Groups {
		switch g.By {
		case "all":
			p.All = g
		case by:
			p.Groups = append(p.Groups, groupRow{g, labels.of(g.Key)})
		}
	}
	if by == "month" {
		slices.SortFunc(p.Groups, func(a, b groupRow) int { return strings.Compare(b.Key, a.Key) })
	}
	months := p.Report.Months
	if p.Part.From == "" && p.Part.To == "" {
		months = months[max(0, len(months)-shownMonths):]
	}
	p.Charts = chartsOf(p.Report, months)
	p.Cohorts = cohortsOf(*p.Report, p.Cells)
}

// CellsMean says what the cells of the table of cohorts show.
func (p valuePage) CellsMean() string { return cellMeans[p.Cells] }

// labels are what ids of a store are called.
type labels map[string]string

func (l labels) of(id string) string { return cmp.Or(l[id], monthName(id), id) }

// kept reads the figures of a store, and the labels of what they name.
func (s *Pages) kept(r *http.Request) (value.Reports, labels, error) {
	kept, err := value.New(s.Cfg.Store).Read(r.Context(), r.PathValue("store"))
	if err != nil {
		return kept, nil, err
	}
	labels, err := s.labelsOf(r)
	return kept, labels, err
}

func (s *Pages) labelsOf(r *http.Request) (labels, error) {
	info, err := customers.New(s.Cfg.Store).Store(r.Context(), r.PathValue("store"))
	if err != nil {
		return nil, err
	}
	segments, err := s.segmentNames(r)
	if err != nil {
		return nil, err
	}
	all := labels(maps.Clone(core.SourceNames))
	for _, one := range info.Products {
		all[one.ID] = one.Title
	}
	for _, one := range info.Tags {
		all[one.ID] = one.Name
	}
	for id, name := range segments {
		all[id] = name
	}
	return all, nil
}

// ValueAsked has the figures of a store computed soon.
func (s *Pages) ValueAsked(w http.ResponseWriter, r *http.Request) error {
	return changed(w, r, valueURL(r), func() error {
		return value.New(s.Cfg.Store).Ask(r.Context(), r.PathValue("store"))
	}, func(w http.ResponseWriter, r *http.Request, err error) error { return err })
}
