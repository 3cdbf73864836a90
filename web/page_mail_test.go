package web

import (
	"strings"
	"testing"

	"rollcall/internal/testing/browser"
	"rollcall/store/campaigns"
	"rollcall/web/core"
)

// mailStates are those of the pages about mail.
func mailStates(t *testing.T, x *site) []state {
	x.addressed(t, "studio")
	x.exec(t, `UPDATE mail_settings SET home_url = 'https://studio.example'`) // {link} leads there
	x.hear(t, enrolled("Nia Park", "mixing", "0", 10*day), enrolled("Tom Ade", "mastering", "0", 9*day),
		enrolled("Ivo Marek", "mixing", "0", 20*day))
	n := 3
	on, draft := x.campaign(t, "not_started"), x.campaign(t, "stuck")
	x.switched(t, on, campaigns.Order{To: campaigns.On, Past: "all", Count: &n})
	x.run(t)
	kept := x.keep(t, "studio", "ann.lee@mail.example", "Mixing Basics is waiting <b>for</b> you",
		"<!DOCTYPE html><html lang=\"en\"><head><title>x</title></head><body><p>Hi Ann</p></body></html>", "Hi Ann\n\nGo on.")
	id := x.id(t, core.MailID, kept)
	x.exec(t, `UPDATE mails SET status = 'unknown', reason = 'cut', claimed_at = now(), provider = 'smtp'
		WHERE email = 'nia.park@mail.example'`)
	x.exec(t, `UPDATE mails SET status = 'failed', reason = 'hard', answer = '550 5.1.1 <…> no such user'
		WHERE email = 'tom.ade@mail.example'`)
	nia := x.customerPath(t, "Nia Park")
	return []state{
		{name: "deliverability", path: mailPath + "/deliverability"},
		{name: "preview", path: mailPath + "/campaigns/" + draft.ID + "/preview"},
		{name: "preview of one on", path: mailPath + "/campaigns/" + on.ID + "/preview"},
		{name: "customer with mail", path: nia},
		{name: "why mail", path: nia + "/mail"},
		{name: "reach", path: mailPath + "/campaigns/" + draft.ID, expect: "400 ", prepare: func(p *browser.Page) {
			p.Click(`[name="past"][value="all"]`)
			p.Click(`[name="to"][value="on"]`)
			p.Has(".error", "Type that number")
		}},
		{name: "mail", path: mailPath},
		{name: "mail of a new store", path: "/store/new/mail"},
		{name: "recipe refused", path: mailPath, expect: "400 ", prepare: func(p *browser.Page) {
			p.Type(`#recipe-not_started [name="n.days"]`, "9999")
			p.Click(`#recipe-not_started [value="draft"]`)
			p.Has(".error", "9999")
		}},
		{name: "draft", path: mailPath + "/campaigns/" + draft.ID},
		{name: "campaign", path: mailPath + "/campaigns/" + on.ID},
		{name: "edit", path: mailPath + "/campaigns/" + draft.ID + "/edit"},
		{name: "new campaign", path: mailPath + "/new"},
		{name: "mailbox", path: mailPath + "/mailbox"},
		{name: "kept", path: mailPath + "/mailbox/" + id},
		{name: "settings of mail", path: "/store/studio/settings"},
	}
}

// A recipe is looked at, previewed, rehearsed, switched on, and its mail sent into the mailbox, followed
// and unsubscribed from: all with a real worker, on a desktop and on a phone without a script.
func TestPageMail(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.addressed(t, "studio")
	x.exec(t, `UPDATE mail_settings SET quiet_from = NULL, quiet_to = NULL, cap_day = NULL, cap_week = NULL,
		home_url = $1`, x.url+listPath)
	x.hear(t, enrolled("Nia Park", "mixing", "0", 10*day))
	x.deliver(t)
	phone := browser.Phone
	phone.NoScript = true
	for _, look := range []browser.Look{browser.Desktop, phone} {
		p.Look(look)
		p.Go(mailPath)
		p.Type(`#recipe-not_started [name="n.days"]`, "8")
		p.Click(`#recipe-not_started [value="draft"]`)
		p.Has("h1", "Not started")
		p.Has(".lead", "Customers who enrolled in a course 8 days ago and have not started.")
		campaign := p.Address()

		p.Click(`a[href$="/preview"]`)
		p.Has("main", "No mail would be due then.") // it would begin now
		p.Go(campaign)
		p.Click(`[name="past"][value="all"]`)
		p.Expect("400 ")
		p.Click(`[name="to"][value="rehearsal"]`)
		p.Has(".error", "This reaches 1 customer at once. Type that number")
		p.Type("#count", "1")
		p.Click(`[name="to"][value="rehearsal"]`)
		p.Has("h1", "Rehearsal")
		until(p, campaign, ".counts", "Entered 1")
		p.Click(`a[href$="/preview"]`)
		p.Has("h1", "Who gets it?")
		p.Go(campaign)
		p.Click(`[name="past"][value="all"]`)
		p.Click(`[name="to"][value="on"]`)
		p.Type("#count", "1")
		p.Click(`[name="to"][value="on"]`)
		p.Has("h1", "On")
		until(p, campaign, ".counts", "Mails sent 1")

		p.Go(mailPath + "/mailbox")
		p.Has(".box li", "Mixing Basics is waiting for you")
		p.Click(".box a")
		p.Has("main .text", "Hi Nia,")
		p.Has(".headers", "")
		html := p.Address() + "/html"
		p.Allow("404 /favicon.ico") // the mail has none, and not every browser asks
		p.Go(html)
		p.Has("body", "You get this mail because you are a customer of Aurora Academy.")
		p.Click(`a[href*="` + listPath + `"]`) // the link of the mail
		p.Until(`location.pathname === "` + listPath + `"`)
		p.Go(html)
		p.Click(`a[href*="/mail/u/"]`)
		p.Has("body", "Aurora Academy")

		p.Go(x.customerPath(t, "Nia Park"))
		p.Has("#mail", "Sent")
		p.Click(`#mail a[href$="/mail"]`)
		p.Has("main", "Became due")
		p.Has(".run .plan", "Mail “")
		p.Go(campaign)
		p.Click("#switch details summary")
		p.Click(`[value="ended"]`)
		p.Has("h1", "Ended")
		x.exec(t, `DELETE FROM mails`)
		x.exec(t, `DELETE FROM runs`)
	}
}

// until loads a page again and again, until a part of it has a text.
func until(p *browser.Page, path, selector, text string) {
	p.Go(path)
	squeeze := `document.querySelector("` + selector + `")?.innerText.replace(/\s+/g, " ")`
	for range 1000 {
		if strings.Contains(browser.Eval[string](p, squeeze), text) {
			return
		}
		p.Go(path)
	}
	p.Has(selector, text)
}
