package stripefake

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// kinds maps the lists of the API to the kind of their objects.
var kinds = map[string]string{
	"customers": "customer", "products": "product", "prices": "price", "subscriptions": "subscription",
	"invoices": "invoice", "payment_intents": "payment_intent", "charges": "charge", "refunds": "refund",
	"disputes": "dispute", "checkout/sessions": "checkout.session", "events": "event",
}

// target is what a path leads to.
type target struct {
	name  string // with ids replaced
	kind  string // of the object, or of the list's objects
	id    string // empty: the list of all
	child string // a list inside the object
}

// route reads a path; one that leads nowhere has no kind.
func route(path string) target {
	rest := strings.TrimPrefix(path, "/v1/")
	if rest == "subscription_items" {
		return target{name: path, kind: "subscription", child: "items"}
	}
	for list, kind := range kinds {
		tail, ok := strings.CutPrefix(rest, list)
		if !ok || tail != "" && tail[0] != '/' {
			continue
		}
		parts := strings.Split(strings.Trim(tail, "/"), "/")
		to := target{name: "/v1/" + list, kind: kind, id: parts[0]}
		if to.id != "" {
			to.name += "/{id}"
		}
		if len(parts) > 1 {
			to.child = parts[1]
			to.name += "/" + to.child
		}
		return to
	}
	return target{name: path}
}

// answer works out the right answer to a request. The lock is held.
func (s *Server) answer(r *http.Request, to target) answer {
	account, query := r.Header.Get("Stripe-Account"), r.URL.Query()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+Key:
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		return refusal(http.StatusUnauthorized, "", "", "Invalid API Key provided: "+masked(key))
	case s.lost[account]:
		return refusal(http.StatusForbidden, "account_invalid", "", fmt.Sprintf(
			"The provided key '%s' does not have access to account '%s' (or that account does not exist). Application "+
				"access may have been revoked.", masked(Key), account))
	case r.Method != http.MethodGet || to.kind == "":
		return refusal(http.StatusNotFound, "", "", fmt.Sprintf("Unrecognized request URL (%s: %s).", r.Method, r.URL.Path))
	case to.child != "":
		return s.children(account, to, query)
	case to.id != "":
		return s.one(account, to, query)
	}
	return s.list(account, to, query)
}

// masked shows a key as Stripe's messages do.
func masked(key string) string {
	if len(key) < 12 {
		return strings.Repeat("*", len(key))
	}
	return key[:8] + strings.Repeat("*", len(key)-12) + key[len(key)-4:]
}

func (s *Server) one(account string, to target, query url.Values) answer {
	o, ok := s.accounts[account][to.id]
	if !ok || o["object"] != to.kind {
		return refusal(http.StatusNotFound, "resource_missing", "id", fmt.Sprintf("No such %s: '%s'", to.kind, to.id))
	}
	return answer{status: http.StatusOK, body: s.shown(account, o, query["expand[]"], "")}
}

func (s *Server) list(account string, to target, query url.Values) answer {
	var all []Object
	for _, o := range s.accounts[account] {
		if o["object"] == to.kind && matches(o, query) {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, newestFirst)
	a, page := pageOf(all, to, query, account, s)
	for i, o := range page {
		page[i] = s.shown(account, o, query["expand[]"], "data.")
	}
	return a.with(page, "/"+strings.TrimPrefix(to.name, "/"))
}

// children lists what is inside an object.
func (s *Server) children(account string, to target, query url.Values) answer {
	id := cmp.Or(to.id, query.Get("subscription"))
	inside, ok := s.accounts[account][id][to.child].(Object)
	if !ok {
		return refusal(http.StatusNotFound, "resource_missing", "id", fmt.Sprintf("No such %s: '%s'", to.kind, id))
	}
	a, page := pageOf(entries(inside), to, query, account, nil)
	return a.with(page, to.name)
}

func entries(list Object) (out []Object) {
	data, _ := list["data"].([]any)
	for _, entry := range data {
		if o, ok := entry.(Object); ok {
			out = append(out, o)
		}
	}
	return out
}

func newestFirst(a, b Object) int {
	return cmp.Or(cmp.Compare(number(b["created"]), number(a["created"])), cmp.Compare(text(b["id"]), text(a["id"])))
}

func number(v any) float64 { n, _ := v.(float64); return n }
func text(v any) string    { s, _ := v.(string); return s }

// filters are the parameters that choose among objects by a field, beside
// created.
var filters = []string{"customer", "charge", "payment_intent", "subscription", "type"}

// matches tells whether a query asks for an object.
func matches(o Object, query url.Values) bool {
	created := number(o["created"])
	for op, holds := range map[string]func(float64) bool{
		"gte": func(n float64) bool { return created >= n }, "gt": func(n float64) bool { return created > n },
		"lte": func(n float64) bool { return created <= n }, "lt": func(n float64) bool { return created < n },
	} {
		if n, err := strconv.ParseFloat(query.Get("created["+op+"]"), 64); err == nil && !holds(n) {
			return false
		}
	}
	for _, field := range filters {
		if want := query.Get(field); want != "" && text(o[field]) != want {
			return false
		}
	}
	status := query.Get("status")
	switch {
	case o["object"] == "subscription" && status == "":
		return o["status"] != "canceled"
	case status == "", status == "all":
		return true
	}
	return text(o["status"]) == status
}

// allowed are the parameters of lists; Stripe refuses others.
var allowed = append([]string{
	"limit", "starting_after", "ending_before", "expand[]", "created[gte]", "created[gt]", "created[lte]", "created[lt]",
	"status",
}, filters...)

// pageOf cuts a page out of a sorted list. anywhere, if given, tells a cursor
// that only does not match the query, which is fine, from one that is not there.
func pageOf(all []Object, to target, query url.Values, account string, anywhere *Server) (answer, []Object) {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(allowed, name) {
			return refusal(http.StatusBadRequest, "parameter_unknown", name, "Received unknown parameter: "+name), nil
		}
	}
	limit, err := strconv.Atoi(cmp.Or(query.Get("limit"), "10"))
	if err != nil || limit < 1 || limit > 100 {
		return refusal(http.StatusBadRequest, "parameter_invalid_integer", "limit", "This value must be from 1 to 100"), nil
	}
	for _, cursor := range []string{"starting_after", "ending_before"} {
		id := query.Get(cursor)
		if id == "" {
			continue
		}
		at, found := find(all, id, account, anywhere)
		if !found {
			return refusal(http.StatusBadRequest, "resource_missing", cursor, fmt.Sprintf("No such %s: '%s'", to.kind, id)), nil
		}
		if cursor == "starting_after" {
			return answer{status: http.StatusOK}.more(len(all[at.after:]) > limit), firstOf(all[at.after:], limit)
		}
		return answer{status: http.StatusOK}.more(at.before > limit), all[max(at.before-limit, 0):at.before]
	}
	return answer{status: http.StatusOK}.more(len(all) > limit), firstOf(all, limit)
}

func firstOf(all []Object, n int) []Object { return slices.Clone(all[:min(n, len(all))]) }

// place is where a cursor points: the list goes on at after, and ends at before.
type place struct{ before, after int }

// find looks up a cursor.
func find(all []Object, id, account string, anywhere *Server) (place, bool) {
	if i := slices.IndexFunc(all, func(o Object) bool { return o["id"] == id }); i >= 0 {
		return place{i, i + 1}, true
	}
	if anywhere == nil {
		return place{}, false
	}
	o, ok := anywhere.accounts[account][id]
	i, _ := slices.BinarySearchFunc(all, o, newestFirst)
	return place{i, i}, ok
}

func (a answer) more(has bool) answer {
	a.body = Object{"has_more": has}
	return a
}

// with completes the answer of a list.
func (a answer) with(page []Object, url string) answer {
	list, ok := a.body.(Object)
	if !ok || a.status != http.StatusOK {
		return a
	}
	if page == nil {
		page = []Object{}
	}
	list["object"], list["url"], list["data"] = "list", url, page
	for _, o := range page {
		a.ids = append(a.ids, text(o["id"]))
	}
	return a
}

// inside are the lists that objects hold, and whether only if asked for.
var inside = map[string]bool{"items": false, "lines": false, "line_items": true}

// shown is an object as an answer holds it: lists inside it end after ten
// entries, or are left out; ids that the query asks for are whole objects.
func (s *Server) shown(account string, o Object, expand []string, prefix string) Object {
	o = maps.Clone(o)
	for field, onDemand := range inside {
		list, ok := o[field].(Object)
		switch {
		case !ok:
		case onDemand && !slices.Contains(expand, prefix+field):
			delete(o, field)
		default:
			all := entries(list)
			o[field] = Object{"object": "list", "data": append([]Object{}, firstOf(all, 10)...), "has_more": len(all) > 10}
		}
	}
	for _, path := range expand {
		field := strings.TrimPrefix(path, prefix)
		if other, ok := s.accounts[account][text(o[field])]; ok {
			o[field] = s.shown(account, other, nil, "")
		}
	}
	return o
}
