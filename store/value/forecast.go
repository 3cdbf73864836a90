package value

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	model "rollcall/value"
)

// historySQL groups buyers by how often they bought again, when last, and how long ago they first bought, in weeks.
const historySQL = `
	SELECT currency, visits - 1, (last - bought) / 7.0, (($1::timestamptz AT TIME ZONE $2)::date - bought) / 7.0, count(*)
	FROM value_buyers
	WHERE visits > 0
	GROUP BY 1, 2, 3, 4
	ORDER BY 1, 2, 3, 4`

// beforeSQL is the same as of the day that is four fifths of the time after the first purchase of all, and how often
// these people bought in the rest of the time.
const beforeSQL = `
	SELECT currency, visits_before - 1, (last_before - bought) / 7.0, (cut - bought) / 7.0, count(*),
		sum(visits - visits_before)::bigint, (($1::timestamptz AT TIME ZONE $2)::date - cut) / 7.0
	FROM value_buyers
	WHERE visits_before > 0
	GROUP BY currency, cut, 2, 3, 4
	ORDER BY 1, 2, 3, 4`

// spendersSQL groups those who bought again by how often and for how much on average.
const spendersSQL = `
	SELECT currency, x, mean, count(*)
	FROM (
		SELECT currency, visits - 1 AS x, (later_net / (visits - 1))::float8 AS mean
		FROM value_buyers
		WHERE visits > 1
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
	if err := c.each(ctx, historySQL, c.until(), []any{&b.X, &b.Last, &b.Watched, &b.N}, func(r *Report) {
		h := of(r)
		h.Now, h.Weeks = append(h.Now, b), max(h.Weeks, b.Watched)
	}); err != nil {
		return err
	}
	var later int64
	var weeks float64
	if err := c.each(ctx, beforeSQL, c.until(), []any{&b.X, &b.Last, &b.Watched, &b.N, &later, &weeks},
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
	c.predict(history)
	for _, r := range c.reports {
		if r.Forecast.Again == nil {
			continue
		}
		if err := c.expect(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// predict fits the models of all currencies at once.
func (c *computing) predict(history map[string]*model.History) {
	var all sync.WaitGroup
	for currency, r := range c.reports {
		all.Go(func() {
			h := model.History{}
			if known := history[currency]; known != nil {
				h = *known
			}
			r.Forecast = model.Predict(h)
		})
	}
	all.Wait()
}

// peopleSQL are the buyers of a currency, with what the models need of each.
const peopleSQL = `
	SELECT
		customer_id,
		visits - 1,
		(last - bought) / 7.0,
		(($1::timestamptz AT TIME ZONE $2)::date - bought) / 7.0,
		CASE WHEN visits > 1 THEN later_net / (visits - 1) ELSE 0 END::float8
	FROM value_buyers
	WHERE currency = $3
	  AND visits > 0
	ORDER BY customer_id`

// expect keeps what is expected of each buyer.
func (c *computing) expect(ctx context.Context, r *Report) error {
	rows, err := c.tx.Query(ctx, peopleSQL, c.now, c.zone, r.Currency)
	if err != nil {
		return err
	}
	worth := r.Forecast.Worths()
	people, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one []any, err error) {
		var id int64
		var b model.Buyers
		var mean float64
		if err := row.Scan(&id, &b.X, &b.Last, &b.Watched, &mean); err != nil {
			return nil, err
		}
		alive, spends := worth(b, mean)
		return []any{c.store, r.Currency, id, min(max(alive, 0), 1), int64(max(spends, 0) + .5)}, nil
	})
	if err != nil {
		return err
	}
	_, err = c.tx.CopyFrom(ctx, pgx.Identifier{"value_people"},
		[]string{"store_id", "currency", "customer_id", "alive", "expected"}, pgx.CopyFromRows(people))
	return err
}
