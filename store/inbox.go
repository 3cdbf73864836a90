package store

import (
	"context"
	"time"

	"rollcall/facts"
	"rollcall/store/pg"
)

// MaxName is the maximum length of an event's id, type, account and API version, in bytes. The
// first two are indexed, and Postgres refuses index entries above about 2,700 bytes.
const MaxName = 255

// FitsName reports whether s can be such a name.
func FitsName(s string) bool { return len(s) <= MaxName && pg.Storable(s) }

// NewEvent is a verified webhook on its way into the inbox.
type NewEvent struct {
	Source     string // stripe, clerk or platform
	EventID    string // the sender's id, the key of deduplication
	Type       string
	Account    string // Stripe Connect account, or empty
	APIVersion string
	Livemode   *bool // nil where the source has no such notion
	OccurredAt time.Time
	Payload    []byte // the raw body, valid JSON
	Headers    []byte // a JSON object of texts; nil where the event came by no request
	// Traceparent is the W3C trace context in which it was received; empty where
	// nobody traces.
	Traceparent string
}

// Inserted is the result of a NewEvent: its row's id, or that an event of
// that source and id was there already.
type Inserted struct {
	ID        int64
	Duplicate bool
}

// Waiting is an inbox row that waits to be applied.
type Waiting struct {
	ID          int64
	Source      string
	Traceparent string // as NewEvent has it
}

// Handled is an event that Apply locked, and its result.
type Handled struct {
	ID          int64 // of the inbox
	Source      string
	EventID     string // the sender's
	Type        string
	Attempt     int           // number of the attempt, from 1
	Status      string        // of the row now; pending: it will be retried
	Reopened    bool          // an operator reopened it, and this was the first attempt since
	Waited      time.Duration // from its receipt to the commit
	Traceparent string        // as NewEvent has it
}

// Reader reads the facts of an event: facts.Read, or a wrapper.
type Reader func(facts.Event) (facts.Set, error)

// pendingEvent is a locked inbox row and the facts read from it.
type pendingEvent struct {
	Handled
	attempts int // before this one
	event    facts.Event
	set      facts.Set
	reason   *string
}

// InsertEvents keeps events in one statement and answers for each, in order.
// When it returns without error every event is committed (now or before).
// Duplicates within events are allowed: the first becomes the row.
// It does so with the schema of any version, as a program may be newer than that.
func (s *Store) InsertEvents(ctx context.Context, events []NewEvent) (_ []Inserted, err error) {
	defer pg.Wrap(&err, "store.InsertEvents(%d)", len(events))
	in, err := insertEvents(ctx, s.Pool, insertSQL, events)
	if pg.Outdated(err) {
		in, err = insertEvents(ctx, s.Pool, insertFirstSQL, events)
	}
	if pg.Unavailable(err) {
		s.Written.Doubt()
	}
	return in, err
}

func insertEvents(ctx context.Context, q pg.Querier, sql string, events []NewEvent) ([]Inserted, error) {
	n := len(events)
	var (
		sources, ids, types, accounts, versions = make([]string, n), make([]string, n), make([]string, n), make([]string, n),
			make([]string, n)
		payloads, headers, traces = make([]string, n), make([]string, n), make([]string, n)
		live                      = make([]*bool, n)
		at                        = make([]time.Time, n)
	)
	type key struct{ source, id string }
	first := make(map[key]int, n)
	for i, e := range events {
		sources[i], ids[i], types[i], accounts[i], versions[i] = e.Source, e.EventID, e.Type, e.Account, e.APIVersion
		live[i], at[i] = e.Livemode, e.OccurredAt
		payloads[i], headers[i], traces[i] = string(e.Payload), string(e.Headers), e.Traceparent
		if _, seen := first[key{e.Source, e.EventID}]; !seen {
			first[key{e.Source, e.EventID}] = i
		}
	}
	rows := pg.Query(ctx, q, sql, sources, ids, types, accounts, versions, live, at, payloads, headers, traces)
	out := make([]Inserted, n)
	for i := range out {
		out[i].Duplicate = true
	}
	var id int64
	var k key
	err := pg.Each(rows, []any{&id, &k.source, &k.id}, func() {
		out[first[k]] = Inserted{ID: id}
	})
	return out, err
}

// insertSQL keeps events; insertFirstSQL does so in the columns that the inbox has had from its first
// version on.
var (
	insertSQL      = insertInto(", headers, traceparent", ", nullif(headers, '')::json, nullif(traceparent, '')")
	insertFirstSQL = insertInto("", "")
)

func insertInto(laterColumns, laterValues string) string {
	return `
		INSERT INTO webhook_events (id, source, event_id, type, account, api_version, livemode, occurred_at, payload` +
		laterColumns + `)
		OVERRIDING SYSTEM VALUE
		SELECT id, source, event_id, type, account, api_version, livemode, occurred_at, payload::json` + laterValues + `
		FROM (
			SELECT nextval('webhook_events_id_seq') AS id, e.* -- in the order given
			FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::timestamptz[], $8::text[],
				$9::text[], $10::text[])
			  AS e(source, event_id, type, account, api_version, livemode, occurred_at, payload, headers, traceparent)
			OFFSET 0
		) e
		-- A transaction waits, as it commits, for disk and standby only if it wrote
		-- something. One that brought only duplicates would be acknowledged while the rows
		-- are perhaps on no standby yet. So each writes a message.
		WHERE (SELECT pg_logical_emit_message(true, 'rollcall', '')) IS NOT NULL
		ORDER BY source, event_id -- else two that bring the same events could wait for each other
		ON CONFLICT (source, event_id) DO NOTHING
		RETURNING id, source, event_id`
}

// Overdue lists up to limit pending events, oldest first, that should have been
// applied by now: no worker tried them within grace of their arrival, or of their
// next attempt by the queue's back-off. Their jobs may be lost.
func (s *Store) Overdue(ctx context.Context, grace time.Duration, limit int) (_ []Waiting, err error) {
	defer pg.Wrap(&err, "store.Overdue")
	return pg.Structs[Waiting](ctx, s.Pool, `
		SELECT id, source, coalesce(traceparent, '')
		FROM webhook_events
		WHERE status = 'pending'
		  AND coalesce(attempted_at + LEAST(2 ^ attempts, 600) * interval '1.5 s', received_at) < now() - $1::interval
		ORDER BY id
		LIMIT $2`, grace, limit)
}
