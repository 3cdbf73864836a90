package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// What erasure does to what hangs on people and is no fact of theirs: the links
// of their addresses, the checkouts they gave up, the invoices they did not pay.

// usersAmong splits the users off identities, with what they are called now and
// until when.
func (e *erased) usersAmong(ids []identity) (users, marks, addresses []string, until []time.Time) {
	for _, i := range ids {
		if t := e.tombs[i]; t != nil && i.kind == aUser {
			users, marks, addresses, until = append(users, i.value), append(marks, e.mark(i)), append(addresses, t.address()), append(until, t.at)
		}
	}
	return users, marks, addresses, until
}

// putLinks copies the addresses that users among identities had until they were
// erased to what they are called now; and removes them.
func (w *work) putLinks(ctx context.Context, ids []identity, remove bool) (err error) {
	defer wrap(&err, "store.putLinks(%d)", len(ids))
	users, marks, addresses, until := w.erased.usersAmong(ids)
	if len(users) == 0 {
		return nil
	}
	if _, err := w.tx.Exec(ctx, `
		INSERT INTO links (relation, subject, object, since, hearsay)
		SELECT DISTINCT l.relation, u.mark, u.address, l.since, l.hearsay
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS u(id, mark, address, until)
		JOIN links l ON l.relation = 'address' AND l.subject = u.id
		WHERE version_time(l.since) <= u.until
		ON CONFLICT DO NOTHING`, users, marks, addresses, until); err != nil || !remove {
		return err
	}
	_, err = w.tx.Exec(ctx, `
		DELETE FROM links l
		USING unnest($1::text[], $2::timestamptz[]) AS u(id, until)
		WHERE l.relation = 'address' AND l.subject = u.id AND version_time(l.since) <= u.until`, users, until)
	return err
}

// addressKeys are the keys that rows lean on of all addresses that users among
// identities ever had, and of the customers of Stripe who have them: where these
// lead changes with an erasure.
func addressKeys(ctx context.Context, q querier, ids []identity) ([]string, error) {
	var users []string
	for _, i := range ids {
		if i.kind == aUser {
			users = append(users, i.value)
		}
	}
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

// rowsLeaning finds the rows that lean on any of the keys.
func rowsLeaning(ctx context.Context, q querier, keys []string) (found []rowKey, err error) {
	for _, kind := range factKinds {
		if len(keys) == 0 {
			break
		}
		rows, err := q.Query(ctx, kindOf(kind).byLeanSQL(), keys)
		if err != nil {
			return nil, err
		}
		k := rowKey{kind: kind}
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

// formerUsersSQL finds the users who had one of the addresses $1, and when first.
const formerUsersSQL = `SELECT subject, object, min(version_time(since)) FROM links WHERE relation = 'address' AND object = ANY($1) GROUP BY subject, object`

// keptOf finds the checkouts and invoices that name identities. It begins a
// statement that goes on with c and i.
const keptOf = `
	WITH id AS (
		SELECT kind, value, until FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS i(kind, value, until)
	), c AS (
		SELECT DISTINCT c.account, c.id, c.store_ref
		FROM checkouts c
		JOIN id ON version_time(c.version) <= id.until AND CASE id.kind
			WHEN 'address' THEN c.email = id.value
			WHEN 'user' THEN c.user_ref = id.value
			ELSE c.account || '/' || c.stripe_customer = id.value END
	), i AS (
		SELECT DISTINCT i.account, i.id
		FROM failed_invoices i
		JOIN id ON id.kind = 'stripe_customer' AND version_time(i.version) <= id.until AND i.account || '/' || i.stripe_customer = id.value
	)`

// dropKept removes the checkouts and invoices that name erased people. Of who is
// erased from one store those of that store are.
func (w *work) dropKept(ctx context.Context, ids []identity, x erasure) (err error) {
	defer wrap(&err, "store.dropKept(%d)", len(ids))
	kinds, values := kindsAndValues(ids)
	until := make([]time.Time, len(ids))
	for n := range ids {
		until[n] = x.at
	}
	_, err = w.tx.Exec(ctx, keptOf+`, gone AS (
		DELETE FROM checkouts k USING c WHERE k.account = c.account AND k.id = c.id AND ($4 = '' OR c.store_ref = $4)
	)
	DELETE FROM failed_invoices k USING i WHERE k.account = i.account AND k.id = i.id AND $4 = ''`, kinds, values, until, x.store)
	return err
}
