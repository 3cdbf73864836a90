package main

import (
	"cmp"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// The filters of `customers list` are those of the page: a flag for each parameter.

// placeholders stand for values in the help.
var placeholders = map[*pg.ParamKind]string{
	customers.CourseID: "ID", customers.ProductID: "ID", customers.TagID: "ID", customers.SegmentID: "ID",
	customers.CampaignID: "ID",
	customers.Percent:    "N", customers.Count: "N", customers.Amount: "AMOUNT", customers.Domain: "DOMAIN",
	customers.Country:  "CODE",
	customers.RuleText: "JSON", pg.Moment: "WHEN", pg.Search: "WORDS",
}

// filterFlags are the flags, as fields of a structure made for them.
func filterFlags() kong.Plugins {
	var fields []reflect.StructField
	for i, p := range (&customers.Filter{}).Params() {
		value := cmp.Or(strings.Join(p.Values(), "|"), placeholders[p.Kind], "VALUE")
		doc := strings.ReplaceAll(p.Doc, "`", "")
		kind := reflect.TypeFor[string]()
		if p.Multi {
			kind = reflect.TypeFor[[]string]()
		}
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("Filter%d", i), Type: kind, Tag: reflect.StructTag(
			fmt.Sprintf(`name:%q placeholder:%q help:%q`, flagFor(p.Name), value, doc))})
	}
	return kong.Plugins{reflect.New(reflect.StructOf(fields)).Interface()}
}

// filterValues are the values of the flags, as a query of the page.
func filterValues(flags kong.Plugins) url.Values {
	q := url.Values{}
	for i, p := range (&customers.Filter{}).Params() {
		switch v := reflect.ValueOf(flags[0]).Elem().Field(i).Interface().(type) {
		case string:
			if v != "" {
				q.Set(p.Name, v)
			}
		case []string:
			if len(v) > 0 {
				q[p.Name] = v
			}
		}
	}
	return q
}

// flagFor is the flag of a parameter.
func flagFor(param string) string {
	if param == "q" {
		return "search"
	}
	return strings.ReplaceAll(param, "_", "-")
}
