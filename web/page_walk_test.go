package web

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"rollcall/internal/testing/browser"
)

// walked is the name of the element that has the focus, and what is wrong with it; "end" after the last.
const walked = `(() => {
	const e = document.activeElement;
	window.seen ??= [];
	if (e === document.body || window.seen.includes(e)) return ["end", ""];
	window.seen.push(e);
	const box = e.getBoundingClientRect(), style = getComputedStyle(e);
	const name = e.tagName + " " + (e.id || e.name || e.innerText || e.getAttribute("aria-label") || "").slice(0, 30);
	let wrong = "";
	const shows = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
	if (!shows) wrong = "shows no focus";
	if (box.width < 1 || box.height < 1 || box.right < 1 || box.left > innerWidth) wrong = "is not seen";
	const x = Math.min(Math.max(box.x + box.width / 2, 0), innerWidth - 1);
	const y = Math.min(Math.max(box.y + box.height / 2, 0), innerHeight - 1);
	const top = document.elementFromPoint(x, y);
	if (!wrong && (box.bottom < 0 || box.top > innerHeight)) wrong = "is outside of the window";
	if (!wrong && top && !e.contains(top) && !top.contains(e) && !top.closest("label"))
		wrong = "is covered by " + top.outerHTML.slice(0, 80);
	const before = window.seen.at(-2);
	if (before && before.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_PRECEDING)
		wrong = "comes before " + before.outerHTML.slice(0, 60);
	return [name, wrong];
})()`

// Each page of creators can be walked through by Tab alone: all that has the focus shows it, is in the window, is not
// covered, and comes in the order of the page. At twice
// the size nothing is wider than the window. On paper there is nothing to press.
func TestPageWalk(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	paths := map[string]string{
		"list": listPath + "?type=lead&type=paying", "customer": x.customerPath(t, "Bob Stone"),
		"segments": segmentsPath, "builder": segmentsPath + "/new?type=lead&progress_min=10",
		"value":    "/store/studio/value",
		"settings": "/store/studio/settings", "mail": "/store/studio/mail",
		"deliverability": "/store/studio/mail/deliverability",
		"a campaign":     "/store/studio/mail/new?recipe=welcome", "tags": "/store/studio/tags"}
	paths["ready-made"] = segmentsPath + "/at_risk"
	for _, s := range mailStates(t, x) {
		if s.prepare == nil && slices.Contains([]string{"edit", "preview", "campaign", "mailbox"}, s.name) {
			paths[s.name] = s.path
		}
	}
	twice := browser.Look{Width: browser.Desktop.Width / 2, Height: browser.Desktop.Height / 2}
	for what, path := range paths {
		for _, look := range []browser.Look{browser.Desktop, twice, without} {
			p.Look(look)
			p.Go(path)
			p.Until(`!document.querySelector(".htmx-request")`)
			browser.Eval[bool](p, `(window.seen = [], document.activeElement.blur(), true)`)
			for n := 0; ; n++ {
				p.Press(kb.Tab)
				got := browser.Eval[[]string](p, walked)
				if got[0] == "end" {
					if n < 5 {
						t.Errorf("%s: only %d can be reached", what, n)
					}
					break
				}
				if got[1] != "" {
					t.Errorf("%s at %d: %s %s", what, look.Width, got[0], got[1])
				}
			}
			wide(t, p)
		}
		p.Look(browser.Look{Width: 718, Height: 1000, Paper: true}) // A4 without its margins
		p.Go(path)
		wide(t, p)
		same(t, what+" has on paper", []string{}, browser.Eval[[]string](p,
			`[...document.querySelectorAll("button, .button, .btn, .top, .skip")].filter(e => e.checkVisibility())
				.map(e => e.outerHTML.slice(0, 80))`))
		if p.Press("?"); browser.Eval[bool](p, fmt.Sprintf("location.pathname !== new URL(%q, location).pathname", path)) {
			t.Errorf("%s: a key leads to %s", what, p.Address())
		}
	}
}
