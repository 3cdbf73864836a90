package web

import (
	"fmt"
	"strings"
	"testing"

	"rollcall/internal/testing/browser"
)

// Who joined between two days is filtered by these days in the page's time zone: on the list, in its CSV, and in the
// segment that is made of it. An option takes the place of a day once that is emptied.
func TestPageFilterByDays(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.exec(t, `UPDATE stores SET time_zone = 'America/Los_Angeles'`)
	for name, at := range map[string]string{"Ann Lee": "2026-03-08T07:59:59Z", "Bob Stone": "2026-03-08T08:00:00Z",
		"Lena Voss": "2026-03-10T06:59:59Z", "Rita Okafor": "2026-03-10T07:00:00Z"} {
		x.exec(t, `UPDATE customers SET first_seen_at = $2 WHERE name = $1`, name, at)
	}
	set := func(name, day string) {
		t.Helper()
		p.Until(`!document.querySelector(".htmx-request")`)
		browser.Eval[bool](p, fmt.Sprintf(`(field => { field.value = %q;
			field.dispatchEvent(new Event("change", {bubbles: true})); return true; })(
			document.querySelector("[type=date][name=%s]"))`, day, name))
	}
	const since, before = "first_seen_after", "first_seen_before"
	p.Go(listPath + "?sort=name")
	unfold(p, "first_seen")
	p.Shot("days")
	set(since, "2026-03-08")
	p.Has(".chip", "since 8 Mar 2026")
	set(before, "2026-03-10")
	p.Has(".chip", "before 10 Mar 2026")
	p.Lists(".person h2", "Bob Stone", "Lena Voss")
	at(p, "first_seen_after=2026-03-08T00%3A00%3A00-08%3A00&first_seen_before=2026-03-10T00%3A00%3A00-07%3A00&sort=name")
	p.Click(".chip summary")
	p.Shot("days-chosen")
	wide(t, p)
	if _, csv := p.Download("#csv"); strings.Count(csv, "\n") != 3 || !strings.Contains(csv, "Bob Stone") {
		t.Errorf("the export: %s", csv)
	}
	p.Choose("[name=first_seen_after]", "365d")
	p.Has(".chip", "in the last 1 year")
	p.Until(`document.querySelector("[type=date][name=first_seen_after]").value === ""`)
	set(since, "2026-03-08")
	p.Has(".chip", "since 8 Mar 2026")
	p.Until(`document.querySelector("select[name=first_seen_after]").value === ""`)
	save := x.get(t, "/store/studio/segments/new?first_seen_after=2026-03-08T00%3A00%3A00-08%3A00", asAdmin).text
	wants(t, save, `value="2026-03-08"`, "have joined on or after 8 Mar 2026")

	p.Look(without)
	p.Go(listPath + "?sort=name&first_seen_after=90d&first_seen_after=2026-03-08&first_seen_before=&first_seen_before=")
	p.Has(".chip", "since 8 Mar 2026")
	at(p, "sort=name&first_seen_after=90d&first_seen_after=2026-03-08&first_seen_before=&first_seen_before=")
	p.Go(listPath + "?first_seen_after=36500d&first_seen_after=")
	p.Has(".chip", "in the last 36500d")
	if want := x.get(t, "/api/stores/studio/customers?first_seen_after=2026-03-08", asAdmin).text; !strings.Contains(want,
		"Ann Lee") {
		t.Errorf("a day is one in UTC for the API: %s", want)
	}
}
