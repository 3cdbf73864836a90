package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// rebuildChunk is how many rows one transaction of a rebuild attaches.
const rebuildChunk = 200

// The stages of a rebuild beside the kinds of facts.
const (
	theProducts  = "products"  // their stores
	theAddresses = "addresses" // their spelling
	theStrays    = "strays"    // customers without facts
	theKept      = "kept"      // search index and figures of lists
)

// stageOf a rebuild.
type stageOf struct {
	name  string
	store bool
}

// stages are all stages in order. A rebuild of one store skips those that concern
// all stores.
var stages = slices.Concat([]stageOf{{theProducts, false}, {theAddresses, false}}, ofFacts(),
	[]stageOf{{theStrays, true}, {theKept, true}})

func ofFacts() (stages []stageOf) {
	for _, k := range FactKinds {
		stages = append(stages, stageOf{k.Name, true})
	}
	return stages
}

// Rebuild resolves every fact and derives every customer again, of one store or
// (store "") of all. It returns the differences that it found and fixed, which should
// be 0. It may run beside live traffic. It calls progress, if not nil, after each chunk
// with the number of facts done.
func (s *Store) Rebuild(ctx context.Context, store string, progress func(done int)) (total Changes, err error) {
	defer pg.Wrap(&err, "store.Rebuild(%q)", store)
	done := 0
	for _, stage := range stages {
		if store != "" && !stage.store {
			continue
		}
		for last := (RowKey{Kind: stage.name}); ; {
			keys, changes, err := s.rebuildStep(ctx, store, last, s.reattach)
			total.add(changes)
			if err != nil {
				return total, err
			}
			if len(keys) == 0 {
				break
			}
			last = keys[len(keys)-1]
			if done += len(keys); progress != nil {
				progress(done)
			}
		}
	}
	if store == "" {
		err = s.derived(ctx, total)
	}
	return total, err
}

// attaching attaches rows.
type attaching func(context.Context, []RowKey) (Changes, error)

// rebuildStep runs a stage or, if the stage is a kind of fact, attaches and returns
// the chunk of facts after the last. No facts means that the stage is done.
func (s *Store) rebuildStep(ctx context.Context, store string, last RowKey, attach attaching) (
	keys []RowKey, changes Changes, err error,
) {
	switch last.Kind {
	case theProducts:
		changes.Facts, err = s.settleProducts(ctx)
	case theAddresses:
		changes.Facts, err = s.respell(ctx)
	case theStrays:
		changes.Deleted, err = s.removeStrays(ctx, store)
	case theKept:
		changes.Kept, err = s.settleKept(ctx, store)
	default:
		if keys, err = s.keysAfter(ctx, store, last); err == nil && len(keys) > 0 {
			changes, err = attach(ctx, keys)
		}
	}
	return keys, changes, err
}

// reattach attaches stored rows again.
func (s *Store) reattach(ctx context.Context, keys []RowKey) (changes Changes, err error) {
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		own := locks{}
		for _, k := range keys {
			own.add(true, k.lock())
		}
		if err := w.lock(ctx, own); err != nil {
			return err
		}
		rows, err := w.withDependents(ctx, keys, nil)
		if err != nil {
			return err
		}
		changes, err = w.attach(ctx, rows)
		return err
	})
	return changes, err
}

// keysAfter is the next chunk of rows of a kind, in the order of their keys.
func (s *Store) keysAfter(ctx context.Context, store string, last RowKey) ([]RowKey, error) {
	rows := pg.Query(ctx, s.Pool, KindOf(last.Kind).keysAfterSQL(), last.A, last.B, store, rebuildChunk)
	return KeysOfKind(last.Kind, rows)
}

// keysAfterSQL finds the next $4 rows behind the key ($1, $2), of store $3 or all.
func (k FactKind) keysAfterSQL() string {
	key := k.KeySQL("f")
	return `
		SELECT ` + key + `
		FROM ` + k.Table + ` f
		WHERE (` + key + `) > ($1, $2) AND ($3 = '' OR f.store_id = $3)
		ORDER BY ` + key + `
		LIMIT $4`
}

// settleProducts resolves the store of each product again.
func (s *Store) settleProducts(ctx context.Context) (changed int64, err error) {
	err = s.transact(ctx, func(ctx context.Context, w *work) error {
		w.want[globalLock] = true
		if err := w.lock(ctx, nil); err != nil {
			return err
		}
		ids, err := pg.Column[string](ctx, w.tx, `SELECT id FROM products`)
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
		w.want[globalLock] = true
		if err := w.lock(ctx, nil); err != nil {
			return err
		}
		rows := pg.Query(ctx, w.tx, `
			SELECT id, store_id, email
			FROM customers c
			WHERE ($1 = '' OR store_id = $1)
			  AND NOT EXISTS (SELECT FROM facts WHERE customer_id = c.id)`, store)
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
