package store

import (
	"context"
	"errors"
	"fmt"
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
		next = place{f.Sort, last.key, last.id}.encode()
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
func (s *Store) list(ctx context.Context, f Filter, where *conditions, after *place) (rows []listed, err error) {
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
func (s *Store) page(ctx context.Context, f Filter, where *conditions, after *place) ([]listed, error) {
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
		where.add(by.after(comparison, after, where), after.ID)
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

// after is the condition of coming after a place, whose id is $?.
func (by order) after(comparison string, at *place, where *conditions) string {
	if at.Key == nil {
		return "c.id " + comparison + " $?"
	}
	key := where.arg(*at.Key) + "::" + by.cast
	if by.alone {
		return fmt.Sprintf("%s %s %s AND $?::bigint > 0", by.key, comparison, key)
	}
	return fmt.Sprintf("(%s, c.id) %s (%s, $?)", by.key, comparison, key)
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

// addTitles fills in what things are called, as the store's own products say;
// what the store does not know is called by its id.
func (s *Store) addTitles(ctx context.Context, storeID string, rows []listed) error {
	var ids []string
	for i := range rows {
		rows[i].titles(func(id string) string {
			ids = append(ids, id)
			return ""
		})
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := s.pool.Query(ctx, `
		SELECT
			id,
			title
		FROM products
		WHERE id = ANY($1) AND store_id = $2 AND title IS NOT NULL`, ids, storeID)
	if err != nil {
		return err
	}
	known := map[string]string{}
	var id, title string
	if _, err := pgx.ForEachRow(found, []any{&id, &title}, func() error {
		known[id] = title
		return nil
	}); err != nil {
		return err
	}
	for i := range rows {
		rows[i].titles(func(id string) string {
			if title := known[id]; title != "" {
				return title
			}
			return id
		})
	}
	return nil
}

// titles sets each title to what call says of the product's id. A plan without
// a name of its own is called as its product.
func (c *listed) titles(call func(id string) string) {
	name := func(id *string) *string {
		if id == nil {
			return nil
		}
		return ptr(call(*id))
	}
	c.Source.Title = name(c.Source.ProductID)
	for i := range c.Courses {
		c.Courses[i].Title = call(c.Courses[i].ID)
	}
	for i := range c.Purchases {
		c.Purchases[i].Title = name(c.Purchases[i].ProductID)
	}
	for i := range c.Subscriptions {
		if product := c.plans[i]; product != nil && (c.Subscriptions[i].Plan == nil || *c.Subscriptions[i].Plan == "") {
			c.Subscriptions[i].Plan = name(product)
		}
	}
}
