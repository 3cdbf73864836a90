package customers

import (
	"context"

	"github.com/jackc/pgx/v5"

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
	rows, err := s.Pool.Query(ctx, `SELECT id, store_id FROM customers WHERE id > $1`, after)
	if err != nil {
		return nil, err
	}
	came := map[int64]string{}
	var id int64
	var store string
	_, err = pgx.ForEachRow(rows, []any{&id, &store}, func() error {
		came[id] = store
		return nil
	})
	return came, err
}

// CountNewcomers counts the matches of f with ids greater than after, up to
// maxNewcomers. A filter that is not valid is a *pg.BadParam.
func (s *Reader) CountNewcomers(ctx context.Context, f Filter, after int64) (n int, err error) {
	defer pg.Wrap(&err, "customers.CountNewcomers(%q, %d)", f.Store, after)
	if f, _, err = f.check(); err != nil || !pg.Storable(f.Store) {
		return 0, err
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		q, err := s.prepare(ctx, tx, f)
		if err != nil || len(q.facets) == 0 {
			return err
		}
		var args pg.Arguments
		from, where := q.meets(&args)
		where.Add("c.id > $?", after)
		return tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM `+from+` WHERE `+where.String()+` LIMIT `+
			args.Add(maxNewcomers)+`) c`,
			append([]any{pgx.QueryExecModeCacheDescribe}, args...)...).Scan(&n)
	})
	return n, err
}
