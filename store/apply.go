package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// Outcome counts the results of one Apply.
type Outcome struct {
	Processed int
	Ignored   int
	Malformed []int64 // failed at once: a retry cannot help
	Changes   Changes
	Events    []Handled     // all that were locked, also if Apply failed
	Commit    time.Duration // how long the commit took
}

// DeriveError is returned when facts were stored but could not be attached or
// their customers not computed. The events stay pending and are tried again.
type DeriveError struct{ Err error }

func (e *DeriveError) Error() string {
	return "facts are stored, customers not derived: " + e.Err.Error()
}
func (e *DeriveError) Unwrap() error { return e.Err }

// Apply works through the events with the given inbox ids in one transaction:
// lock, read, upsert, attach, derive, mark. It skips rows that are processed
// already or that another worker holds, so repeated or concurrent calls are safe.
//
// It also takes up to extra events that wait for their first attempt: under load
// a transaction costs nearly the same for more events.
//
// If deriving fails, an Apply of one event keeps the facts and returns a
// *DeriveError. An Apply of several keeps nothing: the caller tries them singly.
func (s *Store) Apply(ctx context.Context, ids []int64, extra int, read Reader) (out Outcome, err error) {
	defer pg.Wrap(&err, "store.Apply(%v)", summary(ids))
	ctx, end := pg.Traced(ctx, "apply")
	defer end(&err)
	var failure *DeriveError
	var locked, applied time.Time
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		out, failure = Outcome{}, nil
		events, err := w.lockEvents(ctx, ids, extra, read)
		if err != nil || len(events) == 0 {
			return err
		}
		locked = time.Now()
		out.handle(events)
		defer func() { applied = time.Now() }()
		sets := make([]facts.Set, len(events))
		for i, e := range events {
			sets[i], sets[i].At = e.set, e.event.OccurredAt
			w.allDependents = w.allDependents || e.attempts > 0
		}
		w.erasure.events = events
		rows, err := w.upsertFacts(ctx, sets...)
		if err != nil {
			return err
		}
		if len(events) > 1 {
			out.Changes, err = w.attach(ctx, rows)
		} else if out.Changes, err = w.attachOrKeep(ctx, rows); errors.As(err, &failure) {
			out.Events[0].Status, err = w.keepPending(ctx, events[0], rows, failure)
			return err
		}
		if err != nil {
			return err
		}
		if err := w.mark(ctx, events); err != nil {
			return err
		}
		err = w.erasure.redactPayloads(ctx, events)
		out.count(events)
		return err
	})
	out.end(locked, applied, err)
	if err == nil && failure != nil {
		return out, failure
	}
	return out, err
}

// summary keeps error texts short.
func summary(ids []int64) any {
	if len(ids) == 1 {
		return ids[0]
	}
	return fmt.Sprintf("%d events", len(ids))
}

// handle records the locked events.
func (o *Outcome) handle(events []pendingEvent) {
	for _, e := range events {
		o.Events = append(o.Events, e.Handled)
	}
}

// end records how long the events had waited when their transaction ended. If it
// failed, they are still pending.
func (o *Outcome) end(locked, applied time.Time, err error) {
	for i := range o.Events {
		o.Events[i].Waited += time.Since(locked)
		if err != nil {
			o.Events[i].Status = "pending"
		}
	}
	if !applied.IsZero() {
		o.Commit = time.Since(applied)
	}
}

func (o *Outcome) count(events []pendingEvent) {
	for _, e := range events {
		switch e.Status {
		case "processed":
			o.Processed++
		case "ignored":
			o.Ignored++
		case "failed":
			o.Malformed = append(o.Malformed, e.ID)
		}
	}
}

// lockEvents locks and reads those of the rows that are still pending and
// unlocked, and up to extra other events.
func (w *work) lockEvents(ctx context.Context, ids []int64, extra int, read Reader) (
	events []pendingEvent, err error,
) {
	collect := func(rows pgx.Rows) error {
		some, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e pendingEvent, err error) {
			v := &e.event
			if err := row.Scan(&e.ID, &e.attempts, &v.Source, &v.ID, &v.Type, &v.Account, &v.Livemode,
				&v.OccurredAt, &v.ReceivedAt, &v.Payload, &e.Waited, &e.Reopened, &e.Traceparent); err != nil {
				return e, err
			}
			e.Source, e.EventID, e.Type, e.Attempt = v.Source, v.ID, v.Type, e.attempts+1
			e.set, err = read(e.event)
			return e, e.setStatus(err)
		})
		events = append(events, some...)
		return err
	}
	var batch pgx.Batch
	batch.Queue(pendingSQL+` AND id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED`, ids).Query(collect)
	if extra > 0 {
		batch.Queue(pendingSQL+` AND attempts = 0 AND id <> ALL($1) ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED`,
			ids, extra).Query(collect)
	}
	return events, w.tx.SendBatch(ctx, &batch).Close()
}

const pendingSQL = `
	SELECT id, attempts, source, event_id, type, account, livemode, occurred_at, received_at, payload,
		clock_timestamp() - received_at, attempts > 0 AND attempted_at IS NULL, coalesce(traceparent, '')
	FROM webhook_events
	WHERE status = 'pending'`

// setStatus derives the row's next status from the reader's error.
func (e *pendingEvent) setStatus(err error) error {
	var ignored *facts.Ignored
	var bad *facts.Malformed
	switch {
	case err == nil:
		e.Status = "processed"
	case errors.As(err, &ignored):
		e.Status, e.reason = "ignored", &ignored.Reason
	case errors.As(err, &bad):
		e.Status, e.reason = "failed", &bad.Reason
	default:
		return err
	}
	return nil
}

// attachOrKeep attaches within a savepoint, so that a failure leaves the facts.
func (w *work) attachOrKeep(ctx context.Context, rows []RowKey) (changes Changes, err error) {
	outer := w.tx
	defer func() { w.tx = outer }()
	err = pgx.BeginFunc(ctx, outer, func(savepoint pgx.Tx) error {
		w.tx = savepoint
		changes, err = w.attach(ctx, rows)
		return err
	})
	if err != nil && !errors.Is(err, pg.ErrAgain) && !pg.Transient(err) {
		err = &DeriveError{err}
	}
	return changes, err
}

// keepPending records on an event and on its unattached rows that deriving
// failed. It returns the event's new status.
func (w *work) keepPending(ctx context.Context, e pendingEvent, rows []RowKey, failure *DeriveError) (
	status string, err error) {
	if status, err = w.fail(ctx, e.ID, failure, MaxAttempts); err != nil {
		return "", err
	}
	return status, w.markFailed(ctx, rows, failure.Err)
}

// fail records why an attempt failed. After the last one allowed the event is
// failed or, if its payload must not be kept, ignored. It returns the new status.
func (w *work) fail(ctx context.Context, id int64, cause error, limit int) (status string, err error) {
	err = w.tx.QueryRow(ctx, failSQL, id, cause.Error(), limit).Scan(&status)
	if err == nil && status == "failed" {
		status, err = w.erasure.giveUp(ctx, id)
	}
	return status, err
}

// markFailed records on unattached rows why they could not be attached, and marks
// attached rows as not derived yet.
func (w *work) markFailed(ctx context.Context, rows []RowKey, cause error) error {
	if err := w.markUnderived(ctx, rows); err != nil {
		return err
	}
	var batch pgx.Batch
	for kind, k := range byKind(rows) {
		batch.Queue(kind.setSQL("unattached = $3")+` AND f.customer_id IS NULL`,
			k[0], k[1], reasons.DeriveFailed+": "+cause.Error())
	}
	if batch.Len() == 0 {
		return nil
	}
	return w.tx.SendBatch(ctx, &batch).Close()
}

// mark closes the events, in the transaction that holds their effects.
func (w *work) mark(ctx context.Context, events []pendingEvent) (err error) {
	defer pg.Wrap(&err, "store.mark")
	ids, statuses, reasons := make([]int64, len(events)), make([]string, len(events)), make([]*string, len(events))
	for i, e := range events {
		ids[i], statuses[i], reasons[i] = e.ID, e.Status, e.reason
	}
	_, err = w.tx.Exec(ctx, `
		UPDATE webhook_events e
		SET status = m.status, last_error = m.reason, attempts = e.attempts + 1, attempted_at = now(),
			processed_at = CASE WHEN m.status <> 'failed' THEN now() END
		FROM unnest($1::bigint[], $2::text[], $3::text[]) AS m(id, status, reason)
		WHERE e.id = m.id`, ids, statuses, reasons)
	return err
}

// MaxAttempts is how often an event is tried before its row becomes failed and
// waits for an operator. With the queue's back-off, about two hours.
const MaxAttempts = 20

const failSQL = `
	UPDATE webhook_events
	SET last_error = $2, attempts = attempts + 1, attempted_at = now(),
		status = CASE WHEN attempts + 1 >= $3 THEN 'failed' ELSE status END
	WHERE id = $1 AND status = 'pending'
	RETURNING status`

// MarkAttempt records why an attempt at an event failed. The row becomes failed
// after the last attempt allowed, or at once if cause is permanent. An event that
// names an erased person becomes ignored instead, since its payload must not be
// kept. It returns the row's new status, empty if the row was no longer pending.
func (s *Store) MarkAttempt(ctx context.Context, id int64, cause error) (status string, err error) {
	defer pg.Wrap(&err, "store.MarkAttempt(%d)", id)
	limit := MaxAttempts
	if pg.Permanent(cause) {
		limit = 1
	}
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		if err := w.lock(ctx, nil); err != nil {
			return err
		}
		status, err = w.fail(ctx, id, cause, limit)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return status, err
}
