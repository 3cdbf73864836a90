// Package facts reads what the outsiders said. It holds the fact types and one
// pure function per kind of object that reads them out of a payload; webhooks
// and backfills use the same functions. Nothing here touches a database.
package facts

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Event is a kept webhook, as the inbox holds it.
type Event struct {
	Source     string // stripe, clerk or platform
	ID         string // the sender's id
	Type       string
	Account    string // Stripe Connect account, or empty
	Livemode   *bool
	OccurredAt time.Time
	ReceivedAt time.Time // zero: by no webhook
	Payload    []byte
}

// Set is all the facts that an event (or a page of a backfill) says. A nil
// slice says nothing.
type Set struct {
	// At is when what the set tells happened. Of an object that was read it is the
	// object's own time, not that of the reading; of an event, which has its own,
	// it is left open, as of what has to do with nobody. Zero is long ago.
	At time.Time

	Users           []User
	StripeCustomers []StripeCustomer
	Stores          []Store
	Products        []Product
	Enrollments     []Enrollment
	Payments        []Payment
	Refunds         []Refund
	Disputes        []Dispute
	Subscriptions   []Subscription
	Checkouts       []Checkout
	FailedInvoices  []FailedInvoice

	// Notes say in words which fields were passed over, as they could not be used,
	// and what to write instead.
	Notes []string
}

// happened says when what a set tells did; a set that tells nothing has no time.
func (s Set) happened(at time.Time) Set {
	if len(s.Users)+len(s.StripeCustomers)+len(s.Enrollments)+len(s.Payments)+len(s.Subscriptions)+len(s.Checkouts)+len(s.FailedInvoices) > 0 {
		s.At = at
	}
	return s
}

// Add appends all facts of other to s, whose time stays.
func (s *Set) Add(other Set) {
	s.Users = append(s.Users, other.Users...)
	s.StripeCustomers = append(s.StripeCustomers, other.StripeCustomers...)
	s.Stores = append(s.Stores, other.Stores...)
	s.Products = append(s.Products, other.Products...)
	s.Enrollments = append(s.Enrollments, other.Enrollments...)
	s.Payments = append(s.Payments, other.Payments...)
	s.Refunds = append(s.Refunds, other.Refunds...)
	s.Disputes = append(s.Disputes, other.Disputes...)
	s.Subscriptions = append(s.Subscriptions, other.Subscriptions...)
	s.Checkouts = append(s.Checkouts, other.Checkouts...)
	s.FailedInvoices = append(s.FailedInvoices, other.FailedInvoices...)
	s.Notes = append(s.Notes, other.Notes...)
}

// Ignored is the error for good input that Rollcall has no use for. The event
// is kept and marked so.
type Ignored struct{ Reason string }

func (e *Ignored) Error() string { return e.Reason }

// Malformed is the error for an event of a known type whose object cannot be
// read. Trying again does not help; the text says what is wrong with it.
type Malformed struct{ Reason string }

func (e *Malformed) Error() string { return e.Reason }

func malformed(format string, args ...any) error { return &Malformed{fmt.Sprintf(format, args...)} }

// Read returns what an event says. It is pure: the same event always says the
// same. The error is *Ignored or *Malformed.
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
	return Set{}, &Ignored{fmt.Sprintf("unknown source %q", e.Source)}
}

// Version orders the versions of one object: the source's time, then a rank of
// the event's type, then the event's id; so it compares as text, byte by byte,
// and two versions of the same second still have one winner.
type Version string

// Ranks of event types within one instant. They end in the generation of the
// readers: an event that is read again by newer readers, which see more in it,
// replaces what older ones made of it, and nothing else.
const (
	rankCreated   = 10 + generation
	rankUpdated   = 20 + generation
	rankChanged   = 25 + generation // of a thing that an update says it changed
	rankWithdrawn = 70 + generation // of a link that a message takes back
	rankFinal     = 80 + generation // the object's status is terminal
	rankDeleted   = 90 + generation

	generation = 1
)

func version(t time.Time, rank int, id string) Version {
	return Version(fmt.Sprintf("%s %02d %s", t.UTC().Format(stampLayout), rank, id))
}

// stampLayout is how a version writes its time.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// Withdrawal is the version of the links that a message takes back. It is greater
// than any by which a link is named at the same time, whatever the events' ids: a
// revocation that shares its second with a grant must not be lost.
func (v Version) Withdrawal() Version {
	stamp, rest, _ := strings.Cut(string(v), " ")
	_, id, _ := strings.Cut(rest, " ")
	return Version(fmt.Sprintf("%s %02d %s", stamp, rankWithdrawn, id))
}

// hearsay is a version below any that an object has of itself: what an invoice
// copied of its customer holds until the customer is heard.
func hearsay(v Version) Version { return "-" + v }

// rankOf ranks an event by the last word of its type.
func rankOf(eventType string) int {
	switch eventType[strings.LastIndexByte(eventType, '.')+1:] {
	case "created":
		return rankCreated
	case "deleted":
		return rankDeleted
	}
	return rankUpdated
}

// stripNUL removes the escape \u0000 from JSON text: it is legal there, but no
// Postgres text can hold it.
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

// maxID is the longest id taken seriously: Stripe's own limit, and well under
// what an index can hold.
const maxID = 255

// ref cleans an id that an object names; one that is too long names nothing.
func ref(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxID {
		return ""
	}
	return s
}

// first returns the first string that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
