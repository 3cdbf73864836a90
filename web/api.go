package web

import (
	"net/http"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/inbox"
	"rollcall/store/status"
)

// listCustomers answers a page of a store's list.
func (s *Site) listCustomers(w http.ResponseWriter, r *http.Request) error {
	filter, err := s.customerFilter(r)
	if err != nil {
		return err
	}
	customers, next, err := customers.New(s.cfg.Store).Customers(r.Context(), filter)
	if err != nil {
		return err
	}
	s.ids().customers(customers)
	writeJSON(w, http.StatusOK, newList(customers, s.ids().cursor(listScope(r), next)))
	return nil
}

// customerFilter is what the request asks of its store's list.
func (s *Site) customerFilter(r *http.Request) (customers.Filter, error) {
	q, err := s.listQuery(r)
	if err != nil {
		return customers.Filter{}, err
	}
	return customers.ParseFilter(r.PathValue("store"), q)
}

// showCustomer answers one customer of a store.
func (s *Site) showCustomer(w http.ResponseWriter, r *http.Request) error {
	customer, err := customers.New(s.cfg.Store).Customer(r.Context(), r.PathValue("store"), r.PathValue("id"))
	if err != nil {
		return err
	}
	customer.ID = s.ids().customer(customer.ID)
	writeJSON(w, http.StatusOK, customer)
	return nil
}

// showStats answers the figures of a store's list, or of those on it who meet a
// filter.
func (s *Site) showStats(w http.ResponseWriter, r *http.Request) error {
	filter, err := s.customerFilter(r)
	if err != nil {
		return err
	}
	var stats customers.Stats
	err = s.counting(r.Context(), filter.Quick(), func() error {
		stats, err = customers.New(s.cfg.Store).Stats(r.Context(), filter)
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, stats)
	return nil
}

// eventList is a list of events, and how many there are of each status.
type eventList struct {
	list
	Counts map[string]int64 `json:"counts"`
}

// listEvents answers a page of the inbox.
func (s *Site) listEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	filter, err := store.ParseEventFilter(q)
	if err != nil {
		return err
	}
	events, next, err := inbox.New(s.cfg.Store).Events(r.Context(), filter)
	if err != nil {
		return err
	}
	counts, err := status.New(s.cfg.Store).EventCounts(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, eventList{newList(events, next), counts})
	return nil
}

// showEvent answers one event with its payload.
func (s *Site) showEvent(w http.ResponseWriter, r *http.Request) error {
	event, err := inbox.New(s.cfg.Store).Event(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	event.Notes = event.PassedOver(facts.Read)
	writeJSON(w, http.StatusOK, event)
	return nil
}
