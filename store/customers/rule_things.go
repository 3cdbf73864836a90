package customers

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"rollcall/store"
	"rollcall/store/mail"
	"rollcall/store/pg"
)

// Thing is what a leaf can be about. A leaf about a thing with rows is met if one row
// meets all its parts, or as many rows as times_min and times_max say.
type Thing struct {
	Name  string
	Label string // in forms: "Course"
	From  string // SQL of its rows for a customer c; empty: one for each customer
	List  string // the jsonb that From makes rows of
	Of    string // SQL for which rows of From are the customer's, where From has those of all
	Parts []Part
	Has   string // entries of its first part in customer_index.has begin so; empty: there are none
	Doc   string
}

// Part is a condition on a row of a thing.
type Part struct {
	Name    string
	Label   string // in forms: "Progress at least"
	Unit    string // shown after the value: "%"
	Kind    *pg.ParamKind
	Choices []pg.Choice
	Multi   bool   // any of several values
	Number  bool   // its values are numbers in JSON
	Key     string // the column of customers that it is a range of; empty: none
	Has     string // entries of its values in customer_index.has begin so; empty: there are none
	Facet   int    // the part of the facet that it chooses, from 1; 0: none
	SQL     string // with $? for the values: an array if Multi, a time if a moment; or what yes means, never NULL
	Path    string // the same as SQL, in jsonpath: $ and the part's name stand for its values; empty: it cannot
	Doc     string
	Example any
}

const (
	asTexts  = "$?::text[]"
	asNumber = "$?::text::float8"
	asAmount = "$?::text::numeric"
)

var (
	types    = pg.Choices("lead", "Leads", "paying", "Customers", "subscription", "Subscribers")
	statuses = pg.Choices("active", "Active", "inactive", "Inactive")
	sources  = pg.Choices("free_course", "Free course", "course_purchase", "Course purchase",
		"product_purchase", "Product purchase", "subscription", "Subscription")
	yesOrNo = pg.Choices("yes", "Yes", "no", "No")
	refunds = pg.Choices("yes", "In full or in part", "partly", "In part", "no", "No")
	mailed  = pg.Choices("sent", "Sent", "clicked", "Clicked", "came_back", "Came back within 7 days",
		"bounced", "Bounced", "complained", "Called spam", "unsubscribed", "Unsubscribed")
	subscriptionStates = pg.Choices("active", "Active", "trialing", "In trial", "past_due", "Past due",
		"paused", "Paused", "unpaid", "Unpaid", "incomplete", "Incomplete", "incomplete_expired", "Never paid",
		"canceled", "Canceled")
)

// Things are all that leaves can be about.
var Things = []Thing{
	{Name: "customer", Label: "Customer", Doc: "The customer's row.", Parts: []Part{
		{Name: "type", Label: "Type", Choices: types, Multi: true, Facet: 1, SQL: "c.type = ANY(" + asTexts + ")"},
		{Name: "status", Label: "Status", Choices: statuses, Multi: true, Facet: 2, SQL: "c.status = ANY(" + asTexts + ")"},
		{Name: "source", Label: "Source", Choices: sources, Multi: true, Facet: 3,
			SQL: "c.source_kind = ANY(" + asTexts + ")"},
		{Name: "country", Label: "Country", Kind: Country, Multi: true, Has: "country:"},
		{Name: "first_seen_after", Label: "Joined since", Kind: pg.Moment, Key: onFirstSeen, SQL: "c.first_seen_at >= $?"},
		{Name: "first_seen_before", Label: "Joined before", Kind: pg.Moment, Key: onFirstSeen, SQL: "c.first_seen_at < $?"},
		{Name: "last_activity_after", Label: "Active since", Kind: pg.Moment, Key: onLastActivity,
			SQL: "c.last_activity_at >= $?"},
		{Name: "last_activity_before", Label: "Last active before", Kind: pg.Moment, Key: onLastActivity,
			SQL: "c.last_activity_at < $?"},
		{Name: "refunded", Label: "Refunded", Choices: yesOrNo, SQL: "(c.refunded <> '[]')"},
		{Name: "disputed", Label: "Took back a payment", Choices: yesOrNo,
			SQL: "EXISTS (SELECT FROM payments d WHERE d.customer_id = c.id AND d.disputed > 0)"},
		{Name: "note", Label: "Has a note", Choices: yesOrNo,
			SQL: "EXISTS (SELECT FROM customer_notes n WHERE n.store_id = c.store_id AND n.email = c.email)"},
		{Name: "email_domain", Label: "Email at", Kind: Domain, Multi: true,
			SQL: "split_part(c.email, '@', -1) = ANY(ARRAY(SELECT lower(ltrim(d, '@')) FROM unnest(" + asTexts + ") d))"},
		{Name: "q", Label: "Name, email or title", Kind: pg.Search},
	}},
	{Name: "enrollment", Label: "Course", Doc: "A course that they are in.",
		From: "jsonb_to_recordset(c.courses) AS r(id text, progress float8, enrolled_at timestamptz, " +
			"progressed_at timestamptz, completed_at timestamptz)",
		List: "c.courses",
		Has:  "course:",
		Parts: times([]Part{
			{Name: "course", Label: "Course", Kind: CourseID, Multi: true, SQL: "r.id = ANY(" + asTexts + ")",
				Path: "@.id == $course[*]"},
			{Name: "progress_min", Label: "Progress at least", Unit: "%", Kind: Percent, Number: true,
				SQL: "r.progress >= " + asNumber, Path: "@.progress >= $progress_min"},
			{Name: "progress_max", Label: "Progress at most", Unit: "%", Kind: Percent, Number: true,
				SQL: "r.progress <= " + asNumber, Path: "@.progress <= $progress_max"},
			{Name: "completed", Label: "Completed", Choices: yesOrNo,
				SQL:  "(r.completed_at IS NOT NULL OR coalesce(r.progress, 0) >= 100)",
				Path: "(@.completed_at != null || @.progress >= 100)"},
			{Name: "enrolled_after", Label: "Enrolled since", Kind: pg.Moment, SQL: "r.enrolled_at >= $?",
				Path: "@.enrolled_at >= $enrolled_after"},
			{Name: "enrolled_before", Label: "Enrolled before", Kind: pg.Moment, SQL: "r.enrolled_at < $?",
				Path: "@.enrolled_at < $enrolled_before"},
			{Name: "progressed_after", Label: "Progressed since", Kind: pg.Moment, SQL: "r.progressed_at >= $?",
				Path: "@.progressed_at >= $progressed_after"},
			{Name: "progressed_before", Label: "Last progressed before", Kind: pg.Moment, SQL: "r.progressed_at < $?",
				Path: "@.progressed_at < $progressed_before"},
			{Name: "completed_after", Label: "Completed since", Kind: pg.Moment, SQL: "r.completed_at >= $?",
				Path: "@.completed_at >= $completed_after"},
			{Name: "completed_before", Label: "Completed before", Kind: pg.Moment, SQL: "r.completed_at < $?",
				Path: "@.completed_at < $completed_before"},
		})},
	{Name: "product", Label: "Product", Doc: "A product that they bought or subscribed to.", Parts: []Part{
		{Name: "id", Label: "Bought or subscribed to", Kind: ProductID, Multi: true}}},
	{Name: "purchase", Label: "Purchase", Doc: "A one-time purchase. Payments of a subscription are none.",
		From: "jsonb_to_recordset(c.purchases) AS r(product_id text, amount bigint, currency text, refunded bigint, " +
			"purchased_at timestamptz, lines jsonb)",
		Has: "product:",
		Parts: times([]Part{
			{Name: "product", Label: "Product", Kind: ProductID, Multi: true, SQL: "(r.product_id = ANY(" + asTexts +
				") OR EXISTS (SELECT FROM jsonb_to_recordset(r.lines) AS l(product_id text) WHERE l.product_id = ANY(" + asTexts +
				")))"},
			{Name: "amount_min", Label: "Amount at least", Kind: Amount,
				SQL: "r.amount >= " + asAmount + " * " + store.UnitsSQL("r.currency")},
			{Name: "currency", Label: "Currency", Kind: Currency, Multi: true, SQL: "r.currency = ANY(" + asTexts + ")"},
			{Name: "paid_after", Label: "Bought since", Kind: pg.Moment, SQL: "r.purchased_at >= $?"},
			{Name: "paid_before", Label: "Bought before", Kind: pg.Moment, SQL: "r.purchased_at < $?"},
			{Name: "refunded", Label: "Refunded", Choices: refunds,
				SQL: "CASE $?::text WHEN 'no' THEN r.refunded = 0 WHEN 'yes' THEN r.refunded > 0 " +
					"ELSE r.refunded > 0 AND r.refunded < r.amount END"},
		})},
	{Name: "spent", Label: "Spent", Doc: "What they spent in one currency, net of refunds and lost disputes.",
		Parts: []Part{
			{Name: "min", Label: "Spent at least", Kind: Amount},
			{Name: "max", Label: "Spent at most", Kind: Amount},
			{Name: "currency", Label: "Currency", Kind: Currency},
		}},
	{Name: "subscription", Label: "Subscription", Doc: "A subscription, current or past.",
		From: "jsonb_to_recordset(c.subscriptions) AS r(status text, product_id text, products jsonb, " +
			"current_period_end timestamptz, cancel_at_period_end boolean)",
		Has: "product:",
		Parts: times([]Part{
			{Name: "product", Label: "Product", Kind: ProductID, Multi: true,
				SQL: "(r.product_id = ANY(" + asTexts + ") OR r.products ?| " + asTexts + ")"},
			{Name: "status", Label: "Status", Choices: subscriptionStates, Multi: true, SQL: "r.status = ANY(" + asTexts + ")"},
			{Name: "ends_after", Label: "Period ends after", Kind: pg.Moment, SQL: "r.current_period_end >= $?"},
			{Name: "ends_before", Label: "Period ends before", Kind: pg.Moment, SQL: "r.current_period_end < $?"},
			{Name: "cancelling", Label: "Canceled at the period's end", Choices: yesOrNo,
				SQL: "coalesce(r.cancel_at_period_end, false)"},
		})},
	{Name: "forecast", Label: "Forecast", Doc: "What they are expected to buy, in a currency for which it can be said.",
		From: "(SELECT * FROM value_people v WHERE v.store_id = c.store_id AND v.customer_id = c.id) r",
		Parts: []Part{
			{Name: "currency", Label: "Currency", Kind: Currency, Multi: true, SQL: "r.currency = ANY(" + asTexts + ")"},
			{Name: "expected_min", Label: "Expected in a year, at least", Kind: Amount,
				SQL: "r.expected >= " + asAmount + " * " + store.UnitsSQL("r.currency")},
			{Name: "alive_min", Label: "Chance to buy again, at least", Unit: "%", Kind: Percent, Number: true,
				SQL: "100 * r.alive >= " + asNumber},
			{Name: "alive_max", Label: "Chance to buy again, at most", Unit: "%", Kind: Percent, Number: true,
				SQL: "100 * r.alive <= " + asNumber},
		}},
	{Name: "engagement", Label: "Engagement", Doc: "How engaged they are now.", Parts: []Part{
		{Name: "state", Label: "Engagement", Choices: engagements, Multi: true}}},
	{Name: "can_mail", Label: "Marketing mail", Doc: "Whether marketing mail may go to them now.", Parts: []Part{
		{Name: "is", Label: "May get marketing mail", Choices: yesOrNo}}},
	{Name: "mail", Label: "Mail", Doc: "What became of a mail to them: each time that it was sent, clicked and so on.",
		From: mail.Story() + " r",
		Of:   "r.store_id = c.store_id AND r.email = c.email",
		Parts: times([]Part{
			{Name: "campaign", Label: "Campaign", Kind: CampaignID, Multi: true, SQL: "r.campaign_id = ANY(" + asTexts + ")"},
			{Name: "was", Label: "What became of it", Choices: mailed, Multi: true, SQL: "r.was = ANY(" + asTexts + ")"},
			{Name: "after", Label: "Since", Kind: pg.Moment, SQL: "r.at >= $?"},
			{Name: "before", Label: "Before", Kind: pg.Moment, SQL: "r.at < $?"},
		})},
	{Name: "tag", Label: "Tag", Doc: "A tag that they have.", Parts: []Part{
		{Name: "id", Label: "Tagged", Kind: TagID, Multi: true}}},
	{Name: "segment", Label: "Segment", Doc: "A segment that they are in.", Parts: []Part{
		{Name: "id", Label: "In the segment", Kind: SegmentID}}},
}

// times adds how many rows must meet the parts.
func times(parts []Part) []Part {
	return append(parts,
		Part{Name: "times_min", Label: "How many, at least", Kind: Count, Number: true},
		Part{Name: "times_max", Label: "How many, at most", Kind: Count, Number: true})
}

func thingNamed(name string) *Thing {
	i := slices.IndexFunc(Things, func(t Thing) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &Things[i]
}

func thingNames() (names []string) {
	for _, t := range Things {
		names = append(names, t.Name)
	}
	return names
}

// short tells whether a leaf is a value and not an object: {"tag": ID}.
func (t *Thing) short() bool { return len(t.Parts) == 1 }

func (t *Thing) part(name string) *Part {
	i := slices.IndexFunc(t.Parts, func(p Part) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &t.Parts[i]
}

func (t *Thing) partNames() (names []string) {
	for _, p := range t.Parts {
		names = append(names, p.Name)
	}
	return names
}

// checkTimes checks that a leaf asks for something that can be.
func (t *Thing) checkTimes(path string, leaf Rule) error {
	least, most := leaf.times()
	switch {
	case least == 0 && most < 0 && t.From != "":
		return wrongAt(path+"/times_min", "0 is met by everyone; give 1 or more, or a maximum")
	case t.Name == "spent" && leaf.Parts["min"] == nil && leaf.Parts["max"] == nil:
		return wrongAt(path, "lacks min or max")
	}
	for name := range leaf.Parts {
		if of, is := strings.CutSuffix(name, "max"); is && leaf.number(name) < leaf.number(of+"min") {
			return wrongAt(path+"/"+name, "is less than the minimum, so no one can meet it")
		}
	}
	return nil
}

// number is the value of a part; 0 without one.
func (r Rule) number(part string) (n float64) {
	if v := r.Parts[part]; len(v) > 0 {
		n, _ = strconv.ParseFloat(v[0], 64)
	}
	return n
}

// times are how many rows must meet a leaf: at least, and at most (below 0: any number).
func (r Rule) times() (least, most int) {
	least, most = 1, -1
	if v := r.Parts["times_max"]; v != nil {
		most, _ = strconv.Atoi(v[0])
		least = 0
	}
	if v := r.Parts["times_min"]; v != nil {
		least, _ = strconv.Atoi(v[0])
	}
	return least, most
}

// howMany says how many values a part takes.
func (p *Part) howMany() string {
	if p.Multi {
		return "1 to " + strconv.Itoa(maxValues)
	}
	return "one"
}

// yesOrNo tells whether the part is a question, and SQL its answer.
func (p *Part) yesOrNo() bool { return len(p.Choices) == 2 && p.Choices[0].Value == "yes" }

// check checks a value of a part.
func (p *Part) check(path, value string) error {
	param := pg.Param{Name: path, Kind: p.Kind, Choices: p.Choices}
	var bad *pg.BadParam
	if err := param.Check(value); errors.As(err, &bad) {
		return wrongAt(path, "%s", bad.Reason)
	}
	return nil
}
