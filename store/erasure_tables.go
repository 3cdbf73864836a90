package store

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Reads and writes of rows that name people.

// factsOf reads rows as the facts that they are.
func factsOf[F any](ctx context.Context, q pg.Querier, sql string, args ...any) ([]F, error) {
	return queryAll(ctx, q, func(row pgx.CollectableRow) (f F, err error) {
		var text []byte
		if err := row.Scan(&text); err != nil {
			return f, err
		}
		return f, json.Unmarshal(text, &f)
	}, sql, args...)
}

// readRows reads rows by their keys or, with pseudonyms, those of them that name
// people by one.
func readRows(ctx context.Context, q pg.Querier, keys []RowKey, pseudonyms bool) (set facts.Set, err error) {
	for k, columns := range byKind(distinct(keys)) {
		sql := `SELECT to_jsonb(f)` + k.GivenRows("f")
		if pseudonyms {
			sql += ` WHERE concat_ws(' ', ` + qualify("f", columnsNaming(k.Table)) + `) LIKE '%` + anonymousPrefix + `%'`
		}
		rows := pg.Query(ctx, q, sql, columns[0], columns[1])
		var row []byte
		if _, err = pgx.ForEachRow(rows, []any{&row}, func() error { return k.add(&set, row) }); err != nil {
			return set, err
		}
	}
	return set, nil
}

// rowsNaming finds the rows that name any of the identities. No index leads to
// an address: then it reads the tables.
func rowsNaming(ctx context.Context, q pg.Querier, ids []identity) (found []RowKey, err error) {
	defer pg.Wrap(&err, "store.rowsNaming(%d)", len(ids))
	if keys := dependencies(ids); len(keys) > 0 {
		if found, err = keysOfRows(ctx, q, `SELECT kind, a, b FROM facts WHERE leans && $1::text[]`, keys); err != nil {
			return nil, err
		}
	}
	emails := valuesOf(anAddress, ids)
	if len(emails) == 0 {
		return found, nil
	}
	named, err := keysOfRows(ctx, q, UnionAll(func(k FactKind) string {
		return `SELECT '` + k.Name + `', ` + k.KeySQL("f") + ` FROM ` + k.Table + ` f WHERE ` +
			NamesAddress(k.Table, "f", "$1::text[]")
	}), emails)
	return append(found, named...), err
}

// rowsLeaning finds the rows that depend on any of the keys.
func rowsLeaning(ctx context.Context, q pg.Querier, keys []string) ([]RowKey, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return keysOfRows(ctx, q, `
		SELECT kind, a, b FROM facts WHERE leans && $1::text[]
		UNION
		SELECT kind, a, b FROM facts
			WHERE mail = ANY(ARRAY(SELECT substr(key, 6) FROM unnest($1::text[]) key WHERE key LIKE 'mail:%'))`, keys)
}

// keysOfRows reads kinds and keys.
func keysOfRows(ctx context.Context, q pg.Querier, sql string, args ...any) ([]RowKey, error) {
	return queryAll(ctx, q, func(row pgx.CollectableRow) (k RowKey, err error) {
		return k, row.Scan(&k.Kind, &k.A, &k.B)
	}, sql, args...)
}

// queryAll reads the rows of a query.
func queryAll[T any](ctx context.Context, q pg.Querier, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	return pgx.CollectRows(pg.Query(ctx, q, sql, args...), scan)
}

// readPeople reads the users and Stripe customers among identities, and those
// with one of the addresses.
func readPeople(ctx context.Context, q pg.Querier, ids []identity, emails []string) (set facts.Set, err error) {
	set.Users, err = factsOf[facts.User](ctx, q, `
		SELECT to_jsonb(u)
		FROM users u
		WHERE id = ANY($1) OR email = ANY($2)`, valuesOf(aUser, ids), emails)
	if err != nil {
		return set, err
	}
	var accounts, customers []string
	for _, value := range valuesOf(aStripeCustomer, ids) {
		account, id, _ := strings.Cut(value, "/")
		accounts, customers = append(accounts, account), append(customers, id)
	}
	set.StripeCustomers, err = factsOf[facts.StripeCustomer](ctx, q, `
		SELECT to_jsonb(s)
		FROM stripe_customers s
		WHERE (account, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		   OR email = ANY($3)`, accounts, customers, emails)
	return set, err
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

// writePurchases writes whom payments and subscriptions name.
func (f *erasureFilter) writePurchases(ctx context.Context, changed []purchase) error {
	rows := map[string][]any{}
	for _, p := range changed {
		rows[p.Kind] = append(rows[p.Kind], p.fact)
	}
	for kind, some := range rows {
		if err := f.writeNames(ctx, KindOf(kind), some); err != nil {
			return err
		}
	}
	return nil
}

// writeNames writes the columns that name people of rows of a kind.
func (f *erasureFilter) writeNames(ctx context.Context, k FactKind, rows any) error {
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	columns := columnsNaming(k.Table)
	_, err = f.tx.Exec(ctx, `
		UPDATE `+k.Table+` f
		SET (`+strings.Join(columns, ", ")+`) = ROW (`+qualify("n", columns)+`)
		FROM json_populate_recordset(NULL::`+k.Table+`, $1) n
		WHERE (`+k.KeySQL("f")+`) = (`+k.KeySQL("n")+`)`, string(text))
	return err
}

// removeEnrollments removes rows that went under another key; their customers are
// to be derived.
func (w *work) removeEnrollments(ctx context.Context, courses, persons []string) error {
	if len(courses) == 0 {
		return nil
	}
	former, err := queryAll(ctx, w.tx, func(row pgx.CollectableRow) (c customer, err error) {
		return c, row.Scan(&c.id, &c.store, &c.email)
	}, `
		WITH gone AS (
			DELETE FROM enrollments e
			USING unnest($1::text[], $2::text[]) AS k(course, person)
			WHERE e.course_id = k.course AND e.person = k.person
			RETURNING e.customer_id
		)
		SELECT DISTINCT c.id, c.store_id, c.email
		FROM gone
		CROSS JOIN LATERAL (SELECT id, store_id, email FROM customers WHERE id = gone.customer_id OFFSET 0) c`, courses,
		persons)
	w.former = append(w.former, former...)
	return err
}
