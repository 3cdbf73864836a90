package web

import (
	"fmt"
	"testing"

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
