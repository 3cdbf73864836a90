package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// All times are by the clock of Postgres, which all workers share. A worker with a
// wrong clock must not delete, alert or start anything because of it.

// Now is the time by the clock of Postgres.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	defer pg.Wrap(&err, "store.Now")
	err = s.Pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now.UTC(), err
}

// WorkerClock is how far a worker's clock is from that of Postgres.
type WorkerClock struct {
	Worker string        // host:pid
	Ahead  time.Duration // of Postgres; negative: behind it
}

// clocksFor is how long a silent worker is remembered.
const clocksFor = 10 * time.Minute

// NoteClock compares a worker's clock with that of Postgres, and keeps the
// difference, beside the settings for imports that the worker has.
func (s *Store) NoteClock(ctx context.Context, worker string, now time.Time, keys ...string) (err error) {
	defer pg.Wrap(&err, "store.NoteClock(%q)", worker)
	_, err = s.Pool.Exec(ctx, `
		WITH gone AS (
			DELETE FROM worker_clocks WHERE seen_at < clock_timestamp() - $3::interval AND worker <> $1
		)
		INSERT INTO worker_clocks (worker, ahead, seen_at, keys)
		VALUES ($1, $2::timestamptz - clock_timestamp(), clock_timestamp(), coalesce($4::text[], '{}'))
		ON CONFLICT (worker) DO UPDATE SET ahead = EXCLUDED.ahead, seen_at = EXCLUDED.seen_at, keys = EXCLUDED.keys`,
		worker, now, clocksFor, keys)
	return err
}

// WorkerClocks lists the clocks of the workers that run, the ones furthest off
// first.
func (s *Store) WorkerClocks(ctx context.Context) (_ []WorkerClock, err error) {
	defer pg.Wrap(&err, "store.WorkerClocks")
	rows := pg.Query(ctx, s.Pool, `
		SELECT worker, extract(epoch FROM ahead)::float8
		FROM worker_clocks
		WHERE seen_at > clock_timestamp() - $1::interval
		ORDER BY GREATEST(ahead, -ahead) DESC, worker`, clocksFor)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c WorkerClock, err error) {
		var seconds float64
		err = row.Scan(&c.Worker, &seconds)
		c.Ahead = time.Duration(seconds * float64(time.Second))
		return c, err
	})
}

// LacksKey reports whether workers run, and none of them has a setting that imports need.
func (s *Store) LacksKey(ctx context.Context, key string) (lacks bool, err error) {
	defer pg.Wrap(&err, "store.LacksKey(%q)", key)
	err = s.Pool.QueryRow(ctx, `
		SELECT coalesce(NOT bool_or(keys IS NULL OR $1 = ANY(keys)), false)
		FROM worker_clocks
		WHERE seen_at > clock_timestamp() - $2::interval`, key, clocksFor).Scan(&lacks)
	return lacks, err
}
