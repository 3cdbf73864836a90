package web

import (
	"fmt"
	"testing"

	"rollcall/internal/testing/browser"
)

// Filters of engagement and mail are chips; a segment of them is mailed by one click, and what
// became of its mails is on the activity of a customer: on a desktop, and on a phone without a script.
func TestPageEngagement(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	hostile := `<b>Hi</b> "{title}"`
	x.exec(t, `INSERT INTO campaigns (id, store_id, name, kind, class, trigger, steps, reentry, not_after, within,
			state, starts_from, switched_at, created_by)
		SELECT 'camp_hello00001', 'studio', $1, 'once', 'marketing', '{"question":"everyone"}', '[]', 'never', '3 d',
			'7 d', 'on', now(), now(), 'admin'`, hostile)
	x.exec(t, `INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, status, due_at,
			not_after, claimed_at, sent_at)
		SELECT 'studio', email, 'marketing', 'camp_hello00001', 'a', '', 1, 'sent', now(), now(), now(),
			now() - interval '1 h'
		FROM customers WHERE store_id = 'studio' AND name IN ('Ivo Marek', 'Lena Voss')`)
	x.exec(t, `INSERT INTO mail_events (source, event_id, mail_id, kind, at, machine)
		SELECT 'link', id::text, id, 'clicked', now(), email LIKE 'lena%' FROM mails
		UNION ALL
		SELECT 'resend', id::text, id, 'opened', now(), false FROM mails WHERE email LIKE 'ivo%'`)
	x.exec(t, `INSERT INTO customer_notes (store_id, email, body, author)
		SELECT store_id, email, 'Wrote', 'campaign:camp_hello00001' FROM mails WHERE email LIKE 'ivo%'`)
	x.exec(t, `INSERT INTO segments (id, store_id, name, folded, kind, rule, created_by)
		VALUES ('seg_engaged001', 'studio', 'Clickers', 'clickers', 'dynamic',
			'{"mail":{"was":"clicked","campaign":"camp_hello00001"}}', 'admin')`)

	p.Go(listPath)
	unfold(p, "engagement")
	tick(p, "engagement", "lost")
	listed(p, "Rita Okafor")
	p.Go(listPath + "?mail=clicked&mail_campaign=camp_hello00001&mail_after=7d")
	listed(p, "Ivo Marek")
	p.Lists(".chip summary > *", "Mail", "Clicked", hostile, "in the last 7 days")
	p.Go(listPath + "?can_mail=no&engagement=new")
	p.Lists(".chip summary > *", "Engagement", "New", "May get marketing mail", "No")
	phone := browser.Phone
	phone.NoScript = true
	for _, look := range []browser.Look{browser.Desktop, phone} {
		p.Look(look)
		p.Go(x.customerPath(t, "Ivo Marek") + "?about=mail")
		p.Lists(".timeline li:not(.day) p", "Clicked in the mail "+hostile, "Got the mail "+hostile)
		p.Has(".short", "Dormant: last active 60 days ago")
		p.Has(".notes .hint", "the campaign “"+hostile+"”")
		wide(t, p)
		p.Shot(fmt.Sprint("engagement ", look.Width))
		p.Go(segmentsPath + "/seg_engaged001")
		p.Has(".preview .says", "Customers who have clicked in a mail of the campaign "+hostile+".")
		p.Lists(".few a:first-child bdi", "Ivo Marek")
		p.Shot(fmt.Sprint("segment ", look.Width))
		p.Click(`.preview a[href*="/mail/new"]`)
		p.Until(`location.search === "?segment=seg_engaged001"`)
		p.Has(`[name="audience"] [selected]`, "Clickers")
		p.Go(mailPath + "/campaigns/camp_hello00001")
		p.Has("#results", "Clicked in 1 of the mails by people, and in 1 by programs that check mails.")
		p.Has("#results", "The mail provider reports that 1 of the mails was opened.")
	}
}
