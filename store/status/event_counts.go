package status

import (
	"context"
	"slices"

	"rollcall/store"
	"rollcall/store/pg"
)

// countExactly is the number of events up to which they are counted one by one,
// which takes some tenths of a second.
const countExactly = 2_000_000

// EventCounts returns how many events there are of each status, all four always.
// Those that an operator acts on, pending and failed, are exact and read from an
// index that holds nothing else. Of the processed, the many, the figure is what
// remains of the total; above countExactly that total is Postgres' own estimate.
func (s *Reader) EventCounts(ctx context.Context) (_ map[string]int64, err error) {
	defer pg.Wrap(&err, "store.EventCounts")
	counts, _, err := s.CountEvents(ctx, countExactly, nil)
	return counts, err
}

// countOften is up to how many events of a status are counted for those who ask
// every few seconds.
const countOften = 50_000

// RoughEventCounts are EventCounts for those who ask again and again: much
// sooner, and with more than countOften of a status not exact. These are named:
// there are about as many that are processed or ignored, and as many or more
// that are pending or have failed.
func (s *Reader) RoughEventCounts(ctx context.Context) (counts map[string]int64, rough []string, err error) {
	defer pg.Wrap(&err, "store.RoughEventCounts")
	return s.CountEvents(ctx, countOften, store.Ptr(countOften))
}

// CountEvents counts all events one by one up to exactly, and of each other
// status up to most.
func (s *Reader) CountEvents(ctx context.Context, exactly int64, most *int) (_ map[string]int64, rough []string, err error) {
	var total, open, pending, failed, ignored int64
	var many bool
	// One statement, so that the figures are of one moment.
	err = s.Pool.QueryRow(ctx, `
		WITH estimate AS MATERIALIZED (
			-- Rows per page as of the last ANALYZE, times the pages there are now.
			SELECT
				t.reltuples / greatest(t.relpages, 1) * (pg_relation_size(t.oid) / current_setting('block_size')::int) AS total,
				i.reltuples::bigint AS open
			FROM pg_class t
			CROSS JOIN pg_class i
			WHERE t.oid = 'webhook_events'::regclass
			  AND i.oid = 'webhook_events_open'::regclass
		)
		SELECT
			estimate.total > $1,
			CASE WHEN estimate.total > $1 THEN estimate.total::bigint ELSE (SELECT count(*) FROM webhook_events) END,
			estimate.open,
			(SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'pending' LIMIT $2) e),
			(SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'failed'  LIMIT $2) e),
			(SELECT count(*) FROM (SELECT FROM webhook_events WHERE status = 'ignored' LIMIT $2) e)
		FROM estimate`, exactly, most).Scan(&many, &total, &open, &pending, &failed, &ignored)
	counts := map[string]int64{"pending": pending, "ignored": ignored, "failed": failed}
	for status, n := range counts {
		if most != nil && n >= int64(*most) {
			rough = append(rough, status)
		}
	}
	if slices.Contains(rough, "ignored") {
		counts["ignored"] = max(ignored, open-pending-failed)
	}
	if many {
		rough = append(rough, "processed")
	}
	counts["processed"] = max(0, total-counts["pending"]-counts["failed"]-counts["ignored"])
	slices.Sort(rough)
	return counts, rough, err
}
