package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"rollcall/internal/testing/browser"
	"rollcall/store/segments"
)

const segmentsPath = "/store/studio/segments"

// addTo adds a condition to a group of the form; it gets a place.
func addTo(p *browser.Page, group, thing, place string) {
	p.Has(`[name="`+group+`.new"]`, "")
	p.Choose(`[name="`+group+`.new"]`, thing)
	p.Click(`[value="add ` + group + `"]`)
	p.Until(`document.querySelector('[name="` + place + `"]') !== null`)
}

// A segment is built, tried, saved, pinned, changed and deleted, with a script and without.
func TestPageSegments(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	for _, look := range []browser.Look{browser.Desktop, browser.Phone, without} {
		p.Look(look)
		p.Go(segmentsPath)
		p.Has("main", "No segments of your own yet")
		p.Lists("main li strong", "At risk", "Stuck", "Finished", "Never started", "Big spenders", "New this week")
		p.Click(`[aria-label="Copy and change Stuck"]`)
		p.Has(".preview .says",
			"Customers who are enrolled in a course (not completed, last progressed more than 14 days ago)")
		p.Until(`document.querySelector("#name").value === "Stuck (copy)"`)
		p.Go(segmentsPath)
		p.Click(`.head a`)
		p.Until(`location.pathname.endsWith("/new")`)
		addTo(p, "n", "enrollment", "n.0")
		p.Choose(`[name="n.0.course"]`, "mixing")
		addTo(p, "n", "any", "n.1")
		addTo(p, "n.1", "customer", "n.1.0")
		p.Choose(`[name="n.1.0.type"]`, "paying")
		addTo(p, "n.1", "tag", "n.1.1")
		p.Click(`[value="remove n.1.1"]`)
		p.Until(`document.querySelector('[name="n.1.1"]') === null`)
		p.Type(`[name="n.0.progress_min"]`, "30")
		p.Click(`button.quiet[value="preview"]`)
		p.Has(".preview .says", "Customers who are enrolled in Mixing Basics (progress at least 30%) and are Customers.")
		p.Lists(".few a:first-child bdi", "Bob Stone")
		p.Type("#name", "Halfway <b>there</b>")
		p.Click(`[value="save"]`)
		p.Until(`location.pathname === "` + segmentsPath + `"`)
		p.Has("main li strong", "Halfway <b>there</b>")
		p.Click(`main li form button`)
		p.Has("main li .badge", "Pinned")
		p.Click(`main li strong`)
		p.Until(`location.search.startsWith("?segment=seg_")`)
		p.Go(segmentsPath)
		p.Click(`main li .acts a`)
		p.Click(`.few .why`)
		p.Has("h1", "Bob Stone is in Halfway <b>there</b>")
		p.Has(".reasons .met .hint", "Mixing Basics: ")
		p.Go(segmentsPath)
		p.Click(`main li details summary`)
		p.Click(`main li details button`)
		p.Has("main", "No segments of your own yet")
	}

}

// reach presses Tab until what a selector finds has the focus, as one does without a mouse.
func reach(t *testing.T, p *browser.Page, selector string) {
	t.Helper()
	for range 100 {
		if browser.Eval[bool](p, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
		p.Press(kb.Tab)
	}
	t.Fatalf("Tab does not reach %s", selector)
}

// A segment is built, saved, looked into and deleted by keys alone.
func TestPageSegmentByKeys(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(segmentsPath)
	reach(t, p, `.head a`)
	p.Press(kb.Enter)
	p.Until(`location.pathname.endsWith("/new")`)
	reach(t, p, `#name`)
	p.Press("By keys")
	reach(t, p, `[name="n.new"]`)
	p.Press("Cou") // as menus go to what begins so
	p.Press(kb.Tab + kb.Enter)
	p.Until(`document.activeElement.name === "n.0.course"`) // which waits for the next key
	p.Press(kb.ArrowDown + kb.ArrowDown)
	reach(t, p, `[name="n.0.progress_min"]`)
	p.Press("30" + kb.Enter) // shows who it is, and saves nothing
	p.Has(".preview .says", "(progress at least 30%)")
	p.Lists(".few a:first-child bdi", "Ann Lee", "Bob Stone")
	reach(t, p, `[value="save"]`)
	p.Press(" ")
	p.Has("main li strong", "By keys")
	reach(t, p, `main li .acts a`)
	p.Press(kb.Enter)
	p.Has(".few .why", "Why?")
	reach(t, p, `.few .why`)
	p.Press(kb.Enter)
	p.Has("h1", "Ann Lee is in By keys")
	p.Go(segmentsPath)
	reach(t, p, `main li details summary`)
	p.Press(kb.Enter)
	reach(t, p, `main li details button`)
	p.Press(kb.Enter)
	p.Has("main", "No segments of your own yet")
}

// A segment that is watched shows who came and left.
func TestPageWatchedSegment(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	p.Go(segmentsPath + "/new?course=mastering&name=Mastering")
	p.Click(`[name="watched"]`)
	p.Click(`[value="save"]`)
	p.Until(`location.pathname === "` + segmentsPath + `"`)
	p.Click(`main li .acts a`)
	p.Until(`document.querySelector('[name="watched"]')?.checked`)
	p.Has(".preview", "No one has entered or left since it is watched.")
	look := func() {
		t.Helper()
		if looked, err := segments.New(x.Cfg.Store).Look(t.Context(), 0); err != nil || !looked {
			t.Fatal(looked, err)
		}
	}
	look()
	x.hear(t, enrolled("Ann Lee", "mastering", "0", time.Hour),
		told{"platform", "enrollment.deleted", 0, `{"course_id":"mastering","email":"bob.stone@mail.example"}`})
	look()
	p.Go(p.Address())
	p.Has(".movers", "Ann Lee entered just now")
	p.Has(".movers", "Bob Stone left just now")
	p.Click(".movers a")
	p.Until(`["Ann Lee", "Bob Stone"].includes(document.querySelector("h1").innerText)`)
}

// A ready-made segment has a page like others: who is in it and why, pinned as a tab and watched, but not changed.
func TestPageReadyMadeSegment(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	for _, look := range []browser.Look{browser.Desktop, browser.Phone, without} {
		p.Look(look)
		p.Go(segmentsPath)
		p.Click(`[aria-label="Details of Finished"]`)
		p.Has("h1", "Finished")
		p.Has(".preview .says", "Customers who are enrolled in a course (completed).")
		p.Has(".builder .hint", "Copy it to change it.")
		p.Lists(".few a:first-child bdi", "Bob Stone")
		p.Until(`!document.querySelector("#name") && !document.querySelector('[name="n"]')`)
		p.Click(`[name="pinned"]`)
		p.Click(`[name="watched"]`)
		p.Click(`[value="save"]`)
		p.Until(`location.pathname === "` + segmentsPath + `"`)
		p.Has("#finished", "Pinned Watched")
		p.Has("main", "No segments of your own yet")
		p.Go(segmentsPath + "/finished")
		p.Has(".preview", "No one has entered or left since it is watched.")
		p.Click(`.few .why`)
		p.Has("h1", "Bob Stone is in Finished")
		p.Go(segmentsPath)
		p.Click(`#finished form button`)
		p.Has("#finished [aria-label='Pin Finished']", "Pin")
		p.Click(`[aria-label="Details of Finished"]`)
		p.Click(`[name="watched"]`)
		p.Click(`[value="save"]`)
		p.Until(`document.querySelector("#finished") && !document.querySelector("#finished .badge")`)
	}
	x.exec(t, `UPDATE segments SET pinned = true WHERE ready = 'finished'`)
	p.Look(browser.Desktop)
	p.Go(listPath)
	p.Has(`.segments a[href$="?segment=finished"]`, "Finished 1")
}
