package worker

import (
	"context"
	"strings"
	"sync"
	"testing"

	sending "rollcall/mail"
)

// taker takes all mails, and keeps their HTML by recipient.
type taker struct {
	mu  sync.Mutex
	all map[string]string
}

func (*taker) Name() string { return "smtp" }
func (k *taker) Send(_ context.Context, m sending.Message) sending.Outcome {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[m.To] = m.HTML
	return sending.Outcome{Status: sending.Sent}
}

// Where clicks are counted, links to {link} lead over this site, to a page of the store that is kept as such. What is
// one customer's own, as an invoice, is kept nowhere, and led to at once; so is all where nothing is counted.
func TestLinkIsFollowedOverTheSite(t *testing.T) {
	t.Parallel()
	for tracking, over := range map[string]bool{"off": false, "counted": true} {
		s, _ := newMailSite(t, "ann@x.example", "bob@x.example", "cat@x.example")
		k := &taker{all: map[string]string{}}
		s.Worker.cfg.Mail.Sender = k
		s.exec(`UPDATE mail_bodies SET markdown = '[Go on]({link}) {link}'`)
		s.exec(`UPDATE mail_settings SET tracking = $1, home_url = 'https://s.example/go'`, tracking)
		s.exec(`INSERT INTO failed_invoices (account, id, version, attempts, amount_due, hosted_url)
			VALUES ('', 'in_1', '1', 1, 5, 'https://pay.example/secret')`)
		s.exec(`UPDATE mails SET occurrence = 'invoice:in_1' WHERE email LIKE 'bob%'`)
		s.turns()
		for who, want := range map[string]string{"ann": "https://s.example/go", "bob": "https://pay.example/secret",
			"cat": "https://s.example/go"} {
			html := k.all[who+"@x.example"]
			if counted := strings.Contains(html, `href="https://r.example/mail/c/`); counted != (over && who != "bob") ||
				strings.Contains(html, `href="`+want) == counted || !strings.Contains(html, "</a> "+want) {
				t.Errorf("%s, %s: %s", tracking, who, html)
			}
		}
		if over {
			s.selects(`SELECT url FROM mail_links`, "https://s.example/go")
		} else {
			s.selects(`SELECT url FROM mail_links`)
		}
	}
}
