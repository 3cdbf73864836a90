package store

import (
	"cmp"
	"context"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Locks keep two transactions from missing each other: one that brings a user
// and one that brings the user's enrollment would each not see the other, and
// the enrollment would stay unattached for good. So a transaction holds, until
// it commits, advisory locks on
//
//   - what it says (its own rows and the ids others lean on): exclusive;
//   - what the rows it attaches lean on, and those rows: shared;
//   - the customers it derives: exclusive, taken last.
//
// Waiting happens only while taking a sorted list with nothing held before it,
// or for customers, which come last for everybody: there is no circle to wait in.
type locks map[string]bool // key → exclusive

// gate is held shared by every transaction, and exclusively by one so large
// that locking key by key would fill Postgres's lock table.
const globalLock = "gate"

// divided is held by a transaction that tries items apart: one at a time does.
const splitLock = "divided"

// maxLocks is the number of keys above which a transaction takes the gate.
const maxLocks = 1500

// most is the number of keys to be held one by one. Items tried apart need
// their customers' locks from the start too, which others take on top.
func (l locks) maxKeys() int {
	if l[splitLock] {
		return 2 * maxLocks
	}
	return maxLocks
}

// add asks for a key; exclusive beats shared.
func (l locks) add(exclusive bool, keys ...string) {
	for _, k := range keys {
		l[k] = l[k] || exclusive
	}
}

// missing returns what of want is not held.
func (l locks) missing(want locks) locks {
	out := locks{}
	if l[globalLock] {
		return out // held exclusively: all is held
	}
	for k, exclusive := range want {
		if held, ok := l[k]; !ok || exclusive && !held {
			out[k] = exclusive
		}
	}
	return out
}

// sorted returns the keys' hashes in the one order that all take them in.
func (l locks) sorted() (hashes []int64, exclusive []bool) {
	merged := map[int64]bool{}
	for k, x := range l {
		h := fnv.New64a()
		h.Write([]byte(k))
		hash := int64(h.Sum64())
		merged[hash] = merged[hash] || x
	}
	for _, h := range slices.SortedFunc(maps.Keys(merged), cmp.Compare[int64]) {
		hashes, exclusive = append(hashes, h), append(exclusive, merged[h])
	}
	return hashes, exclusive
}

// take waits for all keys of l, in order.
func (l locks) take(ctx context.Context, tx pgx.Tx) (err error) {
	defer pg.Wrap(&err, "locks.take(%d)", len(l))
	if len(l) == 0 {
		return nil
	}
	hashes, exclusive := l.sorted()
	_, err = tx.Exec(ctx, `
		SELECT CASE WHEN exclusive THEN pg_advisory_xact_lock(hash) ELSE pg_advisory_xact_lock_shared(hash) END
		FROM unnest($1::bigint[], $2::bool[]) AS l(hash, exclusive)`, hashes, exclusive)
	return err
}

// enter passes the gate, first of all: shared, or (alone) when nobody else is
// in, to keep it shut for others.
func lockGlobal(ctx context.Context, tx pgx.Tx, alone bool) error {
	return locks{globalLock: alone}.take(ctx, tx)
}

// try takes all keys of l without waiting and tells whether it got them.
func (l locks) try(ctx context.Context, tx pgx.Tx) (got bool, err error) {
	defer pg.Wrap(&err, "locks.try(%d)", len(l))
	if len(l) == 0 {
		return true, nil
	}
	hashes, exclusive := l.sorted()
	err = tx.QueryRow(ctx, `
		SELECT bool_and(CASE WHEN exclusive THEN pg_try_advisory_xact_lock(hash) ELSE pg_try_advisory_xact_lock_shared(hash) END)
		FROM unnest($1::bigint[], $2::bool[]) AS l(hash, exclusive)`, hashes, exclusive).Scan(&got)
	return got, err
}

// The keys of facts, as their rows' leans column spells them.
func payKey(account, id string) string       { return "pay:" + account + "/" + id }
func subKey(account, id string) string       { return "sub:" + account + "/" + id }
func CustomerLock(account, id string) string { return "cus:" + account + "/" + id }

// lock is the key of a row's own lock.
func (k RowKey) lock() string { return KindOf(k.Kind).Lock + k.A + "/" + k.B }

// ownLocks are the keys of what a set says.
func ownLocks(set facts.Set) locks {
	l := locks{}
	l.add(true, platformUsers(set)...) // rows of connected accounts wait for a report of their user
	for _, f := range set.Users {
		l.add(true, "user:"+f.ID)
		if f.Email != "" {
			l.add(true, "mail:"+f.Email)
		}
	}
	for _, f := range set.StripeCustomers {
		l.add(true, CustomerLock(f.Account, f.ID))
		if f.Email != "" { // its payments go where the address leads
			l.add(false, "mail:"+f.Email)
		}
	}
	for _, f := range set.Stores {
		l.add(true, "store:"+f.ID, "store:"+f.OwnerUserID, "account:"+f.StripeAccountID)
	}
	for _, f := range set.Products {
		l.add(true, "product:"+f.ID)
		l.add(true, f.StripeProductIDs...)
		l.add(true, f.StripePriceIDs...)
	}
	for _, k := range rowsIn(set) {
		l.add(true, k.lock())
	}
	for _, f := range set.Payments {
		if f.Kind == "checkout" {
			l.add(true, payKey(f.Account, f.ClaimedBy))
		}
		if f.Subscription != "" { // one that never was active is resolved anew with it
			l.add(true, subKey(f.Account, f.Subscription))
		}
		if f.Invoice != "" { // its invoice is resolved anew with it
			l.add(true, payKey(f.Account, f.Invoice))
		}
	}
	for _, f := range set.Refunds {
		l.add(true, "charge:"+f.Account+"/"+f.Charge)
	}
	for _, f := range set.Disputes {
		l.add(true, "charge:"+f.Account+"/"+f.Charge)
	}
	return l
}
