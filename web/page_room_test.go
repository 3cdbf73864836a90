package web

import (
	"fmt"
	"testing"
	"time"

	"rollcall/internal/testing/browser"
)

// Amounts are not cut off, however large.
func TestPageAmountsAreWhole(t *testing.T) {
	t.Parallel()
	var events []told
	for i, amount := range []int{1250000, 1111103, 11111103, 123456789012345} {
		for _, currency := range []string{"chf", "sek", "usd"} {
			id := fmt.Sprint(currency, i)
			events = append(events, sold(id, "Buyer "+id, "drums", amount, currency, day))
		}
	}
	x, p := visit(t, browser.Desktop, append(studio(), events...)...)
	for _, look := range []browser.Look{browser.Desktop, browser.Phone} {
		p.Look(look)
		p.Go(listPath)
		same(t, fmt.Sprint("cut off at ", look.Width), []string{}, browser.Eval[[]string](p,
			`[...document.querySelectorAll(".spent, .kpis dd")].filter(e => e.scrollWidth > e.clientWidth)
				.map(e => e.innerText)`))
		wide(t, p)
	}
	x.exec(t, `DELETE FROM customers WHERE name LIKE '%3'`)
	p.Go(listPath)
	same(t, "common amounts on a phone of more than a line", []string{}, browser.Eval[[]string](p,
		`[...document.querySelectorAll(".spent b")].filter(e => e.getClientRects().length > 1)
			.map(e => e.innerText)`))
}

// What is usual fits its column beside amounts that are whole, and on a phone a card of four lines.
func TestPageColumnsHaveRoom(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop, append(studio(), enrolled("Ann Lee", "mixing", "45", time.Hour),
		sold("ann1", "Ann Lee", "drums", 29900, "usd", day), sold("ann2", "Ann Lee", "mastering", 4500, "usd", day),
		enrolled("Ann Lee", "mixing", "46", time.Minute))...)
	for _, width := range []int64{1280, 1440} {
		p.Look(browser.Look{Width: width, Height: 900})
		p.Go(listPath + "?q=ann")
		p.Has("td.act", "Reached 46% in Mixing Basics")
		p.Has("td.courses", "Mixing Basics 46% +2 more")
		same(t, fmt.Sprint("cut off at ", width), []string{}, browser.Eval[[]string](p,
			`[...document.querySelectorAll(".customers :is(.act bdi, .prog, .prog bdi, .mail bdi)")]
				.filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)`))
	}
	for _, width := range []int64{965, 1090} {
		p.Look(browser.Look{Width: width, Height: 900})
		p.Go(listPath + "?q=ann")
		p.Has("td.act", "Reached 46% in Mixing Basics")
		p.Has("td.courses", "Mixing Basics 46% +2 more")
		same(t, fmt.Sprint("cut off at ", width), []string{}, browser.Eval[[]string](p,
			`[...document.querySelectorAll(".act bdi, .prog, .prog bdi")]
				.filter(e => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight).map(e => e.innerText)`))
		p.Shot(fmt.Sprint("list-", width))
	}
	p.Look(browser.Phone)
	p.Go(listPath)
	same(t, "cards of more lines", []string{}, browser.Eval[[]string](p,
		`[...document.querySelectorAll(".person:not(:has(.spent small))")]
			.filter(e => e.offsetHeight > 90).map(e => e.innerText)`))
}

// What is pressed is not covered: the button of new customers by the head of the table, that of filters by the end of
// a low window.
func TestPageNothingIsCovered(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Look{Width: 1440, Height: 600})
	x.hear(t, crowd(60)...)
	p.Go(listPath)
	p.Click(".filters .add > summary")
	p.Until(`document.querySelector(".add .pop > .btn").getBoundingClientRect().bottom < innerHeight`)
	p.Go(listPath)
	covered := browser.Eval[string](p, `(() => {
		const link = document.querySelector("#live a");
		[link.textContent, link.hidden] = ["1 new", false];
		scrollTo(0, document.querySelector(".person:nth-child(20)").offsetTop);
		const box = link.getBoundingClientRect();
		return [2, box.height / 2, box.height - 2].filter(y =>
			document.elementFromPoint(box.x + box.width / 2, box.y + y) !== link).join();
	})()`)
	if covered != "" {
		t.Errorf("the button of new customers is covered at %s", covered)
	}
}
