package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// openAPIText is written by hand, except for filters: CustomerFilters and
// EventFilters are replaced.
//
//go:embed openapi.json
var openAPIText string

// OpenAPI is the API's description. Tests compare routes and answers with it.
var OpenAPI = []byte(describeFilters(openAPIText))

var openAPITag = core.Tag(core.Hash(OpenAPI))

// Describe answers the description. Its ETag changes only with a new version.
func (s *API) Describe(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, no-cache")
	h.Set("ETag", openAPITag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(OpenAPI))
	return nil
}

// describeFilters inserts the filters: those of customers once, because several
// paths refer to them.
func describeFilters(text string) string {
	var refs, components, events []string
	for _, p := range new(customers.Filter).Params() {
		name := componentName(p.Name)
		refs = append(refs, filterRef(name))
		components = append(components, fmt.Sprintf("%q: %s", name, describeFilter(p)))
	}
	for _, p := range new(store.EventFilter).Params() {
		events = append(events, describeFilter(p))
	}
	return strings.NewReplacer(
		filterRef("CustomerFilters"), strings.Join(refs, ",\n          "),
		`"CustomerFilters": {}`, strings.Join(components, ",\n      "),
		filterRef("EventFilters"), strings.Join(events, ",\n          "),
	).Replace(text)
}

func filterRef(name string) string { return `{"$ref": "#/components/parameters/` + name + `"}` }

// componentName is the name of a filter in the description: NotCourse for not_course.
func componentName(param string) (name string) {
	if param == "q" {
		return "Search"
	}
	for word := range strings.SplitSeq(param, "_") {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}

// describeFilter is a filter as an OpenAPI parameter.
func describeFilter(p pg.Param) string {
	doc, schema := p.Doc, any(map[string]any{"type": "string", "enum": p.Values()})
	if p.Schema != "" {
		schema = map[string]string{"$ref": "#/components/schemas/" + p.Schema}
	}
	if p.Kind != nil {
		doc, schema = doc+p.Kind.Doc, json.RawMessage(p.Kind.Schema)
	}
	example := p.Example
	if p.Multi {
		doc += " Given several times, it means any of them."
		schema, example = map[string]any{"type": "array", "items": schema}, []any{example}
	}
	text, err := json.Marshal(map[string]any{"name": p.Name, "in": "query", "description": doc, "schema": schema,
		"example": example})
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return string(text)
}
