package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// What erasure does to users and Stripe customers, and to what depends on them
// and is no fact of theirs: the links of their addresses, the checkouts they left,
// the invoices they did not pay.

// pseudonymizePeople copies the users and Stripe customers among identities to
// their pseudonyms; and removes them, unless they reappeared since.
func (f *erasureFilter) pseudonymizePeople(ctx context.Context, ids []identity, remove bool) (err error) {
	defer wrap(&err, "store.pseudonymizePeople(%d)", len(ids))
	people, err := readPeople(ctx, f.tx, ids, nil)
	if err != nil {
		return err
	}
	var copies facts.Set
	var users, accounts, customers []string
	for _, u := range people.Users {
		if id := u.ID; f.tombstones.user(&u, asStored.ofUser(u)) {
			copies.Users, users = append(copies.Users, u), append(users, id)
		}
	}
	for _, c := range people.StripeCustomers {
		if id := c.ID; f.tombstones.stripeCustomer(&c, asStored.of(c.Version, nil)) {
			copies.StripeCustomers, accounts, customers = append(copies.StripeCustomers, c), append(accounts, c.Account), append(customers, id)
		}
	}
	if err := f.pseudonymizeLinks(ctx, ids, remove); err != nil {
		return err
	}
	if err := upsert(ctx, f.tx, copies, nil); err != nil || !remove {
		return err
	}
	var batch pgx.Batch
	batch.Queue(`DELETE FROM users WHERE id = ANY($1)`, users)
	batch.Queue(`DELETE FROM stripe_customers WHERE (account, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, accounts, customers)
	return f.tx.SendBatch(ctx, &batch).Close()
}

// pseudonymizeLinks copies the addresses that users among identities had until
// their erasure to their pseudonyms; and removes them.
func (f *erasureFilter) pseudonymizeLinks(ctx context.Context, ids []identity, remove bool) (err error) {
	defer wrap(&err, "store.pseudonymizeLinks(%d)", len(ids))
	var users, pseudonyms, addresses []string
	var until []time.Time
	for _, i := range ids {
		if t := f.tombstones.known[i]; t != nil && i.kind == aUser {
			users, until = append(users, i.value), append(until, t.at)
			pseudonyms, addresses = append(pseudonyms, f.tombstones.pseudonym(i)), append(addresses, t.address())
		}
	}
	if len(users) == 0 {
		return nil
	}
	if _, err := f.tx.Exec(ctx, `
		INSERT INTO links (relation, subject, object, since, hearsay)
		SELECT DISTINCT l.relation, u.pseudonym, u.address, l.since, l.hearsay
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS u(id, pseudonym, address, until)
		JOIN links l ON l.relation = 'address' AND l.subject = u.id
		WHERE version_time(l.since) <= u.until
		ON CONFLICT DO NOTHING`, users, pseudonyms, addresses, until); err != nil || !remove {
		return err
	}
	_, err = f.tx.Exec(ctx, `
		DELETE FROM links l
		USING unnest($1::text[], $2::timestamptz[]) AS u(id, until)
		WHERE l.relation = 'address' AND l.subject = u.id AND version_time(l.since) <= u.until`, users, until)
	return err
}

// keysOfAddresses are the keys by which rows depend on all addresses that users
// among identities ever had, and on the Stripe customers who have them: where
// these lead changes with an erasure.
func keysOfAddresses(ctx context.Context, q querier, ids []identity) ([]string, error) {
	users := valuesOf(aUser, ids)
	if len(users) == 0 {
		return nil, nil
	}
	rows, err := q.Query(ctx, `
		WITH had AS (
			SELECT DISTINCT object AS email FROM links WHERE relation = 'address' AND subject = ANY($1)
		)
		SELECT 'mail:' || email FROM had
		UNION
		SELECT 'cus:' || s.account || '/' || s.id FROM had JOIN stripe_customers s ON s.email = had.email`, users)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// rowsOfAddresses finds the rows that depend on any of these keys.
func rowsOfAddresses(ctx context.Context, q querier, ids []identity) ([]rowKey, error) {
	keys, err := keysOfAddresses(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	return rowsLeaning(ctx, q, keys)
}

// rowsLeaning finds the rows that lean on any of the keys.
func rowsLeaning(ctx context.Context, q querier, keys []string) (found []rowKey, err error) {
	for _, kind := range FactKinds {
		if len(keys) == 0 {
			break
		}
		rows, err := q.Query(ctx, kind.byLeanSQL(), keys)
		if err != nil {
			return nil, err
		}
		k := rowKey{kind: kind.Name}
		var leans []string
		if _, err := pgx.ForEachRow(rows, []any{&k.a, &k.b, &leans}, func() error {
			found = append(found, k)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return distinct(found), nil
}

// unfinishedOf finds the checkouts and failed invoices that name the identities
// $1 (kinds) and $2 (values) and are not younger than $3. It begins a statement
// that goes on with c and i.
const unfinishedOf = `
	WITH id AS (
		SELECT kind, value FROM unnest($1::text[], $2::text[]) AS i(kind, value)
	), c AS (
		SELECT DISTINCT c.account, c.id, c.store_ref
		FROM checkouts c
		JOIN id ON version_time(c.version) <= $3 AND CASE id.kind
			WHEN 'address' THEN c.email = id.value
			WHEN 'user' THEN c.user_ref = id.value
			ELSE c.account || '/' || c.stripe_customer = id.value END
	), i AS (
		SELECT DISTINCT i.account, i.id
		FROM failed_invoices i
		JOIN id ON id.kind = 'stripe_customer' AND version_time(i.version) <= $3 AND i.account || '/' || i.stripe_customer = id.value
	)`

// removeUnfinished removes the checkouts and failed invoices that name erased
// people. Of an erasure from one store only the checkouts of that store are.
func (f *erasureFilter) removeUnfinished(ctx context.Context, ids []identity, x erasure) (err error) {
	defer wrap(&err, "store.removeUnfinished(%d)", len(ids))
	kinds, values := kindsAndValues(ids)
	_, err = f.tx.Exec(ctx, unfinishedOf+`, gone AS (
		DELETE FROM checkouts k USING c WHERE k.account = c.account AND k.id = c.id AND ($4 = '' OR c.store_ref = $4)
	)
	DELETE FROM failed_invoices k USING i WHERE k.account = i.account AND k.id = i.id AND $4 = ''`, kinds, values, x.at, x.store)
	return err
}
