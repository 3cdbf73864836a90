package web

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// troubles are the texts of a page about what is wrong.
var troubles = regexp.MustCompile(`(?s)<p class="error"[^>]*>(.*?)</p>|<h2>That filter isn’t valid</h2>\s*<p>(.*?)</p>`)

// internal finds what pages do not call things by: names with underscores, places in a rule, and values of choices.
func internal(text string, choices []pg.Choice) string {
	if found := regexp.MustCompile(`\w+_\w+|/\w+|next_cursor|parameter|JSON`).FindString(text); found != "" {
		return found
	}
	for _, c := range choices {
		if c.Value != "" && regexp.MustCompile(`\b`+c.Value+`\b`).MatchString(text) {
			return c.Value
		}
	}
	return ""
}

// What is wrong with a filter or a condition is said in the words of the page. The API names its parameters.
func TestWrongInWords(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	check := func(what, page string, choices []pg.Choice) {
		t.Helper()
		found := troubles.FindAllStringSubmatch(page, -1)
		if len(found) == 0 {
			t.Errorf("%s: nothing is said to be wrong", what)
		}
		for _, one := range found {
			text := html.UnescapeString(one[1] + one[2])
			if bad := internal(text, choices); bad != "" {
				t.Errorf("%s: %q has %q", what, text, bad)
			}
		}
	}
	free := []*pg.ParamKind{customers.CourseID, customers.ProductID, customers.TagID, customers.SegmentID,
		customers.CampaignID, pg.Search}
	const nonsense = "no sense"
	for _, p := range new(customers.Filter).Params() {
		if p.Kind == pg.Search || !slices.Contains(free, p.Kind) {
			value := nonsense
			if p.Kind == pg.Search {
				value = strings.Repeat("long ", 100)
			}
			query := url.Values{p.Name: {value}}.Encode()
			check(p.Name, x.get(t, listPath+"?"+query, asAdmin).text, p.Choices)
			if api := x.get(t, "/api/stores/studio/customers?"+query, asAdmin); !strings.Contains(api.text, p.Name+":") {
				t.Errorf("the API does not name %s: %s", p.Name, api.text)
			}
		}
	}
	for _, query := range []string{"utmsource=x", "sort=spent_most", "limit=1000", "cursor=x", "rule={}",
		"type=lead&tpye=x"} {
		check(query, x.get(t, listPath+"?"+query, asAdmin).text, nil)
	}
	for _, thing := range customers.Things {
		for _, p := range thing.Parts {
			if slices.Contains(free, p.Kind) {
				continue
			}
			form := url.Values{"n": {"all"}, "n.0": {thing.Name}, "n.0." + p.Name: {nonsense}, "do": {"preview"}}
			check(thing.Name+"."+p.Name, x.send(t, "POST", segmentsPath+"/new", form.Encode(), asAdmin).text, p.Choices)
		}
	}
	for what, form := range map[string]url.Values{
		"empty": {}, "an empty group": {"n.0": {"any"}}, "an empty condition": {"n.0": {"customer"}},
		"no limit": {"n.0": {"spent"}, "n.0.currency": {"usd"}}, "NUL": {"n.0": {"customer"}, "n.0.q": {"a\x00b"}},
		"at most below at least": {"n.0": {"enrollment"}, "n.0.progress_min": {"50"}, "n.0.progress_max": {"10"}},
		"everyone":               {"n.0": {"purchase"}, "n.0.times_min": {"0"}},
		"too many":               {"n.0": {"customer"}, "n.0.q": {"a", "b"}},
		"too long":               {"n.0": {"customer"}, "n.0.q": {strings.Repeat("long ", 3000)}},
	} {
		form.Set("n", "all")
		form.Set("do", "preview")
		check(what, x.send(t, "POST", segmentsPath+"/new", form.Encode(), asAdmin).text, nil)
	}
	capitals := url.Values{"n": {"all"}, "n.0": {"spent"}, "n.0.min": {"5"}, "n.0.currency": {"USD"}, "do": {"preview"}}
	wants(t, x.send(t, "POST", segmentsPath+"/new", capitals.Encode(), asAdmin).text, "at least 5 USD")
}
