// Package webhooks receives what Stripe, Clerk and the platform send. Untrusted
// bytes live here and nowhere else: a delivery is verified over its raw bytes,
// its envelope is read, and it is kept in the inbox before the sender hears 200.
// There is one receive path, and one file per source with its verification, its
// signing and its envelope.
package webhooks

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollcall/store"
)

// The sources, as they stand in /webhooks/{source} and in webhook_events.source.
const (
	Stripe   = "stripe"
	Clerk    = "clerk"
	Platform = "platform"
)

// tolerance is how far the time a sender signed may lie from ours, either way.
// Both vendors' libraries use five minutes.
const tolerance = 5 * time.Minute

// source is one sender of webhooks. Its functions are pure: the same bytes,
// secrets and time give the same answer.
type source struct {
	name     string
	variable string // the environment variable that lists its secrets

	// secret says what is wrong with a signing secret, if anything, without
	// repeating it.
	secret func(string) error
	// check refuses what the headers alone show that verify would refuse, and
	// what was not signed at about now.
	check func(header http.Header, now time.Time) error
	// verify accepts a delivery that passed check and that one of secrets signed.
	verify func(secrets []Secret, header http.Header, body []byte) error
	// envelope reads what the inbox needs out of a delivery verified at now.
	envelope func(header http.Header, body []byte, now time.Time) (store.NewEvent, error)
}

var sources = map[string]*source{
	Stripe:   {Stripe, "STRIPE_WEBHOOK_SECRETS", checkStripeSecret, checkStripe, verifyStripe, readStripe},
	Clerk:    {Clerk, "CLERK_WEBHOOK_SECRETS", CheckSvixSecret, checkSvix, verifySvix, readClerk},
	Platform: {Platform, "PLATFORM_WEBHOOK_SECRETS", CheckSvixSecret, checkSvix, verifySvix, readPlatform},
}

// open verifies a delivery and reads its envelope, in this order: nothing of
// an unsigned body is looked at.
func (s *source) open(secrets []Secret, header http.Header, body []byte, now time.Time) (store.NewEvent, error) {
	if err := s.signed(secrets, header, body, now); err != nil {
		return store.NewEvent{}, err
	}
	event, err := s.envelope(header, body, now)
	event.Source = s.name
	return event, err
}

// signed accepts a delivery that one of secrets signed at about now.
func (s *source) signed(secrets []Secret, header http.Header, body []byte, now time.Time) error {
	if err := s.check(header, now); err != nil {
		return err
	}
	return s.verify(secrets, header, body)
}

// Secret is a signing secret that ParseSecrets found well formed. It does not
// print itself.
type Secret struct{ value string }

func (Secret) String() string   { return "[secret]" }
func (Secret) GoString() string { return "[secret]" }

// ParseSecrets reads the comma-separated signing secrets of a source, several
// while one is being rotated. An empty list is no secrets: that source is then
// answered 503. An element that is empty or malformed is an error that names the
// source's variable and never the secret: both vendors' libraries would take an
// empty secret, and with it every forgery.
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

// afterPrefix returns what stands behind whsec_ in a secret.
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

// checkTime refuses a delivery signed too long ago (a replay) or in the future
// (a replay prepared for later, or a clock that is off).
func checkTime(signed, now time.Time) error {
	switch age := now.Sub(signed); {
	case age > tolerance:
		return refuse(timestampTooOld, "the signature is more than %s old: send the event again with a new signature, or set the clocks right", minutes)
	case age < -tolerance:
		return refuse(timestampTooNew, "the signature is more than %s in the future: set the clock of the sender, or of this server, right", minutes)
	}
	return nil
}

var minutes = fmt.Sprintf("%d minutes", int(tolerance.Minutes()))
