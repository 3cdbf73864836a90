package customers

import (
	"cmp"
	"context"
	"math"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"rollcall/store/pg"
)

const (
	exportBatch = 500 // customers that are fetched and written at a time
	batches     = 3   // one is fetched, one decoded, one waits
	// exportTimeout limits each statement of the transaction that reads a list.
	exportTimeout = 45 * time.Second
	// longestStream limits how long that transaction sends rows.
	longestStream = 30 * time.Second
)

// ParseExport parses the query of an export of store's customers: the list's
// parameters without cursor and limit. Its errors are *pg.BadParam.
func ParseExport(store string, q url.Values) (Filter, error) {
	for _, name := range []string{"cursor", "limit"} {
		if slices.ContainsFunc(q[name], func(v string) bool { return v != "" }) {
			return Filter{}, pg.Refuse(name, "is for pages; an export is the whole list: leave it out")
		}
	}
	return ParseFilter(store, q)
}

// ExportCustomers passes a whole list to write, in the order of f.Sort: first an empty
// slice, once Postgres answers, then batches in a slice that is reused. The customers have
// what a CSV shows: no picture, no last activity but its time, no ids of products. It ends with
// the first error of write; a filter that is not valid is a *pg.BadParam. It ignores
// f.Limit.
//
// The list is of one moment, so that customers who move meanwhile are neither lost nor
// repeated. One statement sorts it, and its rows are read as long as write keeps up: rows
// that are sorted are read several times as fast as by their ids. For a slow reader no
// connection is held: the ids that are left are listed, and their rows read in batches.
func (s *Reader) ExportCustomers(ctx context.Context, f Filter, write func([]Customer) error) (err error) {
	defer pg.Wrap(&err, "customers.ExportCustomers(%q)", f.Store)
	f, after, err := f.check()
	if err == nil && after != nil {
		err = pg.Refuse("cursor", "is for pages")
	}
	if err != nil {
		return err
	}
	if !pg.Storable(f.Store) {
		return write(nil)
	}
	e := &export{Reader: s, filter: f, full: make(chan *batch, batches), free: make(chan *batch, batches)}
	for range batches {
		e.free <- newBatch()
	}
	if err := e.turn(ctx, func() (err error) {
		if e.titles, err = titlesOf(ctx, s.Pool, f.Store); err != nil {
			return err
		}
		if e.tags, err = tagsOf(ctx, s.Pool, f.Store); err != nil {
			return err
		}
		return s.Pool.QueryRow(ctx, "SELECT "+hasForecasts, f.Store).Scan(&e.expects)
	}); err != nil {
		return err
	}
	if err := write(nil); err != nil {
		return err
	}
	return e.run(ctx, write)
}

// titlesOf are the titles of a store's products, by id.
func titlesOf(ctx context.Context, db pg.Querier, store string) (map[string]string, error) {
	titles := map[string]string{}
	rows := pg.Query(ctx, db, `
		SELECT
			id,
			title
		FROM products
		WHERE store_id = $1 AND title <> ''`, store)
	var id, title string
	err := pg.Each(rows, []any{&id, &title}, func() {
		titles[id] = title
	})
	return titles, err
}

// export is a running export: it fetches rows while it decodes and writes others.
type export struct {
	*Reader
	filter  Filter
	titles  map[string]string // of the store's products, by id
	tags    []Tag             // of the store
	expects bool              // whether something is expected of its customers
	full    chan *batch       // fetched
	free    chan *batch       // written, to be filled again
}

// turn runs do when one of the few connections for exports is free; the rest stay for
// other requests.
func (e *export) turn(ctx context.Context, do func() error) error {
	select {
	case e.Exports <- struct{}{}:
		defer func() { <-e.Exports }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run fetches, decodes and writes side by side.
func (e *export) run(ctx context.Context, write func([]Customer) error) error {
	var failed error // of write, which may make the others fail
	all, stopped := errgroup.WithContext(ctx)
	all.Go(func() error {
		defer close(e.full)
		left, err := e.stream(stopped)
		for some := range slices.Chunk(left, exportBatch) {
			if err = e.fetchNext(stopped, some); err != nil {
				break
			}
		}
		return err
	})
	decoded, written := make(chan []Customer), make(chan []Customer, 2)
	written <- make([]Customer, 0, exportBatch)
	written <- make([]Customer, 0, exportBatch)
	all.Go(func() error {
		defer close(decoded)
		return e.decodeAll(stopped, decoded, written)
	})
	all.Go(func() error {
		for rows := range decoded {
			if len(rows) > 0 {
				if failed = write(rows); failed != nil {
					return failed
				}
			}
			written <- rows
		}
		return nil
	})
	err := all.Wait()
	return cmp.Or(failed, err)
}

// decodeAll decodes what is fetched, into slices that have been written.
func (e *export) decodeAll(ctx context.Context, decoded chan<- []Customer, written <-chan []Customer) error {
	from := newDecoder()
	for b := range e.full {
		var rows []Customer
		select {
		case rows = <-written:
		case <-ctx.Done():
			return ctx.Err()
		}
		rows, err := e.decode(b, from, rows[:0])
		if err != nil {
			return err
		}
		e.free <- b
		select {
		case decoded <- rows:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// stream passes the list on as Postgres sorts it, as long as its reader keeps up. left are
// the ids of the others, as of the same moment.
func (e *export) stream(ctx context.Context) (left []int64, err error) {
	err = e.turn(ctx, func() error {
		return pgx.BeginTxFunc(ctx, e.Pool, pg.Bounded(exportTimeout), func(tx pgx.Tx) error {
			q, err := e.prepare(ctx, tx, e.filter)
			if err != nil || len(q.facets) == 0 {
				return err
			}
			read, err := e.read(ctx, tx, q)
			if err == nil && read >= 0 {
				left, err = q.ids(ctx, tx)
				left = left[min(read, len(left)):]
			}
			return err
		})
	})
	return left, err
}

// read passes the rows of a list on; it ends after n of them, when the reader is slow, or
// else with -1 after the last. It reads them without a cursor, which would sort with one
// process.
func (e *export) read(ctx context.Context, tx pgx.Tx, q *listQuery) (n int, err error) {
	sql, args := e.sorted(q)
	if _, err := tx.Exec(ctx, "SAVEPOINT reading"); err != nil {
		return 0, err
	}
	rows := pg.Query(ctx, tx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	defer rows.Close()
	for end := time.Now().Add(longestStream); time.Now().Before(end); {
		b, err := e.freeWithin(ctx, e.ExportPatience)
		if err != nil {
			return n, err
		}
		if b == nil {
			break
		}
		b.fillNext(rows)
		if err := rows.Err(); err != nil || len(b.ids) == 0 {
			return -1, err
		}
		n += len(b.ids)
		e.full <- b // has room for all there are
	}
	return n, leave(ctx, tx, rows)
}

// leave cancels a statement whose rows are not read to their end. Its snapshot stays.
func leave(ctx context.Context, tx pgx.Tx, rows pgx.Rows) error {
	if err := tx.Conn().PgConn().CancelRequest(ctx); err != nil {
		return err
	}
	rows.Close()
	_, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT reading")
	return err
}

// freeWithin waits for a batch that has been written; nil: there was none in time.
func (e *export) freeWithin(ctx context.Context, patience time.Duration) (*batch, error) {
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case b := <-e.free:
		return b, nil
	case <-wait.C:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sorted is all of the list, in its order. What is looked up for a page is joined here:
// Postgres joins with all its processes, and looks up with one.
func (e *export) sorted(q *listQuery) (string, pg.Arguments) {
	by, direction := orderOf(q.Sort)
	var args pg.Arguments
	from, where := q.meets(&args)
	looked := e.lookups()
	if len(e.tags) > 0 {
		looked.tags = "t.tags"
		from += " LEFT JOIN customer_index t ON t.customer_id = c.id AND t.tags <> '{}'"
	}
	if e.expects {
		looked.forecast = "CASE WHEN v.customer_id IS NOT NULL THEN " + forecastOf + " END"
		from += " LEFT JOIN (" + forecasts + ") ON v.store_id = c.store_id AND v.customer_id = c.id"
	}
	return selected(new(listed).exported(looked, nil)) + " " + from + " WHERE " + where.String() +
		" ORDER BY " + by.key + direction + " NULLS LAST, c.id" + direction, args
}

// ids are the ids of a list, in its order.
func (q *listQuery) ids(ctx context.Context, tx pgx.Tx) (ids []int64, err error) {
	q.idsOnly = true
	for _, in := range q.spans(nil) {
		sql, args := q.walk(in, math.MaxInt, 0)
		rows := pg.Query(ctx, tx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
		var id int64
		if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			ids = append(ids, id)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// lookups saves look-ups for each row if there are no tags, or no forecasts.
func (e *export) lookups() lookups {
	from := lookedUp
	if len(e.tags) == 0 {
		from.tags = "NULL::text[]"
	}
	if !e.expects {
		from.forecast = "NULL::jsonb"
	}
	return from
}

// fetchNext fetches the customers of ids once a batch is free, and passes it on.
func (e *export) fetchNext(ctx context.Context, ids []int64) error {
	var b *batch
	select {
	case b = <-e.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := e.turn(ctx, func() error { return e.fetch(ctx, b, ids) }); err != nil {
		return err
	}
	e.full <- b
	return nil
}

// fetch reads the rows of ids as Postgres sends them. It asks for them by id, not in
// their order, as those are beside each other in the index.
func (e *export) fetch(ctx context.Context, b *batch, ids []int64) error {
	rows := pg.Query(ctx, e.Pool, selected(new(listed).exported(e.lookups(), nil))+`
		unnest($2::bigint[]) AS w (id)
		JOIN customers c ON c.id = w.id AND c.store_id = $1`, e.filter.Store, slices.Sorted(slices.Values(ids)))
	b.fill(ids, rows)
	return rows.Err()
}

// decode appends the customers of a batch in their order, without those that are gone.
func (e *export) decode(b *batch, from *decoder, all []Customer) ([]Customer, error) {
	for _, id := range b.ids {
		values := b.row(id)
		if values == nil {
			continue
		}
		row, err := from.customer(b.fields, values)
		if err != nil {
			return nil, err
		}
		row.fillTitles(func(product string) string { return cmp.Or(e.titles[product], product) })
		row.nameTags(e.tags)
		row.Engagement = row.engagement(e.now())
		all = append(all, row.Customer)
	}
	return all, nil
}
