package creators

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rollcall/store/bulk"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

const (
	maxChosen    = 2000   // customers that are selected one by one
	maxAddresses = 10_000 // addresses that are copied at once
)

// selection is whom the form below a list is about: customers chosen one by one, or all
// that match a filter.
type selection struct {
	ids      []int64
	all      bool
	filter   customers.Filter
	expected *int   // how many the person saw, of all that match
	back     string // the list
}

// selectionPage is the data of selection.html.
type selectionPage struct {
	core.Shell
	Title     string
	Addresses string // one on each line
	N         int
	Wrong     string // why nothing was done
	Back      string // URL of the list
}

// errAddresses stops the reading of too many addresses.
var errAddresses = fmt.Errorf("more than %d addresses", maxAddresses)

// Selected does with the customers selected on the list what the form asks for.
func (s *Pages) Selected(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	chosen, err := s.selection(r)
	if err == nil {
		err = s.doWith(w, r, chosen)
	}
	var wrong *pg.BadParam
	var conflict *pg.Conflict
	switch {
	case errors.As(err, &wrong):
		return s.showSelection(w, r, http.StatusBadRequest, selectionPage{Title: "Nothing was changed",
			Wrong: sentence(wrong), Back: chosen.back})
	case errors.As(err, &conflict):
		return s.showSelection(w, r, http.StatusConflict, selectionPage{Title: "Nothing was changed",
			Wrong: conflict.Reason, Back: chosen.back})
	}
	return err
}

// sentence is what is wrong with a field, for people.
func sentence(wrong *pg.BadParam) string {
	return strings.ToUpper(wrong.Name[:1]) + wrong.Name[1:] + " " + strings.TrimSuffix(wrong.Reason, ".") + "."
}

// selection reads the selection from a form.
func (s *Pages) selection(r *http.Request) (chosen selection, err error) {
	chosen.back = pathOf(r, "customers")
	q, err := url.ParseQuery(r.PostForm.Get("query"))
	if err != nil {
		return chosen, pg.Refuse("filter", "is not valid; open the list again")
	}
	if chosen.filter, err = customers.ParseFilter(r.PathValue("store"), q); err != nil {
		return chosen, err
	}
	chosen.back = core.Address(chosen.back, chosen.filter.Values())
	if chosen.all = r.PostForm.Get("all") != ""; chosen.all {
		n, err := strconv.Atoi(r.PostForm.Get("expected"))
		if err != nil {
			return chosen, pg.Refuse("customers", "were not counted: open the list again, then repeat this")
		}
		chosen.expected = &n
		return chosen, nil
	}
	for _, id := range r.PostForm["id"] {
		if n, ok := s.IDs().Number(core.CustomerID, id); ok {
			chosen.ids = append(chosen.ids, n)
		}
	}
	switch n := len(chosen.ids); {
	case n == 0:
		return chosen, pg.Refuse("customers", "are not selected: tick some of them, then repeat this")
	case n > maxChosen:
		return chosen, pg.Refuse("customers", "are too many: %d, at most %d can be chosen one by one", n, maxChosen)
	}
	return chosen, nil
}

// doWith does what the button says, or what was typed if it was sent by Enter.
func (s *Pages) doWith(w http.ResponseWriter, r *http.Request, chosen selection) error {
	switch do := r.PostForm.Get("do"); {
	case do == "copy":
		return s.copyAddresses(w, r, chosen)
	case do == "export":
		return s.exportSelection(w, r, chosen)
	case do == "untag":
		return s.startBulk(w, r, chosen, bulk.Order{Action: bulk.Remove, Target: r.PostForm.Get("untag")})
	case do == "tag" || r.PostForm.Get("tag") != "":
		return s.startBulk(w, r, chosen, bulk.Order{Action: bulk.Add, TagName: r.PostForm.Get("tag")})
	}
	http.Redirect(w, r, chosen.back, http.StatusSeeOther)
	return nil
}

// startBulk makes a bulk action and goes to its page.
func (s *Pages) startBulk(w http.ResponseWriter, r *http.Request, chosen selection, o bulk.Order) error {
	if o.Target == "" && o.TagName == "" {
		return pg.Refuse("tag", "is missing: name it, then repeat this")
	}
	if chosen.all {
		o.Filter, o.Expected = &chosen.filter, chosen.expected
	} else {
		o.Customers = chosen.ids
	}
	var a bulk.Action
	err := s.Counting(r.Context(), o.Filter == nil, func() (err error) {
		a, err = bulk.New(s.Cfg.Store).Start(r.Context(), r.PathValue("store"), o, core.Admitted(r).Name())
		return err
	})
	if err != nil {
		return err
	}
	return s.toBulk(w, r, a.ID)
}

// copyAddresses shows the addresses to copy; the script of the list gets them as text.
func (s *Pages) copyAddresses(w http.ResponseWriter, r *http.Request, chosen selection) error {
	var addresses []string
	err := s.read(r, chosen, func(some []customers.Customer) error {
		for _, c := range some {
			if !c.Anonymous() {
				addresses = append(addresses, c.Email)
			}
		}
		if len(addresses) > maxAddresses {
			return errAddresses
		}
		return nil
	})
	if errors.Is(err, errAddresses) {
		return pg.Refuse("addresses", "are too many to copy: export the list instead")
	}
	if err != nil {
		return err
	}
	text := strings.Join(addresses, "\n")
	if r.Header.Get("Accept") == "text/plain" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, err = w.Write([]byte(text))
		return err
	}
	return s.showSelection(w, r, http.StatusOK, selectionPage{Title: "Addresses", Addresses: text, N: len(addresses),
		Back: chosen.back})
}

// asExpected refuses all that match, with a *pg.Conflict, if they are not about as many as the person saw.
func (s *Pages) asExpected(r *http.Request, chosen selection) error {
	var stats customers.Stats
	err := s.Counting(r.Context(), chosen.filter.Quick(), func() (err error) {
		stats, err = customers.New(s.Cfg.Store).Stats(r.Context(), chosen.filter)
		return err
	})
	if err != nil {
		return err
	}
	return bulk.Order{Expected: chosen.expected}.Compare(int(stats.Total))
}

// read passes the selected customers to a function, some at a time.
func (s *Pages) read(r *http.Request, chosen selection, each func([]customers.Customer) error) error {
	reader := customers.New(s.Cfg.Store)
	if !chosen.all {
		some, err := reader.Chosen(r.Context(), r.PathValue("store"), chosen.ids)
		if err != nil {
			return err
		}
		return each(some)
	}
	if err := s.asExpected(r, chosen); err != nil {
		return err
	}
	leave, err := s.Gates.Exports.Enter(r.Context(), core.Admitted(r).Party())
	if err != nil {
		return err
	}
	defer leave()
	return reader.ExportCustomers(r.Context(), chosen.filter, each)
}

// exportSelection sends the selected customers as CSV.
func (s *Pages) exportSelection(w http.ResponseWriter, r *http.Request, chosen selection) error {
	if chosen.all {
		if err := s.asExpected(r, chosen); err != nil {
			return err
		}
		http.Redirect(w, r, csvURL(chosen.filter), http.StatusSeeOther)
		return nil
	}
	some, err := customers.New(s.Cfg.Store).Chosen(r.Context(), r.PathValue("store"), chosen.ids)
	if err != nil {
		return err
	}
	s.IDs().Customers(some)
	if err := s.download(w, r).write(some); err != nil {
		s.broken(r, err)
	}
	return nil
}

func (s *Pages) showSelection(w http.ResponseWriter, r *http.Request, status int, page selectionPage) (err error) {
	if page.Shell, err = s.Shell(r, "customers"); err != nil {
		return err
	}
	return s.Page(w, status, "selection.html", page)
}
