package value

import (
	"context"

	model "rollcall/value"
)

// monthsSQL is what was paid in each month from the first to that of $1 in the zone $2, and what moved the MRR.
const monthsSQL = `
	WITH span AS (
		SELECT currency, min(month) AS first
		FROM (
			SELECT currency, month FROM value_days
			UNION ALL
			SELECT currency, date_trunc('month', day)::date FROM value_moves
		) d
		GROUP BY currency
	),
	month AS (
		SELECT currency, m::date AS month
		FROM span
		CROSS JOIN LATERAL generate_series(first, ($1::timestamptz AT TIME ZONE $2)::date, interval '1 month') m
	),
	paid AS (
		SELECT
			currency,
			month,
			sum(single) FILTER (WHERE month <= first) AS new,
			sum(single) FILTER (WHERE month > first) AS returning,
			sum(recurring) AS recurring,
			sum(refunded) AS refunded,
			count(*) FILTER (WHERE net > 0 AND coalesce(previous < month, true)) AS customers
		FROM value_days
		GROUP BY currency, month
	),
	-- The months in which someone subscribed, in pieces that do not overlap.
	spans AS (
		SELECT customer_id, currency, GREATEST(began, before + interval '1 month')::date AS began, ended
		FROM (
			SELECT *, max(ended) OVER (PARTITION BY customer_id, currency ORDER BY day
				ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
			FROM (
				SELECT customer_id, currency, day, date_trunc('month', day)::date AS began,
					date_trunc('month', coalesce(until - 1, ($1::timestamptz AT TIME ZONE $2)::date))::date AS ended
				FROM value_moves
				WHERE after > 0
			) s
		) s
	),
	subscribed AS (
		SELECT currency, month, sum(change) OVER (PARTITION BY currency ORDER BY month) AS customers
		FROM (
			SELECT currency, month, sum(change) AS change
			FROM (
				SELECT currency, began AS month, 1 AS change FROM spans WHERE began <= ended
				UNION ALL
				SELECT currency, (ended + interval '1 month')::date, -1 FROM spans WHERE began <= ended
				UNION ALL
				SELECT currency, month, 0 FROM month
			) c
			GROUP BY currency, month
		) c
	),
	both_ways AS (
		SELECT d.currency, d.month, count(*) AS customers
		FROM value_days d
		JOIN spans s ON s.customer_id = d.customer_id AND s.currency = d.currency
			AND d.month BETWEEN s.began AND s.ended
		WHERE d.net > 0
		  AND coalesce(d.previous < d.month, true)
		GROUP BY d.currency, d.month
	),
	moved AS (
		SELECT
			currency,
			date_trunc('month', day)::date AS month,
			sum(after - before) FILTER (WHERE kind = 'new') AS new,
			sum(after - before) FILTER (WHERE kind = 'expansion') AS expansion,
			sum(after - before) FILTER (WHERE kind = 'contraction') AS contraction,
			sum(after - before) FILTER (WHERE kind = 'churn') AS churn,
			sum(after - before) FILTER (WHERE kind = 'reactivation') AS reactivation,
			count(*) FILTER (WHERE kind IN ('new', 'reactivation')) - count(*) FILTER (WHERE kind = 'churn') AS came
		FROM value_moves
		GROUP BY 1, 2
	),
	-- Those who subscribed when the month began and did not when it ended.
	left_in AS (
		SELECT currency, month, count(*) AS lost
		FROM (
			SELECT currency, date_trunc('month', day)::date AS month
			FROM value_moves
			GROUP BY customer_id, 1, 2
			HAVING (array_agg(before ORDER BY day))[1] > 0
			   AND (array_agg(after ORDER BY day DESC))[1] = 0
		) c
		GROUP BY currency, month
	)
	SELECT
		m.currency,
		to_char(m.month, 'YYYY-MM'),
		m.month + interval '1 month' <= $1::timestamptz AT TIME ZONE $2,
		minor_units(coalesce(p.new, 0)),
		minor_units(coalesce(p.returning, 0)),
		minor_units(coalesce(p.recurring, 0)),
		minor_units(coalesce(p.refunded, 0)),
		coalesce(p.customers, 0) + s.customers - coalesce(w.customers, 0),
		minor_units(coalesce(v.new, 0)),
		minor_units(coalesce(v.expansion, 0)),
		minor_units(coalesce(v.contraction, 0)),
		minor_units(coalesce(v.churn, 0)),
		minor_units(coalesce(v.reactivation, 0)),
		coalesce(v.came, 0),
		coalesce(g.lost, 0)
	FROM month m
	LEFT JOIN paid p USING (currency, month)
	JOIN subscribed s USING (currency, month)
	LEFT JOIN both_ways w USING (currency, month)
	LEFT JOIN moved v USING (currency, month)
	LEFT JOIN left_in g USING (currency, month)
	ORDER BY m.currency, m.month`

func (c *computing) months(ctx context.Context) error {
	var m Month
	var came, lost int64
	subscribed := map[string]int64{} // when the month begins
	return c.each(ctx, monthsSQL, c.until(), []any{
		&m.Month, &m.Over, &m.New, &m.Returning, &m.Recurring, &m.Refunded,
		&m.Customers, &m.MRR.New, &m.MRR.Expansion, &m.MRR.Contraction, &m.MRR.Churn, &m.MRR.Reactivation, &came, &lost},
		func(r *Report) {
			m.MRR.Start = 0
			if n := len(r.Months); n > 0 {
				m.MRR.Start = r.Months[n-1].MRR.End
			}
			m.MRR.End = m.MRR.Start + m.MRR.New + m.MRR.Expansion + m.MRR.Contraction + m.MRR.Churn + m.MRR.Reactivation
			m.Churn = model.Proportion(lost, subscribed[r.Currency], "no one subscribed when the month began")
			subscribed[r.Currency] += came
			m.PerHead = model.None("no one paid or subscribed in the month")
			if m.Customers > 0 {
				m.PerHead = model.Known(float64(m.Net()) / float64(m.Customers))
			}
			r.Months = append(r.Months, m)
		})
}

// cohortsSQL follows the customers whose first payment was in a month, through this month and the later ones, up
// to that of $1 in the zone $2. A month in which none of them paid has a row too.
const cohortsSQL = `
	WITH cells AS (
		SELECT currency, date_trunc('month', first::timestamp)::date AS first, month, sum(net) AS net,
			count(*) FILTER (WHERE coalesce(previous < month, true)) AS buyers
		FROM value_days
		WHERE net > 0
		GROUP BY 1, 2, 3
	)
	SELECT
		f.currency,
		to_char(f.first, 'YYYY-MM'),
		row_number() OVER (PARTITION BY f.currency, f.first ORDER BY m) - 1,
		coalesce(c.buyers, 0),
		minor_units(coalesce(c.net, 0)),
		m + interval '1 month' <= $1::timestamptz AT TIME ZONE $2
	FROM (SELECT DISTINCT currency, first FROM cells) f
	CROSS JOIN LATERAL generate_series(f.first, ($1::timestamptz AT TIME ZONE $2)::date, interval '1 month') m
	LEFT JOIN cells c ON c.currency = f.currency AND c.first = f.first AND c.month = m
	ORDER BY f.currency, f.first, m`

func (c *computing) cohorts(ctx context.Context) error {
	var one Cohort
	return c.each(ctx, cohortsSQL, c.until(), []any{&one.First, &one.After, &one.Buyers, &one.Net, &one.Over},
		func(r *Report) { r.Cohorts = append(r.Cohorts, one) })
}
