package status

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"rollcall/store/reasons"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// StoreFilter is a question for a list of stores; the zero value asks for all,
// those with the longest lists first.
type StoreFilter struct {
	Query  string // words, each part of a name or an id
	Sort   string // -customers or id
	Cursor string // where the page before ended
	Limit  int    // most stores on the page
}

// DefaultStoreSort shows the longest lists first.
const DefaultStoreSort = "-customers"

// StoreLine is a store at a glance.
type StoreLine struct {
	ID             string           `json:"id"`
	Name           *string          `json:"name"` // null: the platform has not told it yet
	Customers      int64            `json:"customers"`
	Facts          map[string]int64 `json:"facts"`      // that are on its list: enrollment, payment, subscription
	Rough          bool             `json:"rough"`      // facts are worked out from those of some customers
	Unattached     int64            `json:"unattached"` // facts of it that wait for somebody to say something, up to MaxUnattached
	LastActivityAt *time.Time       `json:"last_activity_at"`
}

const (
	// MaxUnattached is up to how many unattached facts of a store are counted.
	MaxUnattached = 10_000
	// storeSample is of how many customers of each store facts are counted. The
	// others of a longer list are taken to have as many.
	storeSample = 200
)

// params are the filter's query parameters.
func (f *StoreFilter) params() []pg.Param {
	return []pg.Param{{Name: "q", Value: &f.Query},
		{Name: "sort", Value: &f.Sort, Default: DefaultStoreSort, Choices: pg.Choices(DefaultStoreSort, "Longest lists first", "id", "By id")},
		pg.CursorParam(&f.Cursor)}
}

// ParseStoreFilter reads the query parameters of a list of stores; its errors
// are *BadParam.
func ParseStoreFilter(q url.Values) (StoreFilter, error) {
	var f StoreFilter
	err := pg.ReadParams(q, f.params(), &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// Values are the query parameters that ask for f.
func (f StoreFilter) Values() url.Values { return pg.ParamValues(f.params(), 0) }

func (f StoreFilter) check() (StoreFilter, *pg.Position, error) {
	f.Limit = cmp.Or(f.Limit, pg.DefaultLimit)
	if err := pg.CheckParams(f.params()); err != nil {
		return f, nil, err
	}
	at, err := pg.DecodeCursor(f.Cursor, f.Sort)
	if err == nil && at != nil && (at.Key == nil || !pg.Storable(*at.Key)) {
		err = pg.ErrCursor
	}
	return f, at, err
}

// StoreLines returns a page of the stores that the platform has told of, or that
// have customers, and the cursor of the next one, empty at the end. What is
// wrong with f is a *BadParam.
func (s *Reader) StoreLines(ctx context.Context, f StoreFilter) (page []StoreLine, next string, err error) {
	defer pg.Wrap(&err, "store.StoreLines")
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	sql, args := f.sql(after)
	rows, err := s.Pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, "", err
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l StoreLine, err error) {
		return l, row.Scan(&l.ID, &l.Name, &l.Customers)
	})
	if err != nil {
		return nil, "", err
	}
	if len(page) > f.Limit {
		page = page[:f.Limit]
		last := page[f.Limit-1]
		next = pg.Position{Sort: f.Sort, Key: &last.ID, ID: last.Customers + 1}.Encode() // an id of 0 is none
	}
	return page, next, s.lookInto(ctx, page)
}

// sql asks for one store more than the limit.
func (f StoreFilter) sql(after *pg.Position) (string, pg.Arguments) {
	w := &pg.Conditions{Args: &pg.Arguments{}}
	if words := pg.WordsOf(f.Query); len(words) > 0 {
		w.Add(`fold(concat_ws(' ', name, id)) LIKE ALL (`+pg.PatternsOf("$?")+`)`, words)
	}
	order := "id"
	if f.Sort == DefaultStoreSort {
		order = "customers DESC, id"
	}
	switch {
	case after == nil:
	case f.Sort == DefaultStoreSort:
		w.Add("(customers < "+w.Arg(after.ID-1)+" OR customers = "+w.Arg(after.ID-1)+" AND id > $?)", *after.Key)
	default:
		w.Add("id > $?", *after.Key)
	}
	return `
		SELECT
			id,
			name,
			customers
		FROM (
			SELECT
				coalesce(s.id, n.store_id) AS id,
				s.name,
				coalesce(n.customers, 0)::bigint AS customers
			FROM stores s
			FULL JOIN (
				SELECT
					store_id,
					sum(amount) AS customers
				FROM (
					SELECT store_id, amount FROM customer_figures WHERE figure = 'people'
					UNION ALL
					SELECT store_id, amount FROM customer_figure_changes WHERE figure = 'people'
				) f
				GROUP BY store_id
				HAVING sum(amount) <> 0
			) n ON n.store_id = s.id
		) s
		WHERE ` + w.String() + `
		ORDER BY ` + order + `
		LIMIT ` + w.Arg(f.Limit+1), *w.Args
}

// lookInto fills in what is looked up store by store.
func (s *Reader) lookInto(ctx context.Context, page []StoreLine) error {
	ids, at := make([]string, len(page)), map[string]*StoreLine{}
	for i := range page {
		ids[i], at[page[i].ID] = page[i].ID, &page[i]
	}
	rows, err := s.Pool.Query(ctx, storesSQL, ids, storeSample, reasons.Missing(), MaxUnattached)
	if err != nil {
		return err
	}
	var id string
	var looked, unattached int64
	var counts map[string]int64
	var last *time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &looked, &counts, &unattached, &last}, func() error {
		l := at[id]
		l.Unattached, l.LastActivityAt, l.Rough, l.Facts = unattached, pg.UTC(last), looked < l.Customers, counts
		for kind, n := range counts {
			counts[kind] = l.ofAll(n, looked)
		}
		counts, last = nil, nil // read into anew
		return nil
	})
	return err
}

// ofAll is how many facts all customers have, if those looked at have n.
func (l *StoreLine) ofAll(n, looked int64) int64 {
	if looked == 0 || looked >= l.Customers {
		return n
	}
	return n * l.Customers / looked
}

// storesSQL looks into stores $1: at the facts of their first $2 customers, at
// up to $4 facts on no list for reasons $3, and at when somebody was last active.
var storesSQL = `
	SELECT
		s.id,
		sample.customers,
		sample.facts,
		(SELECT count(*) FROM (SELECT FROM facts WHERE store_id = s.id AND ` + store.UnattachedFor("", "ANY($3)") + ` LIMIT $4) off),
		(
			SELECT max(latest.at)
			FROM (
				SELECT DISTINCT f.facet
				FROM (
					SELECT facet FROM customer_figures WHERE store_id = s.id AND figure = 'people'
					UNION ALL
					SELECT facet FROM customer_figure_changes WHERE store_id = s.id AND figure = 'people'
				) f
			) f
			CROSS JOIN LATERAL (SELECT max(c.last_activity_at) AS at FROM customers c WHERE c.store_id = s.id AND c.facet = f.facet) latest
		)
	FROM unnest($1::text[]) AS s(id)
	CROSS JOIN LATERAL (
		SELECT
			count(*) AS customers,
			jsonb_build_object(` + store.PerKind(func(k store.FactKind) string {
	return `'` + k.Name + `', coalesce(sum((SELECT count(*) FROM ` + k.Table + ` WHERE customer_id = c.id)), 0)`
}) + `) AS facts
		FROM (SELECT id FROM customers WHERE store_id = s.id ORDER BY email LIMIT $2) c
	) sample`
