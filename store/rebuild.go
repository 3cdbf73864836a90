package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// rebuildChunk is how many rows one transaction of a rebuild attaches.
const rebuildChunk = 200

// Rebuild resolves every fact anew and derives every customer from its facts
// again, of one store or (store "") of all, and returns the differences it
// found and mended: 0 is the promise. It may run beside live traffic. progress,
// if not nil, is told after each chunk how many facts have been looked at.
func (s *Store) Rebuild(ctx context.Context, store string, progress func(done int)) (total Changes, err error) {
	defer wrap(&err, "store.Rebuild(%q)", store)
	if store == "" {
		if total.Facts, err = s.settleProducts(ctx); err != nil {
			return total, err
		}
		moved, err := s.respell(ctx)
		if total.Facts += moved; err != nil {
			return total, err
		}
	}
	done := 0
	for _, kind := range []string{payment, enrollment, subscription} {
		for last := (rowKey{kind: kind}); ; {
			keys, err := s.keysAfter(ctx, store, last)
			if err != nil || len(keys) == 0 {
				if err != nil {
					return total, err
				}
				break
			}
			changes, err := s.reattach(ctx, keys)
			if err != nil {
				return total, err
			}
			total.add(changes)
			last = keys[len(keys)-1]
			if done += len(keys); progress != nil {
				progress(done)
			}
		}
	}
	strays, err := s.removeStrays(ctx, store)
	total.Deleted += strays
	if err != nil {
		return total, err
	}
	total.Kept, err = s.settleKept(ctx, store)
	return total, err
}

// reattach attaches rows that are there already.
func (s *Store) reattach(ctx context.Context, keys []rowKey) (changes Changes, err error) {
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		own := locks{}
		for _, k := range keys {
			own.add(true, k.lock())
		}
		if err := w.lock(ctx, own); err != nil {
			return err
		}
		rows, err := w.neighbours(ctx, keys, nil)
		if err != nil {
			return err
		}
		changes, err = w.attach(ctx, rows)
		return err
	})
	return changes, err
}

// lock is the key of a row's own lock.
func (k rowKey) lock() string {
	switch k.kind {
	case payment:
		return payKey(k.a, k.b)
	case subscription:
		return subKey(k.a, k.b)
	}
	return "enrollment:" + k.a + "/" + k.b
}

// keysAfter is the next chunk of rows of a kind, in the order of their keys.
func (s *Store) keysAfter(ctx context.Context, store string, last rowKey) ([]rowKey, error) {
	rows, err := s.pool.Query(ctx, keysAfterSQL[last.kind], last.a, last.b, store, rebuildChunk)
	if err != nil {
		return nil, err
	}
	return keysOfKind(last.kind, rows)
}

var keysAfterSQL = map[string]string{
	payment:      `SELECT account, id FROM payments WHERE (account, id) > ($1, $2) AND ($3 = '' OR store_id = $3) ORDER BY account, id LIMIT $4`,
	subscription: `SELECT account, id FROM subscriptions WHERE (account, id) > ($1, $2) AND ($3 = '' OR store_id = $3) ORDER BY account, id LIMIT $4`,
	enrollment:   `SELECT course_id, person FROM enrollments WHERE (course_id, person) > ($1, $2) AND ($3 = '' OR store_id = $3) ORDER BY course_id, person LIMIT $4`,
}

// settleProducts resolves anew which store each product belongs to.
func (s *Store) settleProducts(ctx context.Context) (changed int64, err error) {
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		w.want[gate] = true
		if err := w.lock(ctx, nil); err != nil {
			return err
		}
		rows, err := w.tx.Query(ctx, `SELECT id FROM products`)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		settled, err := w.settle(ctx, nil, ids)
		changed = int64(len(settled))
		return err
	})
	return changed, err
}

// removeStrays derives the customers that no row points at, which removes them.
func (s *Store) removeStrays(ctx context.Context, store string) (int64, error) {
	var changes Changes
	err := s.transact(ctx, func(ctx context.Context, w *work) error {
		w.want[gate] = true
		if err := w.lock(ctx, nil); err != nil {
			return err
		}
		rows, err := w.tx.Query(ctx, `
			SELECT id, store_id, email
			FROM customers c
			WHERE ($1 = '' OR store_id = $1)
			  AND NOT EXISTS (SELECT FROM payments      WHERE customer_id = c.id)
			  AND NOT EXISTS (SELECT FROM enrollments   WHERE customer_id = c.id)
			  AND NOT EXISTS (SELECT FROM subscriptions WHERE customer_id = c.id)`, store)
		if err != nil {
			return err
		}
		strays, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c customer, err error) {
			return c, row.Scan(&c.id, &c.store, &c.email)
		})
		if err != nil {
			return err
		}
		changes, err = w.derive(ctx, strays)
		return err
	})
	return changes.Deleted, err
}
