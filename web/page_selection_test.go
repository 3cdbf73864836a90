package web

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"rollcall/internal/testing/browser"
	"rollcall/store/bulk"
)

// pick ticks the box of a row.
func pick(p *browser.Page, nth int) {
	p.Click(fmt.Sprintf(".person:nth-child(%d) input[name=id]", nth))
}

// work lets bulk actions come to their end.
func (x *site) work(t *testing.T) {
	t.Helper()
	for worked := true; worked; {
		var err error
		if worked, err = bulk.New(x.Cfg.Store).Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Who is selected gets a tag, and loses it again by Undo, with a script and without.
func TestPageBulk(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	for i, look := range []browser.Look{browser.Desktop, browser.Phone, without} {
		p.Look(look)
		p.Go(listPath)
		pick(p, 1)
		pick(p, 3)
		if !look.NoScript {
			p.Has(".bulk strong", "2 selected")
		}
		p.Click(".bulk details:has(#tag) summary")
		p.Type("#tag", fmt.Sprintf("<b>vip</b> %d\r", i))
		p.Has("h1", fmt.Sprintf("Add “<b>vip</b> %d”", i))
		p.Has("[role=status]", "0 of 2 done.")
		x.work(t)
		p.Has("[role=status]", "Done: 2 customers of 2 changed.")
		action := p.Address()
		p.Go(listPath)
		tagged := `[...document.querySelectorAll(".courses .tags li")].map(e => e.textContent).join()`
		p.Until(fmt.Sprintf("%s === %q", tagged, fmt.Sprintf("<b>vip</b> %[1]d,<b>vip</b> %[1]d", i)))
		p.Go(action)
		p.Click("form[action$='/undo'] button")
		p.Has("h1", "Remove")
		x.work(t)
		p.Has("[role=status]", "Done: 2 customers of 2 changed.")
		p.Go(listPath)
		p.Until(tagged + ` === ""`)
	}
}

// All that match are meant, and no more than were seen.
func TestPageBulkAll(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	tagThem(x, t, p, "Ann Lee", "VIP")
	for _, look := range []browser.Look{browser.Desktop, without} {
		p.Look(look)
		p.Go(listPath + "?type=paying")
		pick(p, 1)
		p.Click(".bulk [name=all]")
		p.Click(".bulk details:has(#untag) summary")
		p.Click(".bulk [value=untag]")
		p.Has("h1", "Remove “VIP”")
		x.work(t)
		p.Go(p.Address())
		p.Has("[role=status]", "Done: 0 customers of 3 changed.")

		p.Go(listPath + "?type=lead")
		p.Click(".person:nth-child(1) input[name=id]")
		p.Click(".bulk [name=all]")
		x.exec(t, `UPDATE customers SET type = 'paying' WHERE name = 'Lena Voss'`)
		p.Click(".bulk details:has(#tag) summary")
		p.Type("#tag", "late")
		p.Expect("409 " + listPath + "/selection")
		p.Click(".bulk [value=tag]")
		p.Has("[role=alert]", "The list has 1 now, and 2 were expected. Nothing was changed.")
		x.exec(t, `UPDATE customers SET type = 'lead' WHERE name = 'Lena Voss'`)
		p.Click(".head .btn")
		at(p, "type=lead")
	}
	p.Expect("400 " + listPath + "/selection")
	p.Click(".bulk [value=copy]")
	p.Has("[role=alert]", "Customers are not selected")
}

// The addresses of the selection go to the clipboard, or into a field to copy them from;
// of many, all that match.
func TestPageCopy(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath + "?sort=name")
	browser.Eval[bool](p, `(Object.defineProperty(navigator, "clipboard", {value: {write: async ([item]) => {
		window.copied = await (await item.getType("text/plain")).text();
	}}}), true)`)
	pick(p, 1)
	pick(p, 2)
	p.Click(".bulk [value=copy]")
	p.Has(".bulk strong", "2 addresses copied")
	if got := browser.Eval[string](p, "window.copied"); got != "ann.lee@mail.example\nbob.stone@mail.example" {
		t.Errorf("copied %q", got)
	}
	p.Look(without)
	p.Go(listPath + "?sort=name&type=paying")
	p.Click(".bulk [name=all]")
	p.Click(".bulk [value=copy]")
	p.Has("label", "3 addresses")
	if got := browser.Eval[string](p, `document.querySelector("#addresses").value`); got != "bob.stone@mail.example\n"+
		"rita.okafor@mail.example\nzoe.muller@mail.example" {
		t.Errorf("shown %q", got)
	}
}

// A file has those who are selected, or all that match.
func TestPageExportSelection(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath + "?sort=name")
	pick(p, 3)
	pick(p, 1)
	for _, want := range [][]string{{"Ann Lee", "Ivo Marek"},
		{"Ann Lee", "Bob Stone", "Ivo Marek", "Lena Voss", "Rita Okafor", "Zoë Müller"}} {
		_, content := p.Download(".bulk [value=export]")
		rows, err := csv.NewReader(strings.NewReader(content)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range rows[1:] {
			got = append(got, row[2])
		}
		same(t, "people in the file", want, got)
		p.Click(".bulk [name=all]")
	}
	p.Click(".bulk [type=reset]")
	p.Until(`!document.querySelector(".bulk").checkVisibility()`)
}

// The head selects all that are shown, also those who came by scrolling.
func TestPageSelectAll(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.hear(t, crowd(60)...)
	p.Go(listPath)
	p.Click("#all")
	p.Has(".bulk strong", "50 selected")
	browser.Eval[bool](p, `(scrollTo(0, document.body.scrollHeight), true)`)
	p.Has(".under", "Showing 1–66 of 66")
	p.Has(".bulk strong", "50 selected")
	p.Until(`document.querySelector("#all").indeterminate`)
	p.Click("#all")
	p.Has(".bulk strong", "66 selected")
}

// Keys move, select, open, filter and explain themselves, but not while one types.
func TestPageKeys(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath)
	at := func(name string) {
		t.Helper()
		p.Until(fmt.Sprintf(`document.activeElement.innerText === %q`, name))
	}
	p.Press("j")
	at("Ann Lee")
	p.Press("jj")
	at("Zoë Müller")
	p.Press("kx")
	at("Bob Stone")
	p.Has(".bulk strong", "1 selected")
	p.Press("b") // to the bar
	p.Until(`document.activeElement.name === "all"`)
	p.Press("?")
	p.Until(`document.querySelector("#keys").open`)
	accessible(t, p, "keys")
	p.Press("j" + kb.Escape)
	p.Until(`!document.querySelector("#keys").open`)
	p.Press("f")
	p.Until(`document.activeElement.matches(".add details:first-child summary")`)
	p.Press(kb.Escape + kb.Escape)
	p.Until(`!document.querySelector(".add").open`)
	p.Press("/jxf?")
	p.Until(`document.querySelector("#q").value === "jxf?" && !document.querySelector("#keys").open`)
	p.Go(listPath)
	p.Press("jj" + kb.Enter)
	p.Has("h1", "Bob Stone")
}

// On a phone the first customer is there without scrolling, and each row of a desktop is
// as high as the next.
func TestPageFits(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Phone)
	p.Go(listPath)
	if y := browser.Eval[float64](p, `document.querySelector(".person").getBoundingClientRect().bottom`); y > 844 {
		t.Errorf("the first customer ends at %v of 844", y)
	}
	x.hear(t, crowd(60)...)
	p.Go(listPath)
	for _, width := range []int64{390, 800, 900, 1000, 1100, 1280} {
		p.Look(browser.Look{Width: width, Height: 844})
		if gap := browser.Eval[float64](p, `document.querySelector(".tbl").clientWidth -
			document.querySelector(".person").getBoundingClientRect().width`); gap > 1 || gap < -1 {
			t.Errorf("at %d rows leave %v of the table", width, gap)
		}
	}
	x.exec(t, `
		INSERT INTO tags (id, store_id, name, folded, created_by)
		VALUES ('tag_1', 'studio', 'Early bird', 'early bird', 'admin')`)
	x.exec(t, `INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		SELECT store_id, email, 'tag_1', 'admin' FROM customers`)
	x.exec(t, `
		INSERT INTO value_stores (store_id, due_at, forecast_in) VALUES ('studio', 'infinity', 'usd')
		ON CONFLICT (store_id) DO UPDATE SET forecast_in = 'usd'`)
	x.exec(t, `INSERT INTO value_people SELECT store_id, 'usd', id, 0.42, 14900 FROM customers`)
	p.Look(browser.Desktop)
	p.Go(listPath)
	p.Has("thead", "Expected")
	heights := browser.Eval[[]float64](p, `[...document.querySelectorAll(".person")].map(e =>
		Math.round(e.getBoundingClientRect().height))`)
	if slices.Min(heights) < 52 || slices.Max(heights) > 54 {
		t.Errorf("rows are %v high", heights)
	}
}

// All that match are changed, copied and exported only if it was seen how many they are.
func TestSelectionOfAllUncounted(t *testing.T) {
	x := open(t, nil)
	x.hear(t, studio()...)
	for do, done := range map[string]int{"do=tag&tag=x": 303, "do=copy": 200, "do=export": 303} {
		for _, expected := range []string{"", "&expected=", "&expected=abc", "&expected=99999999999999999999",
			"&expected=-100000000000000000", "&expected=5"} {
			got := x.send(t, "POST", listPath+"/selection", "all=1&"+do+expected, asAdmin)
			if got.StatusCode != 400 && got.StatusCode != 409 || !strings.Contains(got.text, "Nothing was changed") {
				t.Errorf("%s%s: %d %.300s", do, expected, got.StatusCode, got.text)
			}
		}
		wants(t, x.get(t, "/api/stores/studio/tags", asAdmin).text, `"data":[]`)
		got := x.send(t, "POST", listPath+"/selection", "all=1&expected=6&"+do, asAdmin)
		if got.StatusCode != done {
			t.Errorf("%s of as many as expected: %d %.300s", do, got.StatusCode, got.text)
		}
		x.exec(t, `DELETE FROM tags`)
	}
}
