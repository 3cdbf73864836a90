package worker

import (
	"context"
	"errors"
	"slices"

	"rollcall/mail"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// bodyKey is what a text is kept under during a turn.
type bodyKey struct {
	campaign, step string
	version        int
	tracked        int64 // the mail whose links it has; 0: any
}

// message makes what is sent of a mail; or refused is what becomes of one that is not.
func (l *mailLane) message(ctx context.Context, c storemail.Claimed) (m mail.Message, refused *mail.Outcome) {
	if !l.Allowed.Allow(c.Email) {
		return m, &mail.Outcome{Status: mail.Skipped, Reason: mail.ReasonAllowed}
	}
	v := c.Values
	body, err := l.body(ctx, c)
	if err == nil {
		v.Tracked, err = l.tracked(ctx, c)
	}
	var frame *mail.Frame
	if err == nil {
		frame, err = l.frame(mail.Around{Class: c.Class, Store: c.Values.Store, PostalAddress: l.store.PostalAddress})
	}
	if errors.Is(err, pg.ErrNotFound) || errors.As(err, new(mail.Refusal)) {
		return m, &mail.Outcome{Status: mail.Failed, Reason: mail.ReasonOurs,
			Answer: "the text of this step is gone or not valid"}
	}
	if err != nil {
		l.fail(err)
		return m, &mail.Outcome{Status: mail.Due}
	}
	v.Unsubscribe = l.URL + "/mail/u/" + l.keys.Leave(c.Ticket(l.Turn.Store))
	subject, page, plain := body.Render(v)
	m = mail.Message{ID: c.ID, Key: l.keys.Name(c.ID), Class: c.Class, From: l.From, ReplyTo: l.store.ReplyTo, To: c.Email,
		Subject: subject, At: l.at()}
	if v.Store != "" {
		m.From.Name = v.Store
	}
	if c.Class == "marketing" {
		m.OneClick = v.Unsubscribe
	}
	m.HTML, m.Text = frame.Wrap(subject, page, plain, v.Unsubscribe)
	return m, nil
}

// frame is what stands around mails.
func (l *mailLane) frame(a mail.Around) (*mail.Frame, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frames[a] == nil {
		made, err := a.Frame()
		if err != nil {
			return nil, err
		}
		l.frames[a] = made
	}
	return l.frames[a], nil
}

// body is the text of a mail. Where clicks are counted its links lead over this site; each mail has
// its own only if the customer agreed to that.
func (l *mailLane) body(ctx context.Context, c storemail.Claimed) (*mail.Body, error) {
	key := bodyKey{campaign: c.Campaign, step: c.Step, version: c.Version}
	if c.Tracked {
		key.tracked = c.ID
	}
	l.mu.Lock()
	known := l.bodies[key]
	l.mu.Unlock()
	if known != nil {
		return known, nil
	}
	subject, markdown, err := l.mails.Body(ctx, key.campaign, key.step, key.version)
	if err != nil {
		return nil, err
	}
	var wrap func(string) string
	if l.wraps(c) {
		ids, err := l.mails.LinkIDs(ctx, l.Turn.Store, mail.Links(markdown))
		if err != nil {
			return nil, err
		}
		wrap = func(link string) string {
			if id, ok := ids[link]; ok {
				return l.URL + "/mail/c/" + l.keys.Click(id, key.tracked)
			}
			return link
		}
	}
	body, err := mail.NewBody(subject, markdown, wrap)
	if err == nil && key.tracked == 0 {
		l.mu.Lock()
		l.bodies[key] = body
		l.mu.Unlock()
	}
	return body, err
}

// wraps tells whether the links of a mail lead over this site.
func (l *mailLane) wraps(c storemail.Claimed) bool { return l.store.Tracking == "counted" || c.Tracked }

// tracked is the address over this site of where a mail leads; empty: it leads there itself. So it does to what is one
// customer's own, as an invoice: no other may come there, and an erasure has nothing to look for.
func (l *mailLane) tracked(ctx context.Context, c storemail.Claimed) (string, error) {
	to := c.Values.Link
	if to == "" || !c.Own || !l.wraps(c) {
		return "", nil
	}
	l.mu.Lock()
	id := l.leads[to]
	l.mu.Unlock()
	if id == 0 {
		var err error
		if id, err = l.mails.LinkID(ctx, l.Turn.Store, to); err != nil {
			return "", err
		}
		l.mu.Lock()
		l.leads[to] = id
		l.mu.Unlock()
	}
	var whose int64
	if c.Tracked {
		whose = c.ID
	}
	return l.URL + "/mail/c/" + l.keys.Click(id, whose), nil
}

// mailKeys are the settings for mail that a worker has, as mail.MissingSettings knows them.
func (w *Worker) mailKeys() (keys []string) {
	if w.cfg.Mail == nil {
		return nil
	}
	keys = []string{map[string]string{"smtp": mail.SettingSMTP, "resend": mail.SettingResend,
		"mailbox": mail.SettingDry}[w.cfg.Mail.Sender.Name()], mail.SettingFrom, mail.SettingURL}
	return slices.DeleteFunc(keys, func(k string) bool { return k == "" })
}
