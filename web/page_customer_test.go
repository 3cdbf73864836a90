package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/browser"
)

// without is a phone in the dark that runs no scripts and asks for no motion.
var without = browser.Look{Width: 390, Height: 844, Dark: true, Calm: true, NoScript: true}

// customerPath is where a customer of the studio is.
func (x *site) customerPath(t *testing.T, name string) string {
	t.Helper()
	var list struct{ Data []struct{ ID, Name string } }
	unmarshal(t, x.get(t, "/api/stores/studio/customers?limit=100", asAdmin), &list)
	for _, c := range list.Data {
		if c.Name == name {
			return listPath + "/" + c.ID
		}
	}
	t.Fatalf("no customer %s", name)
	return ""
}

func TestPageCustomer(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	for _, look := range []browser.Look{browser.Desktop, without} {
		p.Look(look)
		p.Go(x.customerPath(t, "Rita Okafor"))
		same(t, "head", []string{"Rita Okafor"}, p.Texts("h1"))
		p.Has(".identity .mail", "rita.okafor@mail.example")
		p.Has(".identity .mail", "Customer · Inactive")
		same(t, "sections", []string{"Courses", "Payments 1", "Activity", "Where these figures come from", "Details", "Mail",
			"Tags", "Notes"},
			p.Texts("h2"))
		day := time.Now().UTC().Add(-20 * day).Format("2 Jan 2006")
		same(t, "figures", []string{"$0.00", "0", day}, p.Texts(".kpis div:nth-child(-n+3) b"))
		same(t, "notes of figures", []string{"1 payment, $25.00 refunded, $75.00 disputed", "None yet", "Drum Kit Vol. 1"},
			p.Texts(".kpis div:nth-child(-n+3) small"))
		same(t, "details", []string{"Product purchase: Drum Kit Vol. 1", day, "Not verified"},
			p.Texts(".short div:nth-child(-n+3) dd"))
		same(t, "payments", []string{day, "Drum Kit Vol. 1", "Disputed", "$100.00 $25.00 refunded $75.00 disputed", "↗"},
			p.Texts("#what tbody td"))
		same(t, "at Stripe", []string{"https://dashboard.stripe.com/payments/pi_rita"},
			browser.Eval[[]string](p, `[...document.querySelectorAll(".payments td a")].map(a => a.href)`))
		same(t, "activity", []string{"Disputed $75.00 of Drum Kit Vol. 1", "Refunded $25.00 of Drum Kit Vol. 1",
			"Bought Drum Kit Vol. 1 for $100.00", "Joined"}, p.Texts(".timeline li p"))
		same(t, "sources", []string{"$100.00 paid, $25.00 refunded, $75.00 disputed: payment:pi_rita"},
			p.Texts(".reasons div:nth-child(3) dd"))
		same(t, "facts", []string{"payment:pi_rita checkout of $100.00 for Drum Kit Vol. 1",
			"In this store: It names this store, studio.", "↳ refund:re_rita refund $25.00, succeeded",
			"↳ dispute:dp_rita dispute of $75.00, needs response, money withdrawn"},
			cutAll(p.Texts(".facts p"), ", "+day))
		if got := p.Texts(".origins"); !strings.HasPrefix(got[1], "Stripe refund.created evt_told_") {
			t.Errorf("%q", got)
		}
		p.Click(".reasons a") // each reason leads to its fact
		p.Until(`(() => { const at = document.querySelector(":target")?.getBoundingClientRect(); return at && at.bottom > ` +
			`0 && at.top < innerHeight })()`)
		p.Click(".crumbs a")
		p.Until(fmt.Sprintf(`location.pathname === %q`, listPath))
	}

	p.Look(browser.Desktop)
	p.Go(x.customerPath(t, "Bob Stone"))
	since := func(ago time.Duration) string {
		return " Enrolled " + time.Now().UTC().Add(-ago).Format("2 Jan 2006")
	}
	same(t, "courses", []string{"Mixing Basics" + since(40*day), "Mastering in the Box" + since(3*time.Hour)},
		p.Texts("#what .rows .grow"))
	same(t, "progress", []string{"100%", "10%"}, p.Texts("#what .rows .pc"))
	p.Go(x.customerPath(t, "Ivo Marek"))
	p.Has(".payments", "Inner Circle")
	p.Has(".payments", "$19.00 a period")
	p.Go(x.customerPath(t, "Lena Voss"))
	same(t, "nothing", []string{"No courses yet", "No payments yet", "No mails yet"}, p.Texts(".none"))
}

// Nine currencies, titles and notes without end, and a renewal that never came have their place on the page.
func TestPageCustomerOfExtremes(t *testing.T) {
	t.Parallel()
	events := append(studio(), told{"platform", "product.upserted", 89 * day, fmt.Sprintf(
		`{"id":"drums","store_id":"studio","kind":"digital","title":%q}`, strings.Repeat("Drums ", 50))})
	for i, currency := range strings.Fields("usd eur gbp chf cad aud nzd sek nok") {
		events = append(events, sold("ann_"+currency, "Ann Lee", "drums", 9900-i, currency, time.Duration(i+1)*day))
	}
	events = append(events, told{"stripe", "customer.subscription.updated", 59 * day,
		`{"id":"sub_ivo","status":"active","customer":"cus_ivo","currency":"usd","start_date":` + unix(60*day) +
			`,"metadata":{"storeId":"studio","productId":"club"},` +
			`"items":{"data":[{"price":{"id":"price_club","unit_amount":1900},"current_period_end":` + unix(30*day) + `}]}}`})
	x, p := visit(t, browser.Phone, events...)
	p.Go(x.customerPath(t, "Ann Lee"))
	same(t, "figures", []string{"$99.00", "+ €98.99 +7 more", "9 payments"},
		p.Texts(".kpis div:first-child b, .kpis div:first-child small"))
	p.Has("#h-payments .n", "9")
	if all := browser.Eval[string](p, `document.querySelector(".kpis small").title`); strings.Count(all, " + ") != 8 {
		t.Errorf("all currencies: %q", all)
	}
	p.Type("#note", strings.Repeat("word ", 900))
	p.Click("#notes > form button")
	p.Has(".timeline q", "word")
	high := browser.Eval[float64](p, `Math.max(...[...document.querySelectorAll(".clamp")].map(e => e.offsetHeight))`)
	if high > 80 {
		t.Errorf("a title or a note is %v pixels high", high)
	}
	if n := browser.Eval[int](p, `document.querySelector(".payments bdi").title.length`); n < 299 {
		t.Errorf("the title has %d letters", n)
	}
	wide(t, p)
	p.Go(x.customerPath(t, "Ivo Marek"))
	p.Has(".payments small", "was to renew on "+time.Now().UTC().Add(-30*day).Format("2 Jan 2006"))
	if found := browser.Eval[bool](p, `document.querySelector("#mail .hint") !== null`); found {
		t.Error("a store without campaigns explains why there is no mail")
	}
}

// cutAll cuts each text at what follows.
func cutAll(texts []string, at string) []string {
	for i := range texts {
		texts[i], _, _ = strings.Cut(texts[i], at)
	}
	return texts
}

// A long story is told in parts, the newest first, with a script or without.
func TestPageTimeline(t *testing.T) {
	t.Parallel()
	events := studio()
	for i := range 41 { // with the first payment, two more of the start, and first seen: 44
		ago := time.Duration(50-i) * day
		events = append(events, told{"stripe", "invoice.paid", ago, fmt.Sprintf(
			`{"id":"in_ivo_%d","customer":"cus_ivo","subscription":"sub_ivo","amount_paid":%d,"currency":"usd","created":%s}`, i,
			2000+i, unix(ago))})
	}
	x, p := visit(t, browser.Desktop, events...)
	path := x.customerPath(t, "Ivo Marek")
	p.Go(path)
	for _, shown := range []int{20, 40} {
		p.Until(fmt.Sprintf(`document.querySelectorAll(".timeline li:not(.further, .day)").length === %d`, shown))
		p.Click(".timeline .further a")
	}
	p.Until(`!document.querySelector(".timeline .further")`)
	whole := p.Texts(".timeline li p")
	if n := len(whole); n != 44 || whole[0] != "Renewed Inner Circle for $20.40" || whole[n-1] != "Joined" {
		t.Errorf("%d: %q", n, whole)
	}
	if p.Address() != path {
		t.Errorf("the tab is at %s", p.Address())
	}
	p.Look(without)
	p.Go(path)
	var parts []string
	for n := 0; ; n++ {
		parts = append(parts, p.Texts(".timeline li p")...)
		if n == 2 {
			break
		}
		p.Click(".timeline .further a")
		p.Until(fmt.Sprintf(`document.querySelector(".timeline p")?.innerText.includes(%q)`, whole[len(parts)]))
	}
	same(t, "by links", whole, parts)
}

func TestPageNotes(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	path := x.customerPath(t, "Ann Lee")
	for _, look := range []browser.Look{browser.Desktop, without} {
		p.Look(look)
		p.Go(path)
		p.Click("#notes > form button")
		if bad := browser.Eval[bool](p, `document.querySelector("#note:invalid") !== null`); !bad || p.Address() != path {
			t.Errorf("an empty note was sent: %s", p.Address())
		}
		p.Type("#note", "Called her.\nLikes <b>drums</b>")
		p.Click("#notes > form button")
		p.Lists(".notes .text", "Called her.\nLikes <b>drums</b>")
		p.Until(`location.hash === "#notes"`)
		p.Has(".notes .hint", "an operator, just now")
		p.Has(".timeline q", "Likes <b>drums</b>")
		p.Type("#note", "Second")
		p.Click("#notes > form button")
		p.Lists(".notes .text", "Second", "Called her.\nLikes <b>drums</b>")
		p.Click(".notes li:nth-child(2) summary")
		p.Type(".notes li:nth-child(2) textarea", "Called back")
		p.Click(".notes li:nth-child(2) button")
		p.Lists(".notes .text", "Second", "Called back")
		p.Has(".notes li:nth-child(2) .hint", "edited")
		for range 2 {
			left := len(p.Texts(".notes li"))
			p.Click(".notes summary")
			p.Click(".notes .quiet")
			p.Until(fmt.Sprintf(`document.querySelectorAll(".notes li").length === %d`, left-1))
		}
	}
}

// A note that cannot be kept is given back, where it was written.
func TestPageNotesRefused(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	path := x.customerPath(t, "Ann Lee")
	p.Go(path)
	p.Type("#note", "   ")
	p.Expect("400 " + path + "/notes")
	p.Click("#notes > form button")
	p.Has(".error", "The note")
	lines := strings.Repeat("x\n", 2499) + "xx" // 5,000 characters: as many as the form takes
	set := func(selector, text string) {
		browser.Eval[bool](p, fmt.Sprintf(`(() => {
			const field = document.querySelector(%q);
			field.removeAttribute("maxlength");
			field.value = %q;
			return true;
		})()`, selector, text))
	}
	p.Go(path)
	set("#note", lines)
	p.Click("#notes > form button")
	p.Until(`document.querySelector(".notes .text")?.textContent.length === 5000`)
	p.Click(".notes summary")
	set(".notes textarea", lines+"y")
	p.Click(".notes button")
	p.Has(".error", "at most 5000")
	p.Until(`document.querySelector(".notes textarea").value.length === 5001 && document.querySelector("#note").value ` +
		`=== ""`)
	p.Type(".notes textarea", "Shorter")
	p.Click(".notes button")
	p.Until(`document.querySelector(".notes .text")?.textContent === "Shorter" && !document.querySelector(".error")`)
	set("#note", lines+"y")
	p.Click("#notes > form button")
	p.Has(".error", "at most 5000")
	p.Until(`document.querySelector("#note").value.length === 5001`)
}

// The page leads to the customers beside this one, on the list that the visitor came
// from, and back to it; a note written on the way leads nowhere else.
func TestPageNeighbours(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	query := "?sort=name&status=active"
	p.Go(listPath + query)
	names := p.Texts(".person h2")
	if len(names) < 3 {
		t.Fatalf("%q", names)
	}
	p.Go(x.customerPath(t, names[0]) + query)
	p.Until(`!document.querySelector("[rel=prev]")`)
	for _, name := range names[1:] {
		p.Click("[rel=next]")
		p.Has("h1", name)
	}
	p.Until(`!document.querySelector("[rel=next]")`)
	p.Type("#note", "Called.")
	p.Click("#notes > form button")
	p.Has(".notes .text", "Called.")
	p.Click("[rel=prev]")
	p.Has("h1", names[len(names)-2])
	p.Click(".crumbs a")
	p.Until(fmt.Sprintf(`location.pathname + location.search === %q`, listPath+query))
	p.Go(x.customerPath(t, names[0]) + "?type=nonsense&spent_min=x") // a list that cannot be: all
	p.Has("h1", names[0])
	p.Click(".crumbs a")
	p.Until(fmt.Sprintf(`location.pathname + location.search === %q`, listPath))
}

// A subscription's payments are inside it, and each says how it stands.
func TestPagePaymentsOfSubscription(t *testing.T) {
	t.Parallel()
	events := studio()
	for i := range 11 {
		ago := time.Duration(20-i) * day
		events = append(events, told{"stripe", "invoice.paid", ago, fmt.Sprintf(
			`{"id":"in_ivo_%d","customer":"cus_ivo","subscription":"sub_ivo","amount_paid":1900,"currency":"usd","created":%s}`,
			i, unix(ago))})
	}
	events = append(events, sold("pi_ivo", "Ivo Marek", "drums", 500, "eur", 15*day))
	x, p := visit(t, browser.Desktop, events...)
	for _, look := range []browser.Look{browser.Desktop, without} {
		p.Look(look)
		p.Go(x.customerPath(t, "Ivo Marek"))
		p.Has("#h-payments .n", "13")
		p.Has(".payments small", "12 payments")
		same(t, "states", []string{"Active", "Paid"}, p.Texts(".payments > tbody > tr > td > .state"))
		p.Click(".parts summary")
		if got := len(p.Texts(".parts tbody tr")); got != 12 {
			t.Errorf("%d payments inside", got)
		}
		wide(t, p)
	}
}

// Activity can be narrowed to a part, with earlier entries of the same.
func TestPageActivityAbout(t *testing.T) {
	t.Parallel()
	var events []told
	for i := range 25 {
		ago := time.Duration(30-i) * day
		events = append(events, sold(fmt.Sprintf("pi_ann_%d", i), "Ann Lee", "drums", 500, "usd", ago))
	}
	x, p := visit(t, browser.Desktop, events...)
	p.Go(x.customerPath(t, "Ann Lee"))
	p.Click(".abouts a:nth-child(2)")
	p.Has(".abouts [aria-current]", "Payments")
	p.Click(".timeline .further a")
	p.Until(`document.querySelectorAll(".timeline .bought").length === 25`)
	if got := p.Texts(".timeline li:not(.bought, .day)"); len(got) > 0 {
		t.Errorf("also %q", got)
	}
	p.Click(".abouts a:nth-child(4)")
	p.Has("#h-timeline ~ .none", "Nothing here yet")
}
