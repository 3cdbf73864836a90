package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/go-cmp/cmp"

	"rollcall/store/customers"
	"rollcall/web/api"
	"rollcall/web/core"
	"rollcall/web/creators"
	"rollcall/web/operators"
)

// description is openapi.json, read and found valid.
type description struct {
	*openapi3.T
	router routers.Router
}

var described = sync.OnceValues(func() (d description, err error) {
	loader := openapi3.NewLoader()
	if d.T, err = loader.LoadFromData(api.OpenAPI); err != nil {
		return d, err
	}
	if err := d.Validate(loader.Context); err != nil {
		return d, err
	}
	d.router, err = gorillamux.NewRouter(d.T)
	return d, err
})

// describedAs returns in what an answer of the API is not as it is described.
// What no route is for is answered by an error in our form.
func describedAs(r *http.Request, a answer) error {
	d, err := described()
	if err != nil {
		return err
	}
	asked := r.Clone(r.Context())
	if r.Method == http.MethodHead {
		asked.Method = http.MethodGet
	}
	route, params, err := d.router.FindRoute(asked)
	if errors.Is(err, routers.ErrPathNotFound) || errors.Is(err, routers.ErrMethodNotAllowed) {
		return d.isError(r, a)
	}
	if err != nil {
		return err
	}
	if route.Operation.Responses.Status(a.StatusCode) == nil {
		return fmt.Errorf("status %d is not described", a.StatusCode)
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 a.StatusCode,
		Header:                 a.Header,
		Body:                   io.NopCloser(strings.NewReader(a.text)),
		Options:                &openapi3filter.Options{MultiError: true},
	})
}

// isError returns in what an answer is no error in our form.
func (d description) isError(r *http.Request, a answer) error {
	if a.StatusCode < 400 || a.Header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("%d %s, where nothing is described", a.StatusCode, a.Header.Get("Content-Type"))
	}
	if r.Method == http.MethodHead {
		return nil
	}
	var said any
	if err := json.Unmarshal([]byte(a.text), &said); err != nil {
		return err
	}
	return d.Components.Schemas["Error"].Value.VisitJSON(said, openapi3.EnableJSONSchema2020())
}

// TestDescriptionIsWhole: every route of the API is described, for whom it is,
// and no other.
func TestDescriptionIsWhole(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	who := map[core.Audience]string{core.Anyone: "", core.Admins: "admin", core.Sellers: "store admin"}
	var want, got []string
	for _, r := range open(t, nil).routes() {
		if strings.HasPrefix(r.path, "/api/") {
			want = append(want, r.method+" "+r.path+" "+who[r.who])
		}
	}
	for path, item := range d.Paths.Map() {
		for method, op := range item.Operations() {
			var schemes []string
			for _, s := range *op.Security {
				schemes = append(schemes, slices.Collect(maps.Keys(s))...)
			}
			got = append(got, method+" "+path+" "+strings.Join(schemes, " "))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-routes +openapi.json\n%s", diff)
	}
}

var allowed = regexp.MustCompile(`allowed are ([a-z_, ]+)`)

// TestParametersAreThoseDescribed: a list says what it takes when it is asked
// for something else.
func TestParametersAreThoseDescribed(t *testing.T) {
	t.Parallel()
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, nil)
	x.fill(t)
	x.begin(t, `{"kind": "clerk"}`)
	x.segmented(t, "store_a")
	address := strings.NewReplacer("{store}", "store_a", "{id}", "1", "{segment}", aSegment, "{campaign}", aCampaign,
		"{reason}", "user_unknown")
	// Besides, these are known: refused by an export, of no matter to figures.
	known := map[string][]string{"/api/stores/{store}/customers.csv": {"cursor", "limit"}, "/api/stores/{store}/stats": {
		"cursor", "limit", "sort"}}
	for path, item := range d.Paths.Map() {
		if item.Get == nil || len(item.Get.Parameters) == 0 || path == "/api/openapi.json" {
			continue
		}
		want := known[path]
		for _, p := range item.Get.Parameters {
			want = append(want, p.Value.Name)
			example := p.Value.Example
			if list, several := example.([]any); several {
				example = list[0]
			}
			asked := url.Values{p.Value.Name: {fmt.Sprint(example)}}
			if p.Value.Name == "customer" {
				asked.Set("customer", "1")
			}
			if p.Value.Name == "cursor" { // each list has its own
				asked.Set("cursor", "")
			}
			if got := x.get(t, address.Replace(path)+"?"+asked.Encode(), asAdmin); got.StatusCode != 200 {
				t.Errorf("%s?%s: %d %s", path, asked.Encode(), got.StatusCode, got.text)
			}
		}
		var got []string
		if told := allowed.FindStringSubmatch(x.get(t, address.Replace(path)+"?colour=green", asAdmin).text); told != nil {
			got = regexp.MustCompile(`, | and `).Split(told[1], -1)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -described +taken\n%s", path, diff)
		}
	}
}

// TestBodiesAreThoseDescribed: what is taken is what is described, and the
// examples of it are taken.
func TestBodiesAreThoseDescribed(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	x := open(t, nil)
	x.fill(t)
	address := strings.NewReplacer("{store}", "store_a", "{id}", "1")
	for path, taken := range map[string]any{backfills: core.NewBackfill{},
		"/api/admin/events/dismiss": operators.NewDismissal{},
		"/api/admin/events/retry":   operators.NewReopening{}, "/api/admin/events/replay": operators.NewReopening{},
		"/api/stores/{store}/customers/{id}/notes": core.NoteBody{}} {
		body := d.Paths.Value(path).Post.RequestBody.Value.Content["application/json"]
		if diff := cmp.Diff(core.NamesOf(taken), slices.Sorted(maps.Keys(body.Schema.Value.Properties))); diff != "" {
			t.Errorf("%s: -taken +described\n%s", path, diff)
		}
		example, err := json.Marshal(body.Example)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.send(t, "POST", address.Replace(path), string(example), asAdmin, asJSON); got.StatusCode/100 != 2 {
			t.Errorf("%s %s: %d %s", path, example, got.StatusCode, got.text)
		}
	}
}

// TestDescriptionIsStrict: what is not as described is found.
func TestDescriptionIsStrict(t *testing.T) {
	const customers, admin = "/api/stores/a/customers", "/api/admin/events"
	for _, c := range []struct {
		method, path string
		status       int
		text         string
		ok           bool
	}{
		{"GET", customers, 200, `{"data":[],"next_cursor":null}`, true},
		{"GET", "/api/stores/a%2Fb/customers?limit=1", 200, `{"data":[],"next_cursor":null}`, true},
		{"HEAD", customers, 200, ``, true},
		{"GET", customers, 200, `{"data":[],"next_cursor":null,"more":1}`, false},
		{"GET", customers, 200, `{"data":[]}`, false},
		{"GET", customers, 200, `{"data":[{}],"next_cursor":null}`, false},
		{"GET", customers, 200, `{"data":null,"next_cursor":null}`, false},
		{"GET", customers, 204, ``, false},
		{"HEAD", customers, 204, ``, false},
		{"GET", customers, 400, `{"error":{"code":"invalid_parameter","message":"m"}}`, true},
		{"GET", customers, 400, `{"error":{"code":"not_found","message":"m"}}`, false},
		{"GET", customers, 400, `{"error":{"code":"invalid_parameter","message":""}}`, false},
		{"GET", customers, 400, `{"error":{"code":"invalid_parameter","message":"m","sql":"SELECT"}}`, false},
		{"GET", admin, 404, `{"error":{"code":"not_found","message":"m"}}`, false}, // not for this route
		{"PUT", customers, 405, `{"error":{"code":"method_not_allowed","message":"m"}}`, true},
		{"PUT", customers, 405, `{"error":"no"}`, false},
		{"PUT", customers, 200, `{}`, false},
		{"GET", "/api/x", 404, `{"error":{"code":"not_found","message":"m"}}`, true},
		{"GET", "/api/x", 404, `{"error":{"code":"new","message":"m"}}`, false},
		{"GET", admin, 200, `{"data":[],"next_cursor":null,"counts":{"pending":0,"processed":0,"ignored":0,"failed":0}}`,
			true},
		{"GET", admin, 200, `{"data":[],"next_cursor":null,"counts":{"pending":0,"processed":0,"ignored":0,"failed":-1}}`,
			false},
		{"GET", admin, 200, `{"data":[],"next_cursor":null,"counts":{"pending":0,"processed":0,"ignored":0}}`, false},
	} {
		r, err := http.NewRequest(c.method, "http://127.0.0.1:8080"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := answer{&http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {"application/json"}}}, c.text}
		if err := describedAs(r, a); (err == nil) != c.ok {
			t.Errorf("%s %s %d %s: %v", c.method, c.path, c.status, c.text, err)
		}
	}
}

func TestDescriptionIsServed(t *testing.T) {
	x := open(t, nil)
	got := x.get(t, "/api/openapi.json")
	if got.StatusCode != 200 || got.text != string(api.OpenAPI) || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	tag := got.Header.Get("ETag")
	if same := x.get(t, "/api/openapi.json", withHeader("If-None-Match", tag)); tag == "" || same.StatusCode != 304 ||
		same.text != "" || same.Header.Get("ETag") != tag {
		t.Errorf("%d %v", same.StatusCode, same.Header)
	}
	if other := x.get(t, "/api/openapi.json", withHeader("If-None-Match", `"other"`)); other.StatusCode != 200 ||
		other.Header.Get("Cache-Control") != "public, no-cache" {
		t.Errorf("%d %v", other.StatusCode, other.Header)
	}
}

// TestDocs: docs/api.md names every parameter of the list, every code of an
// error and every column.
func TestDocs(t *testing.T) {
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Clone(creators.Columns)
	for _, p := range d.Paths.Value("/api/stores/{store}/customers").Get.Parameters {
		names = append(names, p.Value.Name)
	}
	for _, code := range d.Components.Schemas["Error"].Value.Properties["error"].Value.Properties["code"].Value.Enum {
		names = append(names, code.(string))
	}
	for _, name := range names {
		if !strings.Contains(string(text), "`"+name) {
			t.Errorf("docs/api.md does not tell of %s", name)
		}
	}
}

// TestFiltersAreInTheDocs: the table of docs/api.md has every filter as the list
// has it.
func TestFiltersAreInTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	table := "| parameter | | example |\n|---|---|---|\n"
	for _, p := range new(customers.Filter).Params() {
		doc := p.Doc
		if p.Choices != nil {
			doc = strings.TrimSuffix(doc, ".") + ": `" + strings.Join(p.Values(), "`, `") + "`."
		}
		table += fmt.Sprintf("| `%s` | %s | `%v` |\n", p.Name, doc, p.Example)
	}
	if !strings.Contains(string(docs), "\n\n"+table+"\n") {
		t.Errorf("docs/api.md lacks the table of filters as they are:\n%s", table)
	}
}

// TestRulesAreInTheDocs: the table of docs/api.md has every condition of rules.
func TestRulesAreInTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	table := "| condition | is about | says |\n|---|---|---|\n"
	for _, thing := range customers.Things {
		var parts []string
		for _, p := range thing.Parts {
			parts = append(parts, "`"+p.Name+"`")
		}
		says := strings.Join(parts, ", ")
		switch p := thing.Parts[0]; {
		case len(parts) == 1 && p.Choices != nil:
			says = fmt.Sprintf("`{\"%s\": \"%s\"}`", thing.Name, p.Choices[0].Value)
		case len(parts) == 1:
			says = fmt.Sprintf("`{\"%s\": ID}`", thing.Name)
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", thing.Name, thing.Doc, says)
	}
	if !strings.Contains(string(docs), "\n\n"+table+"\n") {
		t.Errorf("docs/api.md lacks the table of conditions as they are:\n%s", table)
	}
}
