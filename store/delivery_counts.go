package store

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Outcomes that are no code of a refusal.
const (
	Accepted  = "accepted"
	Duplicate = "duplicate"
)

// Kept are the outcomes of deliveries that are in the inbox.
var Kept = []string{Accepted, Duplicate}

// BadSignature is the code of deliveries whose signature matches no secret.
const BadSignature = "invalid_signature"

// How long counts are kept: hours for charts of months, and so that the watches know each weekday;
// minutes for yesterday.
const (
	KeepHours   = 90 * 24 * time.Hour
	KeepMinutes = 48 * time.Hour
)

// Elsewhere stands for the networks that a receiver does not keep apart.
const Elsewhere = "0.0.0.0/0"

// Delivered counts the deliveries of a source in one hour that came to the same.
type Delivered struct {
	Source  string
	Hour    time.Time // its beginning, in UTC
	Outcome string
	Count   int64
	First   time.Time
	Last    time.Time
}

// Counted are deliveries of one minute, with what the counts of hours leave out.
type Counted struct {
	Delivered
	Network string // that they came from, or Elsewhere; empty: not known
	// Secrets is a fingerprint of those that they were checked by; empty: they were not checked, as
	// they had no signature, or none of about now.
	Secrets string
}

// CountDeliveries adds counts to those that are there: to the minute and the hour, to the network, and
// to the secrets. All of a count belongs to the minute of its First.
func (s *Store) CountDeliveries(ctx context.Context, counts []Counted) (err error) {
	defer pg.Wrap(&err, "store.CountDeliveries(%d)", len(counts))
	n := len(counts)
	var (
		sources, outcomes = make([]string, n), make([]string, n)
		networks, secrets = make([]string, n), make([]string, n)
		firsts, lasts     = make([]time.Time, n), make([]time.Time, n)
		numbers           = make([]int64, n)
	)
	for i, c := range counts {
		sources[i], outcomes[i], networks[i], secrets[i] = c.Source, c.Outcome, c.Network, c.Secrets
		firsts[i], lasts[i], numbers[i] = c.First, c.Last, c.Count
	}
	var batch pgx.Batch
	for _, sql := range []string{countHoursSQL, countMinutesSQL, countNetworksSQL, countSecretsSQL} {
		batch.Queue(strings.Replace(sql, "counted", countedSQL, 1), sources, outcomes, networks, secrets, firsts, lasts,
			numbers)
	}
	return s.InTx(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, &batch).Close() })
}

const countedSQL = `unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
			$7::bigint[]) AS c(source, outcome, network, secrets, first_at, last_at, count)`

// All are written in order: two receivers that write at once must not wait in a circle.
const (
	countHoursSQL = `
		INSERT INTO webhook_deliveries AS d (source, hour, outcome, count, first_at, last_at)
		SELECT source, date_trunc('hour', first_at, 'UTC') AS hour, outcome, sum(count), min(first_at), max(last_at)
		FROM counted
		GROUP BY source, hour, outcome
		ORDER BY source, hour, outcome
		ON CONFLICT (source, hour, outcome) DO UPDATE SET
			count = d.count + EXCLUDED.count,
			first_at = LEAST(d.first_at, EXCLUDED.first_at),
			last_at = GREATEST(d.last_at, EXCLUDED.last_at)`
	countMinutesSQL = `
		INSERT INTO webhook_minutes AS m (source, minute, outcome, count)
		SELECT source, date_trunc('minute', first_at, 'UTC') AS minute, outcome, sum(count)
		FROM counted
		GROUP BY source, minute, outcome
		ORDER BY minute, source, outcome
		ON CONFLICT (minute, source, outcome) DO UPDATE SET
			count = m.count + EXCLUDED.count`
	countNetworksSQL = `
		INSERT INTO webhook_networks AS n (source, hour, network, outcome, count, last_at)
		SELECT source, date_trunc('hour', first_at, 'UTC') AS hour, network::cidr, outcome, sum(count), max(last_at)
		FROM counted
		WHERE network <> ''
		GROUP BY source, hour, network, outcome
		ORDER BY hour, source, network, outcome
		ON CONFLICT (hour, source, network, outcome) DO UPDATE SET
			count = n.count + EXCLUDED.count,
			last_at = GREATEST(n.last_at, EXCLUDED.last_at)`
	countSecretsSQL = `
		INSERT INTO webhook_secrets AS s
			(source, secrets, verified_at, last_verified_at, refused, first_refused_at, last_refused_at)
		SELECT
			source,
			secrets,
			min(first_at) FILTER (WHERE outcome <> '` + BadSignature + `'),
			max(last_at) FILTER (WHERE outcome <> '` + BadSignature + `'),
			coalesce(sum(count) FILTER (WHERE outcome = '` + BadSignature + `'), 0),
			min(first_at) FILTER (WHERE outcome = '` + BadSignature + `'),
			max(last_at) FILTER (WHERE outcome = '` + BadSignature + `')
		FROM counted
		WHERE secrets <> ''
		GROUP BY source, secrets
		ORDER BY source, secrets
		ON CONFLICT (source, secrets) DO UPDATE SET
			verified_at = LEAST(s.verified_at, EXCLUDED.verified_at),
			last_verified_at = GREATEST(s.last_verified_at, EXCLUDED.last_verified_at),
			refused = s.refused + EXCLUDED.refused,
			first_refused_at = LEAST(s.first_refused_at, EXCLUDED.first_refused_at),
			last_refused_at = GREATEST(s.last_refused_at, EXCLUDED.last_refused_at)`
)

// NewestEvents is how much of the inbox tells the rhythm of a source whose
// deliveries nobody has counted.
const NewestEvents = 20_000

// Deliveries lists what came in the hours since, by source, hour and outcome.
// Where nothing of a source was counted, as of one whose events only backfills
// bring, the newest events of the inbox stand for it.
func Deliveries(ctx context.Context, tx pgx.Tx, since time.Time) (_ []Delivered, err error) {
	defer pg.Wrap(&err, "store.deliveries")
	rows := pg.Query(ctx, tx, DeliveriesSQL, since, Accepted, NewestEvents)
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
