package webhooks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"rollcall/store"
)

const stripeHeader = "Stripe-Signature"

// SignStripe returns the headers Stripe would send body with at t.
func SignStripe(secret string, body []byte, t time.Time) http.Header {
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: t})
	return http.Header{
		"Content-Type": {"application/json; charset=utf-8"},
		stripeHeader:   {signed.Header},
	}
}

// checkStripeSecret requires whsec_ and a plausible rest. Stripe does not document its form; so far
// it has had 32 characters or more.
func checkStripeSecret(secret string) error {
	rest, err := afterPrefix(secret)
	switch {
	case err != nil:
		return err
	case len(rest) < 8 || strings.ContainsAny(rest, " \t\r\n"):
		return errors.New("is too short or has a space in it; copy it from the endpoint's page in Stripe's dashboard")
	}
	return nil
}

// checkStripe refuses a delivery without a signature or with a wrong time. The library's own check
// accepts future times and takes no clock.
func checkStripe(header http.Header, now time.Time) error {
	value := header.Get(stripeHeader)
	if value == "" {
		return refuse(missingSignature,
			"there is no %s header: only deliveries signed by Stripe are taken; does a proxy strip it?", stripeHeader)
	}
	var signed time.Time // as in the library, the last t= is the signed one
	hashes := 0
	for part := range strings.SplitSeq(value, ",") {
		if digits, ok := strings.CutPrefix(part, "t="); ok {
			seconds, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				return errStripeSignature
			}
			signed = time.Unix(seconds, 0)
		}
		if hash, ok := strings.CutPrefix(part, "v1="); ok && len(hash) == hex.EncodedLen(sha256.Size) {
			hashes++
		}
	}
	if hashes == 0 {
		return errStripeSignature
	}
	return checkTime(signed, now)
}

var errStripeSignature = refuse(invalidSignature,
	"no v1 signature in %s fits the body and a secret of STRIPE_WEBHOOK_SECRETS: "+
		"is this endpoint's signing secret listed there, and does a proxy change the body?", stripeHeader)

// verifyStripe only checks the signature. It does not use ConstructEvent, which also decodes the
// event and refuses all API versions except its own.
func verifyStripe(secrets []Secret, header http.Header, body []byte) error {
	for _, secret := range secrets {
		if webhook.ValidatePayloadIgnoringTolerance(body, header.Get(stripeHeader), secret.value) == nil {
			return nil
		}
	}
	return errStripeSignature
}

// stripeEnvelope holds the fields of an Event that the inbox needs. Created is a number of seconds,
// in thin v2 events (object "v2.core.event") a string. APIVersion is null in very old events and
// missing in thin ones.
type stripeEnvelope struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Created    json.RawMessage `json:"created"`
	Account    string          `json:"account"`
	APIVersion string          `json:"api_version"`
	Livemode   *bool           `json:"livemode"`
}

func readStripe(_ http.Header, body []byte, _ time.Time) (store.NewEvent, error) {
	var e stripeEnvelope
	if err := decode(body, &e); err != nil {
		return store.NewEvent{}, err
	}
	if err := checkNames(e.ID, `the body's "id"`, e.Type); err != nil {
		return store.NewEvent{}, err
	}
	if !store.FitsName(e.Account) || !store.FitsName(e.APIVersion) {
		return store.NewEvent{}, refuse(invalidField,
			`the body's "account" or "api_version" is longer than %d bytes or no plain text`, store.MaxName)
	}
	created, err := readTime(e.Created, "created")
	if err != nil {
		return store.NewEvent{}, err
	}
	return store.NewEvent{
		EventID:    e.ID,
		Type:       e.Type,
		Account:    e.Account,
		APIVersion: e.APIVersion,
		Livemode:   e.Livemode,
		OccurredAt: created,
		Payload:    body,
	}, nil
}
