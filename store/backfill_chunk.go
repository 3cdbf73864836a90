package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// maxFindings is how many errors, and how many notes, a run stores. It counts all.
const maxFindings = 1000

// ApplyChunk applies and counts the items of a page and inserts the chunks that
// follow, in one transaction. It changes nothing if the chunk is done or its run
// paused or ended. An item that Postgres rejects for good, or whose customer cannot
// be derived, becomes an error; the others of its page are still applied.
func (s *Store) ApplyChunk(ctx context.Context, c Chunk, page Page) (out Applied, err error) {
	defer pg.Wrap(&err, "store.ApplyChunk(%d, %d)", c.Backfill, c.Number)
	ctx, end := pg.Traced(ctx, "apply")
	defer end(&err)
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		out = Applied{}
		open, err := w.lockChunk(ctx, c)
		if err != nil || !open {
			return err
		}
		if page.plan != "" {
			return w.fanOut(ctx, c, page.plan, &out)
		}
		t, err := w.applyPage(ctx, c, page.Items)
		if err != nil {
			return err
		}
		out.Events, out.Seen, out.Errors = t.events, t.seen, t.errors
		return w.closeChunk(ctx, c, page, t, &out)
	})
	return out, err
}

// lockChunk locks the chunk and reports whether it is still open.
func (w *work) lockChunk(ctx context.Context, c Chunk) (open bool, err error) {
	err = w.tx.QueryRow(ctx, `
		SELECT b.status = 'running'
		FROM backfill_chunks k
		JOIN backfills b ON b.id = k.backfill_id
		WHERE k.backfill_id = $1 AND k.number = $2 AND k.done_at IS NULL
		FOR UPDATE OF k`, c.Backfill, c.Number).Scan(&open)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return open, err
}

// applyPage applies the items of a page. A dry run rolls this back at the end.
func (w *work) applyPage(ctx context.Context, c Chunk, items []Item) (t *tally, err error) {
	if !c.Run.DryRun {
		t = newTally()
		return t, w.attempt(ctx, items, t)
	}
	outer, held := w.tx, w.held
	savepoint, err := outer.Begin(ctx)
	if err != nil {
		return nil, err
	}
	w.tx, w.held, w.dryRun, t = savepoint, held.clone(), true, newTally()
	err = w.attempt(ctx, items, t)
	w.tx, w.held = outer, held
	if back := savepoint.Rollback(ctx); err == nil {
		err = back
	}
	t.events = nil
	w.erasure.reset()
	if err == nil {
		err = w.preview(ctx, c.Backfill, t)
	}
	return t, err
}

// preview subtracts from the count of a dry run the customers that an earlier chunk
// of it would have created, and stores a sample of the rest.
func (w *work) preview(ctx context.Context, backfill int64, t *tally) error {
	var stores, emails []string
	for _, a := range t.brought {
		stores, emails = append(stores, a.store), append(emails, a.email)
	}
	rows := pg.Query(ctx, w.tx, `
		INSERT INTO backfill_previews (backfill_id, store_id, email)
		SELECT $1, store, email FROM unnest($2::text[], $3::text[]) AS n(store, email)
		ON CONFLICT DO NOTHING
		RETURNING store_id, email`, backfill, stores, emails)
	first := map[address]bool{}
	var a address
	if _, err := pgx.ForEachRow(rows, []any{&a.store, &a.email},
		func() error { first[a] = true; return nil }); err != nil {
		return err
	}
	for _, a := range t.brought {
		switch {
		case first[a]:
			t.note(Finding{Place: "store " + a.store, What: a.email, Why: "would be a new customer"})
			continue
		case t.claimed[a]:
			t.created--
			t.updated++
		}
		t.customers--
	}
	return nil
}

// closeChunk counts the results, inserts the next chunks, and ends the run if there
// are none. It locks the run's row late, as concurrent chunks need it too.
func (w *work) closeChunk(ctx context.Context, c Chunk, page Page, t *tally, out *Applied) error {
	notes := slices.Clone(page.Notes) // this may be tried again
	if err := w.erasure.redactFindings(ctx, notes); err != nil {
		return err
	}
	if err := w.keepFindings(ctx, c.Backfill, t, notes); err != nil {
		return err
	}
	if err := w.keepPassed(ctx, c, t); err != nil {
		return err
	}
	var last int
	err := w.tx.QueryRow(ctx, `
		UPDATE backfills
		SET seen = seen + $2, created = created + $3, updated = updated + $4, unchanged = unchanged + $5,
			errors = errors + $6, customers = customers + $7, chunks = chunks + $8,
			expected = coalesce($9, expected), moved_at = now()
		WHERE id = $1
		RETURNING chunks`,
		c.Backfill, t.seen, t.created, t.updated, t.unchanged, t.errors, t.customers, len(page.Next), page.Expected).Scan(
		&last)
	if err != nil {
		return err
	}
	if out.Next, err = w.writeNext(ctx, c.Backfill, last-len(page.Next), page.Next); err != nil {
		return err
	}
	if err := w.markDone(ctx, c, t.seen); err != nil {
		return err
	}
	out.Status, err = w.finish(ctx, c.Backfill)
	if err != nil || !strings.HasPrefix(out.Status, "completed") || c.Run.DryRun || BackfillKindOf(c.Run.Kind).Inbox {
		return err
	}
	return w.noteUnattached(ctx, c)
}

// noteUnattached notes at the end of a run how many facts are unattached, and why.
// Kinds that attach facts have these among their errors already, so their runs note
// only facts that were never tried.
func (w *work) noteUnattached(ctx context.Context, c Chunk) error {
	asked := UnattachedQuestion{Reasons: reasons.Missing()}
	if BackfillKindOf(c.Run.Kind).Facts {
		asked.Reasons = []string{reasons.NotDerived}
	}
	counts, err := asked.Count(ctx, w.tx)
	if err != nil {
		return err
	}
	var notes []Finding
	sums := ByReason(counts)
	for _, reason := range reasons.All {
		if n := sums[reason.Code]; n > 0 {
			what := fmt.Sprintf("%s: %d enrollments, payments or subscriptions are missing from a list", reason.Label, n)
			notes = append(notes, Finding{Place: "at the end", What: what, Why: reason.Text()})
		}
	}
	return w.keepFindings(ctx, c.Backfill, newTally(), notes)
}

// writeNext inserts the chunks that follow, numbered from first on.
func (w *work) writeNext(ctx context.Context, backfill int64, first int, next []Position) (numbers []int, err error) {
	if len(next) == 0 {
		return nil, nil
	}
	streams, cursors := make([]string, len(next)), make([]*string, len(next))
	for i, n := range next {
		numbers, streams[i] = append(numbers, first+i), n.Stream
		if n.Cursor != nil {
			cursors[i] = Ptr(string(n.Cursor))
		}
	}
	_, err = w.tx.Exec(ctx, `
		INSERT INTO backfill_chunks (backfill_id, number, stream, cursor)
		SELECT $1, number, stream, cursor::json
		FROM unnest($2::int[], $3::text[], $4::text[]) AS n(number, stream, cursor)`, backfill, numbers, streams, cursors)
	return numbers, err
}

func (w *work) markDone(ctx context.Context, c Chunk, objects int64) error {
	_, err := w.tx.Exec(ctx, `
		UPDATE backfill_chunks
		SET done_at = now(), objects = $3, cursor = NULL, last_error = NULL
		WHERE backfill_id = $1 AND number = $2`, c.Backfill, c.Number, objects)
	return err
}

// keepFindings stores errors and notes, up to maxFindings of each.
func (w *work) keepFindings(ctx context.Context, backfill int64, t *tally, notes []Finding) error {
	all := slices.Concat(t.findings, findings(notes, true))
	if len(all) == 0 {
		return nil
	}
	place, what, why, note := make([]string, len(all)), make([]string, len(all)), make([]string, len(all)),
		make([]bool, len(all))
	for i, f := range all {
		place[i], what[i], why[i], note[i] = AsText(f.Place), AsText(f.What), AsText(f.Why), f.Note
	}
	_, err := w.tx.Exec(ctx, `
		INSERT INTO backfill_errors (backfill_id, place, what, why, note)
		SELECT $1, place, what, why, note
		FROM (
			SELECT *, row_number() OVER (PARTITION BY note ORDER BY nth) AS of_its_kind
			FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[]) WITH ORDINALITY AS f(place, what, why, note, nth)
		) f
		WHERE of_its_kind <= $6 - (SELECT count(*) FROM (SELECT FROM backfill_errors e WHERE e.backfill_id = $1
			AND e.note = f.note LIMIT $6) kept)
		ORDER BY nth`, backfill, place, what, why, note, maxFindings)
	return err
}

// finish ends the run if none of its chunks is open. The run's row is locked by
// then, so the later of two concurrent last chunks sees the other done.
func (w *work) finish(ctx context.Context, backfill int64) (status string, err error) {
	var expected *int64
	var seen int64
	var open bool
	err = w.tx.QueryRow(ctx, `
		SELECT status, expected, seen, EXISTS (SELECT FROM backfill_chunks WHERE backfill_id = $1 AND done_at IS NULL)
		FROM backfills
		WHERE id = $1`, backfill).Scan(&status, &expected, &seen, &open)
	if err == nil && status == "cancelled" {
		_, err = w.tx.Exec(ctx, `DELETE FROM backfill_previews WHERE backfill_id = $1`, backfill)
	}
	if err != nil || open || status != "running" && status != "paused" {
		return status, err
	}
	if expected != nil && *expected != seen {
		t := newTally()
		t.fail(Finding{Place: "the whole run", What: fmt.Sprintf("%d objects expected, %d seen", *expected, seen),
			Why: "what is read changed while it was read, or could not be read whole; start the backfill again to be sure"})
		if err := w.keepFindings(ctx, backfill, t, nil); err != nil {
			return status, err
		}
	}
	if err := w.notePassed(ctx, backfill); err != nil {
		return status, err
	}
	err = w.tx.QueryRow(ctx, `
		WITH previews AS (
			DELETE FROM backfill_previews WHERE backfill_id = $1
		)
		UPDATE backfills
		SET errors = errors + (expected <> seen IS TRUE)::int, ended_at = now(),
			status = CASE WHEN errors > 0 OR expected <> seen IS TRUE THEN 'completed_with_errors' ELSE 'completed' END
		WHERE id = $1
		RETURNING status`, backfill).Scan(&status)
	return status, err
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

// fanOut writes the chunks of a backfill of facts, and closes the plan.
func (w *work) fanOut(ctx context.Context, c Chunk, plan string, out *Applied) error {
	// This statement reads whole tables.
	if _, err := w.tx.Exec(ctx, `SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on;
		SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL work_mem = '64MB'`); err != nil {
		return err
	}
	var expected int64
	var chunks int
	if err := w.tx.QueryRow(ctx, plan, c.Backfill, c.Run.ChunkSize, c.Run.Options.Store).Scan(&expected,
		&chunks); err != nil {
		return err
	}
	for i := range chunks {
		out.Next = append(out.Next, i+1)
	}
	if _, err := w.tx.Exec(ctx, `
		UPDATE backfills SET chunks = 1 + $2, expected = $3, moved_at = now()
		WHERE id = $1`, c.Backfill, chunks, expected); err != nil {
		return err
	}
	if err := w.markDone(ctx, c, 0); err != nil {
		return err
	}
	status, err := w.finish(ctx, c.Backfill)
	out.Status = status
	return err
}
