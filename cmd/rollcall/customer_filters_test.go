package main

import (
	"io"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/store/customers"
)

// TestCustomerFlags: each filter of the page is a flag, and reaches the same filter.
func TestCustomerFlags(t *testing.T) {
	for _, p := range (&customers.Filter{}).Params() {
		value := "1"
		if len(p.Values()) > 0 {
			value = p.Values()[0]
		}
		var cli commandLine
		_, err := newParser(&cli, io.Discard, io.Discard).Parse(
			[]string{"customers", "list", "--store", "s", "--" + flagFor(p.Name) + "=" + value})
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if diff := cmp.Diff(url.Values{p.Name: {value}}, filterValues(cli.Customers.List.Filters)); diff != "" {
			t.Errorf("%s: %s", p.Name, diff)
		}
	}
}
