package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// The transaction in which facts are upserted and attached, and how it gets its locks.

// work is one transaction that upserts facts and attaches rows.
type work struct {
	tx            pgx.Tx
	platform      []string // product types that are the platform's own sales
	want          locks    // to be taken at the start of the next try
	held          locks
	allDependents bool // attach dependents even if nothing they depend on changed
	recheck       bool // rows are attached again without new facts
	splitItems    bool // items are tried one by one, as all together failed
	dryRun        bool // the transaction is rolled back

	customers locks // on customers, taken so far; always after all others

	erasure  *erasureFilter // pseudonymizes facts and rows
	former   []customer     // customers whose enrollments changed their key
	reported []string       // keys of users that the platform reports in this set, or has reported

	outcomes map[factKey]outcome // result per upserted fact, unless nil
	attached attached            // result of the last attach
}

// attached is the result of attach per row and per customer.
type attached struct {
	rows      []resolution
	at        map[address]int64 // customer ids by address
	customers map[int64]bool    // customers written: whether each is new
}

// customer is a customer's identity.
type customer struct {
	id    int64
	store string
	email string
}

type address struct{ store, email string }

// transact runs do in a transaction. While do finds locks missing, it starts over
// with these. Each try has its own work.
func (s *Store) transact(ctx context.Context, do func(context.Context, *work) error) error {
	want := locks{}
	for try := 1; ; try++ {
		if try > 3 || len(want) > want.maxKeys() {
			want[globalLock] = true // alone, so nothing can be missing
		}
		w := &work{platform: s.PlatformTypes, want: want, held: locks{}, customers: locks{},
			splitItems: want[splitLock]}
		w.erasure = &erasureFilter{work: w, inStores: map[RowKey]bool{}}
		endCommit := func(*error) {}
		err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) (err error) {
			w.tx = tx
			// Every statement here looks up rows by key. Plans made while tables
			// were small must not scan them when they are large, nor be made
			// anew each time.
			if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
				SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;
				SET LOCAL plan_cache_mode = force_generic_plan; `+pg.IdleIn(s.Idle)); err != nil {
				return err
			}
			if err = do(ctx, w); err == nil {
				_, endCommit = pg.Traced(ctx, "commit")
			}
			return err
		})
		endCommit(&err)
		if pg.OutOfLocks(err) && !want[globalLock] {
			want[globalLock] = true // one lock instead of many
			continue
		}
		if !errors.Is(err, pg.ErrAgain) {
			return err
		}
	}
}

// lock takes the locks of the facts to upsert, and those that an earlier try
// found missing.
func (w *work) lock(ctx context.Context, own locks) error {
	if w.want[globalLock] {
		w.held[globalLock] = true
		return lockGlobal(ctx, w.tx, true)
	}
	if err := lockGlobal(ctx, w.tx, false); err != nil {
		return err
	}
	for k, exclusive := range own {
		w.want.add(exclusive, k)
	}
	if len(w.want) > w.want.maxKeys() {
		return pg.ErrAgain // too many to hold one by one
	}
	for k, exclusive := range w.want {
		w.held.add(exclusive, k)
	}
	return w.want.take(ctx, w.tx)
}

// extend takes more locks without waiting, or returns ErrAgain for another try.
func (w *work) extend(ctx context.Context, more locks) error {
	missing := w.held.missing(more)
	got, err := len(w.held)+len(missing) <= w.held.maxKeys(), error(nil)
	if got {
		got, err = missing.try(ctx, w.tx)
	}
	if err != nil {
		return err
	}
	for k, exclusive := range missing {
		w.held.add(exclusive, k)
		w.want.add(exclusive, k)
	}
	if !got {
		return pg.ErrAgain
	}
	return nil
}

// Changes counts what an attachment changed; all zero if nothing was wrong.
type Changes struct {
	Facts   int64 `json:"facts"`   // rows with another customer, or another reason to have none
	Created int64 `json:"created"` // customers
	Updated int64 `json:"updated"`
	Deleted int64 `json:"deleted"`
	Merged  int64 `json:"merged"`
	Kept    int64 `json:"kept"` // search entries and figures that were wrong
}

// Sum is the number of differences found.
func (c Changes) Sum() int64 { return c.Facts + c.Created + c.Updated + c.Deleted + c.Kept }

func (c *Changes) add(o Changes) {
	c.Facts += o.Facts
	c.Created += o.Created
	c.Updated += o.Updated
	c.Deleted += o.Deleted
	c.Merged += o.Merged
	c.Kept += o.Kept
}
