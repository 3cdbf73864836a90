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
	// exportTimeout limits the statement that lists the ids.
	exportTimeout = 45 * time.Second
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
// slice, once Postgres answers, then batches in a slice that is reused. It ends with
// the first error of write; a filter that is not valid is a *pg.BadParam. It ignores
// f.Limit.
//
// One statement lists the ids, so that customers who move meanwhile are neither lost
// nor repeated. The rows are then read in batches. No connection is held during write.
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
	e := &export{Reader: s, list: f.Store, full: make(chan *batch), free: make(chan *batch, 2)}
	e.free <- newBatch()
	e.free <- newBatch()
	if err := e.turn(ctx, func() (err error) {
		if e.titles, err = titlesOf(ctx, s.Pool, f.Store); err != nil {
			return err
		}
		e.tags, err = tagsOf(ctx, s.Pool, f.Store)
		return err
	}); err != nil {
		return err
	}
	if err := write(nil); err != nil {
		return err
	}
	var ids []int64
	if err := e.turn(ctx, func() (err error) { ids, err = s.listedIDs(ctx, f); return err }); err != nil {
		return err
	}
	return e.run(ctx, ids, write)
}

// listedIDs are the ids of a list, in its order, from one snapshot.
func (s *Reader) listedIDs(ctx context.Context, f Filter) (ids []int64, err error) {
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(exportTimeout), func(tx pgx.Tx) error {
		q, err := s.prepare(ctx, tx, f)
		if err != nil || len(q.facets) == 0 {
			return err
		}
		q.idsOnly = true
		for _, in := range q.spans(nil) {
			sql, args := q.walk(in, math.MaxInt, 0)
			rows, err := tx.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
			if err != nil {
				return err
			}
			var id int64
			if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				ids = append(ids, id)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}

// titlesOf are the titles of a store's products, by id.
func titlesOf(ctx context.Context, db pg.Querier, store string) (map[string]string, error) {
	titles := map[string]string{}
	rows, err := db.Query(ctx, `
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

// export is a running export: it fetches rows while it decodes and writes others.
type export struct {
	*Reader
	list   string            // the store
	titles map[string]string // of the store's products, by id
	tags   []Tag             // of the store
	full   chan *batch       // fetched
	free   chan *batch       // written, to be filled again
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

func (e *export) run(ctx context.Context, ids []int64, write func([]Customer) error) error {
	var failed error // of write, which may make the fetching fail
	both, stopped := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer close(e.full)
		for some := range slices.Chunk(ids, exportBatch) {
			if err := e.fetchNext(stopped, some); err != nil {
				return err
			}
		}
		return nil
	})
	both.Go(func() error {
		rows, from := make([]Customer, 0, exportBatch), newDecoder()
		for b := range e.full {
			var err error
			if rows, err = e.decode(b, from, rows[:0]); err != nil {
				return err
			}
			e.free <- b
			if len(rows) > 0 {
				if failed = write(rows); failed != nil {
					return failed
				}
			}
		}
		return nil
	})
	err := both.Wait()
	return cmp.Or(failed, err)
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
	select {
	case e.full <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetch reads the rows of ids as Postgres sends them. It asks for them by id, not in
// their order, as those are beside each other in the index.
func (e *export) fetch(ctx context.Context, b *batch, ids []int64) error {
	tags := tagsColumn
	if len(e.tags) == 0 { // a look-up less for each row
		tags = "NULL::text[]"
	}
	rows, err := e.Pool.Query(ctx, selectCustomers("NULL::text", tags)+`
		unnest($2::bigint[]) AS w (id)
		JOIN customers c ON c.id = w.id AND c.store_id = $1`, e.list, slices.Sorted(slices.Values(ids)))
	if err != nil {
		return err
	}
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
		all = append(all, row.Customer)
	}
	return all, nil
}
