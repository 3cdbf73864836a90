package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// putChunk is how many rows one transaction puts.
const putChunk = 200

// FinishErasures goes on with erasures that somebody began and did not end, or
// of whose people a late event told more. Those that moved within grace are in
// somebody's hands.
func (s *Store) FinishErasures(ctx context.Context, grace time.Duration, o EraseOptions) (err error) {
	defer wrap(&err, "store.FinishErasures")
	for {
		rows, err := s.pool.Query(ctx, `
			UPDATE erasures
			SET moved_at = clock_timestamp()
			WHERE id = (SELECT id FROM erasures WHERE finished_at IS NULL AND moved_at < clock_timestamp() - $1::interval ORDER BY id LIMIT 1)
			RETURNING id, person, store_id, erased_at`, grace)
		if err != nil {
			return err
		}
		x, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (x erasure, err error) {
			return x, row.Scan(&x.id, &x.person, &x.store, &x.at)
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = s.finishErasure(ctx, x, o)
		}
		if err != nil {
			return err
		}
	}
}

// finishErasure looks for all that its person is known by and removes it, until
// a look finds nothing that was not known before it: whatever is told under a
// name that is known is put where it is told. Each step may be done again.
func (s *Store) finishErasure(ctx context.Context, x erasure, o EraseOptions) (err error) {
	defer wrap(&err, "store.finishErasure(%d)", x.id)
	for {
		found, fresh, err := s.traceErasure(ctx, x, o)
		if err != nil {
			return err
		}
		if fresh {
			if err := s.move(ctx, x, func(w *work) error {
				if err := w.alone(ctx); err != nil {
					return err
				}
				return w.entomb(ctx, x, found.ids)
			}); err != nil {
				return err
			}
		}
		// Before the rows, by whose keys some words go.
		if err := s.move(ctx, x, func(w *work) error { return w.unwrite(ctx, writtenOf(found.ids, found.rows, x)) }); err != nil {
			return err
		}
		for chunk := range slices.Chunk(found.rows, putChunk) {
			if err := s.putChunk(ctx, x, chunk); err != nil {
				return err
			}
		}
		if err := s.empty(ctx, x, found, o); err != nil || fresh {
			if err != nil {
				return err
			}
			continue
		}
		if o.Forget != nil { // before the names are forgotten
			if err := o.Forget(found.names()); err != nil {
				return err
			}
		}
		if done, err := s.closeErasure(ctx, x, found.ids); done || err != nil {
			return err
		}
	}
}

// traceErasure finds all that there is to be removed now, and tells whether that
// leads to names which were not known when it began.
func (s *Store) traceErasure(ctx context.Context, x erasure, o EraseOptions) (found trail, fresh bool, err error) {
	looked := func(done, all int64) error {
		if err := s.showLife(ctx, x); err != nil {
			return err
		}
		return o.progress(done, all)
	}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		found = trail{}
		names, err := namesOf(ctx, tx, "NOT anew", x.id)
		if err != nil {
			return err
		}
		err = found.from(ctx, tx, names, x, looked)
		fresh = len(found.ids) > len(names)
		return err
	})
	return found, fresh, err
}

// move does something in a transaction that shows that the erasure goes on.
func (s *Store) move(ctx context.Context, x erasure, do func(*work) error) error {
	return s.transact(ctx, func(ctx context.Context, w *work) error {
		if err := do(w); err != nil {
			return err
		}
		_, err := w.tx.Exec(ctx, movedSQL, x.id)
		return err
	})
}

// movedSQL shows that an erasure goes on.
const movedSQL = `UPDATE erasures SET moved_at = clock_timestamp() WHERE id = $1`

// lifePatience is how long to wait to show it: less than a stretch may be late.
const lifePatience = time.Second

// showLife shows that an erasure goes on, beside the search, which is one long
// transaction. Where no connection is free it is left to the next stretch.
func (s *Store) showLife(ctx context.Context, x erasure) error {
	short, cancel := context.WithTimeout(ctx, lifePatience)
	defer cancel()
	_, err := s.pool.Exec(short, movedSQL, x.id)
	if short.Err() != nil {
		return ctx.Err()
	}
	return err
}

// putChunk puts some rows and attaches them. Of a store's they are put when they
// are attached.
func (s *Store) putChunk(ctx context.Context, x erasure, keys []rowKey) error {
	return s.move(ctx, x, func(w *work) error {
		own := locks{}
		for _, k := range keys {
			own.add(true, k.lock())
		}
		if err := w.lock(ctx, own); err != nil {
			return err
		}
		now := keys // this may be tried again
		if x.store == "" {
			var err error
			if now, err = w.putLocked(ctx, keys); err != nil {
				return err
			}
		}
		rows, err := w.neighbours(ctx, now, nil)
		if err != nil {
			return err
		}
		_, err = w.attach(ctx, rows)
		return err
	})
}

// putLocked puts rows once the locks of the keys are had that they get.
func (w *work) putLocked(ctx context.Context, keys []rowKey) ([]rowKey, error) {
	e, err := w.dig(ctx)
	if err != nil {
		return nil, err
	}
	named, err := w.namedBy(ctx, keys)
	if err != nil {
		return nil, err
	}
	if err := e.find(ctx, w.tx, named); err != nil {
		return nil, err
	}
	more := locks{}
	for _, k := range keys {
		if kind, who := personOf(k.b); k.kind == enrollment {
			if t := e.tomb(kind, who, always); t != nil && kind == aUser {
				more.add(true, rowKey{enrollment, k.a, "user:" + e.mark(identity{kind, who})}.lock())
			} else if t != nil {
				more.add(true, rowKey{enrollment, k.a, "email:" + t.address()}.lock())
			}
		}
	}
	if err := w.extend(ctx, more); err != nil {
		return nil, err
	}
	return w.putRows(ctx, keys)
}

// closeErasure ends an erasure that has found all: it forgets what it looked
// for. If there is more to look for meanwhile, done is false.
func (s *Store) closeErasure(ctx context.Context, x erasure, looked []identity) (done bool, err error) {
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		own := locks{}
		var leans []string
		for _, i := range looked {
			if key, ok := leanOf(i); ok && x.store == "" {
				own.add(true, key)
				leans = append(leans, key)
			}
		}
		if err := w.lock(ctx, own); err != nil {
			return err
		}
		if err := w.dropKept(ctx, looked, x); err != nil {
			return err
		}
		if err := w.putLast(ctx, x, looked, leans); err != nil {
			return err
		}
		if err := w.forgetDerivation(ctx); err != nil {
			return err
		}
		kinds, values := kindsAndValues(looked)
		return w.tx.QueryRow(ctx, `
			WITH looked AS (
				DELETE FROM erasure_terms
				WHERE erasure_id = $1
				  AND (kind, value) IN (SELECT * FROM unnest($2::text[], $3::text[]))
			)
			UPDATE erasures
			SET
				moved_at = clock_timestamp(),
				finished_at = CASE WHEN NOT EXISTS (
					SELECT FROM erasure_terms
					WHERE erasure_id = $1
					  AND NOT anew
					  AND (kind, value) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))
				) THEN clock_timestamp() END
			WHERE id = $1
			RETURNING finished_at IS NOT NULL`, x.id, kinds, values).Scan(&done)
	})
	return done, err
}

// putLast removes the users and Stripe customers, whom no fact needs any more;
// what leans on one that came anew is attached again. Of an erasure from one
// store only the customers of its own account are.
func (w *work) putLast(ctx context.Context, x erasure, looked []identity, leans []string) error {
	e, err := w.dig(ctx)
	if err != nil {
		return err
	}
	if err := e.find(ctx, w.tx, looked); err != nil {
		return err
	}
	if x.store != "" {
		looked = slices.DeleteFunc(slices.Clone(looked), func(i identity) bool { return i.kind != aStripeCustomer })
	}
	led, err := addressKeys(ctx, w.tx, looked)
	if err != nil {
		return err
	}
	rows, err := w.neighbours(ctx, nil, append(leans, led...))
	if err != nil {
		return err
	}
	if err := w.putPeople(ctx, looked, true); err != nil {
		return err
	}
	_, err = w.attach(ctx, rows)
	return err
}

// kindsAndValues are the columns of a list of identities.
func kindsAndValues(ids []identity) (kinds, values []string) {
	for _, i := range ids {
		kinds, values = append(kinds, i.kind), append(values, i.value)
	}
	return kinds, values
}

// empty takes away the payloads of events, some at a time. Those that wait are
// applied, and their payloads go with it; of what cannot be now, they go when it
// can, or is given up.
func (s *Store) empty(ctx context.Context, x erasure, found trail, o EraseOptions) error {
	var ids []int64
	for _, v := range found.events {
		if v.event.OccurredAt.After(x.at) && !slices.ContainsFunc(v.about.money, found.has) {
			continue
		}
		ids = append(ids, v.id)
		if v.status != "pending" || o.Read == nil {
			continue
		}
		if _, err := s.Apply(ctx, []int64{v.id}, 0, o.Read); err != nil && transient(err) {
			return err
		}
	}
	for chunk := range slices.Chunk(ids, putChunk) {
		if err := s.move(ctx, x, func(w *work) error { return w.emptyEvents(ctx, chunk) }); err != nil {
			return err
		}
	}
	return nil
}

// emptyEvents takes away the payloads of closed events. Those that failed are
// given up for good.
func (w *work) emptyEvents(ctx context.Context, ids []int64) error {
	_, err := w.tx.Exec(ctx, `
		UPDATE webhook_events
		SET
			payload = NULL,
			headers = NULL,
			pruned_at = now(),
			pruned_for = 'erasure',
			status = CASE WHEN status = 'failed' THEN 'ignored' ELSE status END,
			last_error = CASE WHEN status = 'failed' THEN $2 ELSE last_error END,
			processed_at = coalesce(processed_at, now())
		WHERE id = ANY($1)
		  AND payload IS NOT NULL
		  AND status <> 'pending'`, ids, fmt.Sprintf("it was not applied, and %s", aside))
	return err
}
