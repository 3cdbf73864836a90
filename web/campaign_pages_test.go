package web

import (
	"net/url"
	"strings"
	"testing"

	"rollcall/store/campaigns"
)

// The pages of a campaign say which of its texts leads nowhere, when it has its turn, and why Rollcall paused it: then
// "Go on" asks for the number. Results name steps, and count links.
func TestWhatCampaignPagesSay(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fill(t)
	x.addressed(t, "store_a")
	c := x.news(t)
	page := "/store/store_a/mail/campaigns/" + c.ID
	wants(t, x.page(t, page), "!uses {link}", "Its turn is 0 of 0 (first) to 9 (last)")
	steps := c.Steps
	steps[0].Mail.Body = "[Go]({link})"
	five := 5
	if _, err := campaigns.New(x.Cfg.Store).Update(t.Context(), "store_a", c.ID, campaigns.Change{Steps: steps,
		Priority: &five}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{page, page + "/edit", page + "/preview"} {
		wants(t, x.page(t, path), "Step 1", "uses {link}, and the store has not said where links lead")
	}
	wants(t, x.page(t, page+"/edit"), `name="priority" value="5"`)
	if got := x.send(t, "POST", page+"/switch", "to=on", asAdmin); got.StatusCode != 409 ||
		!strings.Contains(got.text, "uses {link}") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}

	x.exec(t, `UPDATE mail_settings SET home_url = 'https://a.example/home'`)
	x.exec(t, `UPDATE campaigns SET state = 'paused', switched_at = $1, starts_from = $1, confirmed = 1200,
		unconfirmed = true`, x.Cfg.Now())
	wants(t, x.page(t, page), "Rollcall paused it before anyone was mailed: 1,200 customers were confirmed",
		"!uses {link}", `!name="count"`)
	got := x.send(t, "POST", page+"/switch", url.Values{"to": {"on"}}.Encode(), asAdmin)
	if got.StatusCode != 400 {
		t.Errorf("%d", got.StatusCode)
	}
	wants(t, got.text, "This reaches 1 customer at once. Type that number", `name="count"`)
	if got := x.send(t, "POST", page+"/switch", "to=on&count=1", asAdmin); got.StatusCode != 303 {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	x.run(t)
	x.exec(t, `INSERT INTO mail_links (store_id, url) VALUES ('store_a', 'https://a.example/home')`)
	x.exec(t, `INSERT INTO mail_clicks (link_id, day, people, machines) SELECT id, now()::date + 1, 7, 3 FROM mail_links`)
	wants(t, x.page(t, page), "1. "+c.Steps[0].Mail.Subject, "https://a.example/home", "Clicks by people", "Got a mail")
}
