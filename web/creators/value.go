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

// link is the address of the page in a currency, with groups of a kind.
func (p valuePage) link(currency, by string) string {
	q := url.Values{"currency": {currency}, "by": {by}}
	for name, month := range map[string]string{"from": p.Part.From, "to": p.Part.To} {
		if month != "" {
			q.Set(name, month)
		}
	}
	return core.Address(p.URL, q)
}

// AllMonths is the address of the page with all months.
func (p valuePage) AllMonths() string {
	p.Part.From, p.Part.To = "", ""
	return p.link(p.Report.Currency, p.Part.By)
}

// askedPart reads which part of the figures is asked for.
func askedPart(r *http.Request) (value.Part, error) {
	currency, err := core.AskedCurrency(r, value.PartParams...)
	if err != nil {
		return value.Part{}, err
	}
	return value.ReadPart(currency, r.URL.Query())
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
	part, err := askedPart(r)
	if err != nil {
		return err
	}
	currency := part.Currency
	part.Currency = "" // the page links to the others
	part.By = cmp.Or(part.By, value.Bys[0].Value)
	page := valuePage{URL: valueURL(r), Part: part}
	if page.Shell, err = s.Shell(r, "value"); err != nil {
		return err
	}
	kept, err := value.New(s.Cfg.Store).ReadIn(r.Context(), r.PathValue("store"), currency)
	if err != nil {
		return err
	}
	labels, err := s.labelsOf(r)
	if err != nil {
		return err
	}
	page.AsOf, page.Report = kept.AsOf, kept.Part(part).Of(currency)
	for _, c := range kept.Courses {
		page.Courses = append(page.Courses, courseRow{c, labels.of(c.ID)})
	}
	help, err := value.New(s.Cfg.Store).Help(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	page.More = max(0, len(help)-shownHelp)
	for _, h := range help[:len(help)-page.More] {
		page.Help = append(page.Help, helpRow{h, customersPath(r.PathValue("store")) + "/" + s.IDs().Customer(h.Customer),
			reasonOf(h, labels)})
	}
	for _, one := range kept.Currencies {
		page.Currencies = append(page.Currencies, choice{strings.ToUpper(one), page.link(one, part.By),
			page.Report != nil && one == page.Report.Currency})
	}
	if page.Report != nil {
		page.fill(kept.Of(page.Report.Currency), labels)
		people, err := value.New(s.Cfg.Store).People(r.Context(), r.PathValue("store"), page.Report.Currency, "",
			shownExpected)
		if err != nil {
			return err
		}
		for _, e := range people {
			page.Expected = append(page.Expected, expectedRow{e,
				customersPath(r.PathValue("store")) + "/" + s.IDs().Customer(e.Customer)})
		}
	}
	s.Page(w, http.StatusOK, "value.html", page)
	return nil
}

// fill makes the tables and charts of the report, which is a part of the whole.
func (p *valuePage) fill(whole *value.Report, labels labels) {
	by := p.Part.By
	for _, c := range value.Bys {
		p.By = append(p.By, choice{c.Label, p.link(p.Report.Currency, c.Value) + "#groups", c.Value == by})
	}
	p.Now = whole.Months[len(whole.Months)-1].MRR.End
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
	p.Cohorts = cohortsOf(p.Report)
}

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
