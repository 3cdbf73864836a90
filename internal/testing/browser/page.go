package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	// patience is how long a page may take for anything. No test is about how
	// soon it does.
	patience = time.Minute
	// lookEvery is how often a condition is looked at.
	lookEvery = 15 * time.Millisecond
)

// Look is what a page is looked at with.
type Look struct {
	Width, Height int64 // CSS pixels
	Dark          bool
	Calm          bool // prefers-reduced-motion
	NoScript      bool
	Paper         bool // as it is printed
}

// What most people have.
var (
	Desktop = Look{Width: 1280, Height: 900}
	Phone   = Look{Width: 390, Height: 844}
)

// Page is a tab in which a site is open. Its methods fail the test if they fail.
type Page struct {
	t    testing.TB
	ctx  context.Context
	site *url.URL
	look Look

	mu       sync.Mutex
	troubles []string
	expected []string
	allowed  []string
}

// Open opens an empty tab for a site. At the test's end the page must have done
// nothing that it should not.
func Open(t testing.TB, site string, look Look) *Page {
	t.Helper()
	parent, err := get()
	if err != nil {
		t.Fatalf("browser.Open: %v", err)
	}
	p := &Page{t: t}
	if p.site, err = url.Parse(site); err != nil {
		t.Fatalf("browser.Open: %v", err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	p.ctx = ctx
	t.Cleanup(func() {
		p.check()
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil { // without a limit: it is the tab's life
		t.Fatalf("browser.Open: %v", err)
	}
	p.Look(look)
	return p
}

// do runs steps, within patience. A live page may replace an element between its
// being found and used: then it is looked for again.
func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, steps...)
	for err != nil && strings.Contains(err.Error(), noSuchNode) && ctx.Err() == nil {
		err = chromedp.Do(ctx, steps...)
	}
	if err != nil {
		p.t.Fatalf("%s: %v; the page: %s", what, err, p.state())
	}
}

// noSuchNode is DevTools' word for a node that is no more.
const noSuchNode = "Could not find node with given id"

// call sends a command of the protocol.
func call[P, R any](p *Page, cmd cdp.Command[P, R], params P) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, cmd, params); err != nil {
		p.t.Fatalf("%s: %v", cmd.Method, err)
	}
}

// Look changes what the page is looked at with, from now on. Scripts that run
// already are stopped only by the next page.
func (p *Page) Look(l Look) {
	p.t.Helper()
	p.look = l
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: l.Width, Height: l.Height, DeviceScaleFactor: 1, Mobile: l.Width < 600})
	feature := func(name, value string, on bool) *emulation.MediaFeature {
		if !on {
			value = ""
		}
		return &emulation.MediaFeature{Name: name, Value: value}
	}
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	media := ""
	if l.Paper {
		media = "print"
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media, Features: []*emulation.MediaFeature{
		feature("prefers-color-scheme", scheme, true), feature("prefers-reduced-motion", "reduce", l.Calm)}})
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.NoScript})
}

// Zone sets the time zone of the browser.
func (p *Page) Zone(name string) {
	p.t.Helper()
	call(p, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
}

// Go opens a path of the site, and returns when it has loaded.
func (p *Page) Go(path string) {
	p.t.Helper()
	p.do("to "+path, chromedp.Navigate(p.site.JoinPath("/").String()+strings.TrimPrefix(path, "/")))
}

// Cookie sets a cookie of the site.
func (p *Page) Cookie(name, value string) {
	p.t.Helper()
	call(p, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: p.site.String()})
}

// Back goes back in the tab's history; what is there is waited for by Until.
func (p *Page) Back() { p.t.Helper(); p.step(-1) }

// Forward goes forward again.
func (p *Page) Forward() { p.t.Helper(); p.step(+1) }

func (p *Page) step(by int) {
	p.t.Helper()
	history, err := chromedp.Run(p.ctx, chromedp.NavigationEntries())
	if err != nil {
		p.t.Fatal(err)
	}
	to := int(history.CurrentIndex) + by
	if to < 0 || to >= len(history.Entries) {
		p.t.Fatalf("no such page in the history: %d of %d", to, len(history.Entries))
	}
	call(p, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[to].ID})
}

// Click clicks the first element that a CSS selector finds, with the mouse.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Press presses keys, one after the other: letters, or those of package kb. What
// a letter writes comes with the key going down, so that a page may keep it from
// being written.
func (p *Page) Press(keys string) {
	p.t.Helper()
	for _, key := range keys {
		events := kb.Encode(key)
		if len(events) == 3 { // down, the letter, up
			events[0].Text, events[0].UnmodifiedText = events[1].Text, events[1].UnmodifiedText
			events = []*input.DispatchKeyEventParams{events[0], events[2]}
		}
		for _, e := range events {
			call(p, input.DispatchKeyEvent, *e)
		}
	}
}

// Type focuses a field, empties it and types into it; what has more than a hundred letters it pastes.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.do("type into "+selector, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Focus(chromedp.CSS(selector)))
	p.do("type into "+selector, chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`))
	if text == "" {
		p.Press("\b")
	}
	if len(text) > 100 {
		call(p, input.InsertText, input.InsertTextParams{Text: text})
		return
	}
	p.Press(text)
}

// Choose picks an option of a select, by its value, as if by hand.
func (p *Page) Choose(selector, value string) {
	p.t.Helper()
	ok := Eval[bool](p, fmt.Sprintf(`(() => {
		const menu = document.querySelector(%q);
		menu.value = %q;
		menu.dispatchEvent(new Event("change", {bubbles: true}));
		return menu.value === %[2]q;
	})()`, selector, value))
	if !ok {
		p.t.Fatalf("%s has no option %q", selector, value)
	}
}

// Eval evaluates an expression of JavaScript in the page; a promise is awaited.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%.200s: %v; the page: %s", expression, err, p.state())
	}
	return value
}

// Until waits until the page has loaded and a condition in JavaScript is met.
func (p *Page) Until(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	look := chromedp.Evaluate[bool](`document.readyState === "complete" && !!(` + condition + `)`)
	for {
		met, err := chromedp.Run(ctx, look) // an error may be that one page went and the next is not there
		if met && err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.t.Fatalf("waited in vain: %s (%v); the page: %s", condition, err, p.state())
		}
	}
}

// state tells what is there when something goes wrong.
func (p *Page) state() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(
		ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 3000)`))
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintln(text, err, p.troubles)
}

// Has waits until the text of the first element found contains text, each run of
// space as one.
func (p *Page) Has(selector, text string) {
	p.t.Helper()
	p.Until(fmt.Sprintf(`document.querySelector(%q)?.innerText.replace(/\s+/g, " ").includes(%q)`, selector, text))
}

// Lists waits until the elements found are as many and say, one by one, what is wanted.
func (p *Page) Lists(selector string, want ...string) {
	p.t.Helper()
	texts, err := json.Marshal(append([]string{}, want...))
	if err != nil {
		p.t.Fatal(err)
	}
	p.Until(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll(%q)].map(e => e.innerText)) === JSON.stringify(%s)`,
		selector, texts))
}

// Texts are what the elements found say, as it is shown, with each run of space as one.
func (p *Page) Texts(selector string) []string {
	p.t.Helper()
	return Eval[[]string](
		p, fmt.Sprintf(`[...document.querySelectorAll(%q)].map(e => e.innerText.replace(/\s+/g, " ").trim())`, selector))
}

// Address is the path and the query that the tab is at.
func (p *Page) Address() string {
	p.t.Helper()
	return Eval[string](p, `location.pathname + location.search`)
}

// Overflow is how much wider the page is than the window, in pixels: what must
// be scrolled for sideways. A phone shows too wide a page smaller, which counts
// as well.
func (p *Page) Overflow() int64 {
	p.t.Helper()
	return Eval[int64](p, `Math.max(document.scrollingElement.scrollWidth, innerWidth)`) - p.look.Width
}
