package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// What erasure does to users, Stripe customers and the links of their addresses.

// pseudonymizePeople copies the users and Stripe customers among identities to
// their pseudonyms; and removes them, unless they reappeared since.
func (f *erasureFilter) pseudonymizePeople(ctx context.Context, ids []identity, remove bool) (err error) {
	defer pg.Wrap(&err, "store.pseudonymizePeople(%d)", len(ids))
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
	defer pg.Wrap(&err, "store.pseudonymizeLinks(%d)", len(ids))
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
func keysOfAddresses(ctx context.Context, q pg.Querier, ids []identity) ([]string, error) {
	users := valuesOf(aUser, ids)
	if len(users) == 0 {
		return nil, nil
	}
	return queryAll(ctx, q, pgx.RowTo[string], `
		WITH had AS (
			SELECT DISTINCT object AS email FROM links WHERE relation = 'address' AND subject = ANY($1)
		)
		SELECT 'mail:' || email FROM had
		UNION
		SELECT 'cus:' || s.account || '/' || s.id FROM had JOIN stripe_customers s ON s.email = had.email`, users)
}
