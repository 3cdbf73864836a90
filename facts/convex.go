package facts

import (
	"errors"
	"strings"
	"time"
)

// Readers of a Convex export: the tables of the marketplace's former app. They are copies of data
// of Clerk, Stripe and the platform, so all of it is hearsay: it counts only until the original is
// received.

// ConvexTables lists the tables to read, in the order with the fewest references to rows not yet
// read.
var ConvexTables = []string{
	"users", "stores", "courses", "digitalProducts", "bundles",
	"enrollments", "purchases", "refunds",
	"membershipSubscriptions", "subscriptions", "userCreatorSubscriptions",
	"customers", "webhookEvents",
}

var convexReaders = map[string]func(*ConvexExport, []byte) (ConvexRow, error){
	"users":                    fromLine((*ConvexExport).readUser),
	"stores":                   fromLine((*ConvexExport).readStore),
	"courses":                  fromLine((*ConvexExport).readCourse),
	"digitalProducts":          fromLine((*ConvexExport).readDigitalProduct),
	"bundles":                  fromLine((*ConvexExport).readBundle),
	"enrollments":              fromLine((*ConvexExport).readEnrollment),
	"purchases":                fromLine((*ConvexExport).readPurchase),
	"refunds":                  fromLine((*ConvexExport).readRefund),
	"membershipSubscriptions":  fromLine((*ConvexExport).readMembership),
	"subscriptions":            fromLine((*ConvexExport).readMembership),
	"userCreatorSubscriptions": fromLine((*ConvexExport).readMembership),
	"customers":                fromLine((*ConvexExport).readCustomer),
	"webhookEvents":            fromLine((*ConvexExport).readEvent),
}

// ConvexExport is an export made at a time. A later export wins.
type ConvexExport struct {
	// Person finds a document of the users table by its _id. Other documents refer to users by _id
	// or by Clerk's id. If nil, none is found.
	Person func(id string) (ConvexPerson, bool)

	asOf                               time.Time
	created, updated, deleted, claimed Version // shared by all documents, as there are many
}

// NewConvexExport returns an export made at asOf.
func NewConvexExport(asOf time.Time) *ConvexExport {
	x := &ConvexExport{
		asOf:    asOf.UTC(),
		created: hearsay(version(asOf, rankCreated, "")),
		updated: hearsay(version(asOf, rankUpdated, "")),
		deleted: hearsay(version(asOf, rankDeleted, "")),
	}
	x.claimed = claim(claimHeard, x.updated)
	return x
}

// ConvexRow holds the facts of a row. If there are none, Passed has the reason.
type ConvexRow struct {
	Facts    Set
	Customer *ConvexCustomer
	Failed   *ConvexEvent
	Person   *ConvexPerson // of a row of users
	Passed   []string      // what was skipped and why, for example "without a Clerk id": a few fixed texts
}

// ConvexPerson identifies a document of the users table.
type ConvexPerson struct {
	ID      string // the document's
	ClerkID string // or empty
	Email   string // or empty
}

// pass notes why the row, or a part of it, was skipped.
func (r *ConvexRow) pass(why string) { r.Passed = append(r.Passed, why) }

// named finds the person that a document names: by Clerk's id, by the token of a Clerk session, or
// by the _id in users. A person without a Clerk id is returned as an address. An unknown value
// counts as an id.
func (x *ConvexExport) named(id convexID) (user, email string) {
	if strings.HasPrefix(string(id), "user_") {
		return string(id), ""
	}
	if subject := subjectOf(string(id)); subject != "" {
		return subject, ""
	}
	if id != "" && x.Person != nil {
		if p, ok := x.Person(string(id)); ok && p.ClerkID+p.Email != "" {
			if p.ClerkID == "" {
				email = p.Email
			}
			return p.ClerkID, email
		}
	}
	return string(id), ""
}

// subjectOf returns Clerk's id from a tokenIdentifier (issuer, bar, id).
// https://docs.convex.dev/auth/functions-auth
func subjectOf(token string) string {
	_, subject, _ := strings.Cut(token, "|")
	return ref(subject)
}

// ConvexCustomer is an entry of the former customer list, used only for comparison.
type ConvexCustomer struct {
	StoreRef string
	Email    string
	Spent    *int64 // minor units; nil if not a whole number
}

// ConvexEvent is a Stripe event that the former app acknowledged but did not process.
type ConvexEvent struct {
	ID, Type, Error string
}

// Read reads a line of a table, which is one document. The error is *Malformed; its text does not
// name the table.
func (x *ConvexExport) Read(table string, line []byte) (ConvexRow, error) {
	read, ok := convexReaders[table]
	if !ok {
		return ConvexRow{}, malformed("table %q is not needed", table)
	}
	row, err := read(x, stripNUL(line))
	if err != nil {
		return ConvexRow{}, malformed("%v", err)
	}
	return row, nil
}

// convexDoc holds the fields that all documents have.
type convexDoc struct {
	ID        convexID `json:"_id"`
	CreatedAt number   `json:"_creationTime"` // milliseconds
}

func (d *convexDoc) check() error {
	if d.ID == "" {
		return errors.New("_id is missing, or longer than 255 characters")
	}
	return nil
}

// made returns when the document was created, if known.
func (d *convexDoc) made() *time.Time { return d.CreatedAt.time() }

// at returns when the document was created, which is when its facts happened.
func (d *convexDoc) at() (*time.Time, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	at := d.CreatedAt.time()
	if at == nil {
		return nil, errors.New("_creationTime is missing or is no time in milliseconds")
	}
	return at, nil
}

// heard returns the version of a document's facts.
func (x *ConvexExport) heard(d *convexDoc) Version { return x.updated + Version(d.ID) }

type convexUser struct {
	convexDoc
	ClerkID    convexID `json:"clerkId"`
	ClerkUser  convexID `json:"clerkUserId"`
	ExternalID convexID `json:"externalId"`
	Token      words    `json:"tokenIdentifier"`
	Email      words    `json:"email"`
	Name       words    `json:"name"`
	FirstName  words    `json:"firstName"`
	LastName   words    `json:"lastName"`
	ImageURL   words    `json:"imageUrl"`
}

// readUser reads a user. A user without a Clerk id has no facts, but others may refer to it, and
// then its address is known.
func (x *ConvexExport) readUser(u *convexUser) (row ConvexRow, err error) {
	id := first(string(u.ClerkID), string(u.ClerkUser), string(u.ExternalID), subjectOf(string(u.Token)))
	row.Person = &ConvexPerson{ID: string(u.ID), ClerkID: id, Email: Email(string(u.Email))}
	if id == "" {
		row.pass("without a Clerk id (clerkId, externalId or tokenIdentifier)")
		return row, u.check()
	}
	called := name(string(u.Name))
	if Email(called) != "" { // old rows repeat the address
		called = ""
	}
	row.Facts.Users = []User{{
		ID: id, Email: row.Person.Email, ImageURL: string(u.ImageURL),
		Name:    first(name(string(u.FirstName), string(u.LastName)), called),
		Version: x.heard(&u.convexDoc),
	}}
	return row, u.check()
}

type convexStore struct {
	convexDoc
	Name   words    `json:"name"`
	UserID convexID `json:"userId"`
}

func (x *ConvexExport) readStore(s *convexStore) (row ConvexRow, err error) {
	owner, _ := x.named(s.UserID)
	row.Facts.Stores = []Store{{
		ID: string(s.ID), Name: name(string(s.Name)), OwnerUserID: owner, Version: x.heard(&s.convexDoc),
	}}
	return row, s.check()
}

type convexCustomer struct {
	convexDoc
	StoreID    convexID `json:"storeId"`
	Email      words    `json:"email"`
	Name       words    `json:"name"`
	TotalSpent number   `json:"totalSpent"` // minor units
}

// readCustomer reads an entry of the former list: purchases refer to it, and its figures are
// compared. If the address was unknown, the entry has a user's id instead.
func (x *ConvexExport) readCustomer(c *convexCustomer) (row ConvexRow, err error) {
	address := Email(string(c.Email))
	if address == "" {
		row.pass("without an email address")
		return row, c.check()
	}
	if err := c.check(); err != nil {
		return row, err
	}
	row.Facts.StripeCustomers = []StripeCustomer{{
		ID: string(c.ID), Email: address, Name: name(string(c.Name)), Version: x.heard(&c.convexDoc),
	}}
	row.Customer = &ConvexCustomer{StoreRef: string(c.StoreID), Email: address}
	if spent, err := c.TotalSpent.minor(); err == nil {
		row.Customer.Spent = &spent
	}
	return row, nil
}

type convexEvent struct {
	StripeEventID convexID `json:"stripeEventId"`
	EventType     words    `json:"eventType"`
	Status        words    `json:"status"`
	Error         words    `json:"error"`
}

func (x *ConvexExport) readEvent(e *convexEvent) (row ConvexRow, err error) {
	if e.Status == "failed" && e.StripeEventID != "" {
		row.Failed = &ConvexEvent{string(e.StripeEventID), string(e.EventType), name(string(e.Error))}
	} else {
		row.pass("that had not failed")
	}
	return row, nil
}
