package campaigns

import "slices"

// Question is what a campaign asks: for whom is it true, since when, and for which occurrence.
type Question struct {
	Name     string
	Label    string   // for menus
	Sentence string   // who they are: {days} stands for a number of its own, {courses} for those it is limited to
	Kind     string   // of campaigns that can ask it
	Numbers  []Number // in the order of the sentence
	Courses  bool     // it can be limited to courses
	Product  bool     // it is about one
	About    string   // kind of its occurrences; empty: there is only one for each customer
	Goal     string   // name of the fact that is its usual goal; empty: none

	// sql selects customer, occurrence, about and became_due_at, for became_due_at in (@after, @now]. @age is how long
	// after what is asked for that is; other numbers go by their names.
	sql string
	// each is whether sql is of one customer c of the store, and does not select who it is.
	each bool
	// over is SQL for why a run r of a customer c is over, or NULL; empty: it never is.
	over string
}

// Number is a number of a question that people may change.
type Number struct {
	Name                 string
	Label                string
	Unit                 string // days, hours, or empty
	Default, Least, Most int
}

// age is the number that says how long ago what is asked for is; its name is its unit.
func age(unit string, usual int) Number {
	return Number{Name: unit, Label: "After", Unit: unit, Default: usual, Least: 0, Most: 365}
}

const (
	// enrolledAt is when an enrollment began; enrollments_enrolled has it.
	enrolledAt = "coalesce(e.enrolled_at, e.first_said_at)"

	// ofCourses limits enrollments to those that are there, in the courses that are asked for.
	ofCourses = `e.store_id = @store AND e.customer_id IS NOT NULL AND e.version > e.deleted_version
			AND (cardinality(@courses) = 0 OR e.course_id = ANY(@courses))`

	// theCourse are the first columns of questions about courses.
	theCourse = `e.customer_id AS customer, 'course:' || e.course_id AS occurrence, e.course_id AS about`

	// inWindow is whether a time becomes due in the window that is asked for.
	inWindow = ` > @after - @age AND `
	toNow    = ` <= @now - @age`

	// courseOver ends runs about courses that the customer left, or got the money back for.
	courseOver = `CASE
		WHEN NOT EXISTS (SELECT FROM enrollments e WHERE e.customer_id = c.id AND e.course_id = r.about
			AND e.version > e.deleted_version) THEN 'left'
		WHEN (SELECT count(*) > 0 AND bool_and(p.refunded >= p.amount) FROM payments p WHERE p.customer_id = c.id
			AND p.paid AND p.amount > 0 AND p.sold @> jsonb_build_array(jsonb_build_object('id', r.about))) THEN 'refunded'
		END`
)

// window is SQL for whether a time is in the window.
func window(at string) string { return at + inWindow + at + toNow }

// Questions are all of them.
var Questions = []Question{
	{
		Name: "everyone", Label: "All who match, once", Sentence: "All customers who match, once.", Kind: Once,
		each: true,
		sql: `SELECT 'once' AS occurrence, '' AS about, @start AS became_due_at
			WHERE @start <= @now AND @start > @fresh`,
	},
	{
		Name: "enrolled", Label: "Enrolled in a course", Sentence: "Customers who enroll in {courses}, after {days} days.",
		Kind: Flow, Numbers: []Number{age("days", 0)}, Courses: true, About: aCourse, Goal: "completed", over: courseOver,
		sql: `SELECT ` + theCourse + `, ` + enrolledAt + ` + @age AS became_due_at FROM enrollments e
			WHERE ` + ofCourses + ` AND ` + window(enrolledAt),
	},
	{
		Name: "not_started", Label: "Enrolled and not started",
		Sentence: "Customers who enrolled in {courses} {days} days ago and have not started.",
		Kind:     Flow, Numbers: []Number{age("days", 7)}, Courses: true, About: aCourse, Goal: "started", over: courseOver,
		sql: `SELECT ` + theCourse + `, ` + enrolledAt + ` + @age AS became_due_at FROM enrollments e
			WHERE ` + ofCourses + ` AND ` + window(enrolledAt) + `
				AND coalesce(e.peak_progress, 0) = 0 AND e.completed_at IS NULL`,
	},
	{
		Name: "stuck", Label: "Stuck in a course",
		Sentence: "Customers who started {courses} and got no further for {days} days, at most {times} times.",
		Kind:     Flow, Courses: true, About: aCourse, Goal: "progressed", over: courseOver,
		Numbers: []Number{age("days", 14), {Name: "times", Label: "At most", Default: 2, Least: 1, Most: 20}},
		sql: `SELECT e.customer_id AS customer, 'course:' || e.course_id || '#' ||
				to_char(e.progressed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS occurrence, e.course_id AS about,
				e.progressed_at + @age AS became_due_at FROM enrollments e
			WHERE ` + ofCourses + ` AND ` + window("e.progressed_at") + ` AND e.peak_progress > 0
				AND e.completed_at IS NULL AND coalesce(e.progress, 0) < 100
				AND (SELECT count(*) FROM runs o WHERE o.store_id = @store AND o.campaign_id = @campaign AND o.email =
					e.customer_email AND o.about = e.course_id) < @times`,
	},
	{
		Name: "completed", Label: "Completed a course",
		Sentence: "Customers who completed {courses} {days} days ago.",
		Kind:     Flow, Numbers: []Number{age("days", 1)}, Courses: true, About: aCourse, Goal: "bought", over: courseOver,
		sql: `SELECT ` + theCourse + `, coalesce(e.completed_at, e.progressed_at) + @age AS became_due_at FROM enrollments e
			WHERE ` + ofCourses + ` AND ` + window("coalesce(e.completed_at, e.progressed_at)") + `
				AND (e.completed_at IS NOT NULL OR e.progress >= 100)`,
	},
	{
		Name: "payment_failed", Label: "A payment failed",
		Sentence: "Subscribers whose payment failed {hours} hours ago, and is still open.",
		Kind:     Flow, Numbers: []Number{age("hours", 0)}, About: anInvoice, Goal: "paid",
		sql: `SELECT s.customer_id AS customer, 'invoice:' || f.id AS occurrence, f.id AS about,
				version_time(f.version) + @age AS became_due_at
			FROM subscriptions s JOIN failed_invoices f ON f.account = s.account AND f.subscription = s.id
			WHERE s.store_id = @store AND s.customer_id IS NOT NULL AND s.status IN ('past_due', 'unpaid')
				AND ` + window("version_time(f.version)"),
		over: `CASE WHEN NOT EXISTS (SELECT FROM failed_invoices f
			JOIN subscriptions s ON s.account = f.account AND s.id = f.subscription
			WHERE f.id = r.about AND s.customer_id = c.id AND s.status IN ('past_due', 'unpaid')) THEN 'cancelled' END`,
	},
	{
		Name: "unsubscribed", Label: "A subscription ended",
		Sentence: "Customers whose subscription ended {days} days ago, and who have no other.",
		Kind:     Flow, Numbers: []Number{age("days", 7)}, About: aSubscription, Goal: "subscribed",
		sql: `SELECT s.customer_id AS customer, 'sub:' || s.id AS occurrence, s.id AS about,
				s.ended_at + @age AS became_due_at FROM subscriptions s
			WHERE s.store_id = @store AND s.customer_id IS NOT NULL AND s.ever_active AND ` + window("s.ended_at") + `
				AND NOT EXISTS (SELECT FROM subscriptions o WHERE o.customer_id = s.customer_id AND o.ended_at IS NULL
					AND o.status IN ('active', 'trialing', 'past_due'))`,
	},
	{
		Name: "silent", Label: "Not seen for some time",
		Sentence: "Customers who have not been seen for {days} days, at most once in 90 days.",
		Kind:     Flow, Numbers: []Number{age("days", 30)}, About: aSilence, Goal: "back",
		sql: `SELECT c.id AS customer, 'seen:' || to_char(c.last_activity_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS
				occurrence, '' AS about, c.last_activity_at + @age AS became_due_at FROM customers c
			WHERE c.store_id = @store AND c.facet = ANY(ARRAY(
				WITH RECURSIVE facets AS (
					(SELECT facet FROM customers WHERE store_id = @store ORDER BY facet LIMIT 1)
					UNION ALL
					SELECT (SELECT n.facet FROM customers n WHERE n.store_id = @store AND n.facet > f.facet ORDER BY n.facet
						LIMIT 1) FROM facets f WHERE f.facet IS NOT NULL
				)
				SELECT facet FROM facets WHERE facet IS NOT NULL)) AND ` + window("c.last_activity_at") + `
				-- Who entered since they were last seen entered for this silence, whatever the days were then.
				AND NOT EXISTS (SELECT FROM runs o WHERE o.campaign_id = @campaign AND o.email = c.email
					AND (o.entered_at >= c.last_activity_at
						OR o.became_due_at > c.last_activity_at + @age - interval '90 days'))`,
	},
	{
		Name: "free", Label: "Took a free course, bought nothing",
		Sentence: "Customers who took {courses} and bought nothing for {days} days, or until they completed it.",
		Kind:     Flow, Numbers: []Number{age("days", 14)}, Courses: true, About: aCourse, Goal: "paying", over: courseOver,
		sql: `SELECT f.* FROM (SELECT ` + theCourse + `, LEAST(` + enrolledAt + ` + @age, e.completed_at) AS became_due_at
				FROM enrollments e WHERE ` + ofCourses + ` AND ((` + window(enrolledAt) + `) OR e.completed_at > @after
					AND e.completed_at <= @now)) f JOIN customers c ON c.id = f.customer AND c.type = 'lead'
			WHERE f.became_due_at > @after AND f.became_due_at <= @now`,
	},
	{
		Name: "left_checkout", Label: "Left at checkout",
		Sentence: "Customers who left a checkout {hours} hours ago without buying.",
		Kind:     Flow, Numbers: []Number{{Name: "hours", Label: "After", Unit: "hours", Default: 1, Least: 0, Most: 72}},
		About: aCheckout, Goal: "bought_it",
		sql: leftCheckouts,
		over: `CASE WHEN NOT EXISTS (SELECT FROM checkouts k WHERE k.id = r.about AND k.recovery_until > @now) THEN
			'expired' END`,
	},
	{
		Name: "renewal", Label: "A yearly subscription renews soon",
		Sentence: "Subscribers whose yearly subscription renews in {days} days.",
		Kind:     Flow, About: aSubscription,
		Numbers: []Number{{Name: "days", Label: "Before", Unit: "days", Default: 14, Least: 1, Most: 60}},
		sql: `SELECT s.customer_id AS customer, 'sub:' || s.id || '#' ||
				to_char(s.current_period_end AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS occurrence, s.id AS about,
				s.current_period_end - @age AS became_due_at FROM subscriptions s
			WHERE s.store_id = @store AND s.customer_id IS NOT NULL AND s.ended_at IS NULL
				AND s.current_period_end > @after + @age
				AND s.current_period_end <= @now + @age
				AND s.status IN ('active', 'trialing') AND NOT coalesce(s.cancel_at_period_end, false) AND s.cancel_at IS NULL
				AND s.lines @> '[{"interval": "year"}]'`,
		over: `CASE
			WHEN NOT EXISTS (SELECT FROM subscriptions s WHERE s.customer_id = c.id AND s.id = r.about AND s.ended_at IS NULL
				AND NOT coalesce(s.cancel_at_period_end, false) AND s.cancel_at IS NULL) THEN 'cancelled'
			WHEN NOT EXISTS (SELECT FROM subscriptions s WHERE s.customer_id = c.id AND s.id = r.about
				AND s.current_period_end = r.became_due_at + @age) THEN 'changed'
			END`,
	},
}

// QuestionNamed is the question with a name; nil: there is none.
func QuestionNamed(name string) *Question {
	i := slices.IndexFunc(Questions, func(q Question) bool { return q.Name == name })
	if i < 0 {
		return nil
	}
	return &Questions[i]
}
