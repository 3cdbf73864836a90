package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rollcall/store"
)

// Providers of mail report what became of it. Resend signs as Svix does. Postmark signs nothing and
// sends a password; Mailgun signs a time and a token, which counts once, and not the body; SES signs
// by SNS, see sns.go.

// The providers, as in /webhooks/{source}.
const (
	Resend   = "resend"
	Postmark = "postmark"
	SES      = "ses"
	Mailgun  = "mailgun"
)

// checkPassword requires a secret that no one guesses.
func checkPassword(secret string) error {
	switch {
	case secret == "":
		return errors.New("is empty; remove the comma or put a secret there")
	case len(secret) < 16 || strings.ContainsAny(secret, " \t\r\n"):
		return errors.New("is too short or has a space in it; generate one with: openssl rand -hex 32")
	}
	return nil
}

// SignResend returns the headers Resend would send the message id with at t.
func SignResend(secret, id string, body []byte, t time.Time) (http.Header, error) {
	return signSvix("svix", secret, id, body, t)
}

// readResend takes the event's id from the headers, and its time, if it has one, from created_at.
func readResend(header http.Header, body []byte, now time.Time) (store.NewEvent, error) {
	e, m, err := readSvix("svix", header, body)
	if err != nil {
		return store.NewEvent{}, err
	}
	at, err := parseTime(e.CreatedAt)
	if err != nil {
		at = m.time()
	}
	return mailEvent(m.id, "the svix-id header", e.Type, at, body, now)
}

// PostmarkHeader is where Postmark may send its secret; the password of basic auth is another place.
const PostmarkHeader = "X-Webhook-Secret"

// postmarkSecret is the secret of a delivery; empty if it has none.
func postmarkSecret(header http.Header) string {
	if secret := header.Get(PostmarkHeader); secret != "" {
		return secret
	}
	_, password, _ := (&http.Request{Header: header}).BasicAuth()
	return password
}

func checkPostmark(header http.Header, _ time.Time) error {
	if postmarkSecret(header) == "" {
		return refuse(missingSignature, "there is neither a header %s nor a password: give Postmark's webhook one of "+
			"POSTMARK_WEBHOOK_SECRETS, as the password of basic auth or in that header", PostmarkHeader)
	}
	return nil
}

func verifyPostmark(secrets []Secret, header http.Header, _ []byte) error {
	given := sha256.Sum256([]byte(postmarkSecret(header)))
	for _, secret := range secrets {
		want := sha256.Sum256([]byte(secret.value))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
			return nil
		}
	}
	return refuse(invalidSignature, "the password is none of POSTMARK_WEBHOOK_SECRETS: set the same in Postmark")
}

// readPostmark makes the event's id of what tells one report from another, as Postmark gives
// none: so a report that is sent again is known. Our mails have one recipient each. The address is not in it: ids
// outlive erasures, and a hash without a key would confirm a guess.
func readPostmark(_ http.Header, body []byte, now time.Time) (store.NewEvent, error) {
	var e struct {
		RecordType, MessageID                         string
		ID                                            json.RawMessage
		BouncedAt, DeliveredAt, ChangedAt, ReceivedAt json.RawMessage
	}
	if err := decode(body, &e); err != nil {
		return store.NewEvent{}, err
	}
	at, hash := now, sha256.New()
	for _, said := range []string{e.RecordType, e.MessageID, string(e.ID)} {
		hash.Write([]byte(strconv.Quote(said)))
	}
	for _, raw := range []json.RawMessage{e.BouncedAt, e.DeliveredAt, e.ChangedAt, e.ReceivedAt} {
		if hash.Write(raw); !absent(raw) {
			at, _ = parseTime(raw) // checked below
		}
	}
	return mailEvent(hex.EncodeToString(hash.Sum(nil)[:16]), "its own", e.RecordType, at, body, now)
}

// mailEvent is a provider's event. One that is of no time, or of the future, is of now.
func mailEvent(id, where, typ string, at time.Time, body []byte, now time.Time) (store.NewEvent, error) {
	if err := checkNames(id, where, typ); err != nil {
		return store.NewEvent{}, err
	}
	if at.Unix() <= 0 || at.After(now.Add(tolerance)) {
		at = now
	}
	return store.NewEvent{EventID: id, Type: typ, OccurredAt: at.UTC(), Payload: body}, nil
}

// mailgunTolerance is how old a signature of Mailgun may be.
const mailgunTolerance = 15 * time.Minute

// mailgunBody holds what the inbox needs of Mailgun's.
type mailgunBody struct {
	Signature struct{ Timestamp, Token, Signature string }
	Data      struct {
		Event     string
		Timestamp json.RawMessage
	} `json:"event-data"`
}

// SignMailgun returns the member "signature" of a body of Mailgun at t.
func SignMailgun(key, token string, t time.Time) json.RawMessage {
	timestamp := strconv.FormatInt(t.Unix(), 10)
	text, _ := json.Marshal(map[string]string{ // cannot fail: strings
		"timestamp": timestamp, "token": token, "signature": hex.EncodeToString(mailgunMAC(key, timestamp, token))})
	return text
}

func mailgunMAC(key, timestamp, token string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + token))
	return mac.Sum(nil)
}

// checkMailgun accepts all headers: the signature is in the body.
func checkMailgun(http.Header, time.Time) error { return nil }

func verifyMailgun(secrets []Secret, _ http.Header, body []byte) error {
	var b mailgunBody
	if err := json.Unmarshal(body, &b); err != nil || b.Signature.Signature == "" {
		return refuse(missingSignature, "the body has no signature of Mailgun: only its signed webhooks are taken")
	}
	given, err := hex.DecodeString(b.Signature.Signature)
	for _, secret := range secrets {
		if err == nil && hmac.Equal(given, mailgunMAC(secret.value, b.Signature.Timestamp, b.Signature.Token)) {
			return nil
		}
	}
	return refuse(invalidSignature, "the signature fits no key of MAILGUN_WEBHOOK_KEYS: "+
		"is the HTTP webhook signing key of this account listed there?")
}

// readMailgun makes the signature's token the event's id, so that each counts once: it does not sign
// the body.
func readMailgun(_ http.Header, body []byte, now time.Time) (store.NewEvent, error) {
	var b mailgunBody
	if err := decode(body, &b); err != nil {
		return store.NewEvent{}, err
	}
	seconds, err := strconv.ParseInt(b.Signature.Timestamp, 10, 64)
	signed := time.Unix(seconds, 0)
	switch {
	case err != nil || now.Sub(signed) > mailgunTolerance:
		return store.NewEvent{}, refuse(timestampTooOld, "the signature is more than 15 minutes old: send the event again")
	case signed.Sub(now) > mailgunTolerance:
		return store.NewEvent{}, refuse(timestampTooNew, "the signature is of the future: set the clocks right")
	}
	at, err := parseTime(b.Data.Timestamp)
	if err != nil {
		at = signed
	}
	return mailEvent(b.Signature.Token, "the signature's token", b.Data.Event, at, body, now)
}
