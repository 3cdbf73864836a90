package api

import (
	"net/http"
	"time"

	"rollcall/store/pg"
	"rollcall/store/value"
	"rollcall/web/core"
)

// shownValue is what the customers of a store are worth, in the API.
type shownValue struct {
	asOf
	Courses []value.Course `json:"courses"`
	Reports []value.Report `json:"reports"`
}

// shownCohorts are the tables of a store's cohorts, in the API.
type shownCohorts struct {
	asOf
	Tables []value.CohortTable `json:"tables"`
}

// asOf is when figures were computed; null: never.
type asOf struct {
	AsOf     *time.Time `json:"as_of"`
	TimeZone *string    `json:"time_zone"`
}

func asOfThe(kept value.Reports) (a asOf) {
	if !kept.Time.IsZero() {
		a.AsOf, a.TimeZone = &kept.Time, &kept.Zone
	}
	return a
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

// ListExpected answers a page of customers, those first of whom most is expected in a currency, or in another order.
func (s *API) ListExpected(w http.ResponseWriter, r *http.Request) error {
	f := value.PeopleFilter{Store: r.PathValue("store"), Limit: pg.DefaultLimit}
	scope := "expected of " + f.Store
	q, err := s.QueryWith(r, "cursor", scope)
	if err != nil {
		return err
	}
	if err := pg.ReadParams(q, f.Params(), &f.Limit); err != nil {
		return err
	}
	people, next, err := value.New(s.Cfg.Store).People(r.Context(), f)
	if err != nil {
		return err
	}
	for i := range people {
		people[i].Customer = s.IDs().Customer(people[i].Customer)
	}
	core.WriteJSON(w, http.StatusOK, core.NewList(people, s.IDs().Cursor(scope, next)))
	return nil
}

// ShowValue answers what the customers of a store are worth, or the part that is asked for.
func (s *API) ShowValue(w http.ResponseWriter, r *http.Request) error {
	kept, err := s.keptValue(r, value.PartParams)
	return core.AnswerJSON(w, shownValue{asOfThe(kept), kept.Courses, kept.All}, err)
}

// ListCohorts answers what customers did after the month of their first payment, a line for each of these months.
func (s *API) ListCohorts(w http.ResponseWriter, r *http.Request) error {
	kept, err := s.keptValue(r, value.CohortParams, value.OnlyCohorts...)
	if err != nil {
		return err
	}
	shown := shownCohorts{asOfThe(kept), []value.CohortTable{}}
	for _, report := range kept.All {
		shown.Tables = append(shown.Tables, report.CohortTable())
	}
	core.WriteJSON(w, http.StatusOK, shown)
	return nil
}

// keptValue reads the part of a store's figures that is asked for, but for what is not shown.
func (s *API) keptValue(r *http.Request, params []string, without ...string) (kept value.Reports, err error) {
	q, err := core.Query(r)
	if err != nil {
		return kept, err
	}
	part, err := value.ReadPart(q, params...)
	if err != nil {
		return kept, err
	}
	kept, err = value.New(s.Cfg.Store).ReadPart(r.Context(), r.PathValue("store"), part, without...)
	if err == nil && kept.Time.IsZero() {
		err = s.mentioned(r)
	}
	return kept.Part(part), err
}
