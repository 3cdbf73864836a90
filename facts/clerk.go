package facts

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
	_ "time/tzdata" // time zones must not depend on the machine
)

// Readers of Clerk objects.

var clerkReaders = map[string]func(Event, json.RawMessage) (Set, error){
	"user.created":    readUserEvent,
	"user.updated":    readUserEvent,
	"user.deleted":    readUserEvent,
	"session.created": readSession,
}

// ClerkTypes are the types of Clerk's events that are read.
func ClerkTypes() []string { return slices.Sorted(maps.Keys(clerkReaders)) }

func readClerk(e Event) (Set, error) {
	var body struct{ Data json.RawMessage }
	if err := json.Unmarshal(e.Payload, &body); err != nil {
		return Set{}, malformed("Clerk event %s (%s): %v", e.ID, e.Type, err)
	}
	read, ok := clerkReaders[e.Type]
	if !ok {
		return Set{}, &Ignored{"Clerk events of type " + e.Type + " are not needed"}
	}
	return read(e, body.Data)
}

func readUserEvent(e Event, data json.RawMessage) (Set, error) {
	set, err := readUser(origin{id: e.ID, typ: e.Type, at: e.OccurredAt}, data)
	if err != nil {
		return Set{}, malformed("Clerk event %s (%s): %v", e.ID, e.Type, err)
	}
	return set, nil
}

// ReadClerkUser reads a user from Clerk's API. read is the time of reading, which only matters if
// the object does not say when it was updated. An event about the same state gives the same facts,
// so their order does not matter. The error is *Malformed.
func ReadClerkUser(read time.Time, user []byte) (Set, error) {
	set, err := readUser(origin{at: read}, stripNUL(user))
	if err != nil {
		return Set{}, malformed("Clerk user: %v", err)
	}
	p, _ := set.Users[0].Version.Provenance() // when it was updated
	return set.happened(p.At), nil
}

type clerkUser struct {
	ID             string
	FirstName      text     `json:"first_name"`
	LastName       text     `json:"last_name"`
	Username       text     `json:"username"`
	ImageURL       text     `json:"image_url"`
	PrimaryEmailID text     `json:"primary_email_address_id"`
	UpdatedAt      millis   `json:"updated_at"`
	LastSignInAt   millis   `json:"last_sign_in_at"`
	PublicMetadata metadata `json:"public_metadata"`
	Emails         []struct {
		ID           text
		Address      text `json:"email_address"`
		Verification *struct{ Status text }
	} `json:"email_addresses"`
}

// verified returns the primary address if it is verified, else another verified one. Unverified
// addresses must not link a user to purchases: anyone can sign up with another person's address.
func (u clerkUser) verified() (address string) {
	for _, e := range u.Emails {
		if e.Verification == nil || e.Verification.Status != "verified" {
			continue
		}
		if e.ID == u.PrimaryEmailID && e.ID != "" {
			return Email(string(e.Address))
		}
		address = first(address, Email(string(e.Address)))
	}
	return address
}

// timeZone returns the zone that the platform stored for the user, if it is valid.
func (u clerkUser) timeZone() string { return timeZone(u.PublicMetadata.get("timezone", "timeZone")) }

// timeZone returns a zone of the tz database, or "".
func timeZone(zone string) string {
	if _, err := time.LoadLocation(zone); zone == "" || zone == "Local" || err != nil {
		return ""
	}
	return zone
}

// readUser reads a user. A deletion only has the id; it becomes a tombstone and keeps the older
// data, which the user's purchases still need. Activity is the last sign-in, as in session.created.
// So users have the same activity whether they came from the API or from events. last_active_at
// changes without an event.
func readUser(o origin, data json.RawMessage) (Set, error) {
	var u clerkUser
	if err := json.Unmarshal(data, &u); err != nil {
		return Set{}, err
	}
	u.ID = ref(u.ID)
	if u.ID == "" {
		return Set{}, errors.New("it has no usable id")
	}
	if o.typ == "user.deleted" {
		return Set{Users: []User{{ID: u.ID, DeletedVersion: o.version(rankDeleted)}}}, nil
	}
	at := o.at
	if t := u.UpdatedAt.time(); t != nil {
		at = *t // the object's own time: more precise than the event's, and the same in the API
	}
	return Set{Users: []User{{
		ID: u.ID, Email: u.verified(), ImageURL: string(u.ImageURL), LastSeenAt: u.LastSignInAt.time(),
		TimeZone: u.timeZone(), Name: first(name(string(u.FirstName), string(u.LastName)), name(string(u.Username))),
		Version: version(at, rankOf(o.typ), o.id),
	}}}, nil
}

// readSession reads a sign-in as the user's activity, unless an admin impersonated the user
// (actor).
func readSession(_ Event, data json.RawMessage) (Set, error) {
	var s struct {
		UserID    text   `json:"user_id"`
		CreatedAt millis `json:"created_at"`
		Actor     json.RawMessage
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return Set{}, malformed("Clerk session: %v", err)
	}
	id, at := ref(string(s.UserID)), s.CreatedAt.time()
	if id == "" || at == nil {
		return Set{}, malformed("Clerk session without user_id or created_at")
	}
	if len(s.Actor) > 0 && string(s.Actor) != "null" {
		return Set{}, &Ignored{"a sign-in by an admin in the user's place is not the user's activity"}
	}
	return Set{Users: []User{{ID: id, LastSeenAt: at}}}, nil
}

// millis is a time in milliseconds; some exports have fractions. Numbers below 10^12 are seconds,
// as in some of Clerk's examples.
type millis float64

func (m *millis) UnmarshalJSON(b []byte) error {
	var n float64
	if json.Unmarshal(b, &n) == nil {
		*m = millis(n)
	}
	return nil
}

func (m millis) time() *time.Time {
	n := float64(m)
	if n > 0 && n < 1e12 {
		n *= 1000
	}
	if n <= 0 || n/1000 > maxUnix {
		return nil
	}
	t := time.UnixMicro(int64(n * 1000)).UTC()
	return &t
}
