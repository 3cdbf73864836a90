package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store/reasons"
)

// A backfill brings in history: it is a row, and chunks of work that lead from
// one to the next. A chunk's writes, its counts and what follows it commit in
// one transaction, so a chunk that runs twice counts once, and a run that is
// killed goes on where it was.

// Backfill is one run.
type Backfill struct {
	ID   int64  `json:"id"`
	Kind string `json:"kind"`
	// what of it: a store, accounts, a file; "" is all. One run per kind and scope at a time
	Scope   string          `json:"scope"`
	Options BackfillOptions `json:"options"`
	DryRun  bool            `json:"dry_run"`
	// queued, running, paused, completed, completed_with_errors, failed, cancelled
	Status   string  `json:"status"`
	Reason   *string `json:"reason"`   // why it failed, or what it waits for
	Expected *int64  `json:"expected"` // objects to look at; null while the source cannot tell
	// objects looked at: created + updated + unchanged + errors + those passed over whole
	Seen      int64      `json:"seen"`
	Created   int64      `json:"created"`
	Updated   int64      `json:"updated"`
	Unchanged int64      `json:"unchanged"`
	Errors    int64      `json:"errors"`    // objects that could not be used; see BackfillErrors
	Customers int64      `json:"customers"` // new customers on the lists
	ChunkSize int        `json:"chunk_size"`
	StartedBy string     `json:"started_by"` // who asked for it
	CreatedAt time.Time  `json:"created_at"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

// BackfillOptions narrow a backfill down. Which ones a kind takes: see BackfillKinds.
type BackfillOptions struct {
	Store string     `json:"store,omitempty"` // courses, subscriptions: only this store's facts
	Since *time.Time `json:"since,omitempty"` // stripe, stripe-events: only what was made since
	Only  []string   `json:"only,omitempty"`  // stripe: only these streams
	// stripe, stripe-events: Connect accounts, "" being the platform's own; none: only that
	Accounts []string   `json:"accounts,omitempty"`
	File     string     `json:"file,omitempty"`  // convex: path of the export, where the workers see it
	AsOf     *time.Time `json:"as_of,omitempty"` // the time of what is read: that of the start, or of the export
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
	return fmt.Sprintf("backfill %d of the same kind and scope is %s: look at it, or cancel it first", e.Backfill.ID,
		e.Backfill.Status)
}

// WrongStatus is the error of an order that a run in its status cannot follow.
type WrongStatus struct {
	ID           int64
	Status, Want string
}

func (e *WrongStatus) Error() string {
	return fmt.Sprintf("backfill %d is %s, not %s", e.ID, e.Status, e.Want)
}

// Chunk is one unit of a run's work.
type Chunk struct {
	Backfill int64
	Number   int
	Position
	Attempts int // failed so far
	Run      Backfill
}

// Applied is the result of a chunk.
type Applied struct {
	Next   []int     // numbers of the chunks that may be done next
	Events []Waiting // put into the inbox, to be enqueued
	Status string    // of the run now; empty: nothing was done
	Seen   int64     // objects of the chunk
	Errors int64     // of them, those that could not be used
}

// tally is the result of items: counts and findings.
type tally struct {
	seen, created, updated, unchanged, errors int64
	customers                                 int64            // new on the lists
	passed                                    map[string]int64 // passed over, by the reason

	findings []BackfillError
	events   []Waiting        // put into the inbox
	brought  []address        // the new customers
	claimed  map[address]bool // those of them for which an item counts as created
}

func newTally() *tally { return &tally{claimed: map[address]bool{}, passed: map[string]int64{}} }

func (t *tally) add(o *tally) {
	t.seen += o.seen
	t.created += o.created
	t.updated += o.updated
	t.unchanged += o.unchanged
	t.errors += o.errors
	t.customers += o.customers
	for reason, n := range o.passed {
		t.passed[reason] += n
	}
	t.findings = append(t.findings, o.findings...)
	t.events = append(t.events, o.events...)
	t.brought = append(t.brought, o.brought...)
	maps.Copy(t.claimed, o.claimed)
}

func (t *tally) fail(f Finding) {
	t.errors++
	t.findings = append(t.findings, BackfillError{Finding: f})
}

func (t *tally) note(f Finding) {
	t.findings = append(t.findings, BackfillError{Finding: f, Note: true})
}

func (t *tally) count(o outcome) {
	switch o {
	case created:
		t.created++
	case updated:
		t.updated++
	default:
		t.unchanged++
	}
}

func findings(plain []Finding, note bool) (out []BackfillError) {
	for _, f := range plain {
		out = append(out, BackfillError{Finding: f, Note: note})
	}
	return out
}

// AsText makes a text fit for a column: valid UTF-8, without NUL, and cut to a
// maximal length.
func AsText(s string) string {
	const most = 2000
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + " …"
	}
	return s
}

// sample notes what a dry run would have done with an item.
func (w *work) sample(i Item, o outcome, t *tally) {
	if !w.dryRun || o == unchanged {
		return
	}
	t.note(Finding{Place: i.Place, What: "would be " + map[outcome]string{created: "created", updated: "updated"}[o],
		Why: "a dry run changes nothing"})
}

// bringNew records the new customers of an attachment.
func (t *tally) bringNew(a attached) {
	for at, id := range a.at {
		if a.customers[id] {
			t.customers++
			t.brought = append(t.brought, at)
		}
	}
}

// unresolved counts a row that belongs to no customer: as an error if a
// customer may be missing because of it.
func (t *tally) unresolved(place, unattached string) {
	reason, _ := reasons.Find(unattached)
	if reason.Right {
		t.count(unchanged)
		return
	}
	t.fail(Finding{Place: place, What: unattached, Why: reason.Text()})
}
