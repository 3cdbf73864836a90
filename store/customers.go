package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Money is an amount in minor units of its currency: 29900 usd is $299.00.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Customer is one person on the list of one store. Its JSON is the API's.
type Customer struct {
	ID             string         `json:"id"`
	StoreID        string         `json:"store_id"`
	Email          string         `json:"email"`
	Name           *string        `json:"name"`
	ImageURL       *string        `json:"image_url"`
	Type           string         `json:"type"`   // lead, paying or subscription
	Status         string         `json:"status"` // active or inactive
	Source         Source         `json:"source"`
	TotalSpent     []Money        `json:"total_spent"` // per currency, net of refunds and lost disputes
	Refunded       []Money        `json:"refunded"`
	FirstSeenAt    *time.Time     `json:"first_seen_at"`
	LastActivityAt *time.Time     `json:"last_activity_at"`
	Courses        []Course       `json:"courses"`
	Purchases      []Purchase     `json:"purchases"`
	Subscriptions  []Subscription `json:"subscriptions"`
}

// Source is the first thing that brought a customer.
type Source struct {
	Kind      *string `json:"kind"` // free_course, course_purchase, product_purchase or subscription
	ProductID *string `json:"product_id"`
	Title     *string `json:"title"`
}

// Course is one that a customer is in.
type Course struct {
	ID          string     `json:"id"`
	Title       string     `json:"title"`
	Progress    float64    `json:"progress"` // percent
	EnrolledAt  *time.Time `json:"enrolled_at"`
	CompletedAt *time.Time `json:"completed_at"`
}

// Purchase is one that was paid once; Amount and Refunded are minor units.
type Purchase struct {
	ProductID   *string    `json:"product_id"`
	Title       *string    `json:"title"`
	Kind        string     `json:"kind"`
	Amount      int64      `json:"amount"`
	Currency    string     `json:"currency"`
	Refunded    int64      `json:"refunded"`
	PurchasedAt *time.Time `json:"purchased_at"`
}

// Subscription is one that a customer has or had; Amount is minor units per
// period.
type Subscription struct {
	ID               string     `json:"id"`
	Status           string     `json:"status"`
	Plan             *string    `json:"plan"`
	Amount           *int64     `json:"amount"`
	Currency         *string    `json:"currency"`
	CurrentPeriodEnd *time.Time `json:"current_period_end"`
}

// listed is a customer as read, with what is not shown.
type listed struct {
	Customer
	id    int64
	key   *string   // what the list is sorted by, see order
	plans []*string // products of the subscriptions
}

// Customers returns a page of a store's list and the cursor of the next one,
// empty at the end. What is wrong with f is a *BadParam.
func (s *Store) Customers(ctx context.Context, f Filter) (page []Customer, next string, err error) {
	defer wrap(&err, "store.Customers(%q)", f.Store)
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	page = []Customer{}
	if !storable(f.Store) {
		return page, "", nil
	}
	titled, err := s.titled(ctx, f)
	if err != nil {
		return nil, "", err
	}
	rows, err := s.list(ctx, f, f.where(titled), after)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		last := rows[f.Limit-1]
		next = position{f.Sort, last.key, last.id}.encode()
	}
	if err := s.addTitles(ctx, f.Store, rows); err != nil {
		return nil, "", err
	}
	for _, r := range rows {
		page = append(page, r.Customer)
	}
	return page, next, nil
}

// Customer returns one customer of a store; ErrNotFound also for one of another
// store.
func (s *Store) Customer(ctx context.Context, storeID, id string) (_ Customer, err error) {
	defer wrap(&err, "store.Customer(%q, %q)", storeID, id)
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != id || !storable(storeID) {
		return Customer{}, ErrNotFound
	}
	rows, err := s.pool.Query(ctx, selectCustomers("NULL")+`
		WHERE c.store_id = $1 AND c.id = $2`, storeID, n)
	if err != nil {
		return Customer{}, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, scanCustomer)
	if errors.Is(err, pgx.ErrNoRows) {
		return Customer{}, ErrNotFound
	}
	if err != nil {
		return Customer{}, err
	}
	one := []listed{row}
	err = s.addTitles(ctx, storeID, one)
	return one[0].Customer, err
}

// selectCustomers reads all that scanCustomer scans; key is SQL.
func selectCustomers(key string) string {
	return `
		SELECT
			c.id,
			c.store_id,
			c.email,
			c.name,
			c.image_url,
			c.type,
			c.status,
			c.source_kind,
			c.source_product_id,
			c.spent,
			c.refunded,
			c.first_seen_at,
			c.last_activity_at,
			c.courses,
			c.purchases,
			c.subscriptions,
			` + key + `
		FROM customers c`
}

func scanCustomer(row pgx.CollectableRow) (c listed, err error) {
	var subscriptions []struct {
		Subscription
		ProductID *string `json:"product_id"`
	}
	err = row.Scan(&c.id, &c.StoreID, &c.Email, &c.Name, &c.ImageURL, &c.Type, &c.Status, &c.Source.Kind, &c.Source.ProductID,
		&c.TotalSpent, &c.Refunded, &c.FirstSeenAt, &c.LastActivityAt, &c.Courses, &c.Purchases, &subscriptions, &c.key)
	c.ID = strconv.FormatInt(c.id, 10)
	c.FirstSeenAt, c.LastActivityAt = utc(c.FirstSeenAt), utc(c.LastActivityAt)
	c.Subscriptions = make([]Subscription, len(subscriptions))
	for i, s := range subscriptions {
		c.Subscriptions[i] = s.Subscription
		c.plans = append(c.plans, s.ProductID)
	}
	return c, err
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return ptr(t.UTC())
}

// list reads up to one row more than the limit, from after on. Rows without a
// key come last in both directions; they are read apart, as no single range of
// an index has the others first and them last.
func (s *Store) list(ctx context.Context, f Filter, where *conditions, after *position) (rows []listed, err error) {
	by := orders[strings.TrimPrefix(f.Sort, "-")]
	if after == nil || after.Key != nil {
		known := where.clone()
		if by.null {
			known.sql = append(known.sql, by.key+" IS NOT NULL")
		}
		if rows, err = s.page(ctx, f, known, after); err != nil {
			return nil, err
		}
		after = nil
	}
	if !by.null || len(rows) > f.Limit {
		return rows, nil
	}
	where.sql = append(where.sql, by.key+" IS NULL")
	f.Limit -= len(rows)
	rest, err := s.page(ctx, f, where, after)
	return append(rows, rest...), err
}

// page reads one range of an index: rows that meet where and come after a place.
func (s *Store) page(ctx context.Context, f Filter, where *conditions, after *position) ([]listed, error) {
	name, descending := strings.CutPrefix(f.Sort, "-")
	by, comparison, direction := orders[name], ">", ""
	if descending {
		comparison, direction = "<", " DESC"
	}
	sorted := by.key + direction
	if !by.alone {
		sorted += ", c.id" + direction
	}
	if after != nil {
		by.from(after, comparison, where)
	}
	rows, err := s.pool.Query(ctx, selectCustomers(by.text)+`
		WHERE `+where.String()+`
		ORDER BY `+sorted+`
		LIMIT `+where.arg(f.Limit+1), where.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCustomer)
}

// titled lists the products of the store whose titles match the search.
func (s *Store) titled(ctx context.Context, f Filter) ([]string, error) {
	if f.Query == "" {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, `
		SELECT id
		FROM products
		WHERE store_id = $1 AND title ILIKE $2`, f.Store, contains(f.Query))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// untitled is a title to be filled in: that of a product.
type untitled struct {
	product string
	title   *string
}

// untitled lists the titles that a customer lacks. A plan without a name of its
// own is called as its product.
func (c *listed) untitled() (missing []untitled) {
	want := func(product *string, title **string) {
		if product != nil && *title == nil {
			*title = new(string)
			missing = append(missing, untitled{*product, *title})
		}
	}
	want(c.Source.ProductID, &c.Source.Title)
	for i := range c.Courses {
		missing = append(missing, untitled{c.Courses[i].ID, &c.Courses[i].Title})
	}
	for i := range c.Purchases {
		want(c.Purchases[i].ProductID, &c.Purchases[i].Title)
	}
	for i, product := range c.plans {
		want(product, &c.Subscriptions[i].Plan)
	}
	return missing
}

// addTitles fills in what things are called, as the store's own products say.
// What the store does not know is called by its id.
func (s *Store) addTitles(ctx context.Context, storeID string, rows []listed) error {
	var missing []untitled
	for i := range rows {
		missing = append(missing, rows[i].untitled()...)
	}
	if len(missing) == 0 {
		return nil
	}
	products := map[string]string{} // id to title
	for _, m := range missing {
		products[m.product] = m.product
	}
	found, err := s.pool.Query(ctx, `
		SELECT
			id,
			title
		FROM products
		WHERE id = ANY($1) AND store_id = $2 AND title <> ''`, slices.Collect(maps.Keys(products)), storeID)
	if err != nil {
		return err
	}
	var id, title string
	_, err = pgx.ForEachRow(found, []any{&id, &title}, func() error {
		products[id] = title
		return nil
	})
	for _, m := range missing {
		*m.title = products[m.product]
	}
	return err
}

// Stats are the figures of a store's whole list.
type Stats struct {
	Total       int64   `json:"total"`
	Leads       int64   `json:"leads"`
	Paying      int64   `json:"paying"`
	Subscribers int64   `json:"subscribers"`
	Active      int64   `json:"active"`
	Revenue     []Money `json:"revenue"` // the sum of everybody's TotalSpent; 0 where all was given back
}

// Stats counts a store's customers and adds up what they spent, per currency.
// It reads all of them.
func (s *Store) Stats(ctx context.Context, storeID string) (st Stats, err error) {
	defer wrap(&err, "store.Stats(%q)", storeID)
	st.Revenue = []Money{}
	if !storable(storeID) {
		return st, nil
	}
	// One statement, so that the figures are of one moment.
	err = s.pool.QueryRow(ctx, `
		SELECT
			count(*),
			count(*) FILTER (WHERE type = 'lead'),
			count(*) FILTER (WHERE type = 'paying'),
			count(*) FILTER (WHERE type = 'subscription'),
			count(*) FILTER (WHERE status = 'active'),
			(
				SELECT coalesce(jsonb_agg(jsonb_build_object('amount', amount, 'currency', currency) ORDER BY currency), '[]')
				FROM (
					SELECT
						m.currency,
						sum(m.amount) AS amount
					FROM customers c
					CROSS JOIN LATERAL jsonb_to_recordset(c.spent) AS m(amount bigint, currency text)
					WHERE c.store_id = $1 AND c.spent <> '[]'
					GROUP BY m.currency
				) revenue
			)
		FROM customers
		WHERE store_id = $1`, storeID,
	).Scan(&st.Total, &st.Leads, &st.Paying, &st.Subscribers, &st.Active, &st.Revenue)
	return st, err
}

// StoreSize is a store and how long its list is.
type StoreSize struct {
	ID        string
	Name      *string // nil: the platform has not told it yet
	Customers int64
}

// Stores lists up to limit stores, those with the longest lists first.
func (s *Store) Stores(ctx context.Context, limit int) (_ []StoreSize, err error) {
	defer wrap(&err, "store.Stores")
	rows, err := s.pool.Query(ctx, `
		SELECT
			coalesce(s.id, n.store_id) AS id,
			s.name,
			coalesce(n.customers, 0) AS customers
		FROM stores s
		FULL JOIN (
			SELECT
				store_id,
				count(*) AS customers
			FROM customers
			GROUP BY store_id
		) n ON n.store_id = s.id
		ORDER BY customers DESC, id
		LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[StoreSize])
}
