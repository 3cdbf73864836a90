// Package webhooks receives events from Stripe, Clerk, the platform and providers of mail. Only this package handles
// untrusted bytes: it verifies a delivery over its raw bytes, reads its envelope and stores it in
// the inbox before it answers 200. All sources share one receive path; each has a file with its
// verification, signing and envelope.
package webhooks

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollcall/store"
)

// The sources, as in /webhooks/{source} and in webhook_events.source.
const (
	Stripe   = "stripe"
	Clerk    = "clerk"
	Platform = "platform"
)

// tolerance is the maximum distance between the signed time and the current time, in both
// directions. Both vendors' libraries use five minutes.
const tolerance = 5 * time.Minute

// source is one sender of webhooks. Its functions are pure.
type source struct {
	name     string
	variable string // the environment variable with its secrets

	// secret reports what is wrong with a signing secret, without quoting it.
	secret func(string) error
	// check refuses deliveries by their headers: those that verify would refuse, and those with a
	// wrong time.
	check func(header http.Header, now time.Time) error
	// verify accepts a delivery that passed check and was signed with one of secrets.
	verify func(secrets []Secret, header http.Header, body []byte) error
	// envelope reads what the inbox needs from a delivery verified at now.
	envelope func(header http.Header, body []byte, now time.Time) (store.NewEvent, error)
}

var sources = map[string]*source{
	Stripe:   {Stripe, "STRIPE_WEBHOOK_SECRETS", checkStripeSecret, checkStripe, verifyStripe, readStripe},
	Clerk:    {Clerk, "CLERK_WEBHOOK_SECRETS", CheckSvixSecret, checkSvix, verifySvix, readClerk},
	Platform: {Platform, "PLATFORM_WEBHOOK_SECRETS", CheckSvixSecret, checkSvix, verifySvix, readPlatform},
	Resend:   {Resend, "RESEND_WEBHOOK_SECRETS", CheckSvixSecret, checkSvix, verifySvix, readResend},
	Postmark: {Postmark, "POSTMARK_WEBHOOK_SECRETS", checkPassword, checkPostmark, verifyPostmark, readPostmark},
	SES:      {SES, "SES_SNS_TOPICS", checkTopic, checkSNS, verifySNS, readSNS},
	Mailgun:  {Mailgun, "MAILGUN_WEBHOOK_KEYS", checkPassword, checkMailgun, verifyMailgun, readMailgun},
}

// open verifies a delivery and then reads its envelope, so that unsigned bodies are never parsed.
func (s *source) open(secrets []Secret, header http.Header, body []byte, now time.Time) (store.NewEvent, error) {
	if err := s.signed(secrets, header, body, now); err != nil {
		return store.NewEvent{}, err
	}
	event, err := s.envelope(header, body, now)
	event.Source = s.name
	return event, err
}

// signed accepts a delivery that was signed with one of secrets at about now.
func (s *source) signed(secrets []Secret, header http.Header, body []byte, now time.Time) error {
	if err := s.check(header, now); err != nil {
		return err
	}
	return s.verify(secrets, header, body)
}

// Secret is a well-formed signing secret from ParseSecrets. It does not print itself.
type Secret struct{ value string }

func (Secret) String() string   { return "[secret]" }
func (Secret) GoString() string { return "[secret]" }

// ParseSecrets reads the comma-separated signing secrets of a source; there are several during a
// rotation. An empty list is valid: that source is then answered 503. An empty or malformed element
// is an error that names the source's variable and never the secret. Both vendors' libraries would
// accept an empty secret, and with it every forgery.
func ParseSecrets(name, list string) ([]Secret, error) {
	src, ok := sources[name]
	if !ok {
		return nil, fmt.Errorf("webhooks.ParseSecrets: no source %q", name)
	}
	if list == "" {
		return nil, nil
	}
	var secrets []Secret
	for part := range strings.SplitSeq(list, ",") {
		secret := strings.TrimSpace(part)
		if err := src.secret(secret); err != nil {
			return nil, fmt.Errorf("%s: secret %d: %w", src.variable, len(secrets)+1, err)
		}
		secrets = append(secrets, Secret{secret})
	}
	return secrets, nil
}

const secretPrefix = "whsec_"

// afterPrefix returns the part of a secret after whsec_.
func afterPrefix(secret string) (string, error) {
	if secret == "" {
		return "", errors.New("is empty; remove the comma or put a secret there")
	}
	rest, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return "", errors.New("does not begin with " + secretPrefix)
	}
	return rest, nil
}

// checkTime refuses a delivery signed too long ago (a replay) or in the future (a prepared replay,
// or a wrong clock).
func checkTime(signed, now time.Time) error {
	switch age := now.Sub(signed); {
	case age > tolerance:
		return refuse(timestampTooOld,
			"the signature is more than %s old: send the event again with a new signature, or set the clocks right", minutes)
	case age < -tolerance:
		return refuse(timestampTooNew,
			"the signature is more than %s in the future: set the clock of the sender, or of this server, right", minutes)
	}
	return nil
}

var minutes = fmt.Sprintf("%d minutes", int(tolerance.Minutes()))
