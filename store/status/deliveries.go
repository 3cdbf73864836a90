package status

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Sources lists the sources of events.
func Sources() []string { return append([]string{}, store.Sources...) }

// Traffic is recent events and deliveries: everything that watches check.
type Traffic struct {
	At         time.Time
	Deliveries []store.Delivered
	Secrets    []SecretUse
	Failing    []FailingEvents
	Overdue    OverdueEvents
	Mail       []StoppedMail
	Campaigns  []PausedCampaign
	Recovered  map[string]time.Time // by source: a backfill also read everything sent before this time
}

// FailingEvents are the events of one type that fail.
type FailingEvents struct {
	Source string
	Type   string
	Failed int64   // failed
	Trying int64   // tried several times, to be retried
	Error  string  // of the newest failed event, else of the newest retried one
	Events []int64 // ids in the inbox of some, the newest first
}

// OverdueEvents are the events that should have been applied by now.
type OverdueEvents struct {
	Count  int64
	Oldest *time.Time // when it was received; nil if there is none
}

// Traffic reads the traffic since a time, as of now.
func (s *Reader) Traffic(ctx context.Context, since, now time.Time) (t Traffic, err error) {
	defer pg.Wrap(&err, "status.Traffic")
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
	if t.Secrets, err = secretUses(ctx, tx); err != nil {
		return t, err
	}
	if t.Failing, err = failingEvents(ctx, tx); err != nil {
		return t, err
	}
	if t.Overdue, err = overdueEvents(ctx, tx, now); err != nil {
		return t, err
	}
	if t.Mail, err = stoppedMail(ctx, tx); err != nil {
		return t, err
	}
	if t.Campaigns, err = pausedCampaigns(ctx, tx); err != nil {
		return t, err
	}
	t.Recovered, err = recovered(ctx, tx)
	return t, err
}

const (
	// seldomFails is how many failures of an event are not reported.
	seldomFails = 3
	// someTypes is how many types of failing events are distinguished.
	someTypes = 50
)

// failingEvents lists the types of failing events, those with most first. It samples
// the newest failed events and the oldest waiting ones.
func failingEvents(ctx context.Context, tx pgx.Tx) (_ []FailingEvents, err error) {
	defer pg.Wrap(&err, "status.failingEvents")
	return pg.Structs[FailingEvents](ctx, tx, failingSQL, store.SomeEvents, seldomFails, someTypes)
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

// overdueEvents counts pending events that were not tried within a minute of when they
// were due.
func overdueEvents(ctx context.Context, tx pgx.Tx, now time.Time) (o OverdueEvents, err error) {
	defer pg.Wrap(&err, "status.overdueEvents")
	err = tx.QueryRow(ctx, overdueSQL, now, store.SomeEvents).Scan(&o.Count, &o.Oldest)
	o.Oldest = pg.UTC(o.Oldest)
	return o, err
}

const overdueSQL = `
	SELECT count(*), min(received_at)
	FROM (SELECT * FROM webhook_events WHERE status = 'pending' ORDER BY id LIMIT $2) waiting
	WHERE coalesce(attempted_at + LEAST(2 ^ attempts, 600) * interval '1.5 s', received_at) < $1::timestamptz
		- interval '1 minute'
	  AND ` + arrived

// recovered is the time, by source, up to which a backfill also read everything: a full
// one, or for Stripe the hourly one, each run of which continues the last.
func recovered(ctx context.Context, tx pgx.Tx) (_ map[string]time.Time, err error) {
	defer pg.Wrap(&err, "status.recovered")
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

// HourlySchedule is the StartedBy of hourly backfills.
const HourlySchedule = "the hourly schedule"
