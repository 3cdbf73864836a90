package value

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
	model "rollcall/value"
)

// mostGroups is how many groups of a kind are kept, those with the most money.
const mostGroups = 200

// groupsSQL is what the members of each group have paid. The middle and the ninetieth percent are amounts that someone
// has paid. Few amounts are paid by many people, so members are counted by the amount first.
const groupsSQL = `
	WITH buyers AS MATERIALIZED (
		SELECT
			b.currency,
			b.net,
			b.product_id,
			c.source_kind COLLATE "C" AS source,
			date_trunc('month', b.first::timestamp) AS month,
			c.course_ids
		FROM value_buyers b
		JOIN customers c ON c.id = b.customer_id
	),
	amounts AS (
		SELECT
			currency,
			CASE GROUPING(product_id, source, month)
				WHEN 3 THEN 'product' WHEN 5 THEN 'source' WHEN 6 THEN 'month' ELSE 'all' END COLLATE "C" AS by,
			CASE GROUPING(product_id, source, month)
				WHEN 7 THEN '' ELSE coalesce(product_id, source, to_char(month, 'YYYY-MM')) END AS key,
			net,
			count(*) AS n
		FROM buyers
		GROUP BY GROUPING SETS ((currency, net), (currency, net, product_id), (currency, net, source), (currency, net, month))
		UNION ALL
		SELECT currency, 'course', key, net, count(*)
		FROM (SELECT currency, net, unnest(course_ids) COLLATE "C" AS key FROM buyers) b
		GROUP BY 1, 2, 3, 4
		UNION ALL
		SELECT b.currency, CASE WHEN key LIKE 'seg\_%' THEN 'segment' ELSE 'tag' END, key, b.net, count(*)
		FROM customer_index i
		JOIN value_buyers b USING (customer_id)
		CROSS JOIN unnest(i.tags) key
		WHERE i.store_id = $2
		  AND i.tags && ARRAY( -- found by the index: few may have any
			SELECT id COLLATE "C" FROM tags WHERE store_id = $2
			UNION ALL
			SELECT id FROM segments WHERE store_id = $2 AND kind = 'static'
		  )
		GROUP BY 1, 2, 3, 4
		UNION ALL
		SELECT b.currency, 'segment', m.segment_id, b.net, count(*)
		FROM value_members m
		JOIN value_buyers b USING (customer_id)
		GROUP BY 1, 2, 3, 4
	),
	sums AS (
		SELECT *, sum(n) OVER w AS up_to, sum(n) OVER (PARTITION BY currency, by, key) AS whole
		FROM amounts
		WHERE key IS NOT NULL
		WINDOW w AS (PARTITION BY currency, by, key ORDER BY net)
	),
	ranked AS (
		SELECT
			currency,
			by,
			key,
			sum(n) AS n,
			sum(n * net::numeric) AS net,
			min(net) FILTER (WHERE up_to * 2 >= whole) AS median,
			min(net) FILTER (WHERE up_to * 10 >= whole * 9) AS p90,
			row_number() OVER (PARTITION BY currency, by ORDER BY sum(n * net::numeric) DESC, key) AS rank
		FROM sums
		GROUP BY currency, by, key
	)
	SELECT currency, by, key, n::bigint, minor_units(net), minor_units(round(net / n)), median, p90
	FROM ranked
	WHERE rank <= $1
	ORDER BY currency, by, rank`

func (c *computing) groups(ctx context.Context) error {
	if err := c.members(ctx); err != nil {
		return err
	}
	var g Group
	return c.each(ctx, groupsSQL, []any{mostGroups, c.store},
		[]any{&g.By, &g.Key, &g.N, &g.Net, &g.Mean, &g.Median, &g.P90},
		func(r *Report) { r.Groups = append(r.Groups, g) })
}

// members finds who of the buyers is in which dynamic segment. Who is in a static one is written down already.
func (c *computing) members(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, `
		CREATE TEMP TABLE value_members (customer_id bigint, segment_id text COLLATE "C") ON COMMIT DROP`)
	if err != nil {
		return err
	}
	rows, err := c.tx.Query(ctx, `SELECT id FROM segments WHERE store_id = $1 AND kind = 'dynamic' ORDER BY id`, c.store)
	if err != nil {
		return err
	}
	segments, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, id := range segments {
		args := pg.Arguments{id}
		members, err := c.readers.Audience(ctx, c.tx, customers.Filter{Store: c.store, Segment: id}, &args)
		if err != nil {
			return err
		}
		if _, err := c.tx.Exec(ctx, `
			INSERT INTO value_members
			SELECT m.id, $1
			FROM (`+members+`) m
			WHERE m.id IN (SELECT customer_id FROM value_buyers)`,
			append([]any{pgx.QueryExecModeCacheDescribe}, args...)...); err != nil {
			return err
		}
	}
	return err
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

func (c *computing) courses(ctx context.Context) ([]Course, error) {
	rows, err := c.tx.Query(ctx, coursesSQL, c.args()...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (one Course, err error) {
		var days *float64
		err = row.Scan(&one.ID, &one.Enrolled, &one.Started, &one.Quarter, &one.Half, &one.Most, &one.Completed, &days)
		if one.Days = model.None("no one has completed it yet"); days != nil {
			one.Days = model.Known(*days)
		}
		return one, err
	})
}
