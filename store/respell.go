package store

import (
	"context"
	"fmt"
	"slices"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Addresses have one spelling, made when they are read. Rows that were written
// before that spelling was decided on, or under an older one, are moved over
// here; their customers follow when the rows are attached again.

// maybeMisspelled is SQL for what an address has that may not be as it is spelled
// now: nothing else is looked at.
func maybeMisspelled(address string) string {
	return fmt.Sprintf(`(%[1]s ~ '[^!-~]|[<>]|\.$|^mailto:|xn--' AND %[1]s LIKE '%%@%%')`, address)
}

// respellChunk is how many addresses one transaction moves over.
const respellChunk = 500

// respell gives every address its spelling, and returns how many were moved.
func (s *Store) respell(ctx context.Context) (moved int64, err error) {
	defer pg.Wrap(&err, "store.respell")
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
	sql := `SELECT DISTINCT substr(person, 7) AS address FROM enrollments WHERE person LIKE 'email:%' AND ` +
		maybeMisspelled("person")
	for _, c := range identityColumns {
		if address := c.address("t"); address != "" {
			sql += ` UNION SELECT ` + address + ` FROM ` + c.Table + ` t WHERE ` + maybeMisspelled(address) + c.only()
		}
	}
	all, err := pg.Column[string](ctx, s.Pool, sql)
	return slices.DeleteFunc(all, func(a string) bool {
		is := facts.Email(a)
		return is == a || is == ""
	}), err
}

// respell moves some addresses over, and attaches the rows that name them. The
// transaction holds globalLock.
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
	for _, c := range identityColumns {
		address, value := c.address("t"), `n.new`
		if address == "" {
			continue
		}
		if c.Names == aContext {
			value = `jsonb_set(t.` + c.Column + `, '{email}', to_jsonb(n.new))`
		}
		if _, err := w.tx.Exec(ctx, `
			UPDATE `+c.Table+` t
			SET `+c.Column+` = `+value+`
			FROM unnest($1::text[], $2::text[]) AS n(old, new)
			WHERE `+address+` = n.old`+c.only(), addresses, spelled); err != nil {
			return err
		}
	}
	after, err := rowsLeaning(ctx, w.tx, keys)
	if err != nil {
		return err
	}
	rows, err := w.withDependents(ctx, distinct(append(before, after...)), nil)
	if err != nil {
		return err
	}
	_, err = w.attach(ctx, rows)
	return err
}

// only narrows rows t down to those of links that hold addresses.
func (c IdentityColumn) only() string {
	if c.Table == "links" {
		return ` AND t.relation = 'address'`
	}
	return ""
}

// respellKeys moves enrollments over whose person is an address: one joins what
// was said under the other spelling already.
func (w *work) respellKeys(ctx context.Context, addresses, spelled []string) error {
	now := make(map[string]string, len(addresses))
	persons := make([]string, len(addresses))
	for i, a := range addresses {
		persons[i], now["email:"+a] = "email:"+a, "email:"+spelled[i]
	}
	rows, err := factsOf[facts.Enrollment](ctx, w.tx, `SELECT to_jsonb(e) FROM enrollments e WHERE person = ANY($1)`,
		persons)
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
