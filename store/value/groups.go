package value

import (
	"context"

	"github.com/jackc/pgx/v5"

	model "rollcall/value"
)

// mostGroups is how many groups of a kind are kept, those with the most money.
const mostGroups = 200

// groupsSQL is what the members of each group have paid. The middle and the ninetieth percent are amounts that someone
// has paid.
const groupsSQL = `
	SELECT currency, by, key, n, minor_units(net), minor_units(round(net / n)), median, p90
	FROM (
		SELECT
			b.currency,
			k.by,
			k.key,
			count(*) AS n,
			sum(b.net) AS net,
			percentile_disc(0.5) WITHIN GROUP (ORDER BY b.net) AS median,
			percentile_disc(0.9) WITHIN GROUP (ORDER BY b.net) AS p90,
			row_number() OVER (PARTITION BY b.currency, k.by ORDER BY sum(b.net) DESC, k.key) AS rank
		FROM value_buyers b
		JOIN customers c ON c.id = b.customer_id
		JOIN customer_index i ON i.customer_id = c.id
		CROSS JOIN LATERAL (
			SELECT 'all' COLLATE "C" AS by, '' COLLATE "C" AS key
			UNION ALL
			SELECT 'product', b.product_id WHERE b.product_id IS NOT NULL
			UNION ALL
			SELECT 'source', c.source_kind COLLATE "C" WHERE c.source_kind IS NOT NULL
			UNION ALL
			SELECT 'month', to_char(b.first, 'YYYY-MM') COLLATE "C"
			UNION ALL
			SELECT 'course', unnest(c.course_ids) COLLATE "C"
			UNION ALL
			SELECT CASE WHEN t LIKE 'seg\_%' THEN 'segment' ELSE 'tag' END, t FROM unnest(i.tags) t
		) k
		GROUP BY b.currency, k.by, k.key
	) g
	WHERE rank <= $1
	ORDER BY currency, by, rank`

func (c *computing) groups(ctx context.Context) error {
	var g Group
	return c.each(ctx, groupsSQL, []any{mostGroups}, []any{&g.By, &g.Key, &g.N, &g.Net, &g.Mean, &g.Median, &g.P90},
		func(r *Report) { r.Groups = append(r.Groups, g) })
}

// coursesSQL is how far people came, each in the enrollment in which they came farthest.
const coursesSQL = `
	SELECT
		course_id,
		count(*),
		count(*) FILTER (WHERE done OR peak > 0),
		count(*) FILTER (WHERE done OR peak >= 25),
		count(*) FILTER (WHERE done OR peak >= 50),
		count(*) FILTER (WHERE done OR peak >= 75),
		count(*) FILTER (WHERE done),
		percentile_disc(0.5) WITHIN GROUP (ORDER BY days) FILTER (WHERE done AND days >= 0)
	FROM (
		SELECT
			e.course_id,
			max(e.peak_progress) AS peak,
			bool_or(e.completed_at IS NOT NULL OR e.progress >= 100) AS done,
			min(e.completed_at AT TIME ZONE $3)::date
				- min(coalesce(e.enrolled_at, e.first_said_at) AT TIME ZONE $3)::date AS days
		FROM customers c
		JOIN enrollments e ON e.customer_id = c.id
		WHERE c.store_id = $1
		  AND coalesce(e.enrolled_at, e.first_said_at, '-infinity') <= $2
		GROUP BY e.course_id, e.customer_id
	) p
	GROUP BY course_id
	ORDER BY count(*) DESC, course_id`

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
