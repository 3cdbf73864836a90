package store

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Passed is how many objects of a stream a run passed over for one reason, or
// some field of theirs.
type Passed struct {
	Stream  string `json:"stream"` // as "users"
	Reason  string `json:"reason"` // as "without a Clerk id", to be read behind the stream
	Objects int64  `json:"objects"`
}

// BackfillPassed lists what a run has passed over, in the order of the streams' names.
func (s *Store) BackfillPassed(ctx context.Context, id int64) (_ []Passed, err error) {
	defer pg.Wrap(&err, "store.BackfillPassed(%d)", id)
	rows, err := s.Pool.Query(ctx, `
		SELECT stream, reason, objects
		FROM backfill_passed
		WHERE backfill_id = $1
		ORDER BY stream, reason`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Passed])
}

// keepPassed adds what a chunk passed over to what its run has.
func (w *work) keepPassed(ctx context.Context, c Chunk, t *tally) error {
	if len(t.passed) == 0 {
		return nil
	}
	reasons := slices.Sorted(maps.Keys(t.passed))
	objects := make([]int64, len(reasons))
	for i, r := range reasons {
		objects[i] = t.passed[r]
	}
	_, err := w.tx.Exec(ctx, `
		INSERT INTO backfill_passed (backfill_id, stream, reason, objects)
		SELECT $1, $2, reason, objects FROM unnest($3::text[], $4::bigint[]) AS n(reason, objects)
		ON CONFLICT (backfill_id, stream, reason) DO UPDATE SET objects = backfill_passed.objects + EXCLUDED.objects`,
		c.Backfill, c.Stream, reasons, objects)
	return err
}

// notePassed writes it among the notes of a run that ends, however many there are.
func (w *work) notePassed(ctx context.Context, backfill int64) error {
	_, err := w.tx.Exec(ctx, `
		INSERT INTO backfill_errors (backfill_id, place, what, why, note)
		SELECT $1, stream, objects || ' passed over', reason, true
		FROM backfill_passed
		WHERE backfill_id = $1
		ORDER BY stream, reason`, backfill)
	return err
}
