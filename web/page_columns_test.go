package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rollcall/internal/testing/browser"
)

// heads are the titles of the columns that show.
func heads(p *browser.Page) []string {
	return browser.Eval[[]string](p, `[...document.querySelectorAll(".customers th")].filter(e => e.offsetWidth)
		.map(e => e.innerText.replace(/ [↑↓]/, "")).filter(text => text)`)
}

// Readers choose the columns of the list, and have them again on every list, with a script and without.
func TestPageColumns(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.exec(t, `INSERT INTO tags (id, store_id, name, folded, created_by)
		VALUES ($1, 'studio', 'VIP', 'vip', 'admin')`, aTag)
	x.exec(t, `INSERT INTO customer_tags (store_id, email, tag_id, tagged_at, tagged_by)
		SELECT 'studio', email, $1, now(), 'admin' FROM customers WHERE name = 'Ann Lee'`, aTag)
	x.exec(t, `UPDATE customer_index SET tags = ARRAY[$1]
		WHERE customer_id = (SELECT id FROM customers WHERE name = 'Ann Lee')`, aTag)
	toggle := func(query string, names ...string) {
		t.Helper()
		p.Click("#columns summary")
		for _, name := range names {
			p.Click(`#columns [value="` + name + `"]`)
		}
		p.Click("#columns .btn:not(summary)")
		p.Until(`!document.querySelector("#columns").open`)
		at(p, query)
	}
	bare := browser.Desktop
	bare.NoScript = true
	for _, look := range []browser.Look{browser.Desktop, bare} {
		p.Look(look)
		p.Go(listPath + "?q=ann")
		same(t, "all", []string{"Customer", "Type", "Courses", "Spent", "Last activity", "Joined"}, heads(p))
		toggle("q=ann", "type", "spent", "joined")
		same(t, "fewer", []string{"Customer", "Courses", "Last activity"}, heads(p))
		p.Shot("columns")
		toggle("q=ann", "courses", "type")
		same(t, "tags without courses", []string{"Customer", "Type", "Tags", "Last activity"}, heads(p))
		p.Lists("td.courses", "VIP")
		p.Go(listPath)
		toggle("", "tags")
		same(t, "neither", []string{"Customer", "Type", "Last activity"}, heads(p))
		toggle("", "spent", "joined", "courses", "tags")
	}
	p.Look(browser.Phone)
	p.Go(listPath + "?q=ann")
	p.Has(".did", "Lead · Reached 40% in Mixing Basics · 2 h")
	toggle("q=ann", "type")
	p.Until(`document.querySelector(".did").innerText.startsWith("Reached 40% in Mixing Basics")`)
	p.Click("#columns summary")
	p.Shot("columns-phone")
	p.Click("#columns summary")
	toggle("q=ann", "activity", "tags")
	p.Until(`!document.querySelector(".did").checkVisibility() && !document.querySelector(".who .tags").checkVisibility()`)
	wide(t, p)
}

// After a change of those selected, the way back to the list does not offer it again.
func TestPageSelectionIsOver(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath)
	p.Click(`.person input`)
	p.Has("#chosen.some strong", "1 selected")
	p.Click(`.person h2 a`)
	p.Until(`document.querySelector("body.customer")`)
	browser.Eval[bool](p, `(history.back(), true)`)
	p.Has("#chosen.some strong", "1 selected") // it was only looked at
	p.Click(`#chosen details summary`)
	p.Type("#tag", "VIP")
	p.Click(`#chosen [value="tag"]`)
	p.Until(`location.pathname.includes("/bulk/")`)
	browser.Eval[bool](p, `(history.back(), true)`)
	p.Until(`location.pathname === "` + listPath + `" && document.querySelector(".person")`)
	p.Until(`!document.querySelector("#chosen.some, .person :checked")`)
}

// The menu of a customer leads to what is less often done, on a phone too.
func TestPageCustomerMenu(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	path := x.customerPath(t, "Rita Okafor")
	for _, look := range []browser.Look{browser.Desktop, browser.Phone, without} {
		p.Look(look)
		p.Go(path)
		p.Click(".identity .menu summary")
		p.Has(".identity .menu li:first-child", "Add or remove tags")
		p.Shot(fmt.Sprint("customer-menu-", look.Width, look.NoScript))
		if outside := browser.Eval[bool](p, `(box => box.left < 0 || box.right > innerWidth)(
			document.querySelector(".identity .menu > div").getBoundingClientRect())`); outside {
			t.Errorf("at %d the menu is beside the window", look.Width)
		}
		wide(t, p)
		p.Click(`.identity .menu [href="#notes"]`)
		p.Until(`location.hash === "#notes"`)
	}
}

// The first of the menu of a customer whom Stripe knows is their page there.
func TestPageCustomerMenuToStripe(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	live := true
	x.buys(t, "Rita Okafor", "", &live)
	p.Go(x.customerPath(t, "Rita Okafor"))
	browser.Eval[bool](p, `(document.addEventListener("click", e => {
		if (e.target.closest("[href^='https:']")) { e.preventDefault(); document.title = e.target.closest("a").href; }
	}), true)`)
	p.Click(".identity .menu summary")
	p.Has(".identity .menu li:first-child", "Open in Stripe")
	p.Click(".identity .menu li:first-child a")
	p.Until(`document.title === "https://dashboard.stripe.com/customers/cus_Rita%20Okafor"`)
}

// What is pinned is there without a script, with the count that was last seen.
func TestPagePinnedWithoutScript(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	wants(t, x.get(t, listPath, asAdmin).text, `<noscript><a href="/store/studio/segments">Segments</a>`)
	asJSON := withHeader("Content-Type", "application/json")
	x.send(t, "PATCH", "/api/stores/studio/segments/finished", `{"pinned": true}`, asAdmin, asJSON)
	wants(t, x.get(t, listPath, asAdmin).text, `?segment=finished"><bdi>Finished</bdi></a>`)
	x.get(t, listPath+"/pinned", asAdmin)
	wants(t, x.get(t, listPath, asAdmin).text, `title="as of `, `<bdi>Finished</bdi> <span>1</span></a>`)
}

// What is wrong with an address is said once, in the words of the page.
func TestPagesSayWhatIsWrongOnce(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.hear(t, studio()...)
	german := withHeader("Accept-Language", "de")
	wrong := x.get(t, listPath+"?progress_min=101,5&course=mixing", asAdmin, german)
	wants(t, wrong.text, "&#34;101,5&#34; is not allowed", "Correct what is marked above", "!&#34;101.5&#34;",
		`!class="clear"`)
	if n := strings.Count(wrong.text, "is not allowed"); n != 1 {
		t.Errorf("said %d times", n)
	}
	form := url.Values{"n": {"all"}, "n.0": {"enrollment"}, "n.0.progress_min": {"101,5"}, "do": {"preview"}}
	wants(t, x.send(t, "POST", segmentsPath+"/new", form.Encode(), asAdmin, german).text, "&#34;101,5&#34; is not allowed")
	for _, path := range []string{x.customerPath(t, "Ann Lee") + "?before=x", mailPath + "/mailbox?before=x"} {
		page := x.get(t, path, asAdmin)
		wants(t, page.text, "no longer valid", "!next_cursor")
	}
	wants(t, x.get(t, "/api/stores/studio/customers?cursor=x", asAdmin).text, "next_cursor")
	if broken := x.get(t, segmentsPath+"/new?progress_min=x", asAdmin); broken.StatusCode != http.StatusSeeOther ||
		broken.Header.Get("Location") != listPath+"?progress_min=x" {
		t.Errorf("%d %s", broken.StatusCode, broken.Header.Get("Location"))
	}
}
