package value

import (
	"context"

	model "rollcall/value"
)

// stayedSQL is how many days customers subscribed before they first left, up to the day of $1 in the zone $2.
const stayedSQL = `
	SELECT currency, coalesce(left_on, today) - came, left_on IS NOT NULL, count(*)
	FROM (
		SELECT
			currency,
			min(day) AS came,
			min(day) FILTER (WHERE after = 0) AS left_on,
			($1::timestamptz AT TIME ZONE $2)::date AS today
		FROM value_moves
		GROUP BY customer_id, currency
	) v
	GROUP BY 1, 2, 3
	ORDER BY 1, 2, 3`

// meanSQL is the mean MRR of a subscriber over all their days, and which part of their payments was kept.
const meanSQL = `
	SELECT m.currency, m.mean, p.kept
	FROM (
		SELECT currency, (sum(after::numeric * days) / nullif(sum(days), 0))::float8 AS mean
		FROM (
			SELECT currency, after, coalesce(until, ($1::timestamptz AT TIME ZONE $2)::date) - day AS days
			FROM value_moves
			WHERE after > 0
		) s
		GROUP BY currency
	) m
	LEFT JOIN (
		SELECT currency, (sum(recurring) / sum(billed))::float8 AS kept
		FROM value_days
		WHERE billed > 0
		GROUP BY currency
	) p USING (currency)`

// unpricedSQL counts running subscriptions that are in no MRR as their price, or its interval, is unknown.
var unpricedSQL = `
	SELECT currency, sum(n)::bigint
	FROM (
		SELECT currency, lines, discount, count(*) AS n
		FROM value_subscriptions
		WHERE status IN ('active', 'past_due')
		  AND NOT paused
		  AND began <= $1
		GROUP BY currency, lines, discount
	) s
	WHERE ` + priced("s") + ` IS NULL
	GROUP BY currency`

func (c *computing) subscribers(ctx context.Context) error {
	lives, err := c.lives(ctx, stayedSQL)
	if err != nil {
		return err
	}
	var mean, kept *float64
	if err := c.each(ctx, meanSQL, c.until(), []any{&mean, &kept}, func(r *Report) {
		switch {
		case mean == nil:
			r.Subscribers.Mean = model.None("no one has subscribed for a day yet")
		case kept == nil:
			r.Subscribers.Mean = model.None("no subscription has been paid yet")
		default:
			r.Subscribers.Mean = model.Known(*mean * *kept)
		}
	}); err != nil {
		return err
	}
	for currency, r := range c.reports {
		r.Subscribers.conclude(model.Survive(lives[currency]), r.Months)
	}
	return nil
}

// conclude computes the rest from a curve and months.
func (s *Subscribers) conclude(curve model.Curve, months []Month) {
	var did, of int64
	for _, m := range months {
		if m.Over {
			did, of = did+m.Churn.Did, of+m.Churn.Of
		}
	}
	if s.Mean.Value == nil && s.Mean.Why == "" {
		s.Mean = model.None("no one has subscribed yet")
	}
	s.Curve, s.Median = curve.Thin(), curve.Median()
	s.Churn = model.Proportion(did, of, "no one has subscribed for a month yet")
	s.Lifetime = model.Subscriber(curve, s.Mean)
	s.Simple = model.Simple(s.Mean, s.Churn)
}
