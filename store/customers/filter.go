package customers

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rollcall/store/pg"
)

// DefaultSort is by last activity, the latest first.
const DefaultSort = "-last_activity"

// Filter selects customers of a list, for the list, its figures and its export. Except
// Store, zero values select all, sorted by DefaultSort.
type Filter struct {
	Store  string
	Type   string // lead, paying or subscription
	Status string // active or inactive
	Source string // kind of their Source

	Course      string // id of a course that they are in
	NotCourse   string // id of a course that they are not in
	Completed   string // yes or no: whether they have completed Course
	ProgressMin string // least and most progress in Course, percent
	ProgressMax string
	Product     string // id of a product that they bought or subscribed to
	NotProduct  string // id of a product that they did not
	SpentMin    string // least spent in one currency, in major units: 99.50
	Tag         string // id of a tag that they have
	NotTag      string // id of a tag that they do not have

	// Moments, see pg.ParseMoment: at or after, and before.
	FirstSeenAfter, FirstSeenBefore       string
	LastActivityAfter, LastActivityBefore string

	Query  string // words: each in name or email, or all in the title of a product that they have
	Sort   string // a key of orders, "-" before it for descending
	Cursor string // end of the previous page
	Limit  int    // maximum number on the page
}

// Kinds of values of customer filters.
var (
	CourseID  = &pg.ParamKind{Schema: pg.Text.Schema}
	ProductID = &pg.ParamKind{Schema: pg.Text.Schema}
	TagID     = &pg.ParamKind{Schema: pg.Text.Schema}
	Percent   = &pg.ParamKind{Schema: `{"type": "number", "minimum": 0, "maximum": 100}`, Check: checkPercent}
	Amount    = &pg.ParamKind{Schema: fmt.Sprintf(`{"type": "string", "pattern": %q}`, amounts), Check: checkAmount}
)

// The row that a filter is a condition of.
const (
	onFacet  = "facet" // a part of the facet: first, in the order of its parts
	onEntry  = "i"     // their products and names, in customer_index
	onCourse = "k"     // the course named by Course, in c.courses
	onRow    = "c."    // the customer's row

	onSpent        = onRow + "spent_rank"
	onFirstSeen    = onRow + "first_seen_at"
	onLastActivity = onRow + "last_activity_at"
)

// Params are the filters. To add one, add it to Filter and here. One with a Label has
// a menu on pages.
func (f *Filter) Params() []pg.Param {
	course := pg.Param{Name: "course", Value: &f.Course, Kind: CourseID, On: onEntry,
		SQL:   "i.has @> ARRAY['course:' || $?]",
		Label: "Enrolled in", Doc: "Only customers enrolled in the course with this id.", Example: "course_1"}
	return []pg.Param{
		{Name: "type", Value: &f.Type, On: onFacet, Schema: "CustomerType",
			Choices: pg.Choices("", "All", "lead", "Leads", "paying", "Customers", "subscription", "Subscribers"),
			Label:   "Type", Doc: "Only customers of this type.", Example: "paying"},
		{Name: "status", Value: &f.Status, On: onFacet, Schema: "CustomerStatus",
			Choices: pg.Choices("", "Any", "active", "Active", "inactive", "Inactive"),
			Label:   "Status", Doc: "Only customers with this status.", Example: "active"},
		{Name: "source", Value: &f.Source, On: onFacet,
			Choices: pg.Choices("", "Any", "free_course", "Free course", "course_purchase", "Course purchase",
				"product_purchase", "Product purchase", "subscription", "Subscription"),
			Label: "Source", Doc: "Only customers who came from this source.", Example: "free_course"},
		course,
		{Name: "completed", Value: &f.Completed, Of: &course, On: onEntry, SQL: completedSQL[f.Completed], Arg: &f.Course,
			Choices: pg.Choices("", "Any", "yes", "Completed", "no", "Not completed"), Label: "… and completed it",
			Chip: "Course",
			Doc:  "Only customers who have completed, or not completed, the course given by `course`.", Example: "yes"},
		{Name: "progress_min", Value: &f.ProgressMin, Kind: Percent, Of: &course, On: onCourse,
			SQL:   "k.progress >= $?::text::float8",
			Label: "… progress at least, %", Chip: "Progress at least",
			Doc: "Minimum progress in the course given by `course`, in percent.", Example: 50},
		{Name: "progress_max", Value: &f.ProgressMax, Kind: Percent, Of: &course, On: onCourse,
			SQL:   "k.progress <= $?::text::float8",
			Label: "… progress at most, %", Chip: "Progress at most",
			Doc: "Maximum progress in the course given by `course`, in percent.", Example: 99.5},
		{Name: "not_course", Value: &f.NotCourse, Kind: CourseID, On: onEntry, SQL: "NOT i.has @> ARRAY['course:' || $?]",
			Label: "Not enrolled in", Doc: "Only customers not enrolled in the course with this id.", Example: "course_2"},
		{Name: "product", Value: &f.Product, Kind: ProductID, On: onEntry, SQL: "i.has @> ARRAY['product:' || $?]",
			Label: "Bought", Doc: "Only customers who bought, or subscribed to, the product with this id.",
			Example: "beat_pack"},
		{Name: "not_product", Value: &f.NotProduct, Kind: ProductID, On: onEntry, SQL: "NOT i.has @> ARRAY['product:' || $?]",
			Label: "Not bought", Doc: "Only customers who did not buy, or subscribe to, the product with this id.",
			Example: "beat_pack"},
		{Name: "spent_min", Value: &f.SpentMin, Kind: Amount, On: onSpent, SQL: "c.spent_rank >= $?::text::numeric",
			Label: "Spent at least", Doc: "Minimum spend in any one currency, in its major unit.", Example: "99.50"},
		{Name: "tag", Value: &f.Tag, Kind: TagID, On: onEntry, SQL: "i.tags @> ARRAY[$?::text]",
			Label: "Tagged", Doc: "Only customers with the tag with this id.", Example: "tag_4k2mcv5x7h"},
		{Name: "not_tag", Value: &f.NotTag, Kind: TagID, On: onEntry, SQL: "NOT i.tags @> ARRAY[$?::text]",
			Label: "Not tagged", Doc: "Only customers without the tag with this id.", Example: "tag_4k2mcv5x7h"},
		{Name: "first_seen_after", Value: &f.FirstSeenAfter, Kind: pg.Moment, On: onFirstSeen, SQL: "c.first_seen_at >= $?",
			Label: "Joined in the last", Doc: "Only customers first seen at this time or later.", Example: "30d"},
		{Name: "first_seen_before", Value: &f.FirstSeenBefore, Kind: pg.Moment, On: onFirstSeen, SQL: "c.first_seen_at < $?",
			Label: "Joined longer ago than", Doc: "Only customers first seen before this time.", Example: "2026-01-31"},
		{Name: "last_activity_after", Value: &f.LastActivityAfter, Kind: pg.Moment, On: onLastActivity,
			SQL:   "c.last_activity_at >= $?",
			Label: "Active in the last", Doc: "Only customers active at this time or later.", Example: "2026-01-31T10:00:00Z"},
		{Name: "last_activity_before", Value: &f.LastActivityBefore, Kind: pg.Moment, On: onLastActivity,
			SQL:   "c.last_activity_at < $?",
			Label: "Inactive for", Doc: "Only customers not active since this time.", Example: "6w"},
		{Name: "q", Value: &f.Query, Kind: pg.Search, // prepare makes patterns of it
			Doc: "Only customers with all these words in their name and email, or in the title of one course or product. " +
				"Words are separated by white space, commas or semicolons, and may be in any order. Part of a word is enough. " +
				"Case, accents and kinds of apostrophes, quotation marks, hyphens and white space do not matter.",
			Example: "doe"},
	}
}

// completedSQL are the conditions of completed, by value.
var completedSQL = map[string]string{
	"yes": "i.has @> ARRAY['completed:' || $?]",
	"no":  "NOT i.has @> ARRAY['completed:' || $?]",
}

// all are the filters and the page's parameters.
func (f *Filter) all() []pg.Param {
	return append(f.Params(), pg.Param{Name: "sort", Value: &f.Sort, Default: DefaultSort}, pg.CursorParam(&f.Cursor))
}

// ParseFilter parses the query of a list of store's customers. Its errors are
// *pg.BadParam. Empty parameters count as absent, because forms send them.
func ParseFilter(store string, q url.Values) (Filter, error) {
	f := Filter{Store: store}
	err := pg.ReadParams(q, f.all(), &f.Limit)
	if err == nil {
		f, _, err = f.check()
	}
	return f, err
}

// Values is the query for f, without parameters at their defaults.
func (f Filter) Values() url.Values { return pg.ParamValues(f.all(), f.Limit) }

// Narrow tells whether f has any condition.
func (f Filter) Narrow() bool { return pg.Given(f.Params()) }

// check sets the defaults and decodes the cursor (nil: the first page).
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

// amounts is the pattern of an amount in major units.
const amounts = `^[0-9]{1,12}(\.[0-9]{1,3})?$`

var isAmount = regexp.MustCompile(amounts).MatchString

func checkAmount(name, value string) error {
	if !isAmount(value) {
		return pg.Refuse(name, "%q is not allowed; give an amount, for example 99 or 99.50", value)
	}
	return nil
}
