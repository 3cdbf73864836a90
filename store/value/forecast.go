package value

import (
	"context"

	"github.com/jackc/pgx/v5"

	model "rollcall/value"
)

// historySQL groups buyers by how often they bought again, when last, and how long ago they first bought, in weeks.
const historySQL = `
	SELECT currency, x, (last - first) / 7.0, (today - first) / 7.0, count(*)
	FROM (
		SELECT
			currency,
			max(n) - 1 AS x,
			min(day) AS first,
			max(day) AS last,
			($1::timestamptz AT TIME ZONE $2)::date AS today
		FROM value_visits
		GROUP BY customer_id, currency
	) v
	GROUP BY 1, 2, 3, 4
	ORDER BY 1, 2, 3, 4`

// beforeSQL is the same as of the day that is four fifths of the time after the first purchase of all, and how often
// these people bought in the rest of the time.
const beforeSQL = `
	WITH cut AS (
		SELECT currency, min(day) + (($1::timestamptz AT TIME ZONE $2)::date - min(day)) * 4 / 5 AS cut
		FROM value_visits
		GROUP BY currency
	)
	SELECT currency, x, (last - first) / 7.0, (cut - first) / 7.0, count(*), sum(later)::bigint,
		(($1::timestamptz AT TIME ZONE $2)::date - cut) / 7.0
	FROM (
		SELECT
			currency,
			cut,
			count(*) FILTER (WHERE day <= cut) - 1 AS x,
			min(day) AS first,
			max(day) FILTER (WHERE day <= cut) AS last,
			count(*) FILTER (WHERE day > cut) AS later
		FROM value_visits
		JOIN cut USING (currency)
		GROUP BY customer_id, currency, cut
		HAVING min(day) <= cut
	) v
	GROUP BY currency, cut, 2, 3, 4
	ORDER BY 1, 2, 3, 4`

// spendersSQL groups those who bought again by how often and for how much on average.
const spendersSQL = `
	SELECT currency, x, mean, count(*)
	FROM (
		SELECT currency, count(*) AS x, avg(net)::float8 AS mean
		FROM value_visits
		WHERE n > 1
		GROUP BY customer_id, currency
	) v
	GROUP BY 1, 2, 3
	ORDER BY 1, 2, 3`

func (c *computing) forecast(ctx context.Context) error {
	history := map[string]*model.History{}
	of := func(r *Report) *model.History {
		if history[r.Currency] == nil {
			history[r.Currency] = &model.History{}
		}
		return history[r.Currency]
	}
	var b model.Buyers
	if err := c.each(ctx, historySQL, []any{c.now, c.zone}, []any{&b.X, &b.Last, &b.Watched, &b.N}, func(r *Report) {
		h := of(r)
		h.Now, h.Weeks = append(h.Now, b), max(h.Weeks, b.Watched)
	}); err != nil {
		return err
	}
	var later int64
	var weeks float64
	if err := c.each(ctx, beforeSQL, []any{c.now, c.zone}, []any{&b.X, &b.Last, &b.Watched, &b.N, &later, &weeks},
		func(r *Report) {
			h := of(r)
			h.Before, h.Later, h.LaterWeeks = append(h.Before, b), h.Later+later, weeks
		}); err != nil {
		return err
	}
	var s model.Spenders
	if err := c.each(ctx, spendersSQL, nil, []any{&s.X, &s.Mean, &s.N}, func(r *Report) {
		of(r).Spenders = append(of(r).Spenders, s)
	}); err != nil {
		return err
	}
	if _, err := c.tx.Exec(ctx, `DELETE FROM value_people WHERE store_id = $1`, c.store); err != nil {
		return err
	}
	for currency, r := range c.reports {
		if h := history[currency]; h != nil {
			r.Forecast = model.Predict(*h)
		} else {
			r.Forecast = model.Predict(model.History{})
		}
		if r.Forecast.Again != nil {
			if err := c.expect(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// peopleSQL are the buyers of a currency, with what the models need of each.
const peopleSQL = `
	SELECT
		customer_id,
		max(n) - 1,
		(max(day) - min(day)) / 7.0,
		(($1::timestamptz AT TIME ZONE $2)::date - min(day)) / 7.0,
		coalesce(avg(net) FILTER (WHERE n > 1), 0)::float8
	FROM value_visits
	WHERE currency = $3
	GROUP BY customer_id
	ORDER BY customer_id`

// expect keeps what is expected of each buyer.
func (c *computing) expect(ctx context.Context, r *Report) error {
	rows, err := c.tx.Query(ctx, peopleSQL, c.now, c.zone, r.Currency)
	if err != nil {
		return err
	}
	people, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one []any, err error) {
		var id int64
		var b model.Buyers
		var mean float64
		if err := row.Scan(&id, &b.X, &b.Last, &b.Watched, &mean); err != nil {
			return nil, err
		}
		alive, spends := r.Forecast.Worth(b, mean)
		return []any{c.store, r.Currency, id, min(max(alive, 0), 1), int64(max(spends, 0) + .5)}, nil
	})
	if err != nil {
		return err
	}
	_, err = c.tx.CopyFrom(ctx, pgx.Identifier{"value_people"},
		[]string{"store_id", "currency", "customer_id", "alive", "expected"}, pgx.CopyFromRows(people))
	return err
}
