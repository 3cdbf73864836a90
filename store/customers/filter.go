package customers

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rollcall/store/pg"
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

// Kinds of values of a list of customers.
var (
	CourseID  = &pg.ParamKind{Schema: pg.Text.Schema}
	ProductID = &pg.ParamKind{Schema: pg.Text.Schema}
	Percent   = &pg.ParamKind{Schema: `{"type": "number", "minimum": 0, "maximum": 100}`, Check: checkPercent}
	Amount    = &pg.ParamKind{Schema: `{"type": "string", "pattern": "^[0-9]{1,12}(\\.[0-9]{1,3})?$"}`, Check: checkAmount}
)

// What a filter of customers is a condition of.
const (
	onFacet  = "facet" // a part of the facet: these come first, in its order
	onEntry  = "i"     // what they have and are called, in customer_index
	onCourse = "k"     // the course named by Course, in c.courses
	onRow    = "c."    // begins all that is asked of a customer's row

	onSpent        = onRow + "spent_rank"
	onFirstSeen    = onRow + "first_seen_at"
	onLastActivity = onRow + "last_activity_at"
)

// Params are the filters. To add one, add it to Filter and here; one that pages
// show by a menu has a Label.
func (f *Filter) Params() []pg.Param {
	course := pg.Param{Name: "course", Value: &f.Course, Kind: CourseID, On: onEntry, SQL: "i.has @> ARRAY['course:' || $?]",
		Label: "Enrolled in", Doc: "Only customers enrolled in the course with this id.", Example: "course_1"}
	return []pg.Param{
		{Name: "type", Value: &f.Type, On: onFacet, Schema: "CustomerType",
			Choices: pg.Choices("", "All", "lead", "Leads", "paying", "Customers", "subscription", "Subscribers"),
			Label:   "Type", Doc: "Only customers of this type.", Example: "paying"},
		{Name: "status", Value: &f.Status, On: onFacet, Schema: "CustomerStatus",
			Choices: pg.Choices("", "Any", "active", "Current", "inactive", "Past"),
			Label:   "Status", Doc: "Only customers with this status.", Example: "active"},
		{Name: "source", Value: &f.Source, On: onFacet,
			Choices: pg.Choices("", "Any", "free_course", "Free course", "course_purchase", "Course purchase",
				"product_purchase", "Product purchase", "subscription", "Subscription"),
			Label: "Source", Doc: "Only customers who came from this source.", Example: "free_course"},
		course,
		{Name: "completed", Value: &f.Completed, Of: &course, On: onEntry, SQL: completedSQL[f.Completed], Arg: &f.Course,
			Choices: pg.Choices("", "Any", "yes", "Completed", "no", "Not completed"), Label: "… and completed it", Chip: "Course",
			Doc: "Only customers who have completed, or not completed, the course given by `course`.", Example: "yes"},
		{Name: "progress_min", Value: &f.ProgressMin, Kind: Percent, Of: &course, On: onCourse, SQL: "k.progress >= $?::text::float8",
			Label: "… progress at least, %", Chip: "Progress at least",
			Doc: "Minimum progress in the course given by `course`, in percent.", Example: 50},
		{Name: "progress_max", Value: &f.ProgressMax, Kind: Percent, Of: &course, On: onCourse, SQL: "k.progress <= $?::text::float8",
			Label: "… progress at most, %", Chip: "Progress at most",
			Doc: "Maximum progress in the course given by `course`, in percent.", Example: 99.5},
		{Name: "not_course", Value: &f.NotCourse, Kind: CourseID, On: onEntry, SQL: "NOT i.has @> ARRAY['course:' || $?]",
			Label: "Not enrolled in", Doc: "Only customers not enrolled in the course with this id.", Example: "course_2"},
		{Name: "product", Value: &f.Product, Kind: ProductID, On: onEntry, SQL: "i.has @> ARRAY['product:' || $?]",
			Label: "Bought", Doc: "Only customers who bought, or subscribed to, the product with this id.", Example: "beat_pack"},
		{Name: "not_product", Value: &f.NotProduct, Kind: ProductID, On: onEntry, SQL: "NOT i.has @> ARRAY['product:' || $?]",
			Label: "Not bought", Doc: "Only customers who did not buy, or subscribe to, the product with this id.", Example: "beat_pack"},
		{Name: "spent_min", Value: &f.SpentMin, Kind: Amount, On: onSpent, SQL: "c.spent_rank >= $?::text::numeric",
			Label: "Spent at least", Doc: "Minimum spend in any one currency, in its major unit.", Example: "99.50"},
		{Name: "first_seen_after", Value: &f.FirstSeenAfter, Kind: pg.Moment, On: onFirstSeen, SQL: "c.first_seen_at >= $?",
			Label: "Joined in the last", Doc: "Only customers first seen at this time or later.", Example: "30d"},
		{Name: "first_seen_before", Value: &f.FirstSeenBefore, Kind: pg.Moment, On: onFirstSeen, SQL: "c.first_seen_at < $?",
			Label: "Joined longer ago than", Doc: "Only customers first seen before this time.", Example: "2026-01-31"},
		{Name: "last_activity_after", Value: &f.LastActivityAfter, Kind: pg.Moment, On: onLastActivity, SQL: "c.last_activity_at >= $?",
			Label: "Active in the last", Doc: "Only customers active at this time or later.", Example: "2026-01-31T10:00:00Z"},
		{Name: "last_activity_before", Value: &f.LastActivityBefore, Kind: pg.Moment, On: onLastActivity, SQL: "c.last_activity_at < $?",
			Label: "Inactive for", Doc: "Only customers not active since this time.", Example: "6w"},
		{Name: "q", Value: &f.Query, Kind: pg.Search, // survey makes patterns of it
			Doc: "Only customers with all these words in their name and email, or in the title of one course or product. " +
				"Words are separated by white space, commas or semicolons, and may be in any order. Part of a word is enough. " +
				"Case, accents and kinds of apostrophes, quotation marks, hyphens and white space do not matter.",
			Example: "doe"},
	}
}

// completedSQL are the conditions of completed, by its value.
var completedSQL = map[string]string{
	"yes": "i.has @> ARRAY['completed:' || $?]",
	"no":  "NOT i.has @> ARRAY['completed:' || $?]",
}

// all are the filters, and the parameters of a page.
func (f *Filter) all() []pg.Param {
	return append(f.Params(), pg.Param{Name: "sort", Value: &f.Sort, Default: DefaultSort}, pg.CursorParam(&f.Cursor))
}

// ParseFilter reads the query parameters of a list of store's customers; its
// errors are *BadParam. Empty parameters count as absent, as forms send them.
func ParseFilter(store string, q url.Values) (Filter, error) {
	f := Filter{Store: store}
	err := pg.ReadParams(q, f.all(), &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// Values are the query parameters that ask for f: those that are not as they
// would be anyway.
func (f Filter) Values() url.Values { return pg.ParamValues(f.all(), f.Limit) }

// Narrow tells whether f asks for fewer than everybody.
func (f Filter) Narrow() bool { return pg.Given(f.Params()) }

// check fills in the defaults and finds where the page before ended (nil: this
// is the first).
func (f Filter) check() (Filter, *pg.Position, error) {
	f.Limit = cmp.Or(f.Limit, pg.DefaultLimit)
	if err := pg.CheckParams(f.all()); err != nil {
		return f, nil, err
	}
	by, ok := orders[strings.TrimPrefix(f.Sort, "-")]
	if !ok {
		return f, nil, pg.Refuse("sort", `%q is not known; allowed are %s, each with "-" before it for descending`,
			f.Sort, strings.Join(slices.Sorted(maps.Keys(orders)), ", "))
	}
	at, err := pg.DecodeCursor(f.Cursor, f.Sort)
	if err == nil && at != nil && !by.reads(at.Key) {
		err = pg.ErrCursor
	}
	return f, at, err
}

var percents = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,6})?$`)

func checkPercent(name, value string) error {
	if n, err := strconv.ParseFloat(value, 64); err != nil || !percents.MatchString(value) || n > 100 {
		return pg.Refuse(name, "%q is not allowed; give a number from 0 to 100", value)
	}
	return nil
}

var amounts = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,3})?$`)

func checkAmount(name, value string) error {
	if !amounts.MatchString(value) {
		return pg.Refuse(name, "%q is not allowed; give an amount, for example 99 or 99.50", value)
	}
	return nil
}
