package api

import (
	"fmt"
	"net/http"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/inbox"
	"rollcall/store/status"
	"rollcall/web/core"
)

// ListCustomers answers a page of a store's list.
func (s *API) ListCustomers(w http.ResponseWriter, r *http.Request) error {
	filter, err := s.customerFilter(r)
	if err != nil {
		return err
	}
	customers, next, err := customers.New(s.Cfg.Store).Customers(r.Context(), filter)
	if err == nil && len(customers) == 0 {
		err = s.mentioned(r)
	}
	if err != nil {
		return err
	}
	s.IDs().Customers(customers)
	core.WriteJSON(w, http.StatusOK, core.NewList(customers, s.IDs().Cursor(core.ListScope(r), next)))
	return nil
}

// mentioned returns an error for operators if the store in the path is not known. They are not
// told by an admission to it that its id is wrong.
func (s *API) mentioned(r *http.Request) error {
	if !core.Admitted(r).Admin {
		return nil
	}
	id := r.PathValue("store")
	if unknown, err := s.Unmentioned(r.Context(), id); err != nil || !unknown {
		return err
	}
	return &core.Failure{Status: http.StatusNotFound, Code: "not_found",
		Message: fmt.Sprintf("No event has mentioned a store %q. Check its id: GET /api/admin/stores lists the stores.", id)}
}

// customerFilter is the filter in the request's query.
func (s *API) customerFilter(r *http.Request) (customers.Filter, error) {
	q, err := s.ListQuery(r)
	if err != nil {
		return customers.Filter{}, err
	}
	return customers.ParseFilter(r.PathValue("store"), q)
}

// ShowCustomer answers one customer of a store.
func (s *API) ShowCustomer(w http.ResponseWriter, r *http.Request) error {
	customer, err := customers.New(s.Cfg.Store).Customer(r.Context(), r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	customer.ID = s.IDs().Customer(customer.ID)
	core.WriteJSON(w, http.StatusOK, customer)
	return nil
}

// ShowStats answers the figures of a store's list, or of a filter's matches.
func (s *API) ShowStats(w http.ResponseWriter, r *http.Request) error {
	filter, err := s.customerFilter(r)
	if err != nil {
		return err
	}
	var stats customers.Stats
	err = s.Counting(r.Context(), filter.Quick(), func() error {
		stats, err = customers.New(s.Cfg.Store).Stats(r.Context(), filter)
		return err
	})
	if err == nil && stats.Total == 0 {
		err = s.mentioned(r)
	}
	return core.AnswerJSON(w, stats, err)
}

// eventList is a list of events with the counts by status.
type eventList struct {
	core.List
	Counts map[string]int64 `json:"counts"`
}

// ListEvents answers a page of the inbox.
func (s *API) ListEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := core.Query(r)
	if err != nil {
		return err
	}
	filter, err := store.ParseEventFilter(q)
	if err != nil {
		return err
	}
	events, next, err := inbox.New(s.Cfg.Store).Events(r.Context(), filter)
	if err != nil {
		return err
	}
	counts, err := status.New(s.Cfg.Store).EventCounts(r.Context())
	return core.AnswerJSON(w, eventList{core.NewList(events, next), counts}, err)
}

// ShowEvent answers one event with its payload.
func (s *API) ShowEvent(w http.ResponseWriter, r *http.Request) error {
	event, err := inbox.New(s.Cfg.Store).Event(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	event.Notes = event.PassedOver(facts.Read)
	core.WriteJSON(w, http.StatusOK, event)
	return nil
}
