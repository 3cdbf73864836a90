package facts

import (
	"errors"
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

// ConvexRow is what a row comes to. A row of which nothing is set is of no use.
type ConvexRow struct {
	Facts    Set
	Customer *ConvexCustomer
	Failed   *ConvexEvent
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
	ClerkID   convexID `json:"clerkId"`
	Email     words    `json:"email"`
	Name      words    `json:"name"`
	FirstName words    `json:"firstName"`
	LastName  words    `json:"lastName"`
	ImageURL  words    `json:"imageUrl"`
}

// readUser reads a user. One without a Clerk id is named by nothing.
func (x *ConvexExport) readUser(u *convexUser) (row ConvexRow, err error) {
	if u.ClerkID == "" {
		return row, nil
	}
	called := name(string(u.Name))
	if Email(called) != "" { // old rows repeat the address
		called = ""
	}
	row.Facts.Users = []User{{
		ID: string(u.ClerkID), Email: Email(string(u.Email)), ImageURL: string(u.ImageURL),
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
	row.Facts.Stores = []Store{{
		ID: string(s.ID), Name: name(string(s.Name)), OwnerUserID: string(s.UserID), Version: x.heard(&s.convexDoc),
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
	if err := c.check(); err != nil || address == "" {
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
	}
	return row, nil
}
