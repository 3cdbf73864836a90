package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"rollcall/internal/testing/browser"
	"rollcall/store/tags"
)

// A tag is put on, filtered by, renamed, merged and deleted, with a script and without.
func TestPageTags(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	for _, look := range []browser.Look{browser.Desktop, without} {
		p.Look(look)
		tagThem(x, t, p, "Ann Lee", "VIP", "late <b>payer</b>")
		tagThem(x, t, p, "Bob Stone", "vip")
		p.Lists("#tags .chips bdi", "VIP") // as the store calls it
		p.Go(listPath)
		p.Lists(".person:nth-child(1) .courses .tags li", "late <b>payer</b>", "VIP")
		p.Click(".head a[href$='/tags']")
		p.Lists("main li strong", "late <b>payer</b>", "VIP")
		p.Has("main li:nth-child(2) small", "2 customers · made by an operator")
		p.Click("main li:nth-child(2) strong")
		listed(p, "Ann Lee", "Bob Stone")
		p.Lists(".chip summary > *", "Tagged", "VIP")
		p.Go("/store/studio/tags")
		p.Click("main li:nth-child(1) summary")
		p.Type("main li:nth-child(1) input", "Debtors")
		p.Click("main li:nth-child(1) form:nth-of-type(1) button")
		p.Lists("main li strong", "Debtors", "VIP")
		p.Click("main li:nth-child(1) summary")
		p.Click("main li:nth-child(1) form:nth-of-type(2) button")
		p.Lists("main li strong", "VIP")
		p.Go(x.customerPath(t, "Bob Stone"))
		p.Click("#tags .chips button")
		p.Until(`document.querySelectorAll("#tags .chips li").length === 0`)
		p.Go("/store/studio/tags")
		p.Has("main li small", "1 customer ·")
		p.Click("main li summary")
		p.Click("main li form:last-of-type button")
		p.Has("main h2", "No tags yet")
	}
}

// Tags stand beside each other in a row of the list, and a phone has room for a tag and the form that changes it.
func TestPageTagsHaveRoom(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	tagThem(x, t, p, "Ann Lee", "VIP", "Beta group", "Other")
	p.Go(listPath)
	if high := browser.Eval[float64](p, `document.querySelector(".person:has(.tags)").offsetHeight`); high > 64 {
		t.Errorf("a row with tags is %v pixels high", high)
	}
	long := strings.Repeat("long ", 11) + "tag"
	tagThem(x, t, p, "Bob Stone", long, "a b", "zz", "zzz")
	p.Go(listPath)
	cut := `[...document.querySelectorAll(".person .tags li")].filter(li => li.checkVisibility() &&
		(li.scrollWidth > li.clientWidth || li.firstElementChild?.scrollWidth > li.clientWidth)).map(li => li.title)`
	p.Lists(".person:nth-child(2) .courses .tags li", "a b", long, "zz", "+1")
	same(t, "tags cut short", []string{long}, browser.Eval[[]string](p, cut))
	p.Look(browser.Phone)
	p.Go(listPath)
	p.Lists(".person:nth-child(2) .narrow-only .tags li", "a b", long, "zz", "+1")
	same(t, "tags cut short on a phone", []string{long}, browser.Eval[[]string](p, cut))
	wide(t, p)
	p.Go("/store/studio/tags")
	p.Click("main li:last-child summary")
	if wide := browser.Eval[float64](p, `document.querySelector("main li .grow").offsetWidth`); wide < 200 {
		t.Errorf("the name of a tag has %v pixels", wide)
	}
	accessible(t, p, "tags")
}

// tagThem puts tags on a customer, on their page.
func tagThem(x *site, t *testing.T, p *browser.Page, name string, tags ...string) {
	t.Helper()
	p.Go(x.customerPath(t, name))
	for _, tag := range tags {
		p.Type("#tag", tag)
		p.Click("#tags .one button")
		p.Until(`location.hash === "#tags" && document.querySelector("#tag").value === ""`)
	}
}

// A name that is refused is given back, with the reason.
func TestPageTagsRefused(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	tagThem(x, t, p, "Ann Lee", "VIP", "Other")
	path := x.customerPath(t, "Ann Lee")
	p.Go(path)
	p.Type("#tag", "   ")
	p.Expect("400 " + path + "/tags")
	p.Click("#tags .one button")
	p.Has("#tags .error", "The name is empty")
	x.exec(t, `INSERT INTO segments (id, store_id, name, folded, kind, rule, created_by)
		SELECT 'seg_uses000001', 'studio', 'Best', 'best', 'dynamic', jsonb_build_object('tag', id), 'admin'
		FROM tags WHERE name = 'VIP'`)
	p.Go("/store/studio/tags")
	p.Click("main li:nth-child(2) summary")
	p.Expect("409 " + browser.Eval[string](p,
		`document.querySelector("main li:nth-child(2) [action$=delete]").getAttribute("action")`))
	p.Click("main li:nth-child(2) [action$=delete] button")
	p.Has("main li:nth-child(2) .error", "is used by the segment “Best”")
	p.Go("/store/studio/tags")
	p.Click("main li:nth-child(1) summary")
	p.Type("main li:nth-child(1) input", "vip")
	p.Expect("400 " + browser.Eval[string](p, `document.querySelector("main li form").getAttribute("action")`))
	p.Click("main li:nth-child(1) form:nth-of-type(1) button")
	p.Has("main li:nth-child(1) .error", "is taken")
}

// Programs do the same through the API, each in their own store.
func TestTagsAPI(t *testing.T) {
	x := open(t, nil)
	x.hear(t, studio()...)
	path := "/api/stores/studio/tags"
	asJSON := func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }
	made := x.send(t, "POST", path, `{"name":" VIP "}`, asAdmin, asJSON)
	var tag tags.Tag
	if err := json.Unmarshal([]byte(made.text), &tag); err != nil {
		t.Fatal(err)
	}
	if made.StatusCode != 201 || made.Header.Get("Location") != path+"/"+tag.ID || tag.Name != "VIP" ||
		tag.CreatedBy != "admin" {
		t.Fatalf("%d %s", made.StatusCode, made.text)
	}
	customer := strings.Replace(x.customerPath(t, "Ann Lee"), "/store/", "/api/stores/", 1)
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"PUT", customer + "/tags/" + tag.ID, "", 204, ""},
		{"PUT", customer + "/tags/" + tag.ID, "", 204, ""},
		{"GET", customer, "", 200, `"tags":[{"id":"` + tag.ID + `","name":"VIP"}]`},
		{"GET", path, "", 200, `"customers":1,`},
		{"GET", "/api/stores/studio/stats?tag=" + tag.ID, "", 200, `"total":1,`},
		{"PUT", customer + "/tags/tag_bbbbbbbbbb", "", 404, "not_found"},
		{"POST", path, `{"name":"vip"}`, 400, "is taken"},
		{"POST", path, `{"nam":"x"}`, 400, "nam"},
		{"PATCH", path + "/" + tag.ID, `{"name":"Gold"}`, 200, `"name":"Gold"`},
		{"POST", path + "/" + tag.ID + "/merge", `{"into":"` + tag.ID + `"}`, 400, "same tag"},
		{"POST", path + "/" + tag.ID + "/merge", `{"into":"tag_x"}`, 404, "not_found"},
		{"DELETE", customer + "/tags/" + tag.ID, "", 204, ""},
		{"DELETE", customer + "/tags/" + tag.ID, "", 204, ""},
		{"GET", customer, "", 200, `"tags":[]`},
		{"PATCH", "/api/stores/other/tags/" + tag.ID, `{"name":"mine"}`, 404, "not_found"},
		{"DELETE", "/api/stores/other/tags/" + tag.ID, "", 404, "not_found"},
		{"DELETE", path + "/" + tag.ID, "", 204, ""},
		{"DELETE", path + "/" + tag.ID, "", 404, "not_found"},
		{"GET", path, "", 200, `{"data":[],"next_cursor":null}`},
	} {
		got := x.send(t, step.method, step.path, step.body, asAdmin, asJSON)
		if got.StatusCode != step.status || !strings.Contains(got.text, step.want) {
			t.Errorf("%s %s: %d %s", step.method, step.path, got.StatusCode, got.text)
		}
	}
}
