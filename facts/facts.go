// Package facts reads facts from the payloads of Stripe, Clerk and the platform. It holds the fact
// types and one pure function per kind of object; webhooks and backfills use the same functions. It
// does not use a database.
package facts

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Event is a stored webhook event.
type Event struct {
	Source     string // stripe, clerk, platform or a provider of mail
	ID         string // the sender's id
	Type       string
	Account    string // Stripe Connect account, or empty
	Livemode   *bool
	OccurredAt time.Time
	ReceivedAt time.Time // zero if no webhook brought it
	Payload    []byte
}

// Ignored is the error for valid input that Rollcall does not need. The event is stored as ignored.
type Ignored struct{ Reason string }

func (e *Ignored) Error() string { return e.Reason }

// Malformed is the error for an event of a known type whose object cannot be read. A retry does not
// help; the text names the fault.
type Malformed struct{ Reason string }

func (e *Malformed) Error() string { return e.Reason }

func malformed(format string, args ...any) error {
	for i, arg := range args {
		if err, ok := arg.(error); ok {
			args[i] = inWords(err)
		}
	}
	return &Malformed{fmt.Sprintf(format, args...)}
}

// Read returns the facts of an event. It is pure. The error is *Ignored or *Malformed.
func Read(e Event) (Set, error) {
	e.Payload = stripNUL(e.Payload)
	switch e.Source {
	case "stripe":
		return readStripe(e)
	case "clerk":
		return readClerk(e)
	case "platform":
		return readPlatform(e)
	}
	if mailReaders[e.Source] != nil {
		return readMailEvent(e)
	}
	return Set{}, &Ignored{fmt.Sprintf("unknown source %q", e.Source)}
}

// Version orders the versions of one object: by the source's time, the rank of the event's type,
// and the event's id. It compares bytewise as text, so one of several versions of the same second
// wins.
type Version string

// Ranks of event types at the same time. They end in the generation of the readers. So when newer
// readers, which read more, read an event again, they replace only what older readers made of it.
const (
	rankCreated   = 10 + generation
	rankUpdated   = 20 + generation
	rankChanged   = 25 + generation // of a field that an update changed
	rankWithdrawn = 70 + generation // of a link that a message removes
	rankFinal     = 80 + generation // the object's status is terminal
	rankDeleted   = 90 + generation

	generation = 1
)

func version(t time.Time, rank int, id string) Version {
	return Version(fmt.Sprintf("%s %02d %s", t.UTC().Format(stampLayout), rank, id))
}

// stampLayout is the time format in a version.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// Withdrawal is the version of removed links. It is greater than any version of the same time that
// sets a link, whatever the events' ids. A revocation must win against a grant of the same second.
func (v Version) Withdrawal() Version {
	stamp, rest, _ := strings.Cut(string(v), " ")
	_, id, _ := strings.Cut(rest, " ")
	return Version(fmt.Sprintf("%s %02d %s", stamp, rankWithdrawn, id))
}

// hearsay returns a version below all versions of the object itself. For example, an invoice's copy
// of the customer's data is used until the customer itself is received.
func hearsay(v Version) Version { return "-" + v }

// rankOf ranks an event by the last part of its type.
func rankOf(eventType string) int {
	switch eventType[strings.LastIndexByte(eventType, '.')+1:] {
	case "created":
		return rankCreated
	case "deleted":
		return rankDeleted
	}
	return rankUpdated
}

// stripNUL removes the escape \u0000 from JSON text: it is valid there, but Postgres text cannot
// hold it.
func stripNUL(payload []byte) []byte {
	if !bytes.Contains(payload, []byte(`\u0000`)) {
		return payload
	}
	out := make([]byte, 0, len(payload))
	for i := 0; i < len(payload); {
		switch {
		case bytes.HasPrefix(payload[i:], []byte(`\u0000`)):
			i += len(`\u0000`)
		case payload[i] == '\\' && i+1 < len(payload):
			out = append(out, payload[i], payload[i+1])
			i += 2
		default:
			out = append(out, payload[i])
			i++
		}
	}
	return out
}

// maxID is the maximum length of an id. It is Stripe's limit, and well below an index entry's.
const maxID = 255

// ref cleans a referenced id; an id that is too long becomes empty.
func ref(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxID {
		return ""
	}
	return s
}

// first returns the first nonempty string.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
