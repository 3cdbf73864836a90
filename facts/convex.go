package facts

import (
	"errors"
	"strings"
	"time"
)

// How an export of a Convex deployment is read: the tables that a marketplace
// kept before. It is what somebody copied of what Clerk, Stripe and the platform
// say, so all of it is hearsay: it stands only until they are heard themselves,
// whenever that is.

// ConvexTables lists the tables that are read, in the order that brings the
// fewest rows which lean on something not told yet.
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

// ConvexExport is an export as of a time. What a later one says beats an
// earlier one.
type ConvexExport struct {
	// Person finds a document of the users table by its _id. Other documents name
	// users by that, or by Clerk's id. Nil: nobody is found.
	Person func(id string) (ConvexPerson, bool)

	asOf                               time.Time
	created, updated, deleted, claimed Version // all but the documents' ids, as there are many of those
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

// ConvexRow is what a row comes to. A row that says nothing has its reason among
// Passed.
type ConvexRow struct {
	Facts    Set
	Customer *ConvexCustomer
	Failed   *ConvexEvent
	Person   *ConvexPerson // of a row of users
	Passed   []string      // what of it was passed over, as "without a Clerk id": a few texts, none of which holds what a row does
}

// ConvexPerson is who a document of the users table is.
type ConvexPerson struct {
	ID      string // the document's
	ClerkID string // or empty
	Email   string // or empty
}

// pass notes that a row was passed over, or something of it.
func (r *ConvexRow) pass(why string) { r.Passed = append(r.Passed, why) }

// named finds who a document names: by Clerk's id, by the token of a session with
// Clerk, or by the _id of a document of users. Of one that is known by no id of
// Clerk's it is the address. What is found nowhere is taken for an id.
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

// subjectOf is Clerk's id in a tokenIdentifier: the issuer, a bar, the id.
// https://docs.convex.dev/auth/functions-auth
func subjectOf(token string) string {
	_, subject, _ := strings.Cut(token, "|")
	return ref(subject)
}

// ConvexCustomer is an entry of the customer list that was kept, only to be
// compared.
type ConvexCustomer struct {
	StoreRef string
	Email    string
	Spent    *int64 // minor units; nil where the entry has no whole number
}

// ConvexEvent is a webhook event of Stripe that was answered with success and
// not carried out.
type ConvexEvent struct {
	ID, Type, Error string
}

// Read reads a line of a table: one document. The error is *Malformed; its text
// does not name the table.
func (x *ConvexExport) Read(table string, line []byte) (ConvexRow, error) {
	read, ok := convexReaders[table]
	if !ok {
		return ConvexRow{}, malformed("no use for a table %q", table)
	}
	row, err := read(x, stripNUL(line))
	if err != nil {
		return ConvexRow{}, malformed("%v", err)
	}
	return row, nil
}

// convexDoc is what all documents have.
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

// made is when the document was made, if it says so.
func (d *convexDoc) made() *time.Time { return d.CreatedAt.time() }

// at is when the document was made, which is when what it tells happened.
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

// heard is the version of what a document says of something.
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

// readUser reads a user. One without a Clerk id says nothing of itself; others
// may name it, and its address is known then.
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

// readCustomer reads an entry of the old list: purchases name it, and its
// figures can be compared. Where no address was known it holds a user's id.
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
