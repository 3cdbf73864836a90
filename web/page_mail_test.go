package web

import (
	"strings"
	"testing"
	"time"

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

// A recipe is switched on in one click, and its preview names who is next. Another time it is looked at, rehearsed and
// switched on for who is there; the mail goes into the mailbox, its link is followed, and by that very mail the
// customer leaves: the next mail does not go, and their page says why. All is with a real worker, on a desktop and on a
// phone without a script.
func TestPageMail(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.addressed(t, "studio")
	x.exec(t, `UPDATE mail_settings SET quiet_from = NULL, quiet_to = NULL, cap_day = NULL, cap_week = NULL,
		home_url = $1`, x.url+listPath)
	x.hear(t, enrolled("Nia Park", "mixing", "0", 10*day), enrolled("Ivo Marek", "mixing", "0", 7*day))
	x.deliver(t)
	phone := browser.Phone
	phone.NoScript = true
	for _, look := range []browser.Look{browser.Desktop, phone} {
		p.Look(look)
		x.oneClick(t, p)
		campaign := x.rehearsed(t, p)
		p.Click(`[name="past"][value="all"]`)
		p.Click(`[name="to"][value="on"]`)
		p.Type("#count", "1")
		p.Click(`[name="to"][value="on"]`)
		p.Has("h1", "On")
		until(p, campaign, ".counts", "Mails sent 1")
		x.leftByIt(t, p)
		x.exec(t, `UPDATE runs SET next_at = now() WHERE ended_at IS NULL`) // a week later
		until(p, x.customerPath(t, "Nia Park"), "#mail", "Not sent")
		p.Has("#mail", "They want no more mail of one kind")
		x.wantCount(t, `SELECT count(*) FROM mails WHERE status = 'sent'`, 1)
		p.Click(`#mail a[href$="/mail"]`)
		p.Has("main", "Became due")
		p.Has(".run .plan", "Mail “")
		ended(p, campaign)
		x.exec(t, `DELETE FROM mails`)
		x.exec(t, `DELETE FROM runs`)
		x.exec(t, `DELETE FROM mail_stops`)
	}
}

// oneClick switches a recipe on in one click, looks at who is next, and ends it.
func (x *site) oneClick(t *testing.T, p *browser.Page) {
	p.Go(mailPath)
	p.Type(`#recipe-not_started [name="n.days"]`, "8")
	p.Click(`#recipe-not_started [value="on"]`)
	p.Has("h1", "On")
	campaign := p.Address()
	p.Click(`a[href$="/preview"]`)
	p.Has("main", "No mail would be due then.") // it begins now
	p.Has(".lead", "As it stands now.")
	p.Go(campaign + "/preview?day=" + x.Cfg.Now().AddDate(0, 0, 1).Format(time.DateOnly))
	p.Has(".lead", "The mails of that day")
	p.Has("tbody", "Ivo Marek")
	p.Has("tbody", "Would get it")
	ended(p, campaign)
	x.wantCount(t, `SELECT count(*) FROM mails`, 0)
}

// ended ends a campaign on its page.
func ended(p *browser.Page, campaign string) {
	p.Go(campaign)
	p.Click("#switch details summary")
	p.Click(`[value="ended"]`)
	p.Has("h1", "Ended")
}

// rehearsed makes a draft of the recipe and rehearses it for who is there, whose number is typed in.
func (x *site) rehearsed(t *testing.T, p *browser.Page) (campaign string) {
	p.Go(mailPath)
	p.Type(`#recipe-not_started [name="n.days"]`, "8")
	p.Click(`#recipe-not_started [value="draft"]`)
	p.Has("h1", "Not started")
	p.Has(".lead", "Customers who enrolled in a course 8 days ago and have not started.")
	campaign = p.Address()
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
	x.wantCount(t, `SELECT count(*) FROM mails WHERE status = 'sent'`, 0)
	p.Go(campaign)
	return campaign
}

// leftByIt opens the mail in the mailbox, follows its link, and leaves by it.
func (x *site) leftByIt(t *testing.T, p *browser.Page) {
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
	p.Has("main", "Choose what to stop.")
	x.wantCount(t, `SELECT count(*) FROM mail_stops`, 0) // programs open links, too
	p.Click(`[name="do"][value="kind"]`)
	p.Has("main", "You no longer get emails of this kind from Aurora Academy.")
	p.Go(x.customerPath(t, "Nia Park"))
	p.Has("#mail", "Sent")
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
