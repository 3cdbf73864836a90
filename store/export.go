package store

import (
	"cmp"
	"context"
	"math"
	"net/url"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	exportFetch = 2000 // customers that the cursor gives at a time
	exportBatch = 500  // customers that are passed on at a time
)

// ParseExport reads the query parameters of an export of store's customers:
// those of the list, but for where to begin and how many. Its errors are
// *BadParam.
func ParseExport(store string, q url.Values) (Filter, error) {
	for _, name := range []string{"cursor", "limit"} {
		if slices.ContainsFunc(q[name], func(v string) bool { return v != "" }) {
			return Filter{}, badParam(name, "is for pages; an export is the whole list: leave it out")
		}
	}
	return ParseFilter(store, q)
}

// ExportCustomers passes the whole of a list to write, as of one moment and in
// the order of f.Sort: first, as soon as Postgres answers, nobody; then some
// customers at a time, in a slice that is used again. It ends with the first
// error of write. What is wrong with f is a *BadParam; f.Limit does not count.
//
// A transaction is open for as long as write takes. Nothing else is held, no
// state of a session, so a pooler of transactions may be in between.
func (s *Store) ExportCustomers(ctx context.Context, f Filter, write func([]Customer) error) (err error) {
	defer wrap(&err, "store.ExportCustomers(%q)", f.Store)
	f, after, err := f.check()
	if err == nil && after != nil {
		err = badParam("cursor", "is for pages")
	}
	if err != nil {
		return err
	}
	if !storable(f.Store) {
		return write(nil)
	}
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, s.pool, moment, func(tx pgx.Tx) error {
		titles, err := titlesOf(ctx, tx, f.Store)
		if err != nil {
			return err
		}
		if err := write(nil); err != nil {
			return err
		}
		q, err := s.survey(ctx, tx, f)
		if err != nil {
			return err
		}
		return newExport(tx, titles).run(ctx, q, write)
	})
}

// titlesOf are the titles of a store's products, by id.
func titlesOf(ctx context.Context, tx pgx.Tx, store string) (map[string]string, error) {
	titles := map[string]string{}
	rows, err := tx.Query(ctx, `
		SELECT
			id,
			title
		FROM products
		WHERE store_id = $1 AND title <> ''`, store)
	if err != nil {
		return nil, err
	}
	var id, title string
	_, err = pgx.ForEachRow(rows, []any{&id, &title}, func() error {
		titles[id] = title
		return nil
	})
	return titles, err
}

// export is one that is under way. While some customers are written the next are
// read.
type export struct {
	tx     pgx.Tx
	titles map[string]string // of the store's products, by id
	batch  []Customer        // to be written next
	full   chan []Customer   // to be written
	free   chan []Customer   // was written: to be filled again
}

func newExport(tx pgx.Tx, titles map[string]string) *export {
	e := &export{tx: tx, titles: titles, batch: make([]Customer, 0, exportBatch), full: make(chan []Customer), free: make(chan []Customer, 2)}
	e.free <- make([]Customer, 0, exportBatch)
	return e
}

func (e *export) run(ctx context.Context, q *question, write func([]Customer) error) error {
	var failed error // of write; that the reading fails may follow from it
	both, stopped := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer close(e.full)
		return e.read(ctx, stopped, q)
	})
	both.Go(func() error {
		for batch := range e.full {
			if failed = write(batch); failed != nil {
				return failed
			}
			e.free <- batch[:0]
		}
		return nil
	})
	err := both.Wait()
	return cmp.Or(failed, err)
}

// read reads the list as its pages are read, without an end to them: from
// indexes that have its order, so that nothing is sorted or put aside. It ends
// early when the writing has stopped, not in the middle of what Postgres says.
func (e *export) read(ctx, stopped context.Context, q *question) error {
	if len(q.facets) == 0 {
		return nil
	}
	q.keyless = true
	for _, in := range q.spans(nil) {
		sql, args := q.walk(in, math.MaxInt, 0)
		if err := e.through(ctx, stopped, sql, args); err != nil {
			return err
		}
	}
	return nil
}

// through writes the customers that a statement gives.
func (e *export) through(ctx, stopped context.Context, sql string, args arguments) error {
	// Nothing is prepared for good: that is a session's, and what FETCH gives is
	// the cursor's.
	mode := pgx.QueryExecModeCacheDescribe
	if _, err := e.tx.Exec(ctx, `DECLARE export NO SCROLL CURSOR FOR`+sql, append([]any{mode}, args...)...); err != nil {
		return err
	}
	for n := exportFetch; n == exportFetch; {
		rows, err := e.tx.Query(ctx, `FETCH `+strconv.Itoa(exportFetch)+` FROM export`, mode)
		if err != nil {
			return err
		}
		if n, err = e.pass(stopped, rows); err != nil {
			return err
		}
	}
	_, err := e.tx.Exec(ctx, `CLOSE export`)
	return err
}

// pass passes the rows of one FETCH on while they come in, and returns how many
// they were.
func (e *export) pass(stopped context.Context, rows pgx.Rows) (n int, err error) {
	defer rows.Close()
	for ; rows.Next(); n++ {
		row, err := scanCustomer(rows)
		if err != nil {
			return n, err
		}
		row.call(func(product string) string { return cmp.Or(e.titles[product], product) })
		if e.batch = append(e.batch, row.Customer); len(e.batch) == exportBatch {
			if err := e.flush(stopped); err != nil {
				return n, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	return n, e.flush(stopped)
}

// flush gives the batch away, for an empty one.
func (e *export) flush(stopped context.Context) error {
	if len(e.batch) == 0 {
		return nil
	}
	select {
	case e.full <- e.batch:
	case <-stopped.Done():
		return stopped.Err()
	}
	select {
	case e.batch = <-e.free:
	case <-stopped.Done():
		return stopped.Err()
	}
	return nil
}
