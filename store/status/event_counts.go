package status

import (
	"context"
	"slices"

	"rollcall/store"
	"rollcall/store/pg"
)

// countExactly is the number of events up to which all are counted exactly, which takes
// some tenths of a second.
const countExactly = 2_000_000

// EventCounts returns the number of events of each of the four statuses. Pending and
// failed are exact, from an index of their own. Processed is the rest of the total,
// which above countExactly is Postgres's estimate.
func (s *Reader) EventCounts(ctx context.Context) (_ map[string]int64, err error) {
	defer pg.Wrap(&err, "status.EventCounts")
	counts, _, err := s.CountEvents(ctx, countExactly, nil)
	return counts, err
}

// countOften is the limit of exact counts by status for frequent requests.
const countOften = 50_000

// RoughEventCounts are EventCounts for frequent requests: faster, and not exact above
// countOften. rough names the statuses that are not exact: of processed and ignored
// the count is an estimate, of pending and failed a minimum.
func (s *Reader) RoughEventCounts(ctx context.Context) (counts map[string]int64, rough []string, err error) {
	defer pg.Wrap(&err, "status.RoughEventCounts")
	return s.CountEvents(ctx, countOften, store.Ptr(countOften))
}

// CountEvents counts all events exactly up to exactly, and each other status up to most.
func (s *Reader) CountEvents(ctx context.Context, exactly int64, most *int) (
	_ map[string]int64, rough []string, err error) {
	var total, open, pending, failed, ignored int64
	var many bool
	// One statement, so that the counts are of one moment.
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
