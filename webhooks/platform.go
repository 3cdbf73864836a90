package webhooks

import (
	"net/http"
	"time"

	"rollcall/store"
)

// SignPlatform returns the headers the platform sends the message id with at t.
func SignPlatform(secret, id string, body []byte, t time.Time) (http.Header, error) {
	return signSvix("webhook", secret, id, body, t)
}

// readPlatform requires the contract {"type","timestamp","data"}. The contract is ours, so a
// violation is refused at once. The timestamp orders versions of the same object, so it is never
// invented and must not be in the future: later events could not override such a version.
func readPlatform(header http.Header, body []byte, now time.Time) (store.NewEvent, error) {
	e, m, err := readSvix("webhook", header, body)
	if err != nil {
		return store.NewEvent{}, err
	}
	at, err := readTime(e.Timestamp, "timestamp")
	if err != nil {
		return store.NewEvent{}, err
	}
	if at.After(now.Add(tolerance)) {
		return store.NewEvent{}, refuse(invalidField, `the body's "timestamp" is %s, more than %s ahead of `+
			`this server's time, %s: write the time of the change, or set the clocks right`,
			at.Format(time.RFC3339Nano), minutes, now.UTC().Format(time.RFC3339))
	}
	if absent(e.Data) || e.Data[0] != '{' {
		return store.NewEvent{}, refuse(invalidField,
			`the body's "data" is not an object: it holds the fields of the event's type`)
	}
	return store.NewEvent{EventID: m.id, Type: e.Type, OccurredAt: at, Payload: body}, nil
}
