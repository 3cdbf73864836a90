package customers

import (
	"context"

	"rollcall/store/pg"
)

// maxNewcomers is the highest count of CountNewcomers.
const maxNewcomers = 100

// LastCustomer is the greatest id of a customer; 0 if there is none.
func (s *Reader) LastCustomer(ctx context.Context) (id int64, err error) {
	defer pg.Wrap(&err, "customers.LastCustomer")
	err = s.Pool.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM customers`).Scan(&id)
	return id, err
}

// Newcomers are the stores of customers with ids greater than after, by id. Ids become
// visible out of order, so start some ids back and ignore those seen before.
func (s *Reader) Newcomers(ctx context.Context, after int64) (_ map[int64]string, err error) {
	defer pg.Wrap(&err, "customers.Newcomers(%d)", after)
	rows := pg.Query(ctx, s.Pool, `SELECT id, store_id FROM customers WHERE id > $1`, after)
	came := map[int64]string{}
	var id int64
	var store string
	err = pg.Each(rows, []any{&id, &store}, func() {
		came[id] = store
	})
	return came, err
}

// CountNewcomers counts the matches of f with ids greater than after, up to
// maxNewcomers. A filter that is not valid is a *pg.BadParam.
func (s *Reader) CountNewcomers(ctx context.Context, f Filter, after int64) (n int64, err error) {
	defer pg.Wrap(&err, "customers.CountNewcomers(%q, %d)", f.Store, after)
	return s.count(ctx, f, func(where *pg.Conditions) string {
		where.Add("c.id > $?", after)
		return " LIMIT " + where.Args.Add(maxNewcomers)
	})
}
