package store

import (
	"cmp"
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Locks keep two transactions from missing each other. If one upserts a user and
// another that user's enrollment at once, neither sees the other's row, and the
// enrollment would stay unattached. So a transaction holds advisory locks on
//
//   - its facts (their rows and the ids that others depend on): exclusive;
//   - the rows that it attaches, and what they depend on: shared;
//   - the customers that it derives: exclusive, taken last.
//
// A transaction waits only for a sorted list of locks while it holds none, or for
// customers, which all transactions lock last. So there are no deadlocks.
type locks map[string]bool // key → exclusive

// globalLock is held shared by every transaction, and exclusively by one with so
// many keys that they would fill Postgres's lock table.
const globalLock = "gate"

// splitLock is held by a transaction that tries items one by one: only one may.
const splitLock = "divided"

// maxLocks is the number of keys above which a transaction takes globalLock.
const maxLocks = 1500

// maxKeys is the number of keys that may be held one by one. With splitLock it
// includes those of customers, which other transactions take in addition.
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

// missing returns the locks of want that l does not hold.
func (l locks) missing(want locks) locks {
	out := locks{}
	if l[globalLock] {
		return out // includes all others
	}
	for k, exclusive := range want {
		if held, ok := l[k]; !ok || exclusive && !held {
			out[k] = exclusive
		}
	}
	return out
}

// sorted returns the keys' hashes in the order in which all transactions lock.
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

// lockGlobal takes globalLock, before all other locks: shared, or exclusively if
// alone.
func lockGlobal(ctx context.Context, tx pgx.Tx, alone bool) error {
	return locks{globalLock: alone}.take(ctx, tx)
}

// try takes all keys of l without waiting and reports whether it got them.
func (l locks) try(ctx context.Context, tx pgx.Tx) (got bool, err error) {
	defer pg.Wrap(&err, "locks.try(%d)", len(l))
	if len(l) == 0 {
		return true, nil
	}
	hashes, exclusive := l.sorted()
	err = tx.QueryRow(ctx, `
		SELECT bool_and(CASE WHEN exclusive THEN pg_try_advisory_xact_lock(hash)
			ELSE pg_try_advisory_xact_lock_shared(hash) END)
		FROM unnest($1::bigint[], $2::bool[]) AS l(hash, exclusive)`, hashes, exclusive).Scan(&got)
	return got, err
}

// The keys of facts, as in column leans.
func payKey(account, id string) string       { return "pay:" + account + "/" + id }
func subKey(account, id string) string       { return "sub:" + account + "/" + id }
func CustomerLock(account, id string) string { return "cus:" + account + "/" + id }

// ownLocks are the keys of the facts in a set.
func ownLocks(set facts.Set) locks {
	l := locks{}
	l.add(true, platformUsers(set)...) // rows of connected accounts depend on a report of their user
	for _, f := range set.Users {
		l.add(true, "user:"+f.ID)
		if f.Email != "" {
			l.add(true, "mail:"+f.Email)
		}
	}
	for _, f := range set.StripeCustomers {
		l.add(true, CustomerLock(f.Account, f.ID))
		if f.Email != "" { // its payments depend on the address
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
		if f.Subscription != "" { // a subscription that never was active is resolved again
			l.add(true, subKey(f.Account, f.Subscription))
		}
		if f.Invoice != "" { // its invoice is resolved again
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

func (l locks) clone() locks { return maps.Clone(l) }

// merge adds all keys of other.
func (l locks) merge(other locks) {
	for k, exclusive := range other {
		l.add(exclusive, k)
	}
}

// platformUsers are the keys of users that the platform's rows in a set name.
func platformUsers(set facts.Set) (keys []string) {
	for _, f := range set.Enrollments {
		if strings.HasPrefix(f.Person, "user:") {
			keys = append(keys, f.Person)
		}
	}
	for _, p := range purchasesOf(&set, asStored) {
		for _, by := range p.parts {
			if p.account() == "" && by.UserRef != "" {
				keys = append(keys, "user:"+by.UserRef)
			}
		}
	}
	return keys
}
