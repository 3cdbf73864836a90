package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Who is erased from one store only is still known to the others: what they
// have there cannot be told by the names in a fact, only by where it belongs.
// So it is found when rows are resolved, and put then.

// forgetInStore puts the rows that resolve to somebody who was erased from
// their very store, if they began before, and resolves all again: one may be
// known by another.
func (w *work) forgetInStore(ctx context.Context, rows []resolution) (_ []resolution, err error) {
	e, err := w.graves(ctx)
	if err != nil || e == nil || !e.scoped {
		return rows, err
	}
	defer wrap(&err, "store.forgetInStore(%d)", len(rows))
	for {
		tombs, err := w.tombsInStores(ctx, rows)
		if err != nil || len(tombs) == 0 {
			return rows, err
		}
		keys, any := make([]rowKey, len(rows)), false
		for i, r := range rows {
			keys[i] = r.rowKey
			if t := tombs[r.whose()]; t != nil {
				var put bool
				if keys[i], put, err = w.putInStore(ctx, r.rowKey, t); err != nil {
					return nil, err
				}
				any, w.put[r.rowKey] = any || put, put || w.put[r.rowKey] || anonymous(r.whose().email)
			}
		}
		if !any {
			return rows, nil
		}
		if rows, err = resolve(ctx, w.tx, distinct(keys), w.platform); err != nil {
			return nil, err
		}
	}
}

func distinct(keys []rowKey) []rowKey {
	all := map[rowKey]bool{}
	for _, k := range keys {
		all[k] = true
	}
	return slices.Collect(maps.Keys(all))
}

// whose is the store of a row and the address of whoever it is of, though it
// may make them no customer.
func (r resolution) whose() address {
	if r.Store == nil || r.Buyer == nil {
		return address{}
	}
	return address{*r.Store, *r.Buyer}
}

// tombsInStores finds who of those that rows resolve to was erased from a
// store: under their address, or, of rows that were put before and told of
// again since, under the other.
func (w *work) tombsInStores(ctx context.Context, rows []resolution) (map[address]*tombstone, error) {
	asked := map[string]string{} // hash or person to address
	var hashes [][]byte
	var stores, persons []string
	for _, r := range rows {
		at := r.whose()
		if at.email == "" {
			continue
		}
		stores = append(stores, at.store)
		if anonymous(at.email) {
			person := at.email[:len(at.email)-len(nowhere)]
			persons, asked[person] = append(persons, person), at.email
			continue
		}
		hash := w.erased.hash(identity{anAddress, at.email})
		hashes, asked[string(hash)] = append(hashes, hash), at.email
	}
	found, err := w.tx.Query(ctx, `
		SELECT e.hash, e.store_id, e.erasure_id, x.person, e.erased_at
		FROM erased e
		JOIN erasures x ON x.id = e.erasure_id
		WHERE e.hash = ANY($1) AND e.store_id = ANY($3)
		UNION ALL
		SELECT convert_to(x.person, 'UTF8'), x.store_id, x.id, x.person, x.erased_at
		FROM erasures x
		WHERE x.person = ANY($2) AND x.store_id = ANY($3)`, hashes, persons, stores)
	if err != nil {
		return nil, err
	}
	tombs := map[address]*tombstone{}
	var key []byte
	var store string
	var t tombstone
	_, err = pgx.ForEachRow(found, []any{&key, &store, &t.erasure, &t.person, &t.at}, func() error {
		one := t
		tombs[address{store, asked[string(key)]}] = &one
		return nil
	})
	return tombs, err
}

// putInStore puts one row, if it began before its person was erased, and
// returns its key as it is now.
func (w *work) putInStore(ctx context.Context, k rowKey, t *tombstone) (key rowKey, touched bool, err error) {
	more := locks{}
	more.add(false, "user:"+t.person)
	if k.kind == enrollment {
		key = rowKey{enrollment, k.a, "user:" + t.person}
		more.add(true, key.lock())
	}
	if err := w.extend(ctx, more); err != nil {
		return k, false, err
	}
	switch k.kind {
	case payment:
		touched, err = putOne(ctx, w, k, func(f *facts.Payment) bool {
			old := f.ClaimVersion == "" || f.PaidAt == nil || !f.PaidAt.After(t.at)
			return old && t.putContexts(&f.Context, f.ClaimVersion != "", f.Intent.Says(), f.Charge)
		})
	case subscription:
		touched, err = putOne(ctx, w, k, func(f *facts.Subscription) bool {
			return !firstOf(f.StartedAt, f.CheckoutAt).After(t.at) && t.putContexts(&f.Context, f.Version != "", f.Checkout)
		})
	default:
		touched, err = w.putEnrollmentInStore(ctx, k, key, t)
		if touched {
			return key, true, err
		}
	}
	return k, touched, err
}

// firstOf is the first of the times that are there; none is long ago.
func firstOf(times ...*time.Time) time.Time {
	for _, t := range times {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// putContexts puts what an object says itself, if it was told, and what others
// say of it.
func (t *tombstone) putContexts(own *facts.Context, told bool, others ...*facts.Context) bool {
	touched := told && t.putContext(own)
	for _, other := range others {
		if other != nil && other.UserRef+other.StripeCustomer+other.Email+other.Name != "" {
			touched = t.putContext(other) || touched
		}
	}
	return touched
}

// putContext makes the nameless one the user: whose a row is, is asked of that first.
func (t *tombstone) putContext(c *facts.Context) bool {
	old := *c
	c.UserRef, c.Email, c.Name, c.Earlier = t.person, "", "", veiled(c.Earlier, "email", "name")
	if c.StripeCustomer != "" {
		c.StripeCustomer = t.person
	}
	return old.UserRef != c.UserRef || old.StripeCustomer != c.StripeCustomer || old.Email+old.Name != ""
}

// putOne puts a row whose key stays.
func putOne[F any](ctx context.Context, w *work, k rowKey, put func(*F) bool) (touched bool, err error) {
	rows, err := factsOf[F](ctx, w.tx, rowsSQL(k.kind), []string{k.a}, []string{k.b})
	if err != nil || len(rows) == 0 || !put(&rows[0]) {
		return false, err
	}
	return true, w.writeNames(ctx, k.kind, rows)
}

// putEnrollmentInStore puts an enrollment under the key of the nameless one.
func (w *work) putEnrollmentInStore(ctx context.Context, k, key rowKey, t *tombstone) (touched bool, err error) {
	rows, err := factsOf[facts.Enrollment](ctx, w.tx, rowsSQL(enrollment), []string{k.a}, []string{k.b})
	if err != nil || len(rows) == 0 || k == key || enrollmentHappened(rows[0]).After(t.at) {
		return false, err
	}
	rows[0].Person, rows[0].Email, rows[0].Name = key.b, "", ""
	if err := upsert(ctx, w.tx, facts.Set{Enrollments: rows}, nil); err != nil {
		return false, err
	}
	return true, w.removeEnrollments(ctx, []string{k.a}, []string{k.b})
}

// findInAccounts looks up which Stripe customers of Connect accounts have an
// address that was erased from the account's only store.
func (e *erased) findInAccounts(ctx context.Context, tx pgx.Tx, all []facts.StripeCustomer) error {
	var accounts, emails []string
	var hashes [][]byte
	for _, f := range all {
		if e.scoped && f.Account != "" && f.Email != "" {
			accounts, emails, hashes = append(accounts, f.Account), append(emails, f.Email), append(hashes, e.hash(identity{anAddress, f.Email}))
		}
	}
	if len(accounts) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT a.account, a.email, e.erasure_id, x.person, e.erased_at
		FROM unnest($1::text[], $2::text[], $3::bytea[]) AS a(account, email, hash)
		CROSS JOIN LATERAL (SELECT min(id) AS id FROM stores WHERE stripe_account_id = a.account HAVING count(*) = 1) s
		JOIN erased e ON e.hash = a.hash AND e.store_id = s.id
		JOIN erasures x ON x.id = e.erasure_id`, accounts, emails, hashes)
	if err != nil {
		return err
	}
	e.inAccounts = map[address]*tombstone{}
	var at address
	var t tombstone
	_, err = pgx.ForEachRow(rows, []any{&at.store, &at.email, &t.erasure, &t.person, &t.at}, func() error {
		one := t
		e.inAccounts[at] = &one
		return nil
	})
	return err
}
