package status

import (
	"context"
	"slices"
	"time"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/pg"
)

// Vitals are the state of the system, for requests every few seconds.
type Vitals struct {
	Counts        map[string]int64 `json:"counts"`         // events by status
	Rough         []string         `json:"rough"`          // statuses whose count is not exact, see RoughEventCounts
	OldestPending *store.Event     `json:"oldest_pending"` // nil: none is pending
	Sources       []SourceVitals   `json:"sources"`        // all sources
	Unattached    map[string]int64 `json:"unattached"`     // waiting facts by reason; up to MaxWaiting of each kind
	Watches       []Watch          `json:"watches"`        // those that are not ok, the worst first
	Backfills     []store.Backfill `json:"backfills"`      // those that have not ended, the newest first
	Held          []pg.HeldSession `json:"held_sessions"`  // those that hold rows and are silent
	Senders       []Sender         `json:"-"`              // all sources, as Sources
	Setup         Setup            `json:"-"`
}

// SourceVitals are the recent events of a source.
type SourceVitals struct {
	Source     string       `json:"source"`
	LastMinute Rate         `json:"last_minute"`
	LastHour   Rate         `json:"last_hour"`
	Last       *store.Event `json:"last"` // the newest; nil: there is none
}

// Rate is the number of events received within a time.
type Rate struct {
	Events int64 `json:"events"`
	Rough  bool  `json:"rough"` // an estimate: there were too many to count
}

const (
	// MaxWaiting is the highest count of missing facts of a kind and reason.
	MaxWaiting = 100_000
	// maxRunning is the maximum number of backfills in Vitals.
	maxRunning = 20
)

// Vitals reads the state as of now with some look-ups in indexes, whatever the size of tables.
func (s *Reader) Vitals(ctx context.Context, now time.Time) (v Vitals, err error) {
	defer pg.Wrap(&err, "status.Vitals")
	if v.Counts, v.Rough, err = s.RoughEventCounts(ctx); err != nil {
		return v, err
	}
	v.Rough = append([]string{}, v.Rough...)
	if v.OldestPending, err = s.oldestPending(ctx); err != nil {
		return v, err
	}
	if v.Sources, err = s.sourceVitals(ctx); err != nil {
		return v, err
	}
	if v.Unattached, err = s.waitingFacts(ctx); err != nil {
		return v, err
	}
	if v.Watches, err = s.Watches(ctx); err != nil {
		return v, err
	}
	v.Watches = slices.DeleteFunc(v.Watches, func(w Watch) bool { return w.State == OK })
	if v.Backfills, err = s.runningBackfills(ctx); err != nil {
		return v, err
	}
	if v.Held, err = s.HeldSessions(ctx, pg.HeldLong); err != nil {
		return v, err
	}
	v.Held = append([]pg.HeldSession{}, v.Held...)
	if v.Senders, err = s.senders(ctx, now); err != nil {
		return v, err
	}
	v.Setup, err = s.setup(ctx)
	return v, err
}

// oldestPending is the oldest pending event that was not reopened, among the oldest
// pendingSample.
func (s *Reader) oldestPending(ctx context.Context) (*store.Event, error) {
	rows := pg.Query(ctx, s.Pool, store.SelectEvents("NULL::text", "NULL::text")+`
		WHERE e.id = (
			SELECT min(id)
			FROM (SELECT id, attempts, attempted_at FROM webhook_events WHERE status = 'pending' ORDER BY id LIMIT $1) waiting
			WHERE `+arrived+`
		)`, pendingSample)
	events, err := pgx.CollectRows(rows, store.OneEvent)
	if len(events) == 0 {
		return nil, err
	}
	return &events[0], err
}

func (s *Reader) sourceVitals(ctx context.Context) ([]SourceVitals, error) {
	newest, err := s.newestOfSources(ctx)
	if err != nil {
		return nil, err
	}
	minute, err := s.rates(ctx, time.Minute)
	if err != nil {
		return nil, err
	}
	hour, err := s.rates(ctx, time.Hour)
	if err != nil {
		return nil, err
	}
	var out []SourceVitals
	for _, name := range store.Sources {
		of := SourceVitals{Source: name, LastMinute: minute[name], LastHour: hour[name]}
		if i := slices.IndexFunc(newest, func(e store.Event) bool { return e.Source == name }); i >= 0 {
			of.Last = &newest[i]
		}
		if of.Last != nil || !slices.Contains(facts.MailSources, name) { // most sites have one provider of mail, or none
			out = append(out, of)
		}
	}
	return out, nil
}

// newestOfSources are the newest events of each source.
func (s *Reader) newestOfSources(ctx context.Context) ([]store.Event, error) {
	rows := pg.Query(ctx, s.Pool, store.KindsSQL+store.SelectEvents("NULL::text", "NULL::text")+`
		JOIN (
			SELECT max(newest.id) AS id
			FROM kinds k
			CROSS JOIN LATERAL (
				SELECT max(e.id) AS id
				FROM webhook_events e
				WHERE e.source = k.source AND e.type = k.type
			) newest
			GROUP BY k.source
		) n ON n.id = e.id`)
	return pgx.CollectRows(rows, store.OneEvent)
}

// rateLooks is how many events are read for a rate. Of more events it reads a random
// one of every few.
const rateLooks = 2000

// rates counts the events of each source within a time.
func (s *Reader) rates(ctx context.Context, within time.Duration) (map[string]Rate, error) {
	return s.ratesBy(ctx, within, rateLooks)
}

func (s *Reader) ratesBy(ctx context.Context, within time.Duration, looks int64) (map[string]Rate, error) {
	var first, last int64
	err := s.Pool.QueryRow(ctx, `
		SELECT
			`+store.FirstReceived("now() - $1::interval")+`,
			(SELECT coalesce(max(id), 0) FROM webhook_events)`, within).Scan(&first, &last)
	if err != nil {
		return nil, err
	}
	step := max(1, (last-first+looks)/looks)
	rows := pg.Query(ctx, s.Pool, `
		SELECT
			e.source,
			count(*) * $3::bigint
		FROM generate_series($1::bigint, $2::bigint, $3::bigint) AS g(id)
		CROSS JOIN LATERAL (SELECT source FROM webhook_events
			WHERE id = g.id + abs(hashint8(g.id)::bigint) % $3::bigint OFFSET 0) e
		GROUP BY e.source`, first, last, step)
	rates := map[string]Rate{}
	var source string
	var n int64
	err = pg.Each(rows, []any{&source, &n}, func() {
		rates[source] = Rate{n, step > 1}
	})
	return rates, err
}

func (s *Reader) runningBackfills(ctx context.Context) ([]store.Backfill, error) {
	return pg.Structs[store.Backfill](ctx, s.Pool, `
		SELECT`+store.BackfillColumns+`
		FROM backfills
		WHERE status IN ('queued', 'running', 'paused')
		ORDER BY id DESC
		LIMIT $1`, maxRunning)
}

// waitingFacts counts missing facts by reason, without those not expected on a list.
func (s *Reader) waitingFacts(ctx context.Context) (map[string]int64, error) {
	counts, err := store.UnattachedQuestion{Reasons: reasons.Missing(), Most: MaxWaiting}.Count(ctx, s.Pool)
	return store.ByReason(counts), err
}
