package store

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/store/reasons"
)

// Every reason that a fact can resolve to is in the registry, and no other.
func TestReasonsAreThoseOfResolution(t *testing.T) {
	var sql strings.Builder
	for _, kind := range FactKinds {
		sql.WriteString(kind.resolveSQL())
	}
	found := []string{reasons.NotDerived, reasons.DeriveFailed}
	for _, code := range regexp.MustCompile(`(?:THEN|ELSE) '([a-z_]+)'`).FindAllStringSubmatch(sql.String(), -1) {
		found = append(found, code[1])
	}
	known := reasons.Codes()
	slices.Sort(found)
	slices.Sort(known)
	if found = slices.Compact(found); !slices.Equal(found, known) {
		t.Errorf("facts resolve to  %q\nthe registry has   %q", found, known)
	}
}
