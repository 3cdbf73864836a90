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

// StoreFilter selects stores; the zero value all, sorted by DefaultStoreSort.
type StoreFilter struct {
	ID     string // only this store; "": all
	Query  string // words, each part of a name or an id, of the store, its owner or its Stripe account
	Sort   string // -customers or id
	Cursor string // end of the previous page
	Limit  int    // maximum number on the page
}

// DefaultStoreSort is by number of customers, the largest first.
const DefaultStoreSort = "-customers"

// StoreLine is a store with its figures.
type StoreLine struct {
	ID             string           `json:"id"`
	Name           *string          `json:"name"` // null: the platform has not reported it
	Customers      int64            `json:"customers"`
	Facts          map[string]int64 `json:"facts"`      // facts on its list by kind: enrollment, payment, subscription
	Rough          bool             `json:"rough"`      // Facts is an estimate from some customers
	Unattached     int64            `json:"unattached"` // its missing facts that wait for an event, up to maxUnattached
	LastActivityAt *time.Time       `json:"last_activity_at"`

	Owner           *StoreOwner `json:"owner"`             // null: the platform has not reported it
	StripeAccountID *string     `json:"stripe_account_id"` // the last one that was reported
	LastEventAt     *time.Time  `json:"last_event_at"`     // when the last event that names it was received
}

// StoreOwner is the person who owns a store.
type StoreOwner struct {
	UserID     string     `json:"user_id"` // Clerk's
	Name       *string    `json:"name"`    // null: Clerk has not reported it
	Email      *string    `json:"email"`
	LastSeenAt *time.Time `json:"last_seen_at"` // the last sign-in; null: none was reported
}

// More tells whether more facts may be missing than were counted.
func (l StoreLine) More() bool { return l.Unattached >= maxUnattached }

// Called is the owner as pages show them.
func (o StoreOwner) Called() string {
	for _, name := range []*string{o.Name, o.Email} {
		if name != nil && *name != "" {
			return *name
		}
	}
	return o.UserID
}

const (
	// maxUnattached is the highest count of a store's missing facts.
	maxUnattached = 10_000
	// storeSample is how many customers' facts are counted for each store; the others of a
	// longer list are assumed to have as many.
	storeSample = 200
)

// params are the filter's parameters.
func (f *StoreFilter) params() []pg.Param {
	return []pg.Param{{Name: "q", Value: &f.Query},
		{Name: "sort", Value: &f.Sort, Default: DefaultStoreSort,
			Choices: pg.Choices(DefaultStoreSort, "Longest lists first", "id", "By id")},
		pg.CursorParam(&f.Cursor)}
}

// ParseStoreFilter parses the query of a list of stores. Its errors are *pg.BadParam.
func ParseStoreFilter(q url.Values) (StoreFilter, error) {
	var f StoreFilter
	err := pg.ReadParams(q, f.params(), &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// Values is the query for f.
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

// StoreLines returns a page of the stores that were reported or have customers, and
// the cursor of the next one, empty at the end. A filter that is not valid is a
// *pg.BadParam.
func (s *Reader) StoreLines(ctx context.Context, f StoreFilter) (page []StoreLine, next string, err error) {
	defer pg.Wrap(&err, "status.StoreLines")
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	sql, args := f.sql(after)
	rows := pg.Query(ctx, s.Pool, sql, args...)
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l StoreLine, err error) {
		owner := &StoreOwner{}
		var id *string
		err = row.Scan(&l.ID, &l.Name, &l.Customers, &l.StripeAccountID, &id, &owner.Name, &owner.Email, &owner.LastSeenAt)
		if id != nil {
			owner.UserID, owner.LastSeenAt = *id, pg.UTC(owner.LastSeenAt)
			l.Owner = owner
		}
		return l, err
	})
	if err != nil {
		return nil, "", err
	}
	if len(page) > f.Limit {
		page = page[:f.Limit]
		last := page[f.Limit-1]
		next = pg.Position{Sort: f.Sort, Key: &last.ID, ID: last.Customers + 1}.Encode() // an id must not be 0
	}
	return page, next, s.lookInto(ctx, page)
}

// sql reads one store more than the limit.
func (f StoreFilter) sql(after *pg.Position) (string, pg.Arguments) {
	w := &pg.Conditions{Args: &pg.Arguments{}}
	if words := pg.WordsOf(f.Query); len(words) > 0 {
		w.Add(`fold(concat_ws(' ', s.name, s.id, s.stripe_account_id, u.name, u.email)) LIKE ALL (`+
			pg.PatternsOf("$?")+`)`, words)
	}
	reported, counted := "", "" // a FULL JOIN passes no condition on
	if f.ID != "" {
		id := w.Arg(f.ID)
		reported, counted = "WHERE id = "+id, "AND store_id = "+id
	}
	order := "s.id"
	if f.Sort == DefaultStoreSort {
		order = "customers DESC, s.id"
	}
	switch {
	case after == nil:
	case f.Sort == DefaultStoreSort:
		w.Add("(customers < "+w.Arg(after.ID-1)+" OR customers = "+w.Arg(after.ID-1)+" AND s.id > $?)", *after.Key)
	default:
		w.Add("s.id > $?", *after.Key)
	}
	return `
		SELECT
			s.id,
			s.name,
			s.customers,
			s.stripe_account_id,
			s.owner_user_id,
			u.name,
			u.email,
			u.last_seen_at
		FROM (
			SELECT
				coalesce(s.id, n.store_id) AS id,
				s.name,
				nullif(s.stripe_account_id, '') AS stripe_account_id,
				nullif(s.owner_user_id, '') AS owner_user_id,
				coalesce(n.customers, 0)::bigint AS customers
			FROM (SELECT * FROM stores ` + reported + `) s
			FULL JOIN (
				SELECT
					store_id,
					sum(amount) AS customers
				FROM (
					SELECT store_id, amount FROM customer_figures WHERE figure = 'people' ` + counted + `
					UNION ALL
					SELECT store_id, amount FROM customer_figure_changes WHERE figure = 'people' ` + counted + `
				) f
				GROUP BY store_id
				HAVING sum(amount) <> 0
			) n ON n.store_id = s.id
		) s
		LEFT JOIN users u ON u.id = s.owner_user_id
		WHERE ` + w.String() + `
		ORDER BY ` + order + `
		LIMIT ` + w.Arg(f.Limit+1), *w.Args
}

// lookInto fills in the figures of each store.
func (s *Reader) lookInto(ctx context.Context, page []StoreLine) error {
	ids, at := make([]string, len(page)), map[string]*StoreLine{}
	for i := range page {
		ids[i], at[page[i].ID] = page[i].ID, &page[i]
	}
	rows := pg.Query(ctx, s.Pool, storesSQL, ids, storeSample, reasons.Missing(), maxUnattached)
	var id string
	var looked, unattached int64
	var counts map[string]int64
	var last *time.Time
	err := pg.Each(rows, []any{&id, &looked, &counts, &unattached, &last}, func() {
		l := at[id]
		l.Unattached, l.LastActivityAt, l.Rough, l.Facts = unattached, pg.UTC(last), looked < l.Customers, counts
		for kind, n := range counts {
			counts[kind] = l.ofAll(n, looked)
		}
		counts, last = nil, nil // new variables for each row
	})
	if err != nil {
		return err
	}
	return s.lastEvents(ctx, page)
}

// ofAll extrapolates n facts of looked customers to all customers.
func (l *StoreLine) ofAll(n, looked int64) int64 {
	if looked == 0 || looked >= l.Customers {
		return n
	}
	return n * l.Customers / looked
}

// storesSQL reads the figures of stores $1: the facts of their first $2 customers, up to
// $4 missing facts for reasons $3, and the last activity.
var storesSQL = `
	SELECT
		s.id,
		sample.customers,
		sample.facts,
		(SELECT count(*) FROM (SELECT FROM facts WHERE store_id = s.id AND ` + store.UnattachedFor("", "ANY($3)") +
	` LIMIT $4) off),
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
			CROSS JOIN LATERAL (SELECT max(c.last_activity_at) AS at FROM customers c WHERE c.store_id = s.id
				AND c.facet = f.facet) latest
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
