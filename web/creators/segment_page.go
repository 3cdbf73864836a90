package creators

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/segments"
	"rollcall/web/core"
)

// segmentPage is the data of segment.html: the form of a segment, new or kept.
type segmentPage struct {
	core.Shell
	Store    customers.StoreInfo
	Segments []core.Option // that a rule can name
	ID       string        // empty: a new one
	Name     string
	Pinned   bool
	Watched  bool
	Movers   []segments.Mover // of a watched one, the latest first
	Static   bool
	Copy     string // for a ready-made one: see copyOf
	Revision int    // of the segment, as the form has it
	URL      string // of the segments
	Action   string // where the form goes
	Form     ruleForm
	Added    string // the place of a condition just added
	Text     string // the rule as a sentence; empty: it is not valid yet
	People   []customers.Customer
	Wrong    string        // why it was not saved
	NameBad  string        // why the name was refused
	Who      string        // an address that no customer has, of whom it was asked whether they are in it
	Counted  *segmentCount // how many there are; nil: a script asks for it
	refused  string        // what is wrong with the rule
	size
}

// draft is a segment in the making.
type draft struct {
	segments.Segment
	rule customers.Rule
}

// NewSegment shows the form of a new segment: of the customers that a list's query
// selects, or an empty one.
func (s *Pages) NewSegment(w http.ResponseWriter, r *http.Request) error {
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	name := q.Get("name")
	for _, other := range []string{"name", "sort", "cursor", "limit"} {
		q.Del(other)
	}
	f, err := customers.ParseFilter(r.PathValue("store"), q)
	if errors.As(err, new(*pg.BadParam)) { // the list says what is wrong, in the words of its fields
		http.Redirect(w, r, core.Address(pathOf(r, "customers"), q), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	rule, err := f.AsRule()
	if err != nil {
		return err
	}
	return s.showSegment(w, r, draft{segments.Segment{Name: name, Kind: segments.Dynamic}, rule}, segmentPage{})
}

// Segment shows the form of a kept segment.
func (s *Pages) Segment(w http.ResponseWriter, r *http.Request) error {
	return s.showKept(w, r, segmentPage{})
}

// showKept shows the form of the segment in the path.
func (s *Pages) showKept(w http.ResponseWriter, r *http.Request, page segmentPage) error {
	g, err := segments.New(s.Cfg.Store).Segment(r.Context(), r.PathValue("store"), r.PathValue("segment"))
	if err != nil {
		return err
	}
	d := draft{Segment: g}
	if g.Kind == segments.Dynamic {
		if d.rule, err = customers.ParseRule(string(g.Rule)); err != nil {
			return err
		}
	}
	return s.showSegment(w, r, d, page)
}

// SegmentForm handles the buttons of the form: it changes the draft, or saves it.
func (s *Pages) SegmentForm(w http.ResponseWriter, r *http.Request) (err error) {
	if err := core.Form(w, r); err != nil {
		return err
	}
	if r.PostForm.Get("do") == "" {
		return core.ErrForm
	}
	d, err := s.drafted(r)
	if err != nil {
		return err
	}
	page := segmentPage{}
	switch r.PostForm.Get("do") {
	case "save":
		if err = s.save(r, d); err == nil {
			http.Redirect(w, r, pathOf(r, "segments"), http.StatusSeeOther)
			return nil
		}
	case "preview":
		_, err = customers.ParseRule(d.rule.String())
	default:
		page.Added = do(&d.rule, r.PostForm)
	}
	if !page.refuse(err) {
		return err
	}
	return s.showSegment(w, r, d, page)
}

// drafted is the draft that the form has.
func (s *Pages) drafted(r *http.Request) (d draft, err error) {
	d.Kind = segments.Dynamic
	if id := r.PathValue("segment"); id != "" {
		if d.Segment, err = segments.New(s.Cfg.Store).Segment(r.Context(), r.PathValue("store"), id); err != nil {
			return d, err
		}
		d.Version, _ = strconv.Atoi(r.PostForm.Get("version"))
	}
	d.Pinned, d.Watched = r.PostForm.Get("pinned") != "", r.PostForm.Get("watched") != ""
	if d.ReadyMade {
		d.rule, err = customers.ParseRule(string(d.Rule))
		return d, err
	}
	shell, err := s.Shell(r, "segments")
	left := maxFormRules
	d.Name, d.rule = r.PostForm.Get("name"), readRule(r.PostForm, "n", &left, shell)
	return d, err
}

// refuse fills in what is wrong with a draft; false: err is something else.
func (p *segmentPage) refuse(err error) bool {
	var wrong *pg.BadParam
	var conflict *pg.Conflict
	switch {
	case errors.As(err, &wrong) && wrong.Name == "name":
		p.NameBad, p.Wrong = "The name "+wrong.Reason+".", "The segment was not saved."
	case errors.As(err, &wrong) && strings.HasPrefix(wrong.Reason, "/"):
		p.Wrong, p.refused = "The rule is not complete: see below.", wrong.Reason
	case errors.As(err, &wrong) && strings.HasPrefix(wrong.Reason, "is not JSON"):
		p.Wrong = "The rule holds characters that cannot be kept. Type its values again."
	case errors.As(err, &wrong):
		p.Wrong = "The rule " + wrong.Reason + "."
	case errors.As(err, &conflict):
		p.Wrong = conflict.Reason
	}
	return err == nil || p.Wrong != ""
}

// save saves a draft.
func (s *Pages) save(r *http.Request, d draft) error {
	all, id := segments.New(s.Cfg.Store), r.PathValue("store")
	if d.Kind == segments.Dynamic {
		d.Rule = json.RawMessage(d.rule.String())
		if _, err := customers.ParseRule(d.rule.String()); err != nil {
			return err
		}
	}
	if d.ID == "" {
		_, err := all.Create(r.Context(), id, d.Segment, core.Admitted(r).Name())
		return err
	}
	change := segments.Change{Name: &d.Name, Rule: d.Rule, Pinned: &d.Pinned, Watched: &d.Watched, Version: &d.Version}
	if d.ReadyMade {
		change.Name, change.Rule = nil, nil
	}
	_, err := all.Update(r.Context(), id, d.ID, change)
	return err
}

// showSegment shows the form of a draft.
func (s *Pages) showSegment(w http.ResponseWriter, r *http.Request, d draft, page segmentPage) (err error) {
	id := r.PathValue("store")
	page.URL, page.ID, page.Name, page.Pinned, page.Watched = pathOf(r, "segments"), d.ID, d.Name, d.Pinned, d.Watched
	page.Revision, page.Static, page.Copy = d.Version, d.Kind == segments.Static, copyOf(page.URL, d.Segment)
	page.Action = page.URL + "/" + url.PathEscape(cmp.Or(d.ID, "new"))
	if page.Shell, err = s.Shell(r, "segments"); err != nil {
		return err
	}
	if page.Store, err = customers.New(s.Cfg.Store).Store(r.Context(), id); err != nil {
		return err
	}
	if err := s.offerSegments(r, &page); err != nil {
		return err
	}
	if d.rule.Group == "" {
		group := customers.Rule{Group: "all"}
		if d.rule.About != "" {
			group.Rules = []customers.Rule{d.rule}
		}
		d.rule = group
	}
	if err := s.preview(r, d, &page); err != nil {
		return err
	}
	if err := s.movers(r, &page); err != nil {
		return err
	}
	page.Form = page.formOf(d.rule, "n", "")
	status := http.StatusOK
	switch {
	case page.Wrong != "":
		status = http.StatusBadRequest
	case page.Who != "":
		status = http.StatusNotFound
	}
	return s.Page(w, status, "segment.html", page)
}

// offerSegments fills in the segments that the rule can name.
func (s *Pages) offerSegments(r *http.Request, page *segmentPage) error {
	all, err := s.allSegments(r)
	page.Segments = slices.DeleteFunc(all, func(o core.Option) bool { return o.Value == page.ID })
	return err
}

// allSegments are the segments of a store, those first that are ready-made.
func (s *Pages) allSegments(r *http.Request) (all []core.Option, err error) {
	kept, err := segments.New(s.Cfg.Store).List(r.Context(), r.PathValue("store"))
	for _, one := range kept {
		all = append(all, core.Option{Value: one.ID, Label: one.Name})
	}
	return all, err
}

// movers fills in who entered and left a watched segment.
func (s *Pages) movers(r *http.Request, page *segmentPage) (err error) {
	if page.ID == "" || !page.Watched {
		return nil
	}
	page.Movers, err = segments.New(s.Cfg.Store).Latest(r.Context(), r.PathValue("store"), page.ID, previewed)
	for i, m := range page.Movers {
		if m.Customer != "" {
			page.Movers[i].Customer = s.IDs().Customer(m.Customer)
		}
	}
	return err
}

// previewed is how many customers the page shows.
const previewed = 20

// preview fills in what the rule means, and some of those who meet it.
func (s *Pages) preview(r *http.Request, d draft, page *segmentPage) (err error) {
	f := customers.Filter{Store: r.PathValue("store"), Segment: d.ID, Limit: previewed}
	if !page.Static {
		rule, wrong := customers.ParseRule(d.rule.String())
		if errors.As(wrong, new(*pg.BadParam)) {
			return nil // there is nothing to show yet
		}
		f.Segment, f.Rule = "", rule.String()
		if page.Text, err = customers.New(s.Cfg.Store).RuleText(r.Context(), f.Store, rule); err != nil {
			return err
		}
	} else {
		page.Text = "Customers who were put into it."
	}
	if page.People, _, err = customers.New(s.Cfg.Store).Customers(r.Context(), f); err != nil {
		return err
	}
	s.IDs().Customers(page.People)
	f.Limit = 0
	page.size = sizeOf(f.Store, f.Values())
	if r.PostForm.Get("count") != "" { // there is no script
		var count segmentCount
		count, err = s.sizeNow(r, f)
		page.Counted = &count
	}
	return err
}
