package customers

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Customer is a person on the list of a store. Its JSON is the API's.
type Customer struct {
	ID             string         `json:"id"`
	StoreID        string         `json:"store_id"`
	Email          string         `json:"email"`
	Name           *string        `json:"name"`
	ImageURL       *string        `json:"image_url"`
	Country        *string        `json:"country"` // ISO 3166-1 alpha-2, see CountryName
	Type           string         `json:"type"`    // lead, paying or subscription
	Status         string         `json:"status"`  // active or inactive
	Source         Source         `json:"source"`
	TotalSpent     []store.Money  `json:"total_spent"` // per currency, net of refunds and lost disputes
	Refunded       []store.Money  `json:"refunded"`
	FirstSeenAt    *time.Time     `json:"first_seen_at"`
	LastActivityAt *time.Time     `json:"last_activity_at"`
	LastActivity   string         `json:"-"` // what it was; empty if unknown
	LastActivityOf Subject        `json:"-"`
	Courses        []Course       `json:"courses"`
	Purchases      []Purchase     `json:"purchases"`
	Subscriptions  []Subscription `json:"subscriptions"`
	ProductIDs     []string       `json:"product_ids"` // of all that they bought or subscribed to
	Tags           []Tag          `json:"tags"`        // by name
	Forecast       *Forecast      `json:"forecast"`    // nil: nothing can be said
	Engagement     *Engagement    `json:"engagement"`  // nil: no time is known of them
}

// Subject is the course or product that an activity was about; empty if about none.
type Subject struct{ ID, Title string }

// Tag is a tag that a customer has, see package tags.
type Tag struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Source is the first thing that brought a customer to the store.
type Source struct {
	Kind      *string `json:"kind"` // free_course, course_purchase, product_purchase or subscription
	ProductID *string `json:"product_id"`
	Title     *string `json:"title"`
}

// Anonymous tells whether the customer stands for an erased person.
func (c Customer) Anonymous() bool { return store.Anonymous(c.Email) }

// Course is a course that a customer is in.
type Course struct {
	ID          string     `json:"id"`
	Title       string     `json:"title"`
	Progress    float64    `json:"progress"` // percent
	EnrolledAt  *time.Time `json:"enrolled_at"`
	Progressed  *time.Time `json:"progressed_at"` // when it last rose; nil: not begun
	CompletedAt *time.Time `json:"completed_at"`
}

// Done tells whether the customer has finished the course.
func (c Course) Done() bool { return c.CompletedAt != nil || c.Progress >= 100 }

// Purchase is a one-time purchase. Amount and Refunded are minor units.
type Purchase struct {
	ProductID   *string    `json:"product_id"`
	Title       *string    `json:"title"`
	Kind        string     `json:"kind"`
	Amount      int64      `json:"amount"`
	Currency    string     `json:"currency"`
	Refunded    int64      `json:"refunded"`
	PurchasedAt *time.Time `json:"purchased_at"`
	Lines       []SaleLine `json:"lines,omitempty"` // its products, if there are several
}

// SaleLine is one of several products bought at once. Amount is minor units; nil if
// unknown.
type SaleLine struct {
	ProductID *string `json:"product_id"`
	Title     *string `json:"title"`
	Kind      string  `json:"kind"`
	Amount    *int64  `json:"amount"`
}

// Subscription is a current or past subscription. Amount is minor units per period.
type Subscription struct {
	ID                string     `json:"id"`
	Status            string     `json:"status"`
	Plan              *string    `json:"plan"`
	ProductIDs        []string   `json:"product_ids"`
	Amount            *int64     `json:"amount"`
	Currency          *string    `json:"currency"`
	CurrentPeriodEnd  *time.Time `json:"current_period_end"`
	CancelAtPeriodEnd bool       `json:"cancel_at_period_end"`
}

// listed is a customer as read, with columns that are not shown.
type listed struct {
	Customer
	id    int64
	key   *string    // sort key, see order
	plans [][]string // products of each subscription
	tags  []string   // ids
}

// Customer returns a customer of a store; ErrNotFound also for another store's.
func (s *Reader) Customer(ctx context.Context, storeID, id string) (_ Customer, err error) {
	defer pg.Wrap(&err, "customers.Customer(%q, %q)", storeID, id)
	n, err := pg.CustomerID(storeID, id)
	if err != nil {
		return Customer{}, err
	}
	row, err := customerRow(ctx, s.Pool, storeID, n)
	if err != nil {
		return Customer{}, err
	}
	one := []listed{row}
	err = s.addNames(ctx, storeID, one)
	return one[0].Customer, err
}

// CustomerAt is the id of a store's customer with an address, or ErrNotFound.
func (s *Reader) CustomerAt(ctx context.Context, storeID, email string) (id string, err error) {
	defer pg.Wrap(&err, "customers.CustomerAt(%q)", storeID)
	if !pg.Storable(storeID) {
		return "", pg.ErrNotFound
	}
	err = s.Pool.QueryRow(ctx, `SELECT id::text FROM customers WHERE store_id = $1 AND email = $2`, storeID, email).Scan(
		&id)
	return id, pg.NotFound(err)
}

// listedColumn is an expression on customers c, and its destination.
type listedColumn struct {
	sql  string
	into any
}

// exported are the columns of which an export is made.
func (c *listed) exported(from lookups, subscriptions *[]listedSubscription) []listedColumn {
	return []listedColumn{
		{"c.id", &c.id},
		{"c.email", &c.Email},
		{"c.name", &c.Name},
		{"c.type", &c.Type},
		{"c.status", &c.Status},
		{"c.source_kind", &c.Source.Kind},
		{"c.source_product_id", &c.Source.ProductID},
		{"c.spent", listOf[store.Money]{&c.TotalSpent, memberOfMoney}},
		{"c.refunded", listOf[store.Money]{&c.Refunded, memberOfMoney}},
		{"c.first_seen_at", &c.FirstSeenAt},
		{"c.last_activity_at", &c.LastActivityAt},
		{"c.courses", listOf[Course]{&c.Courses, memberOfCourse}},
		{"c.purchases", listOf[Purchase]{&c.Purchases, memberOfPurchase}},
		{"c.subscriptions", listOf[listedSubscription]{subscriptions, memberOfSubscription}},
		{from.tags, &c.tags},
		{from.forecast, &c.Forecast},
		{"c.country", &c.Country},
	}
}

// columns are all columns of a customer; key is SQL.
func (c *listed) columns(key string, from lookups, subscriptions *[]listedSubscription) []listedColumn {
	return append(c.exported(from, subscriptions),
		listedColumn{"c.store_id", &c.StoreID},
		listedColumn{"c.image_url", &c.ImageURL},
		listedColumn{"coalesce(c.last_activity, '')", &c.LastActivity},
		listedColumn{"coalesce(c.last_activity_of, '')", &c.LastActivityOf.ID},
		listedColumn{"c.product_ids", &c.ProductIDs},
		listedColumn{key + " AS key_text", &c.key},
	)
}

// selectCustomers selects columns of customers c, for a FROM to follow; key is SQL.
func selectCustomers(key string, from lookups) string {
	return selected(new(listed).columns(key, from, nil))
}

func selected(columns []listedColumn) string {
	var all []string
	for _, column := range columns {
		all = append(all, column.sql)
	}
	return "\n\t\tSELECT\n\t\t\t" + strings.Join(all, ",\n\t\t\t") + "\n\t\tFROM"
}

func scanCustomer(row pgx.CollectableRow) (listed, error) {
	var s scanned
	return s.customer(row.Scan(destinations(s.row.columns("", lookups{}, &s.subscriptions))...))
}

// scanned is a row into which the columns of a customer are scanned.
type scanned struct {
	row           listed
	subscriptions []listedSubscription
}

func destinations(columns []listedColumn) (all []any) {
	for _, column := range columns {
		all = append(all, column.into)
	}
	return all
}

// customer is what has been scanned.
func (s *scanned) customer(err error) (listed, error) {
	c := s.row
	c.ID = strconv.FormatInt(c.id, 10)
	c.FirstSeenAt, c.LastActivityAt = pg.UTC(c.FirstSeenAt), pg.UTC(c.LastActivityAt)
	c.Subscriptions = make([]Subscription, len(s.subscriptions))
	for i, s := range s.subscriptions {
		c.Subscriptions[i] = s.Subscription
		c.Subscriptions[i].ProductIDs = s.products()
		c.plans = append(c.plans, s.products())
	}
	return c, err
}

// missingTitle is the title of a product that has yet to be filled in.
type missingTitle struct {
	product string
	title   *string
}

// missingTitles lists the missing titles. A plan without a name, like a cart, is
// named after its products.
func (c *listed) missingTitles() (missing []missingTitle) {
	want := func(product *string, title **string) {
		if product != nil && *title == nil {
			*title = new(string)
			missing = append(missing, missingTitle{*product, *title})
		}
	}
	want(c.Source.ProductID, &c.Source.Title)
	for i := range c.Courses {
		missing = append(missing, missingTitle{c.Courses[i].ID, &c.Courses[i].Title})
	}
	for i := range c.Purchases {
		p := &c.Purchases[i]
		for j := range p.Lines {
			want(p.Lines[j].ProductID, &p.Lines[j].Title)
		}
		if len(p.Lines) == 0 {
			want(p.ProductID, &p.Title)
		}
	}
	return missing
}

// products are the subscription's products, by id.
func (s listedSubscription) products() []string {
	switch {
	case len(s.Products) > 0:
		return s.Products
	case s.ProductID != nil:
		return []string{*s.ProductID}
	}
	return []string{}
}

// untitledProducts lists the products whose titles are missing.
func (c *listed) untitledProducts() (products []string) {
	add := func(product *string) {
		if product != nil {
			products = append(products, *product)
		}
	}
	add(c.Source.ProductID)
	if c.LastActivityOf.ID != "" {
		add(&c.LastActivityOf.ID)
	}
	for _, course := range c.Courses {
		products = append(products, course.ID)
	}
	for _, p := range c.Purchases {
		add(p.ProductID)
		for _, l := range p.Lines {
			add(l.ProductID)
		}
	}
	return append(products, slices.Concat(c.plans...)...)
}

// fillTitles fills in missing titles. Carts and plans of several products get all
// their products' titles.
func (c *listed) fillTitles(title func(product string) string) {
	for _, m := range c.missingTitles() {
		*m.title = title(m.product)
	}
	c.LastActivityOf.Title = title(c.LastActivityOf.ID)
	for i := range c.Purchases {
		var parts []string
		for _, l := range c.Purchases[i].Lines {
			if l.Title != nil {
				parts = append(parts, *l.Title)
			}
		}
		if len(parts) > 0 {
			c.Purchases[i].Title = store.Ptr(strings.Join(parts, ", "))
		}
	}
	for i, products := range c.plans {
		if c.Subscriptions[i].Plan == nil && len(products) > 0 {
			var parts []string
			for _, id := range products {
				parts = append(parts, title(id))
			}
			c.Subscriptions[i].Plan = store.Ptr(strings.Join(parts, ", "))
		}
	}
}

// addNames fills in the titles of products, the names of tags and what follows from the time.
func (s *Reader) addNames(ctx context.Context, storeID string, rows []listed) error {
	if err := s.addTitles(ctx, storeID, rows); err != nil {
		return err
	}
	var tags []Tag
	var err error
	if slices.ContainsFunc(rows, func(c listed) bool { return len(c.tags) > 0 }) {
		tags, err = tagsOf(ctx, s.Pool, storeID)
	}
	for i := range rows {
		rows[i].nameTags(tags)
		rows[i].Engagement = rows[i].engagement(s.now())
	}
	return err
}

const selectTags = `SELECT id, name FROM tags WHERE store_id = $1 ORDER BY folded`

// tagsOf are a store's tags by name.
func tagsOf(ctx context.Context, db pg.Querier, storeID string) ([]Tag, error) {
	return pg.Structs[Tag](ctx, db, selectTags, storeID)
}

// nameTags fills in the customer's tags, of those of the store.
func (c *listed) nameTags(all []Tag) {
	c.Tags = []Tag{}
	for _, t := range all {
		if slices.Contains(c.tags, t.ID) {
			c.Tags = append(c.Tags, t)
		}
	}
}

// addTitles fills in titles of the store's own products, and the ids of others.
func (s *Reader) addTitles(ctx context.Context, storeID string, rows []listed) error {
	products := map[string]string{} // id to title
	for i := range rows {
		for _, id := range rows[i].untitledProducts() {
			products[id] = id
		}
	}
	if len(products) == 0 {
		return nil
	}
	found, err := s.Pool.Query(ctx, `
		SELECT
			id,
			title
		FROM products
		WHERE id = ANY($1) AND $2 = ANY(store_ids) AND title <> ''`, slices.Collect(maps.Keys(products)), storeID)
	if err != nil {
		return err
	}
	var id, title string
	err = pg.Each(found, []any{&id, &title}, func() {
		products[id] = title
	})
	for i := range rows {
		rows[i].fillTitles(func(product string) string { return products[product] })
	}
	return err
}
