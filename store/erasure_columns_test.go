package store

import (
	"slices"
	"strings"
	"testing"
)

// Every column that names people is one that an erasure removes, rewrites or empties.
func TestErasureReachesEveryColumn(t *testing.T) {
	// see removePeople, closeErasure
	whole := []string{"users", "stripe_customers", "links", "derivation", "erasure_terms"}
	for _, k := range FactKinds {
		whole = append(whole, k.Table)
	}
	for _, m := range mentions {
		if m.set == "" {
			whole = append(whole, m.table)
		}
	}
	for _, c := range identityColumns {
		emptied := c.Table == "webhook_events" && (c.Column == "payload" || c.Column == "headers")
		if c.Names == aCopy || emptied || c.Table != "customer_notes" && slices.Contains(whole, c.Table) {
			continue
		}
		if !slices.ContainsFunc(mentions, func(m mention) bool {
			return m.table == c.Table && (strings.Contains(m.set, c.Column+" = ") || m.set == "" &&
				strings.Contains(m.where, c.Column))
		}) {
			t.Errorf("%s.%s names people, and no erasure reaches it", c.Table, c.Column)
		}
	}
}
