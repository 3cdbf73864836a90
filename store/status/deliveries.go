package status

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Sources lists those that an event can come from.
func Sources() []string { return append([]string{}, store.Sources...) }

// Traffic is what came lately and what became of it: all that watches look at.
type Traffic struct {
	At         time.Time
	Deliveries []store.Delivered
	Failing    []FailingEvents
	Overdue    OverdueEvents
	Recovered  map[string]time.Time // by source: what was sent before is here by a backfill, too
}

// FailingEvents are those of one type that cannot be applied.
type FailingEvents struct {
	Source string
	Type   string
	Failed int64   // given up
	Trying int64   // tried several times, and tried again
	Error  string  // of the newest that failed, else of the newest that is tried
	Events []int64 // some of them, by their ids in the inbox, the newest first
}

// OverdueEvents are those that should have been applied by now.
type OverdueEvents struct {
	Count  int64
	Oldest *time.Time // when it came; nil if there is none
}

// Traffic looks at what came since a time, as of now.
func (s *Reader) Traffic(ctx context.Context, since, now time.Time) (t Traffic, err error) {
	defer pg.Wrap(&err, "store.Traffic")
	err = pgx.BeginTxFunc(ctx, s.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		t, err = readTraffic(ctx, tx, since, now)
		return err
	})
	return t, err
}

func readTraffic(ctx context.Context, tx pgx.Tx, since, now time.Time) (t Traffic, err error) {
	t.At = now
	if t.Deliveries, err = store.Deliveries(ctx, tx, since); err != nil {
		return t, err
	}
	if t.Failing, err = failingEvents(ctx, tx); err != nil {
		return t, err
	}
	if t.Overdue, err = overdueEvents(ctx, tx, now); err != nil {
		return t, err
	}
	t.Recovered, err = recovered(ctx, tx)
	return t, err
}

const (
	// seldomFails is how often an event may fail without being worth a word.
	seldomFails = 3
	// someTypes is how many types of failing events are told apart.
	someTypes = 50
)

// failingEvents lists the types of events that fail, those of most events
// first. Of very many events, only the newest that failed and the oldest that
// wait are looked at.
func failingEvents(ctx context.Context, tx pgx.Tx) (_ []FailingEvents, err error) {
	defer pg.Wrap(&err, "store.failingEvents")
	rows, err := tx.Query(ctx, failingSQL, store.SomeEvents, seldomFails, someTypes)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[FailingEvents])
}

const failingSQL = `
	SELECT
		source,
		type,
		count(*) FILTER (WHERE status = 'failed') AS failed,
		count(*) FILTER (WHERE status = 'pending') AS trying,
		coalesce((array_agg(last_error ORDER BY status, id DESC))[1], ''),
		(array_agg(id ORDER BY status, id DESC))[1:5]
	FROM (
		(SELECT id, source, type, status, last_error FROM webhook_events WHERE status = 'failed' ORDER BY id DESC LIMIT $1)
		UNION ALL
		SELECT id, source, type, status, last_error
		FROM (SELECT * FROM webhook_events WHERE status = 'pending' ORDER BY id LIMIT $1) waiting
		WHERE attempts >= $2
	) e
	GROUP BY source, type
	ORDER BY failed DESC, trying DESC, source, type
	LIMIT $3`

// overdueEvents counts the events that are still pending without having been
// tried within a minute of when they came, or were to be tried.
func overdueEvents(ctx context.Context, tx pgx.Tx, now time.Time) (o OverdueEvents, err error) {
	defer pg.Wrap(&err, "store.overdueEvents")
	err = tx.QueryRow(ctx, overdueSQL, now, store.SomeEvents).Scan(&o.Count, &o.Oldest)
	o.Oldest = pg.UTC(o.Oldest)
	return o, err
}

const overdueSQL = `
	SELECT count(*), min(received_at)
	FROM (SELECT * FROM webhook_events WHERE status = 'pending' ORDER BY id LIMIT $2) waiting
	WHERE coalesce(attempted_at + LEAST(2 ^ attempts, 600) * interval '1.5 s', received_at) < $1::timestamptz - interval '1 minute'
	  AND ` + arrived

// recovered tells until when what each source sent is here by a backfill, too:
// one that read all that the source keeps; or, of Stripe, the hourly one, each
// run of which begins where the last ended.
func recovered(ctx context.Context, tx pgx.Tx) (_ map[string]time.Time, err error) {
	defer pg.Wrap(&err, "store.recovered")
	until := map[string]time.Time{}
	for _, kind := range store.BackfillKinds {
		if kind.Recovers == "" {
			continue
		}
		var at *time.Time
		if err := tx.QueryRow(ctx, `
			SELECT max(created_at)
			FROM backfills
			WHERE kind = $1
			  AND status IN ('completed', 'completed_with_errors')
			  AND NOT dry_run
			  AND (NOT options ? 'since' OR started_by = $2)`, kind.Name, HourlySchedule).Scan(&at); err != nil {
			return nil, err
		}
		if at != nil {
			until[kind.Recovers] = at.UTC()
		}
	}
	return until, nil
}

// HourlySchedule is whom the hourly backfills are started by.
const HourlySchedule = "the hourly schedule"
