package web

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"rollcall/internal/testing/browser"
	"rollcall/mail"
	"rollcall/store/campaigns"
	storemail "rollcall/store/mail"
	"rollcall/web/core"
)

// A person presses the button of the page that a mail leads to: the next mail is not sent to them, their page
// says why, and they can take it back. So it is on a desktop, and on a phone without a script.
func TestPageLeave(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.addressed(t, "studio")
	x.exec(t, `UPDATE mail_settings SET quiet_from = NULL, quiet_to = NULL, cap_day = NULL, cap_week = NULL`)
	x.hear(t, enrolled("Nia Park", "mixing", "0", 10*day))
	x.deliver(t)
	x.exec(t, `INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		VALUES ('studio', '', 'nia.park@mail.example', 'marketing', 'granted', '2025-01-01', 'import', '2025')`)
	keys, err := storemail.NewRecipients(x.Cfg.Store).Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Allow("404 /favicon.ico") // the page has none
	phone := browser.Phone
	phone.NoScript = true
	for _, look := range []browser.Look{browser.Desktop, phone} {
		p.Look(look)
		link := "/mail/u/" + keys.Leave(mail.Ticket{
			Mail: x.keep(t, "studio", "nia.park@mail.example", "News", "<p>Hi</p>", "Hi")})
		p.Go(link)
		p.Click(`[name="do"][value="store"]`)
		p.Has("main", "You no longer get news from Aurora Academy.")
		p.Go(link) // again, from the mail
		p.Click(`[name="do"][value="all"]`)
		p.Has("main", "You no longer get news from any store here.")
		x.exec(t, `INSERT INTO mails (store_id, email, class, step, occurrence, version, due_at, not_after)
			VALUES ('studio', 'nia.park@mail.example', 'marketing', 'next', '', 1, now(), now() + interval '1 day')`)
		until(p, x.customerPath(t, "Nia Park"), "#mail", "Not sent")
		p.Has("#mail", "They unsubscribed from marketing mail")
		p.Go(link)
		p.Click(`[name="do"][value="again-all"]`)
		p.Has("main", "You get emails again.")
		x.wantCount(t, `SELECT count(*) FROM mail_stops`, 0)
		x.exec(t, `DELETE FROM mails`)
	}
}

// Whatever people write into campaigns, segments, mails and names, the pages about mail show it as what it is,
// and are no wider than a phone.
func TestPageMailHostile(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop, attack()...)
	x.exec(t, `INSERT INTO mail_settings (store_id, postal_address, reply_to, from_name)
		VALUES ($1, $2, 'me@x.example', $3)`, hostileStore, most("script", 300), most("override", 60))
	base := "/store/" + url.PathEscape(hostileStore) + "/mail"
	pages := map[string]string{"mail": base, "new campaign": base + "/new", "mailbox": base + "/mailbox",
		"deliverability": base + "/deliverability", "operators": "/admin/mail"}
	n := 0
	for kind := range hostile {
		n++
		body := strings.ReplaceAll(most(kind, 1000), "<", "&lt;") // else it is refused
		segment := fmt.Sprintf("seg_%s", strings.Repeat(string(rune('a'+n)), 10))
		x.exec(t, `INSERT INTO segments (id, store_id, name, folded, kind, created_by)
			VALUES ($1, $2, $3, $1, 'static', 'admin')`, segment, hostileStore, most(kind, 60))
		c, err := campaigns.New(x.Cfg.Store).Create(t.Context(), hostileStore, campaigns.Campaign{Name: most(kind, 60),
			Class: campaigns.Service, Trigger: campaigns.Trigger{Question: "not_started"},
			Audience: []byte(`{"segment":"` + segment + `"}`),
			Steps: []campaigns.Step{
				{Do: campaigns.DoMail, Mail: &campaigns.Text{Subject: most(kind, 150), Body: body}},
				{Do: campaigns.DoNote, Note: most(kind, 1000)}}}, "admin")
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		for _, part := range []string{"", "/edit", "/preview"} {
			pages["campaign, "+kind+part] = base + "/campaigns/" + c.ID + part
		}
		text := most(kind, 5000)
		id := x.keep(t, hostileStore, fmt.Sprintf("h%d@x.example", n), most(kind, 150),
			"<!DOCTYPE html><p>"+html.EscapeString(text)+"</p>", text)
		pages["kept, "+kind] = base + "/mailbox/" + x.id(t, core.MailID, id)
		x.exec(t, `INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, reason, answer,
				due_at, not_after, claimed_at, provider)
			VALUES ($1, $2, 'service', $3, $4, '', 1, CASE WHEN $5 % 2 = 0 THEN 'failed' ELSE 'unknown' END, 'hard', $6, now(),
				now(), now(), 'smtp')`, hostileStore, fmt.Sprintf("h%d@x.example", n), c.ID, "s", n, most(kind, 300))
	}
	for what, path := range pages {
		p.Look(browser.Desktop)
		p.Go(path)
		p.Has("h1", "")
		tame(t, p, what)
	}
}

// most is the beginning of a hostile text, without what fills in values.
func most(kind string, runes int) string {
	text := []rune(kept(strings.NewReplacer("{", "(", "}", ")").Replace(hostile[kind])))
	return kept(string(text[:min(len(text), runes)]))
}
