package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Addresses have one spelling, made when they are read. Rows that were written
// before that spelling was decided on, or under an older one, are moved over
// here; their customers follow when the rows are attached again.

// addressColumns are where addresses stand, beside the keys of enrollments and
// the customers that follow from facts: by table, columns and (in JSON) members.
var addressColumns = []struct{ table, column, member string }{
	{"users", "email", ""},
	{"stripe_customers", "email", ""},
	{"enrollments", "email", ""},
	{"payments", "email", ""},
	{"payments", "intent", "email"},
	{"payments", "charge", "email"},
	{"subscriptions", "email", ""},
	{"subscriptions", "checkout", "email"},
	{"checkouts", "email", ""},
	{"customer_notes", "email", ""},
	{"links", "object", ""},
}

// addressIn is SQL for the address in a column.
func addressIn(column, member string) string {
	if member == "" {
		return column
	}
	return column + " ->> '" + member + "'"
}

// maybeMisspelled is SQL for what an address has that may not be as it is spelled
// now: nothing else is looked at.
func maybeMisspelled(address string) string {
	return fmt.Sprintf(`(%[1]s ~ '[^!-~]|[<>]|\.$|^mailto:|xn--' AND %[1]s LIKE '%%@%%')`, address)
}

// respellChunk is how many addresses one transaction moves over.
const respellChunk = 500

// respell gives every address its spelling, and returns how many were moved.
func (s *Store) respell(ctx context.Context) (moved int64, err error) {
	defer wrap(&err, "store.respell")
	found, err := s.misspelled(ctx)
	if err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(found, respellChunk) {
		err := s.transact(ctx, func(ctx context.Context, w *work) error {
			if err := w.alone(ctx); err != nil {
				return err
			}
			return w.respell(ctx, chunk)
		})
		if err != nil {
			return moved, err
		}
		moved += int64(len(chunk))
	}
	return moved, nil
}

// misspelled lists the addresses that are spelled otherwise now.
func (s *Store) misspelled(ctx context.Context) (found []string, err error) {
	sql := `SELECT DISTINCT substr(person, 7) AS address FROM enrollments WHERE person LIKE 'email:%' AND ` + maybeMisspelled("person")
	for _, c := range addressColumns {
		address := addressIn(c.column, c.member)
		sql += ` UNION SELECT ` + address + ` FROM ` + c.table + ` WHERE ` + maybeMisspelled(address)
		if c.table == "links" {
			sql += ` AND relation = 'address'`
		}
	}
	rows, err := s.pool.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return slices.DeleteFunc(all, func(a string) bool {
		is := facts.Email(a)
		return is == a || is == ""
	}), err
}

// respell moves some addresses over, and attaches the rows that name them. The
// gate is held.
func (w *work) respell(ctx context.Context, addresses []string) error {
	spelled, keys := make([]string, len(addresses)), make([]string, 0, 2*len(addresses))
	for i, a := range addresses {
		spelled[i] = facts.Email(a)
		keys = append(keys, "mail:"+a, "mail:"+spelled[i])
	}
	keys, err := w.withAddressees(ctx, keys)
	if err != nil {
		return err
	}
	before, err := rowsLeaning(ctx, w.tx, keys)
	if err != nil {
		return err
	}
	if err := w.respellKeys(ctx, addresses, spelled); err != nil {
		return err
	}
	for _, c := range addressColumns {
		value, match := `n.new`, addressIn("t."+c.column, c.member)+` = n.old`
		if c.member != "" {
			value = `jsonb_set(t.` + c.column + `, '{` + c.member + `}', to_jsonb(n.new))`
		}
		if c.table == "links" {
			match += ` AND t.relation = 'address'`
		}
		if _, err := w.tx.Exec(ctx, `
			UPDATE `+c.table+` t
			SET `+c.column+` = `+value+`
			FROM unnest($1::text[], $2::text[]) AS n(old, new)
			WHERE `+match, addresses, spelled); err != nil {
			return err
		}
	}
	after, err := rowsLeaning(ctx, w.tx, keys)
	if err != nil {
		return err
	}
	rows, err := w.neighbours(ctx, distinct(append(before, after...)), nil)
	if err != nil {
		return err
	}
	_, err = w.attach(ctx, rows)
	return err
}

// respellKeys moves enrollments over whose person is an address: one joins what
// was said under the other spelling already.
func (w *work) respellKeys(ctx context.Context, addresses, spelled []string) error {
	now := make(map[string]string, len(addresses))
	persons := make([]string, len(addresses))
	for i, a := range addresses {
		persons[i], now["email:"+a] = "email:"+a, "email:"+spelled[i]
	}
	rows, err := factsOf[facts.Enrollment](ctx, w.tx, `SELECT to_jsonb(e) FROM enrollments e WHERE person = ANY($1)`, persons)
	if err != nil || len(rows) == 0 {
		return err
	}
	var courses, old []string
	for i, f := range rows {
		courses, old = append(courses, f.CourseID), append(old, f.Person)
		rows[i].Person = now[f.Person]
	}
	if err := upsert(ctx, w.tx, facts.Set{Enrollments: rows}, nil); err != nil {
		return err
	}
	return w.removeEnrollments(ctx, courses, old)
}
