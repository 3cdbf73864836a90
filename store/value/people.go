package value

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	model "rollcall/value"

	"rollcall/store/pg"
)

// people computes what needs no payments: who subscribed, how far people came in courses, and who needs help.
type people struct {
	*computing
	tx         pgx.Tx
	subscribed chan subscribed // once, as early as it is known
	courses    []Course
	help       json.RawMessage
}

// subscribed is the content of value_moves, a list for each column, and how many running subscriptions have no price.
type subscribed struct {
	customers     []int64
	currencies    []string
	days          []time.Time
	until         []*time.Time
	kinds         []string
	before, after []int64
	unpriced      map[string]int64 // by currency
}

func (p *people) run(ctx context.Context) error {
	for _, made := range []table{
		{"value_subscriptions", subscriptionsSQL, []any{p.store}}, {"value_moves", movesSQL, p.until()},
	} {
		if err := made.make(ctx, p.tx); err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context) error{p.tell, p.findCourses, p.findHelp} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tell tells the other connection who subscribed.
func (p *people) tell(ctx context.Context) error {
	s := subscribed{unpriced: map[string]int64{}}
	if err := p.tx.QueryRow(ctx, `
		SELECT coalesce(array_agg(customer_id), '{}'), coalesce(array_agg(currency), '{}'), coalesce(array_agg(day), '{}'),
			coalesce(array_agg(until), '{}'), coalesce(array_agg(kind), '{}'), coalesce(array_agg(before), '{}'),
			coalesce(array_agg(after), '{}')
		FROM value_moves`).Scan(
		&s.customers, &s.currencies, &s.days, &s.until, &s.kinds, &s.before, &s.after); err != nil {
		return err
	}
	rows := pg.Query(ctx, p.tx, unpricedSQL, p.now)
	var currency string
	var n int64
	err := pg.Each(rows, []any{&currency, &n}, func() {
		s.unpriced[currency] = n
	})
	p.subscribed <- s
	return err
}

// take has what the other connection found, unless it is the same one.
func (c *computing) take(ctx context.Context, s subscribed) error {
	for currency, n := range s.unpriced {
		c.report(currency).Subscribers.Unpriced = n
	}
	return table{"value_moves", `
		CREATE TEMP TABLE IF NOT EXISTS value_moves ON COMMIT DROP AS
		SELECT customer_id, currency COLLATE "C" AS currency, day, until, kind, before, after
		FROM unnest($1::bigint[], $2::text[], $3::date[], $4::date[], $5::text[], $6::bigint[], $7::bigint[])
			AS m (customer_id, currency, day, until, kind, before, after)`,
		[]any{s.customers, s.currencies, s.days, s.until, s.kinds, s.before, s.after}}.make(ctx, c.tx)
}

// coursesSQL is how far people came, each in the enrollment in which they came farthest: 1 is begun, 2 to 4 are
// quarters, 5 is completed. Groups by numbers first are sorted fastest; people are counted by days before the middle is
// looked for.
const coursesSQL = `
	WITH people AS (
		SELECT
			e.course_id COLLATE "C" AS course_id,
			max(CASE
				WHEN e.completed_at IS NOT NULL OR e.progress >= 100 THEN 5
				WHEN e.peak_progress >= 75 THEN 4
				WHEN e.peak_progress >= 50 THEN 3
				WHEN e.peak_progress >= 25 THEN 2
				WHEN e.peak_progress > 0 THEN 1
				ELSE 0
			END) AS reached,
			CASE WHEN min(e.completed_at) IS NOT NULL THEN (min(e.completed_at) AT TIME ZONE $3)::date
				- (min(coalesce(e.enrolled_at, e.first_said_at)) AT TIME ZONE $3)::date END AS days
		FROM enrollments e
		WHERE e.store_id = $1
		  AND e.customer_id IS NOT NULL
		  AND coalesce(e.enrolled_at, e.first_said_at, '-infinity') <= $2
		GROUP BY e.customer_id, 1
	),
	counts AS (
		SELECT course_id, reached, CASE WHEN reached = 5 AND days >= 0 THEN days END AS days, count(*) AS n
		FROM people
		GROUP BY 1, 2, 3
	),
	sums AS (
		SELECT
			*,
			sum(n) FILTER (WHERE days IS NOT NULL) OVER (PARTITION BY course_id ORDER BY days) AS up_to,
			sum(n) FILTER (WHERE days IS NOT NULL) OVER (PARTITION BY course_id) AS whole
		FROM counts
	)
	SELECT
		course_id,
		sum(n)::bigint,
		coalesce(sum(n) FILTER (WHERE reached >= 1), 0)::bigint,
		coalesce(sum(n) FILTER (WHERE reached >= 2), 0)::bigint,
		coalesce(sum(n) FILTER (WHERE reached >= 3), 0)::bigint,
		coalesce(sum(n) FILTER (WHERE reached >= 4), 0)::bigint,
		coalesce(sum(n) FILTER (WHERE reached >= 5), 0)::bigint,
		min(days) FILTER (WHERE up_to * 2 >= whole)
	FROM sums
	GROUP BY course_id
	ORDER BY sum(n) DESC, course_id`

func (p *people) findCourses(ctx context.Context) (err error) {
	rows := pg.Query(ctx, p.tx, coursesSQL, p.args()...)
	p.courses, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (one Course, err error) {
		var days *float64
		err = row.Scan(&one.ID, &one.Enrolled, &one.Started, &one.Quarter, &one.Half, &one.Most, &one.Completed, &days)
		if one.Days = model.None("no one has completed it yet"); days != nil {
			one.Days = model.Known(*days)
		}
		return one, err
	})
	return err
}
