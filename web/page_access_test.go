package web

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"rollcall/internal/testing/browser"
	"rollcall/web/core"
)

// state is what a page may look like.
type state struct {
	name, path string
	expect     string // the trouble that it is
	prepare    func(p *browser.Page)
	stranger   bool
}

func states(t *testing.T, x *site) []state {
	rita := x.customerPath(t, "Rita Okafor")
	return []state{
		{name: "list", path: listPath},
		{name: "filters", path: listPath + "?course=mixing&progress_min=5&status=active&q=Mixing"},
		{name: "empty", path: "/store/new/customers"},
		{name: "nobody", path: listPath + "?q=nobody&type=lead"},
		{name: "wrong filter", path: listPath + "?spent_min=abc", expect: "400 "},
		{name: "trouble", path: listPath, prepare: func(p *browser.Page) {
			browser.Eval[bool](
				p, `(document.body.classList.add("failed"), document.querySelector("#busy").classList.add("htmx-request"), true)`)
		}},
		{name: "new", path: listPath, prepare: func(p *browser.Page) {
			p.Until(`document.querySelector("#live a")`)
			browser.Eval[bool](
				p, `(() => { const a = document.querySelector("#live a"); a.textContent = "1 new"; a.hidden = false; return true `+
					`})()`)
		}},
		{name: "menu of filters", path: listPath, prepare: func(p *browser.Page) { unfold(p, "course") }},
		{name: "a filter of several parts",
			path:    listPath + "?course=mixing&course=mastering&progress_max=50&last_activity_before=1d",
			prepare: func(p *browser.Page) { p.Click(".chip summary") }},
		{name: "selection", path: listPath, prepare: func(p *browser.Page) {
			pick(p, 1)
			p.Click(".bulk details summary")
		}},
		{name: "addresses", path: listPath, prepare: func(p *browser.Page) {
			pick(p, 1)
			browser.Eval[bool](p, `(document.querySelector("#chosen").append(Object.assign(document.createElement("input"),
				{type: "hidden", name: "do", value: "copy"})), document.querySelector("#chosen").submit(), true)`)
			p.Has("h1", "Addresses")
		}},
		{name: "bulk action", path: listPath, prepare: func(p *browser.Page) {
			pick(p, 1)
			p.Click(".bulk details summary")
			p.Type("#tag", "new\r")
			p.Has("h1", "Add")
			x.work(t)
			p.Has("[role=status]", "Done")
		}},
		{name: "end", path: listPath + "?cursor=" + x.cursorAfter(t, "lena.voss@mail.example")},
		{name: "customer", path: rita},
		{name: "customer with notes", path: x.customerPath(t, "Ann Lee"), prepare: func(p *browser.Page) {
			p.Type("#note", "Called her")
			p.Click("#notes > form button")
			p.Click(".notes summary")
		}},
		{name: "note refused", path: rita, expect: "400 " + rita + "/notes", prepare: func(p *browser.Page) {
			p.Type("#note", "  ")
			p.Click("#notes > form button")
			p.Has(".error", "The note")
		}},
		{name: "fact", path: rita + "#payment:pi_rita"},
		{name: "404", path: "/nothing", expect: "404 /nothing"},
		{name: "sign-in", path: "/signin"},
		{name: "sign-in refused", path: "/signin?link=x"},
		{name: "401", path: listPath, expect: "401 ", stranger: true},
	}
}

// segmentStates are those of the pages of segments.
func segmentStates(t *testing.T, x *site) []state {
	x.exec(t, `INSERT INTO segments (id, store_id, name, folded, kind, rule, pinned, created_by) VALUES
		('seg_aaaaaaaaaa', 'studio', 'Half <b>way</b>', 'x', 'dynamic',
			'{"all":[{"enrollment":{"course":"mixing","progress_min":30}},{"none":[{"segment":"at_risk"}]}]}', true, 'admin'),
		('seg_bbbbbbbbbb', 'studio', $1, 'y', 'static', NULL, false, 'admin')`, strings.Repeat("Very", 15))
	path := segmentsPath + "/seg_aaaaaaaaaa"
	bob := strings.TrimPrefix(x.customerPath(t, "Bob Stone"), listPath+"/")
	return []state{
		{name: "segments", path: segmentsPath},
		{name: "segment", path: path},
		{name: "static segment", path: segmentsPath + "/seg_bbbbbbbbbb"},
		{name: "ready-made segment", path: segmentsPath + "/at_risk"},
		{name: "new segment", path: segmentsPath + "/new"},
		{name: "of a list", path: segmentsPath + "/new?course=mixing&not_tag=x&type=paying&type=lead&q=a"},
		{name: "incomplete segment", path: path, expect: "400 ", prepare: func(p *browser.Page) {
			p.Type(`[name="n.0.progress_min"]`, "300")
			p.Click(`button.quiet[value="preview"]`)
			p.Has(".builder .field .error", "number from 0 to 100")
		}},
		{name: "why", path: path + "/why?customer=" + bob},
	}
}

// Every page, however it comes, is for everybody: axe-core finds nothing against
// it, in light and dark, on a desktop and a phone; and on no width must it be
// scrolled sideways.
func TestPageAccess(t *testing.T) {
	t.Parallel()
	for who, states := range map[string]func(*testing.T, *site) []state{"creators": states, "segments": segmentStates,
		"mail":      mailStates,
		"operators": adminStates} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			x, operator := visit(t, browser.Desktop)
			x.hear(t, told{"platform", "store.upserted", day, `{"id":"new","name":"Brand New"}`})
			stranger := browser.Open(t, x.url, browser.Desktop)
			all := states(t, x)
			if who == "operators" {
				lookedAt(t, x, all)
			}
			for _, s := range all {
				p := operator
				if s.stranger {
					p = stranger
				}
				s.check(t, p)
			}
			// What looks at all this is not blind.
			button := `(document.querySelector("main").insertAdjacentHTML("beforeend", "<button></button>"), true)`
			browser.Eval[bool](operator, button)
			if got := violations(t, operator); len(got) != 1 {
				t.Errorf("a button without a name: %q", got)
			}
		})
	}
}

// lookedAt checks that each page of operators is looked at in some state.
func lookedAt(t *testing.T, x *site, all []state) {
	t.Helper()
	part := regexp.MustCompile(`\{\w+\}`)
	for _, r := range x.routes() {
		if r.method != "GET" || r.who != core.Admins || !strings.HasPrefix(r.path, "/admin") ||
			!strings.HasPrefix(r.caller, "operators") {
			continue
		}
		page := regexp.MustCompile(`^` + part.ReplaceAllString(r.path, `[^/?]+`) + `(\?|$)`)
		if !slices.ContainsFunc(all, func(s state) bool { return page.MatchString(s.path) }) {
			t.Errorf("%s: nobody looks at it", r.path)
		}
	}
}

// check looks at a page in one state, in every way there is.
func (s state) check(t *testing.T, p *browser.Page) {
	t.Helper()
	if s.expect != "" {
		p.Expect(s.expect)
	}
	p.Look(browser.Desktop)
	p.Go(s.path)
	if s.prepare != nil {
		s.prepare(p)
	}
	p.Until("true")
	all := looks()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p.Look(all[name])
		accessible(t, p, s.name+", "+name)
		p.Shot(s.name + ", " + name)
	}
	for _, width := range []int64{320, 390, 768, 1280} {
		p.Look(browser.Look{Width: width, Height: 900})
		if over := p.Overflow(); over > 0 {
			t.Errorf("%s is %d pixels wider than %d", s.name, over, width)
		}
	}
}

// Everything can be done by the keyboard alone, and it shows where one is.
func TestPageKeyboard(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath)
	focus := func() string {
		return browser.Eval[string](p, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
			return (e.id || e.name || e.innerText.trim() || e.tagName) + (outlined ? "" : " (does not show it)");
		})()`)
	}
	var reached []string
	for range 24 {
		p.Press(kb.Tab)
		reached = append(reached, focus())
	}
	same(t, "Tab", []string{"Skip to the list", "✓\nStore:\nAurora Academy", "Customers", "Segments", "Value", "Mail",
		"Settings", "Your account\nO", "Columns", "csv",
		"All 6", "Leads 2", "Customers 3", "Subscribers 1", "Inactive 2", "q", "Filter",
		"all", "Customer", "Spent", "Last activity ↓", "Joined", "id", "Ann Lee"}, reached)

	p.Go(listPath)
	p.Press(kb.Tab + kb.Enter) // the skip link
	p.Until(`document.activeElement.id === "list"`)
	p.Press(kb.Tab)
	if got := focus(); got != "all" {
		t.Errorf("after the skip link: %s", got)
	}
	p.Press("/")
	if got := focus(); got != "q" {
		t.Errorf("/ focuses %s", got)
	}
	p.Press("a/b" + kb.Backspace + kb.Backspace + kb.Enter)
	p.Until(`document.querySelector("#q").value === "a"`) // "/" is a letter there
	at(p, "q=a")

	p.Go(listPath)
	for range 17 {
		p.Press(kb.Tab)
	}
	p.Press(kb.Enter + kb.Tab + kb.Enter + kb.Tab)
	if got := focus(); got != "f-type-1" {
		t.Errorf("after opening the filters: %s", got)
	}
	p.Press(kb.Tab + " ")
	listed(p, "Bob Stone", "Zoë Müller", "Rita Okafor")
	if got := focus(); got != "f-type-2" {
		t.Errorf("after choosing: %s", got)
	}
}

// Motion is left out where it is not wanted.
func TestPageCalm(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	for _, calm := range []bool{false, true} {
		p.Look(browser.Look{Width: 1280, Height: 900, Calm: calm})
		p.Go(listPath)
		moving := browser.Eval[int](
			p, `(document.querySelector("#busy").classList.add("htmx-request"), document.getAnimations().length)`)
		if (moving > 0) == calm {
			t.Errorf("calm %t: %d animations", calm, moving)
		}
	}
}
