package core

import (
	"net/http"
	"slices"
	"strings"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// AskedCurrency reads a query that may name a currency and nothing else but others; empty: none.
func AskedCurrency(r *http.Request, others ...string) (string, error) {
	q, err := Query(r)
	if err != nil {
		return "", err
	}
	allowed := append([]string{"currency"}, others...)
	for name, values := range q {
		switch {
		case !slices.Contains(allowed, name):
			return "", pg.Refuse(name, "is not a parameter here; allowed are %s", strings.Join(allowed, ", "))
		case len(values) > 1:
			return "", pg.Refuse(name, "is given %d times, once is allowed", len(values))
		}
	}
	currency := strings.ToLower(q.Get("currency"))
	if currency == "" {
		return "", nil
	}
	return currency, customers.Currency.Check("currency", currency)
}
