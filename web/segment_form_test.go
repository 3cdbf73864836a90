package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// sample is a value that a part of a rule may have.
func sample(p customers.Part) any {
	switch {
	case len(p.Choices) > 0:
		return p.Choices[0].Value
	case p.Kind == pg.Moment:
		return "30d"
	case p.Kind == customers.Currency:
		return "usd"
	case p.Kind == customers.Domain:
		return "first.example"
	case p.Kind == customers.Country:
		return "NO"
	}
	return p.Example
}

// other is another one.
func other(p customers.Part) any {
	switch {
	case len(p.Choices) > 1:
		return p.Choices[1].Value
	case p.Kind == customers.Currency:
		return "jpy"
	case p.Kind == customers.Country:
		return "US"
	}
	return "other.example"
}

// Whatever a rule asks for, its form shows all of it: saved without a change it is the same rule.
func TestSegmentFormKeepsRules(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	asJSON := withHeader("Content-Type", "application/json")
	kept := map[string]bool{}
	for _, thing := range customers.Things {
		for _, part := range thing.Parts {
			value := sample(part)
			if part.Multi {
				value = []any{value, other(part)}
			}
			if len(thing.Parts) > 1 {
				value = map[string]any{part.Name: value}
			}
			rule, err := json.Marshal(map[string]any{"any": []any{map[string]any{thing.Name: value}}})
			if err != nil {
				t.Fatal(err)
			}
			made := x.send(t, "POST", "/api/stores/studio/segments",
				fmt.Sprintf(`{"name": "%s %s", "kind": "dynamic", "rule": %s}`, thing.Name, part.Name, rule), asAdmin, asJSON)
			if made.StatusCode != http.StatusCreated {
				continue // it needs other parts, or a tag or segment that exists
			}
			kept[thing.Name+" "+part.Name] = true
			path := made.Header.Get("Location")
			before := x.rule(t, path)
			page := "/store/studio/segments/" + path[strings.LastIndex(path, "/")+1:]
			form := fieldsOf(t, x.get(t, page, asAdmin).text)
			form.Set("do", "save")
			if saved := x.send(t, "POST", page, form.Encode(), asAdmin); saved.StatusCode != http.StatusSeeOther {
				t.Errorf("%s: %d %s", rule, saved.StatusCode, saved.text)
			} else if after := x.rule(t, path); after != before {
				t.Errorf("%s was saved as %s", before, after)
			}
		}
	}
	if len(kept) < 25 || !kept["can_mail is"] || !kept["customer email_domain"] || !kept["customer country"] ||
		!kept["purchase currency"] {
		t.Errorf("only these were tried: %v", kept)
	}
}

func (x *site) rule(t testing.TB, path string) string {
	t.Helper()
	var s struct{ Rule json.RawMessage }
	if err := json.Unmarshal([]byte(x.get(t, path, asAdmin).text), &s); err != nil {
		t.Fatal(err)
	}
	return string(s.Rule)
}

// fieldsOf are the fields that a browser would send of the form of a page's main part.
func fieldsOf(t testing.TB, page string) url.Values {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	var builder bool
	var walk func(n *html.Node, name string)
	walk = func(n *html.Node, name string) {
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		_, checked := attr["checked"]
		_, selected := attr["selected"]
		switch {
		case n.Data == "form":
			builder = strings.Contains(attr["class"], "builder")
		case !builder:
		case n.Data == "input" && attr["name"] != "" && (attr["type"] != "checkbox" || checked):
			form.Add(attr["name"], strings.ReplaceAll(attr["value"], "\n", "")) // as browsers do
		case n.Data == "select":
			name = attr["name"]
		case n.Data == "option" && selected:
			form.Add(name, attr["value"])
		}
		for child := range n.ChildNodes() {
			walk(child, name)
		}
		if n.Data == "form" {
			builder = false
		}
	}
	walk(root, "")
	return form
}

// Days and times in sentences are in the store's zone, and in the API's in UTC.
func TestSegmentsInTheStoresZone(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	x.exec(t, `INSERT INTO store_settings (store_id, time_zone, currencies) VALUES ('studio', 'Asia/Tokyo', '{}')`)
	x.exec(t, `UPDATE customers SET first_seen_at = '2026-01-31T23:45:00Z' WHERE name = 'Ann Lee'`)
	const rule = `{"customer":{"first_seen_after":"2026-01-31T23:30:00Z","first_seen_before":"2026-02-01T15:00:00Z"}}`
	made := x.send(t, "POST", "/api/stores/studio/segments", `{"name":"Then","rule":`+rule+`}`, asAdmin,
		withHeader("Content-Type", "application/json"))
	wants(t, made.text, "joined on or after 31 Jan 2026, 23:30 UTC and have joined before 1 Feb 2026, 15:00 UTC",
		`"kind":"dynamic"`)
	const says = "joined on or after 1 Feb 2026, 08:30 JST and have joined before 2 Feb 2026."
	own := segmentsPath + strings.TrimPrefix(made.Header.Get("Location"), "/api/stores/studio/segments")
	for _, path := range []string{segmentsPath, own, listPath + "?rule=" + url.QueryEscape(rule)} {
		wants(t, x.get(t, path, asAdmin).text, says)
	}
	why := "/why?customer=" + url.QueryEscape(mailOf("Ann Lee"))
	wants(t, x.get(t, own+why, asAdmin).text, "joined on or after 1 Feb 2026, 08:30 JST", "joined 1 Feb 2026, 08:45 JST")
	api := x.get(t, made.Header.Get("Location")+why, asAdmin).text
	wants(t, api, "joined 31 Jan 2026, 23:45 UTC")
}

// The form of a segment, the sentence beside it and the reasons why someone is in it have the numbers of their reader,
// as the list has.
func TestSegmentInGerman(t *testing.T) {
	x := open(t, nil)
	x.hear(t, append(studio(), enrolled("Ann Lee", "mixing", "45.5", time.Hour))...)
	german := withHeader("Accept-Language", "de")
	form := url.Values{"name": {"Halb"}, "n": {"any"}, "n.0": {"enrollment"}, "n.0.progress_min": {"1,5"},
		"n.1": {"spent"}, "n.1.min": {"1.000,50"}, "n.2": {"purchase"}, "n.2.times_min": {"1000"},
		"n.3": {"purchase"}, "n.3.amount_min": {"1234,5"}, "do": {"preview"}}
	page := x.send(t, "POST", segmentsPath+"/new", form.Encode(), asAdmin, german)
	says := []string{"progress at least 1,5\u00a0%", "at least 1.000,50 in one currency", "at least 1.000 times",
		"amount at least 1.234,5"}
	wants(t, page.text, append(says, `name="n.0.progress_min" value="1,5"`, `name="n.1.min" value="1000,50"`)...)
	form.Set("do", "save")
	if saved := x.send(t, "POST", segmentsPath+"/new", form.Encode(), asAdmin, german); saved.StatusCode != 303 {
		t.Fatalf("%d %s", saved.StatusCode, saved.text)
	}
	var all struct{ Data []struct{ ID, Text string } }
	unmarshal(t, x.get(t, "/api/stores/studio/segments", asAdmin, german), &all)
	kept := all.Data[len(all.Data)-1]
	wants(t, kept.Text, "progress at least 1.5%", "at least 1,000.50 in one currency", "at least 1,000 times")
	own := segmentsPath + "/" + kept.ID
	wants(t, x.get(t, segmentsPath, asAdmin, german).text, says...)
	wants(t, x.get(t, own, asAdmin, german).text, says...)
	wants(t, x.get(t, own+"/why?customer="+url.QueryEscape(mailOf("Ann Lee")), asAdmin, german).text,
		append(says, "Mixing Basics: 45,5\u00a0%")...)
}

// A day that is typed begins in the page's time zone, and stays that day in the form and in the sentence, also where
// the clock has another offset now. A day of the API is one in UTC, and the form keeps it.
func TestSegmentFormDays(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	asJSON := withHeader("Content-Type", "application/json")
	made := x.send(t, "POST", "/api/stores/studio/segments",
		`{"name": "D", "kind": "dynamic", "rule": {"customer": {"first_seen_after": "2026-01-31"}}}`, asAdmin, asJSON)
	path := made.Header.Get("Location")
	page := "/store/studio/segments/" + path[strings.LastIndex(path, "/")+1:]
	const field = "n.0.first_seen_after"
	for _, c := range []struct{ zone, typed, kept, said string }{
		{"UTC", "2026-07-01", "2026-07-01", "1 Jul 2026"},
		{"Europe/Berlin", "2026-07-01", "2026-07-01T00:00:00+02:00", "1 Jul 2026"},
		{"Europe/Berlin", "2026-01-31", "2026-01-31T00:00:00+01:00", "31 Jan 2026"},
		{"America/Los_Angeles", "2026-03-08", "2026-03-08T00:00:00-08:00", "8 Mar 2026"}, // the clock changes in its night
		{"America/Los_Angeles", "2026-03-09", "2026-03-09T00:00:00-07:00", "9 Mar 2026"},
		{"Asia/Kolkata", "2026-01-31T05:30:00+05:30", "2026-01-31T05:30:00+05:30", "31 Jan 2026, 05:30"},
		{"Asia/Kolkata", "30d", "30d", "30 days"},
	} {
		x.exec(t, `UPDATE stores SET time_zone = $1`, c.zone)
		form := fieldsOf(t, x.get(t, page, asAdmin).text)
		form.Set("do", "save")
		form.Set(field, c.typed)
		if saved := x.send(t, "POST", page, form.Encode(), asAdmin); saved.StatusCode != http.StatusSeeOther {
			t.Errorf("%+v: %d %s", c, saved.StatusCode, saved.text)
		}
		if rule := x.rule(t, path); !strings.Contains(rule, `"`+c.kept+`"`) {
			t.Errorf("%+v: kept as %s", c, rule)
		}
		shown := x.get(t, page, asAdmin).text
		if got := fieldsOf(t, shown).Get(field); got != c.typed {
			t.Errorf("%+v: the form has %q", c, got)
		}
		wants(t, shown, c.said)
	}
	x.send(t, "PATCH", path, `{"rule": {"customer": {"first_seen_after": "2026-01-31"}}}`, asAdmin, asJSON)
	if got := fieldsOf(t, x.get(t, page, asAdmin).text).Get(field); got != "2026-01-31T05:30:00+05:30" {
		t.Errorf("a day of the API: %q", got)
	}
}
