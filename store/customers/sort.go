package customers

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/store/pg"
)

// order is a way to sort customers. Its key is the expression of an index on customers,
// so that a page reads no other rows.
type order struct {
	key    string
	text   func(key string) string // SQL of text that cast turns into the same value
	cast   string
	valid  func(string) bool // whether cast can read it
	facets bool              // the index has an order of its own for each facet
	null   bool              // the key may be NULL: those come last, up and down
	alone  bool              // the key is unique in a store
	keyed  *order            // in order, those with a key are read like this; nil: as all are
	none   string            // the condition for those without a key, with $? for the store; empty: the key is NULL
	from   string            // what has the index; empty: customers c
	only   string            // what of it, with $? for the store; empty: all
	id     string            // its column with the id; empty: c.id
}

var orders = map[string]order{
	"last_activity": {key: "c.last_activity_at", text: exactTime, cast: "timestamptz", valid: isTime, facets: true,
		null: true},
	"first_seen": {key: "c.first_seen_at", text: exactTime, cast: "timestamptz", valid: isTime, facets: true, null: true},
	"spent": {key: "c.spent_rank", text: plain, cast: "numeric",
		valid: regexp.MustCompile(`^-?[0-9]{1,100}(\.[0-9]{1,100})?$`).MatchString, facets: true},
	"name": {key: "left(coalesce(nullif(c.name, ''), c.email), 200) COLLATE names", text: plain, cast: "text",
		valid: pg.Storable},
	"email": {key: "c.email", text: plain, cast: "text", valid: pg.Storable, alone: true},
	"expected": {key: "(SELECT v.expected FROM " + forecasts + " WHERE v.store_id = c.store_id AND v.customer_id = c.id)",
		text: plain, cast: "bigint", valid: isUnits, null: true,
		none: "NOT EXISTS (SELECT FROM value_people v WHERE v.store_id = c.store_id AND v.customer_id = c.id " +
			"AND v.currency = (SELECT forecast_in FROM value_stores WHERE store_id = $?))",
		keyed: &order{
			from: "value_people v JOIN customers c ON c.id = v.customer_id AND c.store_id = v.store_id",
			only: "v.currency = (SELECT forecast_in FROM value_stores WHERE store_id = $?)",
			key:  "v.expected", id: "v.customer_id", cast: "bigint"}},
}

var isUnits = regexp.MustCompile(`^[0-9]{1,18}$`).MatchString

// orderOf is the order that a sort parameter names, and "" or " DESC".
func orderOf(sort string) (by order, direction string) {
	name, descending := strings.CutPrefix(sort, "-")
	if descending {
		direction = " DESC"
	}
	return orders[name], direction
}

// reads tells whether key can be a key of this order.
func (by order) reads(key *string) bool { return key == nil && by.null || key != nil && by.valid(*key) }

// after is the SQL condition for rows after a position, among those that have a key,
// or lack one, as the position does.
func (by order) after(at *pg.Position, direction string, c *pg.Conditions) string {
	comparison, id := " > ", cmp.Or(by.id, "c.id")
	if direction != "" {
		comparison = " < "
	}
	switch {
	case at.Key == nil:
		return "c.id" + comparison + c.Arg(at.ID)
	case by.alone:
		return by.key + comparison + c.Arg(*at.Key) + "::text::" + by.cast
	}
	return "(" + by.key + ", " + id + ")" + comparison +
		"(" + c.Arg(*at.Key) + "::text::" + by.cast + ", " + c.Arg(at.ID) + "::bigint)"
}

func plain(key string) string { return key + "::text" }

func exactTime(key string) string {
	return "to_char(" + key + ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

func isTime(s string) bool {
	t, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && moment.InReach(t)
}
