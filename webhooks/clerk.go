package webhooks

import (
	"encoding/json"
	"net/http"
	"time"

	"rollcall/store"
)

// SignClerk returns the headers Clerk would send the message id with at t.
func SignClerk(secret, id string, body []byte, t time.Time) (http.Header, error) {
	return signSvix("svix", secret, id, body, t)
}

// oneTimeCodes are the events that carry a sign-in code in plain text.
var oneTimeCodes = map[string]bool{"email.created": true, "sms.created": true}

// readClerk takes the event id from the headers, as the body has none. Clerk documents its
// timestamp in milliseconds, but shows seconds in examples. If it is missing, the time of sending
// replaces it.
func readClerk(header http.Header, body []byte, _ time.Time) (store.NewEvent, error) {
	e, m, err := readSvix("svix", header, body)
	if err != nil {
		return store.NewEvent{}, err
	}
	at := m.time().UTC()
	if !absent(e.Timestamp) {
		if at, err = readTime(e.Timestamp, "timestamp"); err != nil {
			return store.NewEvent{}, err
		}
	}
	if oneTimeCodes[e.Type] {
		body = redact(e.Type, at)
	}
	return store.NewEvent{EventID: m.id, Type: e.Type, OccurredAt: at, Payload: body}, nil
}

// redact is the one exception to storing raw bytes. An email.created or sms.created event holds a
// code or link that signs its reader in as another user. Rollcall does not need it, and a code that
// was never written cannot leak from a database, a backup or an admin page. The row is stored
// without it, so that the delivery is still visible and counted.
func redact(typ string, at time.Time) []byte {
	payload, _ := json.Marshal(struct { // cannot fail: strings and a number
		Type      string `json:"type"`
		Object    string `json:"object"`
		Timestamp int64  `json:"timestamp"`
		Redacted  string `json:"redacted"`
	}{typ, "event", at.UnixMilli(), "one-time codes are not kept"})
	return payload
}
