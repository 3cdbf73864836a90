package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/value"
	"rollcall/web/core"
)

// shownValue is what the customers of a store are worth, in the API.
type shownValue struct {
	AsOf     *time.Time     `json:"as_of"`
	TimeZone *string        `json:"time_zone"`
	Courses  []value.Course `json:"courses"`
	Reports  []value.Report `json:"reports"`
}

// ListHelp answers the customers who need help, those for whom most is at stake first.
func (s *API) ListHelp(w http.ResponseWriter, r *http.Request) error {
	all, err := value.New(s.Cfg.Store).Help(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Customer = s.IDs().Customer(all[i].Customer)
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(all, ""))
	return nil
}

// peopleScope is the scope of cursors of the list below.
func peopleScope(r *http.Request) string { return "expected of " + r.PathValue("store") }

// ListExpected answers a page of customers, those first of whom most is expected in a currency.
func (s *API) ListExpected(w http.ResponseWriter, r *http.Request) error {
	q, err := s.QueryWith(r, "cursor", peopleScope(r))
	if err != nil {
		return err
	}
	var currency, cursor string
	limit := pg.DefaultLimit
	if err := pg.ReadParams(q, []pg.Param{{Name: "currency", Value: &currency, Kind: customers.Currency},
		pg.CursorParam(&cursor)}, &limit); err != nil {
		return err
	}
	values := value.New(s.Cfg.Store)
	if currency == "" {
		kept, err := values.ReadIn(r.Context(), r.PathValue("store"), "")
		if err != nil {
			return err
		}
		if len(kept.Currencies) > 0 {
			currency = kept.Currencies[0]
		}
	}
	people, err := values.People(r.Context(), r.PathValue("store"), strings.ToLower(currency), cursor, limit+1)
	if err != nil {
		return err
	}
	for i := range people {
		people[i].Customer = s.IDs().Customer(people[i].Customer)
	}
	core.WriteJSON(w, http.StatusOK, core.CutBy(people, limit, func(e value.Expected) string {
		return s.IDs().Cursor(peopleScope(r), e.Cursor)
	}))
	return nil
}

// ShowValue answers what the customers of a store are worth, or the part that is asked for.
func (s *API) ShowValue(w http.ResponseWriter, r *http.Request) error {
	currency, err := core.AskedCurrency(r, value.PartParams...)
	if err != nil {
		return err
	}
	part, err := value.ReadPart(currency, r.URL.Query())
	if err != nil {
		return err
	}
	read := value.New(s.Cfg.Store).Read
	if currency != "" {
		read = func(ctx context.Context, store string) (value.Reports, error) {
			return value.New(s.Cfg.Store).ReadIn(ctx, store, currency)
		}
	}
	kept, err := read(r.Context(), r.PathValue("store"))
	if err != nil {
		return err
	}
	if kept.Time.IsZero() {
		if err := s.mentioned(r); err != nil {
			return err
		}
	}
	shown := shownValue{Courses: kept.Courses, Reports: kept.Part(part).All}
	if !kept.Time.IsZero() {
		shown.AsOf, shown.TimeZone = &kept.Time, &kept.Zone
	}
	core.WriteJSON(w, http.StatusOK, shown)
	return nil
}
