package store

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultSort shows the latest active first.
const DefaultSort = "-last_activity"

// Filter is a question for a list of customers: the list, its figures and its
// export all take it. The zero values of all but Store ask for everybody, the
// latest active first.
type Filter struct {
	Store  string
	Type   string // lead, paying or subscription
	Status string // active or inactive
	Source string // kind of what brought them, see Source

	Course      string // id of a course they are in
	NotCourse   string // id of a course they are not in
	Completed   string // yes or no: whether they have finished Course
	ProgressMin string // least and most progress in Course, percent
	ProgressMax string
	Product     string // id of a product they bought or subscribed to
	NotProduct  string // id of a product they did not
	SpentMin    string // least they spent in one currency, in major units: 99.50

	// Moments, see parseMoment: at or after, and before.
	FirstSeenAfter, FirstSeenBefore       string
	LastActivityAfter, LastActivityBefore string

	Query  string // words, each part of their name or email, or all of the title of something they have
	Sort   string // a key of orders, "-" before it for descending
	Cursor string // where the page before ended
	Limit  int    // most customers on the page
}

// params are the fields by the names of their query parameters: the one list
// from which filters are read and written.
func (f *Filter) params() map[string]*string {
	return map[string]*string{
		"type":                 &f.Type,
		"status":               &f.Status,
		"source":               &f.Source,
		"course":               &f.Course,
		"not_course":           &f.NotCourse,
		"completed":            &f.Completed,
		"progress_min":         &f.ProgressMin,
		"progress_max":         &f.ProgressMax,
		"product":              &f.Product,
		"not_product":          &f.NotProduct,
		"spent_min":            &f.SpentMin,
		"first_seen_after":     &f.FirstSeenAfter,
		"first_seen_before":    &f.FirstSeenBefore,
		"last_activity_after":  &f.LastActivityAfter,
		"last_activity_before": &f.LastActivityBefore,
		"q":                    &f.Query,
		"sort":                 &f.Sort,
		"cursor":               &f.Cursor,
	}
}

// ParseFilter reads the query parameters of a list of store's customers; its
// errors are *BadParam. Empty parameters count as absent, as forms send them.
func ParseFilter(store string, q url.Values) (Filter, error) {
	f := Filter{Store: store}
	err := readParams(q, f.params(), &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// Values are the query parameters that ask for f: those that are not as they
// would be anyway.
func (f Filter) Values() url.Values {
	q := url.Values{}
	for name, value := range f.params() {
		if *value != "" && !(name == "sort" && *value == DefaultSort) {
			q.Set(name, *value)
		}
	}
	if f.Limit != 0 && f.Limit != DefaultLimit {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// Narrow tells whether f asks for fewer than everybody.
func (f Filter) Narrow() bool {
	return f != Filter{Store: f.Store, Sort: f.Sort, Cursor: f.Cursor, Limit: f.Limit}
}

// check fills in the defaults and finds where the page before ended (nil: this
// is the first).
func (f Filter) check() (Filter, *position, error) {
	f.Sort, f.Limit = cmp.Or(f.Sort, DefaultSort), cmp.Or(f.Limit, DefaultLimit)
	for _, err := range []error{
		oneOf("type", f.Type, "lead", "paying", "subscription"),
		oneOf("status", f.Status, "active", "inactive"),
		oneOf("source", f.Source, "free_course", "course_purchase", "product_purchase", "subscription"),
		oneOf("completed", f.Completed, "yes", "no"),
		ofCourse("completed", f.Completed, f.Course),
		ofCourse("progress_min", f.ProgressMin, f.Course),
		ofCourse("progress_max", f.ProgressMax, f.Course),
		checkPercent("progress_min", f.ProgressMin),
		checkPercent("progress_max", f.ProgressMax),
		checkAmount("spent_min", f.SpentMin),
		checkMoment("first_seen_after", f.FirstSeenAfter),
		checkMoment("first_seen_before", f.FirstSeenBefore),
		checkMoment("last_activity_after", f.LastActivityAfter),
		checkMoment("last_activity_before", f.LastActivityBefore),
	} {
		if err != nil {
			return f, nil, err
		}
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

// ofCourse refuses a parameter that says something of a course if there is none.
func ofCourse(name, value, course string) error {
	if value != "" && course == "" {
		return badParam(name, "is about a course: name it with course=ID")
	}
	return nil
}

var percents = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,6})?$`)

func checkPercent(name, value string) error {
	if n, err := strconv.ParseFloat(value, 64); value != "" && (err != nil || !percents.MatchString(value) || n > 100) {
		return badParam(name, "%q is not allowed; give a number from 0 to 100", value)
	}
	return nil
}

var amounts = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,3})?$`)

func checkAmount(name, value string) error {
	if value != "" && !amounts.MatchString(value) {
		return badParam(name, "%q is not allowed; give an amount as in 99 or 99.50", value)
	}
	return nil
}

// ages are moments counted back from now: 12h, 30d, 6w.
var ages = regexp.MustCompile(`^[0-9]{1,5}[hdw]$`)

// parseMoment reads a moment: a day (its beginning, UTC), a time, or an age.
// The SQL reads what is returned with cast; an age is counted back from the
// database's own now.
func parseMoment(value string) (text, cast string, ok bool) {
	if ages.MatchString(value) {
		unit := map[byte]string{'h': " hours", 'd': " days", 'w': " weeks"}[value[len(value)-1]]
		return value[:len(value)-1] + unit, "now() - $?::text::interval", true
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, value); err == nil && inReach(t) {
			return t.UTC().Format(time.RFC3339Nano), "$?::text::timestamptz", true
		}
	}
	return "", "", false
}

// inReach tells whether a time can be written in the four digits that a year has in
// JSON and in what Postgres reads.
func inReach(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

func checkMoment(name, value string) error {
	if _, _, ok := parseMoment(value); value != "" && !ok {
		return badParam(name, "%q is not allowed; give a day (2026-01-31), a time (2026-01-31T10:00:00Z) or an age (12h, 30d, 6w)", value)
	}
	return nil
}
