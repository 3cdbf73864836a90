package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Outcomes of deliveries that are in the inbox. The others are the codes of
// refusals.
const (
	Accepted  = "accepted"
	Duplicate = "duplicate"
)

// KeepDeliveries is how long deliveries are counted for: four weeks, so that
// each weekday has been seen some times, and a few days to read them by.
const KeepDeliveries = 35 * 24 * time.Hour

// Delivered counts the deliveries of a source in one hour that came to the same.
type Delivered struct {
	Source  string
	Hour    time.Time // its beginning, in UTC
	Outcome string
	Count   int64
	First   time.Time
	Last    time.Time
}

// CountDeliveries adds counts to those that are there.
func (s *Store) CountDeliveries(ctx context.Context, counts []Delivered) (err error) {
	defer pg.Wrap(&err, "store.CountDeliveries(%d)", len(counts))
	n := len(counts)
	var (
		sources, outcomes  = make([]string, n), make([]string, n)
		hours, firsts, end = make([]time.Time, n), make([]time.Time, n), make([]time.Time, n)
		numbers            = make([]int64, n)
	)
	for i, c := range counts {
		sources[i], outcomes[i], numbers[i] = c.Source, c.Outcome, c.Count
		hours[i], firsts[i], end[i] = c.Hour, c.First, c.Last
	}
	// In order: two receivers that write at once must not wait in a circle.
	_, err = s.Pool.Exec(ctx, `
		INSERT INTO webhook_deliveries AS d (source, hour, outcome, count, first_at, last_at)
		SELECT source, hour, outcome, sum(count), min(first_at), max(last_at)
		FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
			AS c(source, hour, outcome, count, first_at, last_at)
		GROUP BY source, hour, outcome
		ORDER BY source, hour, outcome
		ON CONFLICT (source, hour, outcome) DO UPDATE SET
			count = d.count + EXCLUDED.count,
			first_at = LEAST(d.first_at, EXCLUDED.first_at),
			last_at = GREATEST(d.last_at, EXCLUDED.last_at)`,
		sources, hours, outcomes, numbers, firsts, end)
	return err
}

// NewestEvents is how much of the inbox tells the rhythm of a source whose
// deliveries nobody has counted.
const NewestEvents = 20_000

// Deliveries lists what came in the hours since, by source, hour and outcome.
// Where nothing of a source was counted, as of one whose events only backfills
// bring, the newest events of the inbox stand for it.
func Deliveries(ctx context.Context, tx pgx.Tx, since time.Time) (_ []Delivered, err error) {
	defer pg.Wrap(&err, "store.deliveries")
	rows, err := tx.Query(ctx, DeliveriesSQL, since, Accepted, NewestEvents)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Delivered, err error) {
		err = row.Scan(&d.Source, &d.Hour, &d.Outcome, &d.Count, &d.First, &d.Last)
		d.Hour, d.First, d.Last = d.Hour.UTC(), d.First.UTC(), d.Last.UTC()
		return d, err
	})
}

const DeliveriesSQL = `
	SELECT source, hour, outcome, count, first_at, last_at
	FROM webhook_deliveries
	WHERE hour >= $1
	UNION ALL
	SELECT source, date_trunc('hour', received_at, 'UTC'), $2, count(*), min(received_at), max(received_at)
	FROM (SELECT source, received_at FROM webhook_events ORDER BY id DESC LIMIT $3) newest
	WHERE received_at >= $1
	  AND source <> ALL (ARRAY(SELECT DISTINCT source FROM webhook_deliveries WHERE hour >= $1))
	GROUP BY 1, 2
	ORDER BY 1, 2, 3`
