package web

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/show"
	"rollcall/internal/testing/browser"
	"rollcall/store/customers"
	"rollcall/web/core"
)

// listed waits until the list has exactly these people, in this order.
func listed(p *browser.Page, names ...string) { p.Lists(".person h2", names...) }

// at waits until the tab is at a list with these parameters.
func at(p *browser.Page, query string) {
	p.Until(fmt.Sprintf(`location.pathname + location.search === %q`, strings.TrimSuffix(listPath+"?"+query, "?")))
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// daysSince is how many midnights there were in a time that ends now.
func daysSince(ago time.Duration) string {
	now := time.Now().UTC()
	return fmt.Sprint(int(now.Truncate(day).Sub(now.Add(-ago).Truncate(day)) / day))
}

// joined is the day of some time ago, as the list writes it.
func joined(ago time.Duration) string {
	return show.DayShort(time.Now().UTC(), time.Now().UTC().Add(-ago))
}

func TestPageList(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.exec(t, `UPDATE customers SET name = NULL WHERE name = 'Lena Voss'`)
	p.Go(listPath)
	same(t, "rows", []string{
		"AL Ann Lee ann.lee@mail.example Lead Mixing Basics 40% — Reached 40% in Mixing Basics 2 h " + joined(2*time.Hour),
		"BS Bob Stone bob.stone@mail.example Customer Mastering in the Box 10% +1 more $299.00 " +
			"Reached 10% in Mastering in the Box 3 h " + joined(40*day),
		"ZM Zoë Müller zoe.muller@mail.example Customer Drum Kit Vol. 1 €25.00 Bought Drum Kit Vol. 1 5 d " + joined(5*day),
		"RO Rita Okafor rita.okafor@mail.example Customer Inactive Drum Kit Vol. 1 Disputed $25.00 refunded " +
			"$75.00 disputed Bought Drum Kit Vol. 1 2 w " + joined(20*day),
		"IM Ivo Marek ivo.marek@mail.example Subscriber Inner Circle $19.00 Paid for Inner Circle 2 mo " + joined(60*day),
		"L lena.voss@mail.example Lead Inactive — Enrolled in Mixing Basics 2 mo " + joined(80*day),
	}, p.Texts(".person"))
	same(t, "tabs", []string{"All 6", "Leads 2", "Customers 3", "Subscribers 1", "Inactive 2"}, p.Texts(".tabs nav a"))
	same(t, "figures", []string{"Net revenue $318.00 + €25.00", "Paying share 67% 4 of 6",
		"Average progress 50% 1 finished",
		"New customers, last 30 days · 3, up from 1 " + joined(29*day) + " " + joined(15*day) + " " + joined(0) + " 1"},
		p.Texts(".kpis > div"))
	same(t, "days with newcomers", []string{"20", "5", daysSince(2 * time.Hour)}, browser.Eval[[]string](p, `(() => {
		const bars = [...document.querySelectorAll(".kpis rect")];
		return bars.flatMap((bar, i) => bar.getBoundingClientRect().height > 0 ? String(bars.length - 1 - i) : []);
	})()`))
	same(t, "progress", []string{"40", "10"},
		browser.Eval[[]string](p, `[...document.querySelectorAll(".prog progress")].map(b => String(b.value))`))
	p.Has(".under", "Showing 1–6 of 6")
	if got := p.Texts(".top .brand bdi, h1"); !slices.Equal(got, []string{"Aurora Academy", "Customers"}) {
		t.Error(got)
	}
	p.Click(".person:nth-child(2) h2 a")
	p.Has("h1", "Bob Stone")
}

// What is chosen narrows the list at once, and is in the address: so it can be
// undone part by part, gone back from, and passed on.
func TestPageFilters(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath)
	unfold(p, "type")
	tick(p, "type", "paying")
	listed(p, "Bob Stone", "Zoë Müller", "Rita Okafor")
	unfold(p, "product")
	tick(p, "product", "drums")
	listed(p, "Zoë Müller", "Rita Okafor")
	unfold(p, "spent")
	p.Type("#f-spent_min", "20\r")
	listed(p, "Zoë Müller")
	at(p, "product=drums&spent_min=20&type=paying")
	same(t, "chips", []string{"Bought Drum Kit Vol. 1 ×", "Spent at least 20 ×"}, p.Texts(".chip"))
	same(t, "tabs", []string{"All 1", "Leads 0", "Customers 1", "Subscribers 0", "Inactive 0"}, p.Texts(".tabs nav a"))

	chosen := func() string {
		return browser.Eval[string](p, `(form => [form.get("sort"), form.getAll("type"), form.getAll("product"),
			form.get("spent_min")].join("|"))(new FormData(document.querySelector(".tools")))`)
	}
	for _, step := range []struct {
		do           func()
		query, chose string
		names        []string
	}{
		{p.Back, "product=drums&type=paying", "-last_activity|paying|drums|", []string{"Zoë Müller", "Rita Okafor"}},
		{p.Back, "type=paying", "-last_activity|paying||", []string{"Bob Stone", "Zoë Müller", "Rita Okafor"}},
		{p.Forward, "product=drums&type=paying", "-last_activity|paying|drums|", []string{"Zoë Müller", "Rita Okafor"}},
		{p.Forward, "product=drums&spent_min=20&type=paying", "-last_activity|paying|drums|20", []string{"Zoë Müller"}},
		{func() { p.Click(`.chip:nth-child(1) .x`) }, "spent_min=20&type=paying", "-last_activity|paying||20",
			[]string{"Bob Stone", "Zoë Müller"}},
		{func() { p.Click(`.customers th:nth-child(2) a`) }, "sort=name&spent_min=20&type=paying", "name|paying||20",
			[]string{"Bob Stone", "Zoë Müller"}},
		{func() { p.Click(`.customers th:nth-child(2) a`) }, "sort=-name&spent_min=20&type=paying", "-name|paying||20",
			[]string{"Zoë Müller", "Bob Stone"}},
		{func() { p.Click(`.tabs nav a:nth-child(1)`) }, "sort=-name&spent_min=20", "-name|||20",
			[]string{"Zoë Müller", "Bob Stone"}},
		{func() { p.Click(`.tools .clear`) }, "", "-last_activity|||",
			[]string{"Ann Lee", "Bob Stone", "Zoë Müller", "Rita Okafor", "Ivo Marek", "Lena Voss"}},
		{func() { p.Click(`.tabs nav a:nth-child(4)`) }, "type=subscription", "-last_activity|subscription||",
			[]string{"Ivo Marek"}},
		{func() { unfold(p, "type"); tick(p, "type", "lead") }, "type=lead&type=subscription",
			"-last_activity|lead,subscription||", []string{"Ann Lee", "Ivo Marek", "Lena Voss"}},
	} {
		step.do()
		at(p, step.query)
		listed(p, step.names...)
		if got := chosen(); got != step.chose {
			t.Errorf("%s: the menus show %s, want %s", step.query, got, step.chose)
		}
	}
	p.Lists(".chip summary > *", "Type", "Leads or Subscribers") // no tab says so
}

// Filters of a course are asked together with it, and forgotten with it.
func TestPageCourseFilters(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath + "?status=active")
	unfold(p, "course")
	p.Choose("#f-completed", "yes")
	listed(p, "Bob Stone")
	tick(p, "course", "mixing")
	listed(p, "Bob Stone")
	at(p, "completed=yes&course=mixing&status=active")
	p.Choose("#f-completed", "no")
	listed(p, "Ann Lee")
	p.Choose("#f-completed", "")
	listed(p, "Ann Lee", "Bob Stone") // or the fields are drawn again while one is typed into
	p.Type("#f-progress_min", "50\t")
	listed(p, "Bob Stone")
	unfold(p, "not_course")
	tick(p, "not_course", "mastering")
	p.Has(".empty", "No customers match these filters")
	p.Click(".chip:has([data-group=course]) .x")
	at(p, "not_course=mastering&status=active")
	listed(p, "Ann Lee", "Zoë Müller", "Ivo Marek")
}

func TestPageSearchAndSort(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	p.Go(listPath)
	for _, c := range []struct{ typed, name string }{
		{"zoe mull", "Zoë Müller"}, {"MÜLLER", "Zoë Müller"}, {"rita.o", "Rita Okafor"}, {"inner circ", "Ivo Marek"},
		{"in the box", "Bob Stone"}, {"%", ""}, {"aNN", "Ann Lee"},
	} {
		p.Type("#q", c.typed)
		if c.name == "" {
			p.Has(".empty", "No customers match these filters")
		} else {
			listed(p, c.name)
		}
		p.Until(fmt.Sprintf(`new URLSearchParams(location.search).get("q") === %q`, c.typed))
	}
	p.Has(".tools .clear", "Clear")
	if got := browser.Eval[bool](p, `document.activeElement.id === "q"`); !got {
		t.Error("the search has lost the focus while somebody typed")
	}
	p.Type("#q", "")
	at(p, "")
	for _, c := range []struct{ sort, first, last string }{
		{"name", "Ann Lee", "Zoë Müller"}, {"-name", "Zoë Müller", "Ann Lee"}, {"email", "Ann Lee", "Zoë Müller"},
		{"-first_seen", "Ann Lee", "Lena Voss"},
		// there are several with nothing
		{"first_seen", "Lena Voss", "Ann Lee"}, {"last_activity", "Lena Voss", "Ann Lee"}, {"-spent", "Bob Stone", ""},
		{"spent", "", "Bob Stone"},
	} {
		p.Go(listPath + "?sort=" + c.sort)
		at(p, "sort="+c.sort)
		p.Has(".person:first-child h2", c.first)
		p.Has(".person:last-child h2", c.last)
	}
}

// The list goes on as far as there are people, each once and in order: by
// scrolling, by the button, and by the link that it is without a script.
func TestPageScroll(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.hear(t, crowd(120)...)
	var api struct{ Data []struct{ Name string } }
	var want []string
	for cursor := ""; ; {
		var page struct {
			Next string `json:"next_cursor"`
		}
		answer := x.get(t, "/api/stores/studio/customers?limit=100&cursor="+cursor, asAdmin)
		unmarshal(t, answer, &page)
		unmarshal(t, answer, &api)
		for _, c := range api.Data {
			want = append(want, c.Name)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	p.Go(listPath)
	p.Until(`document.querySelectorAll(".person").length === 50`)
	for range 2 {
		seen := browser.Eval[int](p, `document.querySelectorAll(".person").length`)
		browser.Eval[bool](p, `(scrollTo(0, document.body.scrollHeight), true)`)
		p.Until(fmt.Sprintf(`document.querySelectorAll(".person").length > %d`, seen))
	}
	same(t, "by scrolling", want, p.Texts(".person h2"))
	at(p, "shown="+fmt.Sprint(len(want)))
	row := browser.Eval[int](p, `(() => {
		const row = document.querySelectorAll(".person")[70];
		row.scrollIntoView({ block: "center" });
		return Math.round(row.getBoundingClientRect().top);
	})()`)
	p.Click(fmt.Sprintf(".person:nth-of-type(%d) h2 a", 71))
	p.Has("h1", want[70])
	p.Back()
	p.Until(fmt.Sprintf(`location.pathname === %q && scrollY > 0`, listPath))
	same(t, "on the way back", want, p.Texts(".person h2"))
	p.Until(fmt.Sprintf(`Math.abs(document.querySelectorAll(".person")[70].getBoundingClientRect().top - %d) < 5`, row))
	p.Has(".under", fmt.Sprintf("Showing 1–%d", len(want)))
	p.Choose("#sort", "name")
	at(p, "sort=name") // another list begins where it begins
	back := x.get(t, listPath+"?shown=100", asAdmin).text
	if n := strings.Count(back, `<tr class="person">`); n != 100 || !strings.Contains(back, "from=101") ||
		strings.Contains(back, "limit=") || strings.Contains(back, "&amp;shown=") {
		t.Errorf("with 100 shown there are %d, and the list does not go on as before", n)
	}
	for _, nonsense := range []string{"0", "-5", "abc", "999999999999"} {
		if got := x.get(t, listPath+"?shown="+nonsense, asAdmin); got.StatusCode != 200 {
			t.Errorf("shown=%s: %d", nonsense, got.StatusCode)
		}
	}
	p.Go(listPath)
	p.Click(".further a") // which comes into view by that: both may ask
	// The next button leads to a page of its own until the script has seen it.
	p.Until(`document.querySelectorAll(".person").length === 100 && !document.querySelector(".htmx-added")`)
	p.Click(".further a")
	p.Until(`document.querySelectorAll(".person").length > 100`)
	same(t, "by the button", want, p.Texts(".person h2"))

	p.Look(browser.Look{Width: 390, Height: 844, NoScript: true})
	var got []string
	p.Go(listPath + "?sort=-last_activity")
	for n := 1; ; n++ {
		names := p.Texts(".person h2")
		got = append(got, names...)
		if n == 3 {
			break
		}
		p.Click(".further a")
		p.Until(fmt.Sprintf(`document.querySelector(".person h2")?.innerText === %q`, want[len(got)]))
	}
	same(t, "by links", want, got)
	p.Click(".hint a")
	at(p, "")
}

// The download is the list that is shown, whether the page came with its filter
// or was filtered since.
func TestPageDownload(t *testing.T) {
	t.Parallel()
	_, p := visit(t, browser.Desktop)
	download := func(want ...string) {
		t.Helper()
		name, content := p.Download("#csv")
		rows, err := csv.NewReader(strings.NewReader(content)).ReadAll()
		if err != nil || !strings.HasPrefix(name, "customers-studio-") || !strings.HasSuffix(name, ".csv") {
			t.Fatalf("%s: %v %.300s", name, err, content)
		}
		var got []string
		for _, row := range rows[1:] {
			got = append(got, row[2])
		}
		same(t, "people in the file", want, got)
	}
	p.Go(listPath + "?type=paying&sort=name")
	download("Bob Stone", "Rita Okafor", "Zoë Müller")
	p.Has("#csv", "Export 3") // said otherwise for a while
	p.Type("#q", "drum")
	listed(p, "Rita Okafor", "Zoë Müller")
	download("Rita Okafor", "Zoë Müller")
	unfold(p, "type")
	tick(p, "type", "subscription")
	tick(p, "type", "paying") // last: without any value the boxes move into the menu
	p.Has(".empty", "No customers match these filters")
	download()
	p.Back()
	listed(p, "Rita Okafor", "Zoë Müller")
	download("Rita Okafor", "Zoë Müller")
	p.Look(without)
	p.Go(listPath + "?sort=name&status=inactive")
	download("Lena Voss", "Rita Okafor")
}

// What a list says that has nobody to show.
func TestPageNobody(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.hear(t, told{"platform", "store.upserted", time.Hour, `{"id":"new","name":"Brand New"}`})
	var last struct{ Next string }
	unmarshal(t, x.get(t, "/api/stores/studio/customers?limit=5", asAdmin), &last)
	end := x.cursorAfter(t, "lena.voss@mail.example")
	for _, script := range []bool{true, false} {
		for _, c := range []struct{ path, says, leadsTo string }{
			{"/store/new/customers", "No customers yet", ""},
			{listPath + "?q=nobody&type=lead", "No customers match these filters", listPath},
			{listPath + "?spent_min=abc", "Correct what is marked above", listPath},
			{listPath + "?spent_min=abc&first_seen_after=zzz", `Joined in the last: "zzz" is not allowed`, listPath},
			{listPath + "?typo=1", "typo", listPath},
			{listPath + "?cursor=" + end, "End of the list", ""},
		} {
			p.Look(browser.Look{Width: 1280, Height: 900, NoScript: !script})
			if strings.Contains(c.path, "spent_min") || strings.Contains(c.path, "typo") {
				p.Expect("400 " + c.path)
			}
			p.Go(c.path)
			p.Has(".empty", c.says)
			if c.leadsTo != "" {
				p.Click(".empty .button")
				p.Until(fmt.Sprintf(`location.pathname + location.search === %q && document.querySelector(".person")`, c.leadsTo))
			}
		}
	}
	// The same, asked for by the menus.
	p.Look(browser.Desktop)
	p.Go(listPath)
	unfold(p, "spent")
	p.Type("#f-spent_min", "abc\t")
	p.Has(".chip.wrong .error", `"abc" is not allowed`)
	p.Type("#f-spent_min", "20\t")
	listed(p, "Bob Stone", "Zoë Müller")
}

// A page has one locale: in its sentences, and in what is typed into its forms. The API keeps the point.
func TestListInGerman(t *testing.T) {
	x := open(t, nil)
	x.hear(t, append(studio(), enrolled("Ann Lee", "mixing", "45.5", time.Hour))...)
	german := withHeader("Accept-Language", "de")
	page := x.get(t, listPath+"?progress_min=1,5&spent_max=10,25&sort=name", asAdmin, german)
	wants(t, page.text, "Reached 45\u00a0% in Mixing Basics", "at least 1,5\u00a0%", `name="progress_min" value="1,5"`,
		"at most 10,25", "progress_min=1.5", "spent_max=10.25")
	if page.StatusCode != 200 {
		t.Errorf("%d", page.StatusCode)
	}
	wants(t, x.get(t, listPath+"?progress_min=1.5", asAdmin, german).text, "at least 1,5\u00a0%")
	wants(t, x.get(t, listPath+"?spent_max=1.234,5&purchases_max=1234", asAdmin, german).text,
		"at most 1.234,5", "at most 1.234<", `name="spent_max" value="1234,5"`)
	for _, path := range []string{listPath + "?spent_max=1.2,5", "/api/stores/studio/customers?spent_max=1,5"} {
		if got := x.get(t, path, asAdmin, german); got.StatusCode != 400 {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}

// cursorAfter is where the list goes on after its last customer.
func (x *site) cursorAfter(t *testing.T, last string) string {
	t.Helper()
	x.exec(t, `INSERT INTO customers (store_id, email, last_activity_at)
		VALUES ('studio', 'gone@mail.example', '2001-01-01')`)
	var page struct {
		Data []struct{ Email string }
		Next string `json:"next_cursor"`
	}
	unmarshal(t, x.get(t, "/api/stores/studio/customers?limit=6", asAdmin), &page)
	if page.Data[5].Email != last || page.Next == "" {
		t.Fatalf("%+v", page)
	}
	x.exec(t, `DELETE FROM customers WHERE email = 'gone@mail.example'`)
	return page.Next
}

// A database that is away is said where the list would be, and the list that is
// there stays.
func TestPageTrouble(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	p.Go(listPath)
	x.Cfg.Store.Close()
	p.Expect("500 " + listPath)
	p.Expect("Response Status Error Code 500")
	p.Type("#q", "a")
	p.Has(".trouble", "The list could not be loaded")
	p.Hear("Response Status Error Code 500")
	if n := len(p.Texts(".person")); n != 6 {
		t.Errorf("%d rows are left", n)
	}
	p.Go(listPath)
	p.Has("main", "Something went wrong")
}

// Pinned segments stand beside the tabs with their counts, once the page is there; the one
// that is chosen is a chip by its name, and a rule one by its sentence.
func TestPagePinned(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.exec(t, `INSERT INTO segments (id, store_id, name, folded, kind, rule, pinned, created_by)
		VALUES ('seg_pinned0001', 'studio', 'Big <b>spenders', 'big', 'dynamic', '{"spent":{"min":"100"}}', true, 'admin'),
			('seg_other00001', 'studio', 'Other', 'other', 'dynamic', '{"spent":{"min":"100"}}', false, 'admin')`)
	p.Go(listPath)
	p.Lists(".pinned a", "Big <b>spenders 1")
	p.Click(".pinned a")
	listed(p, "Bob Stone")
	p.Lists(".chip summary > *", "In the segment", "Big <b>spenders")
	p.Has(`.pinned [aria-current]`, "Big <b>spenders")
	p.Lists(".tabs [aria-current]", "Big <b>spenders 1") // and no tab
	p.Has(".tabs nav a", "All 1")
	p.Click(".tabs nav a:nth-child(3)")
	p.Until(`document.querySelector(".tabs nav [aria-current]").innerText === "Customers 1"`)
	p.Go(listPath + `?rule={"spent":{"min":"100"}}`)
	listed(p, "Bob Stone")
	p.Has(".chip .said", "Customers who")
	unfold(p, "status")
	tick(p, "status", "inactive") // and the rule is kept
	p.Has(".empty", "No customers match these filters")
}

// What customers did last is said in a sentence.
func TestSentences(t *testing.T) {
	mixing := []customers.Course{{ID: "mixing", Progress: 45.9}}
	for want, c := range map[string]customers.Customer{
		"Reached 45% in Mixing": {LastActivity: "progress", Courses: mixing},
		"Finished Mixing":       {LastActivity: "completion", Courses: mixing},
		"Progressed in Mixing":  {LastActivity: "progress"}, // it is over
		"Enrolled in Mixing":    {LastActivity: "enrollment"},
		"Bought Mixing":         {LastActivity: "course_purchase"},
		"Subscribed to Mixing":  {LastActivity: "subscription"},
		"Paid for Mixing":       {LastActivity: "payment"},
	} {
		c.LastActivityOf = customers.Subject{ID: "mixing", Title: "Mixing"}
		if got := core.Did(c, show.English); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := core.Did(customers.Customer{LastActivity: "sign_in"}, show.English); got != "Signed in" {
		t.Errorf("%q", got)
	}
}
