package store

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Worked counts the events of a source that workers finished in one minute.
type Worked struct {
	Source string
	Minute time.Time // its beginning
	Failed bool      // else applied, or ignored as not needed
	UpTo   time.Duration
	Count  int64
	Total  time.Duration // of their times from receipt to commit
}

// latencies are the buckets of Worked.UpTo. The last has all that took longer.
var latencies = []time.Duration{5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 10 * time.Second, time.Minute, 24 * time.Hour}

// Latencies are the buckets that times from receipt to commit are counted in, the shortest first.
func Latencies() []time.Duration { return slices.Clone(latencies) }

// LatencyBucket is the bucket of a time from receipt to commit.
func LatencyBucket(took time.Duration) time.Duration {
	for _, most := range latencies {
		if took <= most {
			return most
		}
	}
	return latencies[len(latencies)-1]
}

// CountWork adds counts to those of their minute and hour.
func (s *Store) CountWork(ctx context.Context, counts []Worked) (err error) {
	defer pg.Wrap(&err, "store.CountWork(%d)", len(counts))
	n := len(counts)
	var (
		sources, outcomes    = make([]string, n), make([]string, n)
		minutes              = make([]time.Time, n)
		upTo, numbers, total = make([]int64, n), make([]int64, n), make([]int64, n)
	)
	for i, c := range counts {
		sources[i], minutes[i], outcomes[i] = c.Source, c.Minute, "applied"
		if c.Failed {
			outcomes[i] = "failed"
		}
		upTo[i], numbers[i], total[i] = c.UpTo.Milliseconds(), c.Count, c.Total.Milliseconds()
	}
	_, err = s.Pool.Exec(ctx, countWorkSQL, sources, minutes, outcomes, upTo, numbers, total)
	return err
}

const countWorkSQL = `
	INSERT INTO event_work AS w (span, at, source, outcome, up_to_ms, count, total_ms)
	SELECT span, date_trunc(span, minute, 'UTC') AS at, source, outcome, up_to_ms, sum(count), sum(total_ms)
	FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
		AS c(source, minute, outcome, up_to_ms, count, total_ms)
	CROSS JOIN (VALUES ('minute'), ('hour')) AS spans(span)
	GROUP BY span, at, source, outcome, up_to_ms
	ORDER BY span, at, source, outcome, up_to_ms
	ON CONFLICT (span, at, source, outcome, up_to_ms) DO UPDATE SET
		count = w.count + EXCLUDED.count,
		total_ms = w.total_ms + EXCLUDED.total_ms`

// sampleMost is the highest number of waiting events that a sample counts.
const sampleMost = 100_000

// sampleEvery is the time between two looks at how much waits.
const sampleEvery = 10 * time.Second

// SampleUntil notes regularly how many events wait, until ctx ends. Workers and receivers do so: while no
// worker runs, the events of a receiver pile up.
func (s *Store) SampleUntil(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if err := s.SampleWaiting(ctx); err != nil && ctx.Err() == nil {
			log.Debug("how much waits could not be noted", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// SampleWaiting notes how many events are pending, unless that was noted within ten seconds.
func (s *Store) SampleWaiting(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "store.SampleWaiting")
	_, err = s.Pool.Exec(ctx, sampleSQL, sampleMost)
	return err
}

const sampleSQL = `
	INSERT INTO inbox_samples AS s (span, at, waiting, taken_at)
	SELECT span, date_trunc(span, now(), 'UTC'), waiting, now()
	FROM (SELECT count(*) AS waiting FROM (SELECT FROM webhook_events WHERE status = 'pending' LIMIT $1) e) pending
	CROSS JOIN (VALUES ('hour'), ('minute')) AS spans(span)
	WHERE NOT EXISTS (
		SELECT
		FROM inbox_samples
		WHERE span = 'minute'
		  AND at >= date_trunc('minute', now() - interval '10 s', 'UTC')
		  AND taken_at > now() - interval '10 s'
	)
	ON CONFLICT (span, at) DO UPDATE SET
		waiting = GREATEST(s.waiting, EXCLUDED.waiting),
		taken_at = EXCLUDED.taken_at`

// ForgetCounts removes counts that are kept no longer.
func ForgetCounts(batch *pgx.Batch, now time.Time) {
	minutes, hours := now.Add(-KeepMinutes), now.Add(-KeepHours)
	batch.Queue(`DELETE FROM webhook_deliveries WHERE hour < $1`, hours)
	batch.Queue(`DELETE FROM webhook_minutes WHERE minute < $1`, minutes)
	batch.Queue(`DELETE FROM webhook_networks WHERE hour < $1`, minutes)
	// Secrets that matched once are right, however long nothing comes: a stranger must not make them look wrong.
	batch.Queue(`DELETE FROM webhook_secrets WHERE verified_at IS NULL AND last_refused_at < $1`, hours)
	for _, table := range []string{"event_work", "inbox_samples"} {
		batch.Queue(`DELETE FROM `+table+` WHERE span = 'minute' AND at < $1 OR span = 'hour' AND at < $2`, minutes, hours)
	}
}
