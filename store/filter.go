package store

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what may be asked for.
const (
	DefaultLimit = 50
	MaxLimit     = 100
	DefaultSort  = "-last_activity"

	maxQuery = 200  // characters of a search
	maxParam = 4000 // bytes of any other parameter; a cursor may carry a long name
)

// BadParam is a query parameter that cannot be used as it is. Its text is meant
// for whoever asked: it says what is allowed.
type BadParam struct {
	Name   string
	Reason string
}

func (e *BadParam) Error() string { return e.Name + ": " + e.Reason }

func badParam(name, format string, args ...any) error {
	return &BadParam{name, fmt.Sprintf(format, args...)}
}

// Filter is a question for a list of customers. The zero values of all but
// Store ask for everybody, the latest active first.
type Filter struct {
	Store   string
	Type    string // lead, paying or subscription
	Status  string // active or inactive
	Course  string // id of a course they are in
	Product string // id of a product they bought or subscribed to
	Query   string // part of a name, an email, or the title of something they have
	Sort    string // a key of orders, "-" before it for descending
	Cursor  string // where the page before ended
	Limit   int    // most customers on the page
}

// ParseFilter reads the query parameters of a list of store's customers; its
// errors are *BadParam. Empty parameters count as absent, as forms send them.
func ParseFilter(store string, q url.Values) (Filter, error) {
	f := Filter{Store: store}
	err := readParams(q, map[string]*string{
		"type":    &f.Type,
		"status":  &f.Status,
		"course":  &f.Course,
		"product": &f.Product,
		"q":       &f.Query,
		"sort":    &f.Sort,
		"cursor":  &f.Cursor,
	}, &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// check fills in the defaults and finds where the page before ended (nil: this
// is the first).
func (f Filter) check() (Filter, *position, error) {
	f.Sort, f.Limit = cmp.Or(f.Sort, DefaultSort), cmp.Or(f.Limit, DefaultLimit)
	if err := oneOf("type", f.Type, "lead", "paying", "subscription"); err != nil {
		return f, nil, err
	}
	if err := oneOf("status", f.Status, "active", "inactive"); err != nil {
		return f, nil, err
	}
	if n := utf8.RuneCountInString(f.Query); n > maxQuery {
		return f, nil, badParam("q", "is %d characters long, at most %d are allowed", n, maxQuery)
	}
	by, ok := orders[strings.TrimPrefix(f.Sort, "-")]
	if !ok {
		return f, nil, badParam("sort", `%q is not known; allowed are %s, each with "-" before it for descending`,
			f.Sort, strings.Join(slices.Sorted(maps.Keys(orders)), ", "))
	}
	at, err := decodeCursor(f.Cursor, f.Sort)
	if err == nil && at != nil && !by.reads(at.Key) {
		err = errCursor
	}
	return f, at, err
}

// order is a way to sort customers. Its key is the expression of an index on
// customers, so that a page is read from there and no others are looked at.
type order struct {
	key   string
	text  string // the key as text from which cast makes the very same value
	cast  string
	valid func(string) bool // whether cast can read it
	null  bool              // the key may be NULL: those come last, up and down
	alone bool              // no two customers of a store have the same key
}

var orders = map[string]order{
	"last_activity": {key: "c.last_activity_at", text: exactTime("c.last_activity_at"), cast: "timestamptz", valid: isTime, null: true},
	"first_seen":    {key: "c.first_seen_at", text: exactTime("c.first_seen_at"), cast: "timestamptz", valid: isTime, null: true},
	"spent":         {key: "c.spent_rank", text: "c.spent_rank::text", cast: "numeric", valid: regexp.MustCompile(`^-?[0-9]{1,100}(\.[0-9]{1,100})?$`).MatchString},
	"name":          {key: "lower(coalesce(c.name, ''))", text: "lower(coalesce(c.name, ''))", cast: "text", valid: storable},
	"email":         {key: "c.email", text: "c.email", cast: "text", valid: storable, alone: true},
}

// reads tells whether key can be one of this order.
func (by order) reads(key *string) bool { return key == nil && by.null || key != nil && by.valid(*key) }

// from makes where continue after a position, upwards (">") or downwards ("<").
func (by order) from(at *position, comparison string, where *conditions) {
	switch {
	case at.Key == nil: // among those without a key
		where.add("c.id "+comparison+" $?", at.ID)
	case by.alone:
		where.add(by.key+" "+comparison+" $?::"+by.cast, *at.Key)
	default:
		id := where.arg(at.ID)
		where.add("("+by.key+", c.id) "+comparison+" ($?::"+by.cast+", "+id+")", *at.Key)
	}
}

func exactTime(column string) string {
	return "to_char(" + column + ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

func isTime(s string) bool {
	t, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && t.Year() > 0
}

// position is the last row of a page: what a cursor says. The id breaks ties.
type position struct {
	Sort string  `json:"sort"`
	Key  *string `json:"key,omitempty"` // nil: NULL
	ID   int64   `json:"id"`
}

// errCursor says no more than this: a cursor is ours to write and to read.
var errCursor = badParam("cursor", "is damaged; take next_cursor as it was given, or leave it out to start from the beginning")

func (p position) encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// decodeCursor reads a cursor of a list sorted by sort; nil if there is none.
func decodeCursor(cursor, sort string) (*position, error) {
	if cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return nil, errCursor
	}
	var p position
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || d.More() || p.ID <= 0 || p.Sort == "" {
		return nil, errCursor
	}
	if p.Sort != sort {
		return nil, badParam("cursor", "belongs to a list with sort=%s, this one has sort=%s; leave it out to start from the beginning", p.Sort, sort)
	}
	return &p, nil
}

// readParams reads q into the fields by name, and limit. What nobody knows is
// an error: a misspelt filter would otherwise show everybody.
func readParams(q url.Values, fields map[string]*string, limit *int) error {
	for _, name := range slices.Sorted(maps.Keys(q)) {
		field := fields[name]
		if field == nil && name != "limit" {
			return badParam(name, "is not a parameter of this list; allowed are limit, %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		value, err := single(name, q[name])
		if err != nil {
			return err
		}
		if field != nil {
			*field = value
		} else if *limit, err = parseLimit(value); err != nil {
			return err
		}
	}
	return nil
}

// single is the one value of a parameter, without the space around it.
func single(name string, values []string) (string, error) {
	if len(values) != 1 {
		return "", badParam(name, "is given %d times, once is allowed", len(values))
	}
	value := strings.TrimSpace(values[0])
	if len(value) > maxParam {
		return "", badParam(name, "is %d bytes long, at most %d are allowed", len(value), maxParam)
	}
	if !storable(value) {
		return "", badParam(name, "holds characters that are none; send UTF-8 without NUL")
	}
	return value, nil
}

func parseLimit(value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, badParam("limit", "%q is not allowed; give a number from 1 to %d", value, MaxLimit)
	}
	return n, nil
}

func oneOf(name, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return badParam(name, "%q is not known; allowed are %s", value, strings.Join(allowed, ", "))
}

// storable tells whether Postgres takes s as text. What it does not take is the
// name of nothing that is stored.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// conditions are what a row must meet, and the arguments they refer to.
type conditions struct {
	sql  []string
	args []any
}

// add adds a condition in which each $? stands for arg.
func (c *conditions) add(condition string, arg any) {
	c.sql = append(c.sql, strings.ReplaceAll(condition, "$?", c.arg(arg)))
}

// arg adds an argument and returns its placeholder.
func (c *conditions) arg(arg any) string {
	c.args = append(c.args, arg)
	return "$" + strconv.Itoa(len(c.args))
}

// addIf adds a condition unless value is empty.
func (c *conditions) addIf(condition, value string) {
	if value != "" {
		c.add(condition, value)
	}
}

func (c *conditions) String() string { return strings.Join(c.sql, "\n\t\t  AND ") }

// clone allows two statements to go on from here.
func (c *conditions) clone() *conditions {
	return &conditions{slices.Clone(c.sql), slices.Clone(c.args)}
}

// where turns everything but sort, cursor and limit into SQL on customers c.
// titled are the products of the store whose titles match f.Query.
func (f Filter) where(titled []string) *conditions {
	w := &conditions{}
	w.add("c.store_id = $?", f.Store)
	w.addIf("c.type = $?", f.Type)
	w.addIf("c.status = $?", f.Status)
	w.addIf("c.course_ids @> ARRAY[$?]", f.Course)
	w.addIf("c.product_ids @> ARRAY[$?]", f.Product)
	switch {
	case f.Query == "":
	case len(titled) == 0:
		w.add("(c.name ILIKE $? OR c.email ILIKE $?)", contains(f.Query))
	default:
		ids := w.arg(titled)
		w.add("(c.name ILIKE $? OR c.email ILIKE $? OR c.course_ids && "+ids+" OR c.product_ids && "+ids+")", contains(f.Query))
	}
	return w
}

// contains is the pattern of everything that has s in it.
func contains(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
