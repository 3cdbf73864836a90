package webhooks

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	svix "github.com/svix/svix-webhooks/go"
)

// Clerk and the platform use the same scheme, Standard Webhooks, which comes from Svix
// (https://www.standardwebhooks.com). Only the header names differ; each sender may use either set.

// signSvix returns the headers of a message, named prefix-id, prefix-timestamp and
// prefix-signature.
func signSvix(prefix, secret, id string, body []byte, t time.Time) (http.Header, error) {
	wh, err := svix.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("webhooks.signSvix(%q): %w", id, err)
	}
	signature, err := wh.Sign(id, t, body)
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set(prefix+"-id", id)
	header.Set(prefix+"-timestamp", strconv.FormatInt(t.Unix(), 10))
	header.Set(prefix+"-signature", signature)
	return header, err
}

// CheckSvixSecret reports what is wrong with a signing secret, without quoting it. It must be
// whsec_ and a base64 key. Svix makes 24 bytes, which is the minimum of Standard Webhooks; 16 bytes
// still cannot be guessed.
func CheckSvixSecret(secret string) error {
	rest, err := afterPrefix(secret)
	if err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(rest)
	switch {
	case err != nil:
		return errors.New("is not base64 behind " + secretPrefix)
	case len(key) < 16:
		return errors.New("is too short: the key behind " + secretPrefix + " must be 16 bytes or more, in base64")
	}
	return nil
}

// message holds the signature headers of a Standard Webhooks delivery.
type message struct{ id, timestamp, signature string }

// svixMessage reads the svix-* headers, or webhook-* if one of those is missing.
func svixMessage(header http.Header) (message, bool) {
	for _, prefix := range []string{"Svix", "Webhook"} {
		m := message{header.Get(prefix + "-Id"), header.Get(prefix + "-Timestamp"), header.Get(prefix + "-Signature")}
		if m.id != "" && m.timestamp != "" && m.signature != "" {
			return m, true
		}
	}
	return message{}, false
}

// header contains m alone, so that the library verifies the id that is stored.
func (m message) header() http.Header {
	return http.Header{"Svix-Id": {m.id}, "Svix-Timestamp": {m.timestamp}, "Svix-Signature": {m.signature}}
}

func (m message) time() time.Time {
	seconds, _ := strconv.ParseInt(m.timestamp, 10, 64)
	return time.Unix(seconds, 0)
}

// checkSvix refuses a delivery without a signature or with a wrong time. The library's own check
// takes no clock.
func checkSvix(header http.Header, now time.Time) error {
	m, ok := svixMessage(header)
	if !ok {
		return refuse(missingSignature,
			"the headers webhook-id, webhook-timestamp and webhook-signature (or svix-…) are not all there: "+
				"only signed deliveries are taken; does a proxy strip them?")
	}
	// The signed text is id.time.body without lengths. An id that contains the start of a body
	// could therefore be split elsewhere.
	if strings.ContainsRune(m.id, '{') {
		return refuse(invalidSignature, "the event's id has a { in it: no signature is taken over such an id")
	}
	if _, err := strconv.ParseInt(m.timestamp, 10, 64); err != nil {
		return errSvixSignature
	}
	for part := range strings.SplitSeq(m.signature, " ") {
		if hash, ok := strings.CutPrefix(part, "v1,"); ok && len(hash) == base64.StdEncoding.EncodedLen(sha256.Size) {
			return checkTime(m.time(), now)
		}
	}
	return errSvixSignature
}

var errSvixSignature = refuse(invalidSignature,
	"no v1 signature in the webhook-signature (or svix-signature) header fits id, timestamp, body "+
		"and a secret of this endpoint: is its signing secret configured here, and does a proxy change the body?")

// svixEnvelope holds the fields of an event of Clerk or the platform that the inbox needs.
type svixEnvelope struct {
	Type      string          `json:"type"`
	Timestamp json.RawMessage `json:"timestamp"`
	CreatedAt json.RawMessage `json:"created_at"` // of Resend
	Data      json.RawMessage `json:"data"`
}

// readSvix reads an envelope and the message's headers, of which prefix-id is the event's id.
func readSvix(prefix string, header http.Header, body []byte) (e svixEnvelope, m message, err error) {
	if err := decode(body, &e); err != nil {
		return e, m, err
	}
	m, _ = svixMessage(header)
	return e, m, checkNames(m.id, "the "+prefix+"-id header", e.Type)
}

func verifySvix(secrets []Secret, header http.Header, body []byte) error {
	m, _ := svixMessage(header)
	signed := m.header()
	for _, secret := range secrets {
		wh, err := svix.NewWebhook(secret.value)
		if err == nil && wh.VerifyIgnoringTimestamp(body, signed) == nil {
			return nil
		}
	}
	return errSvixSignature
}
