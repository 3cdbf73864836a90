package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"
)

// object is a JSON object.
type object = map[string]any

// caseChecks are what a case may expect, by the name it has in the file. Each
// returns what falls short.
var caseChecks = map[string]func(caseRun, any) []string{
	"customers":         caseRun.customers,
	"count":             caseRun.count,
	"everybody_listed":  caseRun.everybodyListed,
	"searches":          caseRun.searches,
	"completed_filter":  caseRun.completedFilter,
	"lists":             caseRun.lists,
	"order":             caseRun.order,
	"explain":           caseRun.explain,
	"no_time_after_now": caseRun.noTimeAfterNow,
	"events":            caseRun.events,
}

// caseProse are the names in `expect` that caseChecks has nothing for: where it
// is asserted instead.
var caseProse = map[string]string{
	"store":        "which list is meant",
	"either":       "caseExtras, wantNoSilentSkips",
	"completed_at": "caseExtras",
	"sort":         "order is by sort=name",
	"or":           "another order, which is not the one chosen",
}

// caseExtras assert what a case tells in prose only.
var caseExtras = map[string]func(caseRun) []string{
	"clerk-14-completion-undone": func(r caseRun) []string {
		return r.customers(
			[]any{object{"email": "undo@c14.example",
				"courses": []any{object{"id": "c14k", "progress": 0.0, "completed_at": nil}}}})
	},
	"clerk-15-times-in-milliseconds": func(r caseRun) []string {
		course := object{"id": "c15k", "enrolled_at": "2026-01-01T00:00:00Z"}
		return append(r.failed(), r.customers([]any{
			object{"email": "ms@c15.example", "courses": []any{course}},
			object{"email": "day@c15.example", "courses": []any{course}},
		})...)
	},
	"clerk-06-progress-over-100": func(r caseRun) []string {
		return append(r.failed(), r.customers([]any{
			object{"email": "six@c06.example", "courses": []any{object{"id": "c06k", "progress": 100.0}}},
			object{"email": "extra@c06.example", "courses": []any{object{"id": "c06k", "progress": 100.0}}},
		})...)
	},
	"clerk-13-future-dates": func(r caseRun) []string {
		return r.everybodyListed([]any{"now@c13.example", "early@c13.example"})
	},
	"clerk-07-address-spellings": func(r caseRun) []string {
		spent := func(amount float64) []any { return []any{object{"amount": amount, "currency": "usd"}} }
		return r.customers([]any{
			object{"email": "jürgen@toepferei.example", "total_spent": spent(700), "courses": []any{"c07k"}},
			object{"email": "rosa@töpferei.example", "total_spent": spent(800), "courses": []any{"c07k"}},
		})
	},
}

// caseRun is a case that has been told, and everybody on its list.
type caseRun struct {
	*system
	testCase
	store  string
	people []object
}

// wantCase compares what has become of a case with what it expects.
func (s *system) wantCase(t *testing.T, c testCase) {
	t.Helper()
	r := caseRun{system: s.on(t), testCase: c}
	if id, ok := c.Expect["store"].(string); ok {
		r.store = id
		r.people = r.customersOf("")
	}
	var wrong []string
	for name, want := range c.Expect {
		if check := caseChecks[name]; check != nil {
			wrong = append(wrong, check(r, want)...)
		} else if caseProse[name] == "" {
			t.Errorf("nothing checks what the case expects as %q", name)
		}
	}
	if extra := caseExtras[c.name]; extra != nil {
		wrong = append(wrong, extra(r)...)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	if len(wrong) > 0 {
		t.Logf("the case: %s", c.Title)
	}
}

// customersOf reads a list to its end.
func (r caseRun) customersOf(query string) (all []object) {
	r.t.Helper()
	next := ""
	for {
		var page struct {
			Data       []object
			NextCursor *string `json:"next_cursor"`
		}
		r.get("/api/stores/"+url.PathEscape(r.store)+"/customers?limit=100&"+query+next, &page)
		all = append(all, page.Data...)
		if page.NextCursor == nil {
			return all
		}
		next = "&cursor=" + url.QueryEscape(*page.NextCursor)
	}
}

func emails(people []object) []string {
	out := []string{}
	for _, c := range people {
		out = append(out, c["email"].(string))
	}
	return out
}

// find returns the customer of an address, or nil.
func (r caseRun) find(email any) object {
	i := slices.IndexFunc(r.people, func(c object) bool { return c["email"] == email })
	if i < 0 {
		return nil
	}
	return r.people[i]
}

// customers are everybody on the list; only the fields named are meant.
func (r caseRun) customers(want any) (wrong []string) {
	expected := map[any]bool{}
	for _, w := range want.([]any) {
		w := w.(object)
		expected[w["email"]] = true
		c := r.find(w["email"])
		if c == nil {
			wrong = append(wrong, fmt.Sprint("missing ", w["email"]))
			continue
		}
		for _, d := range differ(w, c) {
			wrong = append(wrong, fmt.Sprint(w["email"], ": ", d))
		}
	}
	for _, email := range emails(r.people) {
		if !expected[email] {
			wrong = append(wrong, "not expected: "+email)
		}
	}
	return wrong
}

func (r caseRun) count(want any) []string {
	if n := float64(len(r.people)); n != want {
		return []string{fmt.Sprintf("%v customers, not %v: %v", n, want, emails(r.people))}
	}
	return nil
}

func (r caseRun) everybodyListed(want any) (wrong []string) {
	for _, email := range want.([]any) {
		if r.find(email) == nil {
			wrong = append(wrong, fmt.Sprint("missing ", email))
		}
	}
	return wrong
}

// sameAddresses compares a list, in any order.
func (r caseRun) sameAddresses(query string, want any) []string {
	got := emails(r.customersOf(query))
	slices.Sort(got)
	if w := sorted(words(want)); !slices.Equal(got, w) {
		return []string{fmt.Sprintf("?%s finds %v, not %v", query, got, w)}
	}
	return nil
}

func (r caseRun) searches(want any) (wrong []string) {
	for q, people := range want.(object) {
		wrong = append(wrong, r.sameAddresses(url.Values{"q": {q}}.Encode(), people)...)
	}
	return wrong
}

func (r caseRun) completedFilter(want any) []string {
	query := url.Values{"course": {r.store + "k"}, "completed": {"yes"}}.Encode()
	if found := r.customersOf(query); float64(len(found)) != want {
		return []string{fmt.Sprintf("?%s finds %v, not %v", query, emails(found), want)}
	}
	return nil
}

func (r caseRun) lists(want any) (wrong []string) {
	for _, l := range want.([]any) {
		l := l.(object)
		wrong = append(wrong, r.sameAddresses(l["query"].(string), l["emails"])...)
	}
	return wrong
}

// order is by name, or by the address of who has none.
func (r caseRun) order(want any) []string {
	got := []string{}
	for _, c := range r.customersOf("sort=name") {
		name, _ := c["name"].(string)
		got = append(got, cmp.Or(name, c["email"].(string)))
	}
	if !slices.Equal(got, words(want)) {
		return []string{fmt.Sprintf("sort=name gives %v, not %v", got, want)}
	}
	return nil
}

// explain compares what is said of a customer's facts, one after the other.
func (r caseRun) explain(want any) (wrong []string) {
	for _, w := range want.([]any) {
		w := w.(object)
		c := r.find(w["email"])
		if c == nil {
			wrong = append(wrong, fmt.Sprint("nothing to explain: missing ", w["email"]))
			continue
		}
		var got object
		r.get(fmt.Sprintf("/api/stores/%s/customers/%v/explain", url.PathEscape(r.store), c["id"]), &got)
		for kind, facts := range w {
			if kind == "email" {
				continue
			}
			for i, f := range facts.([]any) {
				wrong = append(wrong, fieldsDiffer(fmt.Sprintf("explain %s[%d]", kind, i), f.(object), at(got[kind], i))...)
			}
		}
	}
	return wrong
}

func (r caseRun) noTimeAfterNow(want any) (wrong []string) {
	for _, field := range words(want) {
		for _, c := range r.people {
			at, err := time.Parse(time.RFC3339, fmt.Sprint(c[field]))
			if err != nil || at.After(time.Now()) {
				wrong = append(wrong, fmt.Sprintf("%v %s is %v", c["email"], field, c[field]))
			}
		}
	}
	return wrong
}

// events counts what became of the case's own: failed, processed, ignored.
func (r caseRun) events(want any) (wrong []string) {
	got := map[string]float64{}
	for _, e := range r.Events {
		got[r.status(e)]++
	}
	for status, n := range want.(object) {
		if got[status] != n {
			wrong = append(wrong, fmt.Sprintf("of the events %v %s, not %v", got[status], status, n))
		}
	}
	return wrong
}

// failed names the events that could not be read.
func (r caseRun) failed() (wrong []string) {
	for _, e := range r.Events {
		if status := r.status(e); status != "processed" {
			wrong = append(wrong, fmt.Sprintf("%s is %s: %s", e.id(), status, compactJSON(e.Body)))
		}
	}
	return wrong
}

func (e caseEvent) id() string {
	var body struct{ ID string }
	if err := json.Unmarshal(e.Body, &body); err == nil && body.ID != "" {
		return body.ID
	}
	return e.ID
}

// status is what became of an event, as operators are told.
func (r caseRun) status(e caseEvent) string {
	r.t.Helper()
	var list struct{ Data []struct{ Status string } }
	r.get("/api/admin/events?limit=1&id="+url.QueryEscape(e.id()), &list)
	if len(list.Data) == 0 {
		return "not kept"
	}
	return list.Data[0].Status
}

// differ names the fields of want that got has otherwise.
func differ(want, got object) (wrong []string) {
	for field, w := range want {
		g := got[field]
		switch w := w.(type) {
		case []any:
			if field == "total_spent" || field == "refunded" {
				if a, b := money(w), money(g); !slices.Equal(a, b) {
					wrong = append(wrong, fmt.Sprintf("%s %v, not %v", field, b, a))
				}
				continue
			}
			wrong = append(wrong, listsDiffer(field, w, g)...)
		case object:
			o, _ := g.(object)
			wrong = append(wrong, fieldsDiffer(field, w, o)...)
		default:
			if !reflect.DeepEqual(w, g) {
				wrong = append(wrong, fmt.Sprintf("%s %v, not %v", field, g, w))
			}
		}
	}
	return wrong
}

// listsDiffer compares whole lists of ids, or of objects by the fields named.
func listsDiffer(field string, want []any, got any) (wrong []string) {
	have, _ := got.([]any)
	w, g := byKey(want), byKey(have)
	if !slices.Equal(keys(w), keys(g)) {
		return []string{fmt.Sprintf("%s %v, not %v", field, keys(g), keys(w))}
	}
	for i := range w {
		if o, ok := w[i].(object); ok {
			wrong = append(wrong, fieldsDiffer(field+"."+key(o), o, at(g, i))...)
		}
	}
	return wrong
}

func fieldsDiffer(where string, want, got object) (wrong []string) {
	for field, w := range want {
		if !reflect.DeepEqual(w, got[field]) {
			wrong = append(wrong, fmt.Sprintf("%s.%s %v, not %v", where, field, got[field], w))
		}
	}
	return wrong
}

// key is what an entry of a list goes by.
func key(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case object:
		if id, ok := x["id"].(string); ok {
			return id
		}
		id, _ := x["product_id"].(string)
		return id
	}
	return fmt.Sprint(x)
}
