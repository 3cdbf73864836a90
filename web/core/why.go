package core

import (
	"net/http"
	"strconv"
	"strings"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// AskedCustomer is the number of the customer in the query, named by id or address.
func (s *Site) AskedCustomer(r *http.Request) (string, error) {
	q, err := Query(r)
	if err != nil {
		return "", err
	}
	for name := range q {
		if name != "customer" {
			return "", pg.Refuse(name, "is not a parameter here; allowed are customer")
		}
	}
	asked := strings.TrimSpace(q.Get("customer"))
	if asked == "" || !pg.Storable(asked) {
		return "", pg.Refuse("customer", "is missing; give a customer's id, or their address")
	}
	if !strings.Contains(asked, "@") {
		return strconv.FormatInt(s.CustomerNumbers(Admitted(r), []string{asked})[0], 10), nil
	}
	return customers.New(s.Cfg.Store).CustomerAt(r.Context(), r.PathValue("store"), strings.ToLower(asked))
}
