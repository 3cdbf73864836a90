package store

import (
	"encoding/json"
	"fmt"
	"time"

	"rollcall/facts"
)

// A backfill brings in history: it is a row, and chunks of work that lead from
// one to the next. A chunk's writes, its counts and what follows it commit in
// one transaction, so a chunk that runs twice counts once, and a run that is
// killed goes on where it was.

// Backfill is one run.
type Backfill struct {
	ID        int64           `json:"id"`
	Kind      string          `json:"kind"`
	Scope     string          `json:"scope"` // what of it: a store, accounts, a file; "" is all. One run per kind and scope at a time
	Options   BackfillOptions `json:"options"`
	DryRun    bool            `json:"dry_run"`
	Status    string          `json:"status"`   // queued, running, paused, completed, completed_with_errors, failed, cancelled
	Reason    *string         `json:"reason"`   // why it failed, or what it waits for
	Expected  *int64          `json:"expected"` // objects to look at; null while the source cannot tell
	Seen      int64           `json:"seen"`     // objects looked at: created + updated + unchanged + errors + those passed over whole
	Created   int64           `json:"created"`
	Updated   int64           `json:"updated"`
	Unchanged int64           `json:"unchanged"`
	Errors    int64           `json:"errors"`    // objects that could not be used; see BackfillErrors
	Customers int64           `json:"customers"` // new customers on the lists
	ChunkSize int             `json:"chunk_size"`
	StartedBy string          `json:"started_by"` // who asked for it
	CreatedAt time.Time       `json:"created_at"`
	StartedAt *time.Time      `json:"started_at"`
	EndedAt   *time.Time      `json:"ended_at"`
}

// BackfillOptions narrow a backfill down. Which ones a kind takes: see BackfillKinds.
type BackfillOptions struct {
	Store    string     `json:"store,omitempty"`    // courses, subscriptions: only this store's facts
	Since    *time.Time `json:"since,omitempty"`    // stripe, stripe-events: only what was made since
	Only     []string   `json:"only,omitempty"`     // stripe: only these streams
	Accounts []string   `json:"accounts,omitempty"` // stripe, stripe-events: Connect accounts, "" being the platform's own; none: only that
	File     string     `json:"file,omitempty"`     // convex: path of the export, where the workers see it
	AsOf     *time.Time `json:"as_of,omitempty"`    // the time of what is read: that of the start, or of the export
}

// Position says where a chunk begins. The empty stream is the plan: reading it
// gives nothing but the positions to begin with.
type Position struct {
	Stream string          `json:"stream"` // as "customers" or "purchases"
	Cursor json.RawMessage `json:"cursor"` // read only by the source that wrote it
}

// Page is what a source of history holds at a position.
type Page struct {
	Items    []Item
	Notes    []Finding  // worth a person's attention, but no errors
	Next     []Position // what to read after it, if anything; several may be read at once
	Expected *int64     // how many objects there are in all, when the source has just learned it

	plan string // of courses and subscriptions: the statement that writes the chunks
}

// Item is one object of a page: facts, an event for the inbox, an entry of a
// list kept before, or, with Err, something that cannot be read. An item of
// none of these is of no use to us and counts as unchanged.
type Item struct {
	Place string // where it was, as "cus_123" or "purchases, line 812"
	Facts facts.Set
	Event *NewEvent
	Old   *OldCustomer
	Err   error // its text says what is wrong, to a person

	// Passed says what of the object was passed over, as "without a Clerk id": a
	// few texts for all objects of a stream, as they are counted. An object that
	// says nothing else counts as passed over, not as unchanged.
	Passed []string

	row *RowKey // of courses and subscriptions: a fact that we hold already
}

// OldCustomer is an entry of a customer list kept before Rollcall. It is only
// compared with what the facts come to.
type OldCustomer struct {
	StoreRef string // a store's id, or its owner's
	Email    string
	Spent    *int64 // minor units; nil or 0: not compared
}

// Finding is something that a backfill reports.
type Finding struct {
	Place string `json:"place"` // where it was
	What  string `json:"what"`  // which object
	Why   string `json:"why"`   // what is wrong with it, and what to do
}

// BackfillError is a Finding kept with a backfill.
type BackfillError struct {
	ID      int64 `json:"id"`
	Finding       // flattened
	Note    bool  `json:"note"` // worth knowing, not counted as an error
}

// AlreadyRunning is the error of a start while a run of the same kind and scope
// has not ended.
type AlreadyRunning struct{ Backfill Backfill }

func (e *AlreadyRunning) Error() string {
	return fmt.Sprintf("backfill %d of the same kind and scope is %s: look at it, or cancel it first", e.Backfill.ID, e.Backfill.Status)
}

// WrongStatus is the error of an order that a run in its status cannot follow.
type WrongStatus struct {
	ID           int64
	Status, Want string
}

func (e *WrongStatus) Error() string {
	return fmt.Sprintf("backfill %d is %s, not %s", e.ID, e.Status, e.Want)
}
