package value

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// mostGroups is how many groups of a kind are kept, those with the most money.
const mostGroups = 200

// groupsSQL is what the members of each group have paid. The middle and the ninetieth percent are amounts that someone
// has paid. Few amounts are paid by many people, so members are counted by the amount first.
const groupsSQL = `
	WITH amounts AS (
		SELECT
			currency,
			CASE GROUPING(product_id, month) WHEN 1 THEN 'product' WHEN 2 THEN 'month' ELSE 'all' END COLLATE "C" AS by,
			CASE GROUPING(product_id, month) WHEN 3 THEN '' ELSE coalesce(product_id, to_char(month, 'YYYY-MM')) END AS key,
			net,
			count(*) AS n
		FROM (SELECT *, date_trunc('month', first::timestamp) AS month FROM value_buyers) b
		GROUP BY GROUPING SETS ((currency, net), (currency, net, product_id), (currency, net, month))
		UNION ALL
		SELECT currency, CASE WHEN is_source THEN 'source' ELSE 'course' END, key, net, count(*)
		FROM (
			SELECT -- all of a customer at once: the source, then the courses
				b.currency,
				b.net,
				unnest(array_prepend(c.source_kind, c.course_ids)) COLLATE "C" AS key,
				generate_series(0, cardinality(c.course_ids)) = 0 AS is_source
			FROM value_buyers b
			JOIN customers c ON c.id = b.customer_id
		) b
		GROUP BY currency, is_source, key, net
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
	segments, err := pg.Column[string](ctx, c.tx,
		`SELECT id FROM segments WHERE store_id = $1 AND kind = 'dynamic' AND ready IS NULL ORDER BY id`, c.store)
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
