package web

import (
	"regexp"
	"strings"
	"testing"
)

// Pages call countries by their names and understand these, and programs have codes. A text that is none is refused
// where it was written.
func TestCountriesOnPages(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	const list = "/store/store_a/customers"
	if page := x.get(t, list, asAdmin).text; strings.Contains(page, `name="country"`) {
		t.Error("a store that knows no country has a filter by it")
	}
	x.exec(t, `UPDATE customers SET country = 'NO' WHERE id = (SELECT min(id) FROM customers WHERE store_id = 'store_a')`)
	x.exec(t, `INSERT INTO customers (store_id, email, country)
		VALUES ('store_a', 'at@mail.example', 'AT'), ('store_b', 'jp@mail.example', 'JP')`)
	byName := regexp.MustCompile(`(?s)value="AT"> <bdi>Austria</bdi>.*value="NO"> <bdi>Norway</bdi>`)
	if page := x.get(t, list, asAdmin).text; !byName.MatchString(page) || strings.Contains(page, `"JP"`) {
		t.Errorf("the menu is not of the store's own countries, by name: %.9000s", page)
	}
	for query, want := range map[string][]string{
		"?country=norway": {`class="person"`, "Norway"},
		"?country=NO&country=sweden": {`class="person"`, "Norway or Sweden", `value="NO" checked> <bdi>Norway`,
			`value="SE" checked> <bdi>Sweden`},
		"?country=se":               {"No customers match these filters", "Sweden"},
		"?country=Norge":            {"&#34;Norge&#34; is not a country; give its English name or its code"},
		"?country=Norge&country=UK": {"is not a country", `value="Norge" checked`, `class="error"`},
		"?country=%3Cb%3E":          {"is not a country", "&lt;b&gt;"},
	} {
		page := x.get(t, list+query, asAdmin)
		for _, text := range want {
			if !strings.Contains(page.text, text) {
				t.Errorf("%s: %d, no %q:\n%.3000s", query, page.StatusCode, text, page.text)
			}
		}
	}
	builder := x.get(t, "/store/store_a/segments/new?country=SE", asAdmin).text
	for _, text := range []string{`<option value="AT">Austria<`, `<option value="SE" selected>Sweden<`} {
		if !strings.Contains(builder, text) {
			t.Errorf("no %q in the builder: %.9000s", text, builder)
		}
	}
	var found struct {
		Data []struct{ ID, Country string }
	}
	unmarshal(t, x.get(t, "/api/stores/store_a/customers?country=NO", asAdmin), &found)
	if len(found.Data) != 1 || found.Data[0].Country != "NO" {
		t.Fatalf("%+v", found)
	}
	if page := x.get(t, list+"/"+found.Data[0].ID, asAdmin); !strings.Contains(page.text,
		"<div><dt>Country</dt><dd>Norway</dd></div>") {
		t.Errorf("%.3000s", page.text)
	}
	if bad := x.get(t, "/api/stores/store_a/customers?country=Norge", asAdmin); bad.StatusCode != 400 ||
		!strings.Contains(bad.text, `country: \"Norge\" is not a country; give its code in capitals`) {
		t.Errorf("%d %s", bad.StatusCode, bad.text)
	}
}
