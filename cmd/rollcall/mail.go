package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	netmail "net/mail"
	"net/url"
	"strings"

	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/campaigns"
	storemail "rollcall/store/mail"
	"rollcall/worker"
)

// checkMail refuses settings of mail that are malformed, or do not go together.
func (c *Config) checkMail() error {
	_, errSender := c.mailSender(nil)
	_, errFrom := c.mailFrom()
	_, errAllowed := c.mailAllowed()
	var errRate, errCap error
	if c.MailRate < 0 {
		errRate = fmt.Errorf("MAIL_RATE is %v: it must not be negative", c.MailRate)
	}
	if c.MailCap < 0 || c.MailCap > math.MaxInt32 {
		errCap = fmt.Errorf("MAIL_CAP_ALL_STORES is %d: give the most mails to an address in 7 days, or 0 for any number",
			c.MailCap)
	}
	return errors.Join(notEmpty("MAIL_SMTP_URL", c.MailSMTP), checkKey("RESEND_API_KEY", c.ResendKey, "re_"),
		checkBase("RESEND_API_BASE", c.ResendBase), errSender, errFrom, errAllowed, errRate, errCap)
}

// mailFrom is the sender of all mails; a zero one if none is set.
func (c *Config) mailFrom() (from netmail.Address, err error) {
	if c.MailFrom == nil {
		if (c.MailSMTP != nil || c.ResendKey != nil) && !c.MailDry {
			err = errors.New("MAIL_FROM is not set, and a mail server is: give the address that mails come from, of a domain " +
				"that the server may send for")
		}
		return from, err
	}
	parsed, err := netmail.ParseAddress(*c.MailFrom)
	if err != nil || mail.CheckAddress(parsed.Address) != "" {
		return from, fmt.Errorf("MAIL_FROM is %q: write an address, as mail@example.com", *c.MailFrom)
	}
	return *parsed, nil
}

// mailAllowed are the only recipients; nil: all.
func (c *Config) mailAllowed() (mail.Recipients, error) {
	if c.MailAllowed == nil {
		return nil, nil
	}
	all, err := mail.ReadRecipients(*c.MailAllowed)
	if err != nil {
		return nil, fmt.Errorf("MAIL_ALLOWED %w", err)
	}
	return all, nil
}

// mailSender is what mails are given to; nil if nothing is set. keep is where MAIL_DRY keeps them.
func (c *Config) mailSender(keep *storemail.Mails) (worker.Sender, error) {
	switch {
	case c.MailDry:
		if keep == nil {
			return mail.Keep{}, nil
		}
		return mail.Keep{Write: keep.Keep}, nil
	case c.MailSMTP != nil && c.ResendKey != nil:
		return nil, errors.New("MAIL_SMTP_URL and RESEND_API_KEY are both set: set the one that mails are to go by")
	case c.ResendKey != nil:
		return mail.NewResend(*c.ResendKey, given(c.ResendBase)), nil
	case c.MailSMTP == nil:
		return nil, nil
	}
	sender, err := mail.NewSMTP(*c.MailSMTP, host(given(c.PublicURL)))
	if err != nil {
		return nil, fmt.Errorf("MAIL_SMTP_URL %w", err)
	}
	return sender, nil
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// resendRate is what Resend takes from a team by default, in a second.
const resendRate = 2

// mail is how workers send mail; nil if a setting is missing for it, as mail.MissingSettings says to
// those who look.
func (e *env) mail(s *store.Store) (*worker.Mail, error) {
	sender, err := e.mailSender(storemail.New(s, nil))
	site := cmp.Or(given(e.PublicURL), e.siteURL)
	if err != nil || sender == nil || site == "" {
		return nil, err
	}
	from, err := e.mailFrom()
	if err != nil {
		return nil, err
	}
	from.Address = cmp.Or(from.Address, "mail@dry.invalid")
	allowed, err := e.mailAllowed()
	if err != nil {
		return nil, err
	}
	rate := e.MailRate
	if rate == 0 && sender.Name() == "resend" {
		rate = resendRate
	}
	return &worker.Mail{Sender: sender, From: from, URL: strings.TrimRight(site, "/"), Allowed: allowed,
		Rate: rate, Skips: campaigns.New(s).Skips}, nil
}
