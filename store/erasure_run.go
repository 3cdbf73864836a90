package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// rowsPerErasure is how many rows one transaction of an erasure changes.
const rowsPerErasure = 200

// FinishErasures goes on with erasures that were interrupted, or about whose people
// a late event told more. Those that moved within grace are under way.
func (s *Store) FinishErasures(ctx context.Context, grace time.Duration, o EraseOptions) (err error) {
	defer pg.Wrap(&err, "store.FinishErasures")
	for {
		rows := pg.Query(ctx, s.Pool, `
			UPDATE erasures
			SET moved_at = clock_timestamp()
			WHERE id = (SELECT id FROM erasures WHERE finished_at IS NULL AND moved_at < clock_timestamp() - $1::interval
				ORDER BY id LIMIT 1)
			RETURNING id, person, store_id, erased_at`, grace)
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

// finishErasure looks for all that the person is known by and removes it, until a
// search finds nothing new: what is told under a known name is pseudonymized where
// it is told. Each step may be repeated.
func (s *Store) finishErasure(ctx context.Context, x erasure, o EraseOptions) (err error) {
	defer pg.Wrap(&err, "store.finishErasure(%d)", x.id)
	for done := false; !done; {
		if done, err = s.eraseRound(ctx, x, o); err != nil {
			return err
		}
	}
	return nil
}

// eraseRound searches once, removes what was found and, if that leads to no new
// names, closes the erasure.
func (s *Store) eraseRound(ctx context.Context, x erasure, o EraseOptions) (done bool, err error) {
	found, fresh, err := s.searchErasure(ctx, x, o)
	if err != nil {
		return false, err
	}
	if fresh {
		if err := s.step(ctx, x, func(ctx context.Context, f *erasureFilter) error {
			if err := f.alone(ctx); err != nil {
				return err
			}
			return f.erase(ctx, x, found.ids)
		}); err != nil {
			return false, err
		}
	}
	if err := s.eraseMatches(ctx, x, found, o); err != nil || fresh {
		return false, err
	}
	if o.Forget != nil { // before the names are forgotten
		if err := o.Forget(found.names()); err != nil {
			return false, err
		}
	}
	return s.closeErasure(ctx, x, found.ids)
}

// searchErasure finds all that there is to be removed now, and reports whether that
// leads to names which were not known when it began.
func (s *Store) searchErasure(ctx context.Context, x erasure, o EraseOptions) (found matches, fresh bool, err error) {
	progress := func(done, all int64) error {
		if err := s.showProgress(ctx, x); err != nil {
			return err
		}
		return o.progress(done, all)
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			names, err := namesOf(ctx, tx, "NOT anew", x.id)
			if err != nil {
				return err
			}
			found, err = search(ctx, tx, names, x, progress)
			fresh = len(found.ids) > len(names)
			return err
		})
	return found, fresh, err
}

// eraseMatches removes what was found. Text comes before the rows, as some text
// names them by their keys.
func (s *Store) eraseMatches(ctx context.Context, x erasure, found matches, o EraseOptions) error {
	if err := s.step(ctx, x, func(ctx context.Context, f *erasureFilter) error {
		return f.eraseText(ctx, mentionArgs(found.ids, found.rows, x))
	}); err != nil {
		return err
	}
	for chunk := range slices.Chunk(found.rows, rowsPerErasure) {
		if err := s.step(ctx, x, func(ctx context.Context, f *erasureFilter) error {
			return f.eraseRows(ctx, x, chunk)
		}); err != nil {
			return err
		}
	}
	return s.erasePayloads(ctx, x, found, o)
}

// step does something in a transaction that shows that the erasure goes on.
func (s *Store) step(ctx context.Context, x erasure, do func(context.Context, *erasureFilter) error) error {
	return s.transact(ctx, func(ctx context.Context, w *work) error {
		if err := do(ctx, w.erasure); err != nil {
			return err
		}
		_, err := w.tx.Exec(ctx, movedSQL, x.id)
		return err
	})
}

// movedSQL shows that an erasure goes on.
const movedSQL = `UPDATE erasures SET moved_at = clock_timestamp() WHERE id = $1`

// progressTimeout is how long to wait for a connection to show progress.
const progressTimeout = time.Second

// showProgress shows that an erasure goes on, beside the search, which is one long
// transaction. Where no connection is free, the next part of the search does.
func (s *Store) showProgress(ctx context.Context, x erasure) error {
	short, cancel := context.WithTimeout(ctx, progressTimeout)
	defer cancel()
	_, err := s.Pool.Exec(short, movedSQL, x.id)
	if short.Err() != nil {
		return ctx.Err()
	}
	return err
}

// eraseRows pseudonymizes some rows and attaches them. Those of one store are
// pseudonymized when they are attached.
func (f *erasureFilter) eraseRows(ctx context.Context, x erasure, keys []RowKey) (err error) {
	own := locks{}
	for _, k := range keys {
		own.add(true, k.lock())
	}
	if err := f.lock(ctx, own); err != nil {
		return err
	}
	if x.store == "" {
		if keys, err = f.pseudonymizeLocked(ctx, keys); err != nil {
			return err
		}
	}
	rows, err := f.withDependents(ctx, keys, nil)
	if err != nil {
		return err
	}
	_, err = f.attach(ctx, rows)
	return err
}

// pseudonymizeLocked pseudonymizes rows once it has the locks of the keys that they get.
func (f *erasureFilter) pseudonymizeLocked(ctx context.Context, keys []RowKey) ([]RowKey, error) {
	ts, err := f.loadToErase(ctx)
	if err != nil {
		return nil, err
	}
	set, err := readRows(ctx, f.tx, keys, false)
	if err != nil {
		return nil, err
	}
	if err := ts.find(ctx, f.tx, identitiesOf(set)); err != nil {
		return nil, err
	}
	more := locks{}
	for _, e := range set.Enrollments {
		if person, t := ts.person(e.Person, always); t != nil {
			more.add(true, RowKey{Enrollment, e.CourseID, person}.lock())
		}
	}
	if err := f.extend(ctx, more); err != nil {
		return nil, err
	}
	return f.pseudonymizeRows(ctx, keys)
}

// closeErasure ends an erasure that has found all: it forgets what it looked
// for. If there is more to look for meanwhile, done is false.
func (s *Store) closeErasure(ctx context.Context, x erasure, looked []identity) (done bool, err error) {
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		own := locks{}
		var depending []string
		if x.store == "" {
			depending = dependencies(looked)
			own.add(true, depending...)
		}
		if err := w.lock(ctx, own); err != nil {
			return err
		}
		if err := w.erasure.removePeople(ctx, x, looked, depending); err != nil {
			return err
		}
		if err := w.forgetDerivation(ctx); err != nil {
			return err
		}
		kinds, values := kindsAndValues(looked)
		return w.tx.QueryRow(ctx, closeErasureSQL, x.id, kinds, values).Scan(&done)
	})
	return done, err
}

const closeErasureSQL = `
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
	RETURNING finished_at IS NOT NULL`

// removePeople removes the users and Stripe customers, whom no fact needs any more;
// what depends on one that reappeared is attached again. An erasure from one store
// removes only the customers of its own account.
func (f *erasureFilter) removePeople(ctx context.Context, x erasure, looked []identity, depending []string) error {
	ts, err := f.loadToErase(ctx)
	if err != nil {
		return err
	}
	if err := ts.find(ctx, f.tx, looked); err != nil {
		return err
	}
	if x.store != "" {
		looked = slices.DeleteFunc(slices.Clone(looked), func(i identity) bool { return i.kind != aStripeCustomer })
	}
	keys, err := keysOfAddresses(ctx, f.tx, looked)
	if err != nil {
		return err
	}
	rows, err := f.withDependents(ctx, nil, append(depending, keys...))
	if err != nil {
		return err
	}
	if err := f.pseudonymizePeople(ctx, looked, true); err != nil {
		return err
	}
	_, err = f.attach(ctx, rows)
	return err
}

// erasePayloads takes away the payloads of events, some at a time. Those that wait
// are applied, and their payloads go with it; of what cannot be applied now, they
// go when it can, or is given up.
func (s *Store) erasePayloads(ctx context.Context, x erasure, found matches, o EraseOptions) error {
	var ids []int64
	for _, v := range found.events {
		if v.event.OccurredAt.After(x.at) && !slices.ContainsFunc(v.about.money, found.has) {
			continue
		}
		ids = append(ids, v.id)
		if v.status != "pending" || o.Read == nil {
			continue
		}
		if _, err := s.Apply(ctx, []int64{v.id}, 0, o.Read); err != nil && pg.Transient(err) {
			return err
		}
	}
	for chunk := range slices.Chunk(ids, rowsPerErasure) {
		if err := s.step(ctx, x, func(ctx context.Context, f *erasureFilter) error {
			return f.emptyPayloads(ctx, chunk, notApplied)
		}); err != nil {
			return err
		}
	}
	return nil
}

// Erase erases a person. Called again after an interruption it goes on; after it
// has ended, it erases what the person did since. The error is *BadParam for what
// names no person.
func (s *Store) Erase(ctx context.Context, p Erasing, o EraseOptions) (err error) {
	defer pg.Wrap(&err, "store.Erase")
	if err := p.check(); err != nil {
		return err
	}
	if _, err := s.respell(ctx); err != nil { // so that one spelling finds all
		return err
	}
	var x erasure
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		if err := w.alone(ctx); err != nil {
			return err
		}
		if x, err = w.erasure.begin(ctx, p); err != nil {
			return err
		}
		again, err := namesOf(ctx, w.tx, "true", x.id)
		if err != nil {
			return err
		}
		return w.erasure.erase(ctx, x, append(again, p.seed()))
	})
	if err != nil {
		return err
	}
	return s.finishErasure(ctx, x, o)
}
