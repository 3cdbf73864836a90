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
// Store, zero values select all, sorted by DefaultSort. It is the short form of a rule:
// all its parameters must hold. Those with several values have one on each line.
type Filter struct {
	Store   string
	Type    string // any of these: lead, paying, subscription
	Status  string // active, inactive
	Source  string // kinds of their Source
	Country string // codes of countries that they live in

	Course      string // ids of courses, one of which they are in
	NotCourse   string // ids of courses that they are not in
	Completed   string // yes or no: whether they have completed that Course, or any
	ProgressMin string // least and most progress in it, percent
	ProgressMax string

	Product      string // ids of products, one of which they bought or subscribed to
	NotProduct   string // ids of products that they did not
	SpentMin     string // least and most spent in one currency, in major units: 99.50
	SpentMax     string
	PurchasesMin string // least and most number of one-time purchases
	PurchasesMax string
	Refunded     string // yes or no
	Disputed     string // yes or no: whether they took a payment back by a dispute
	Subscription string // states of subscriptions, one of which they have

	Engagement   string // states, one of which they are in: new, active, slipping, dormant, lost
	CanMail      string // yes or no: whether marketing mail may go to them
	MailWas      string // what became of mails to them: sent, clicked, came_back, bounced, complained, unsubscribed
	MailCampaign string // ids of campaigns that the mails are of
	MailAfter    string // when that was: at or after

	Tag         string // ids of tags, one of which they have
	NotTag      string // ids of tags that they do not have
	Note        string // yes or no
	EmailDomain string // example.com
	Segment     string // id of a segment that they are in
	Rule        string // JSON of a rule that they meet, see ParseRule

	// Moments, see moment.At: at or after, and before.
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
	SegmentID = &pg.ParamKind{Schema: pg.Text.Schema}
	// CampaignID names a campaign of the store.
	CampaignID = &pg.ParamKind{Schema: pg.Text.Schema}
	Percent    = &pg.ParamKind{Schema: `{"type": "number", "minimum": 0, "maximum": 100}`, Check: checkPercent}
	Amount     = &pg.ParamKind{Schema: fmt.Sprintf(`{"type": "string", "pattern": %q}`, amounts), Check: checkAmount}
	Count      = &pg.ParamKind{Schema: `{"type": "integer", "minimum": 0, "maximum": 9999}`,
		Check: likeOne(`[0-9]{1,4}`, "a number from 0 to 9999")}
	Currency = &pg.ParamKind{Schema: `{"type": "string", "pattern": "^[a-z]{3}$"}`,
		Check: likeOne(`[a-z]{3}`, "a code in small letters, for example usd")}
	// Country is a code of a country.
	Country = &pg.ParamKind{Schema: `{"type": "string", "pattern": "^[A-Z]{2}$"}`, Check: checkCountry}
	Domain  = &pg.ParamKind{Schema: pg.Text.Schema,
		Check: likeOne(`@?[^@\s]{1,253}`, "what follows the @, for example example.com")}
	RuleText = &pg.ParamKind{Schema: pg.Text.Schema, Max: maxRule}
)

// The columns of customers that some orders sort by.
const (
	onSpent        = "c.spent_rank"
	onFirstSeen    = "c.first_seen_at"
	onLastActivity = "c.last_activity_at"
)

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
	if f.Rule != "" {
		r, err := ParseRule(f.Rule)
		if err != nil {
			return f, nil, err
		}
		f.Rule = r.String()
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

// likeOne checks that values have a form.
func likeOne(form, want string) func(name, value string) error {
	is := regexp.MustCompile("^" + form + "$").MatchString
	return func(name, value string) error {
		if !is(value) {
			return pg.Refuse(name, "%q is not allowed; give %s", value, want)
		}
		return nil
	}
}
