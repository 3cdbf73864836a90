package web

import (
	"testing"

	"rollcall/internal/testing/browser"
)

// Without a script the list leads to the segments, and counts are a link away, or on the page if they are asked for.
func TestPageSegmentsWithoutScript(t *testing.T) {
	t.Parallel()
	_, p := visit(t, without)
	p.Go(listPath)
	p.Click(".segments a")
	p.Until(`location.pathname === "` + segmentsPath + `"`)
	p.Click("main li:nth-child(5) .size a")
	at(p, "count=1&segment=big_spenders")
	p.Has(".tabs nav a", "All 0")
	p.Go(segmentsPath + "/new?type=lead")
	p.Click(`button.quiet[value="preview"]`)
	p.Has(".preview .size b", "2")
	p.Lists(`.preview a[href*="/customers?"]`, "Open as a list")
	p.Type("#name", "at  RISK")
	p.Expect("400 " + segmentsPath + "/new")
	p.Click(`[value="save"]`)
	p.Has("#name-bad", "is taken")
}

// Who asks of an address that no customer has gets the page again, with what is wrong beside the field.
func TestPageWhyOfNoOne(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(segmentsPath + "/new?type=lead&name=Leads")
	p.Click(`[value="save"]`)
	p.Click("main li .acts a")
	p.Type("#who", "no.one@mail.example")
	why := browser.Eval[string](p, `document.querySelector("form.one").getAttribute("action")`)
	p.Expect("404 " + why)
	p.Click("form.one button")
	p.Has("#who-bad", "No customer has this address.")
	p.Until(`document.activeElement.id === "who" && document.activeElement.value === "no.one@mail.example"`)
	accessible(t, p, "why of no one")
	p.Type("#who", "Ann.Lee@mail.example")
	p.Click("form.one button")
	p.Has("h1", "Ann Lee is in Leads")
}
