package value

import (
	"context"

	model "rollcall/value"
)

// historySQL groups buyers by how often they bought again, how many days later for the last time, and how many days ago
// they first bought.
const historySQL = `
	SELECT currency, visits - 1, last - bought, ($1::timestamptz AT TIME ZONE $2)::date - bought, count(*)
	FROM value_buyers
	WHERE visits > 0
	GROUP BY 1, 2, 3, 4
	ORDER BY 1, 2, 3, 4`

// beforeSQL is the same as of the day that is four fifths of the time after the first purchase of all, and how often
// these people bought in the rest of the time.
const beforeSQL = `
	SELECT currency, visits_before - 1, last_before - bought, cut - bought, count(*), sum(visits - visits_before)::bigint,
		($1::timestamptz AT TIME ZONE $2)::date - cut
	FROM value_buyers
	WHERE visits_before > 0
	GROUP BY currency, cut, 2, 3, 4
	ORDER BY 1, 2, 3, 4`

// spendersSQL groups those who bought again by how often and for how much on average.
const spendersSQL = `
	SELECT currency, visits - 1, later_net::float8, count(*)
	FROM value_buyers
	WHERE visits > 1
	GROUP BY 1, 2, 3
	ORDER BY 1, 2, 3`

// past is what buyers of a currency did, and their days as they are grouped.
type past struct {
	model.History
	last, watched []int32
}

// forecast reads what buyers did, and begins to fit models to it.
func (c *computing) forecast(ctx context.Context) error {
	c.past = map[string]*past{}
	of := func(r *Report) *past {
		if c.past[r.Currency] == nil {
			c.past[r.Currency] = &past{}
		}
		return c.past[r.Currency]
	}
	if err := c.history(ctx, of); err != nil {
		return err
	}
	for _, r := range c.reports {
		h := of(r).History
		c.fitting.Go(func() { r.Forecast = model.Predict(h) })
	}
	return nil
}

// expected keeps what is expected of each buyer, once all models are fitted.
func (c *computing) expected(ctx context.Context) error {
	c.fitting.Wait()
	if _, err := c.tx.Exec(ctx, `DELETE FROM value_people WHERE store_id = $1`, c.store); err != nil {
		return err
	}
	for currency, r := range c.reports {
		if r.Forecast.Again == nil {
			continue
		}
		if err := c.expect(ctx, r, c.past[currency]); err != nil {
			return err
		}
	}
	return nil
}

// history reads what buyers did.
func (c *computing) history(ctx context.Context, of func(*Report) *past) error {
	var b model.Buyers
	var last, watched int32
	if err := c.each(ctx, historySQL, c.until(), []any{&b.X, &last, &watched, &b.N}, func(r *Report) {
		h := of(r)
		b.Last, b.Watched = weeks(last), weeks(watched)
		h.last, h.watched = append(h.last, last), append(h.watched, watched)
		h.Now, h.Weeks = append(h.Now, b), max(h.Weeks, b.Watched)
	}); err != nil {
		return err
	}
	var later int64
	var rest int32
	if err := c.each(ctx, beforeSQL, c.until(), []any{&b.X, &last, &watched, &b.N, &later, &rest}, func(r *Report) {
		h := of(r)
		b.Last, b.Watched = weeks(last), weeks(watched)
		h.Before, h.Later, h.LaterWeeks = append(h.Before, b), h.Later+later, weeks(rest)
	}); err != nil {
		return err
	}
	var s model.Spenders
	return c.each(ctx, spendersSQL, nil, []any{&s.X, &s.Mean, &s.N}, func(r *Report) {
		s.Mean /= float64(s.X)
		of(r).Spenders = append(of(r).Spenders, s)
	})
}

func weeks(days int32) float64 { return float64(days) / 7 }

// expectSQL keeps what is expected of the buyers of a currency: those with the same history differ by what they spent.
const expectSQL = `
	INSERT INTO value_people (store_id, currency, customer_id, alive, expected)
	SELECT $1, $2, b.customer_id, o.alive,
		floor(LEAST(o.spends + o.more * coalesce(b.later_net, 0)::float8, 9e18) + 0.5)::bigint
	FROM value_buyers b
	JOIN unnest($5::bigint[], $6::int[], $7::int[], $8::float8[], $9::float8[], $10::float8[])
		AS o (x, last, watched, alive, spends, more)
		ON o.x = b.visits - 1
			AND o.last = b.last - b.bought
			AND o.watched = ($3::timestamptz AT TIME ZONE $4)::date - b.bought
	WHERE b.currency = $2
	  AND b.visits > 0
	ORDER BY b.customer_id` // as the key has them

// expect keeps what is expected of each buyer.
func (c *computing) expect(ctx context.Context, r *Report, h *past) error {
	x, alive, spends, more := []int64{}, []float64{}, []float64{}, []float64{}
	for _, b := range h.Now {
		o := r.Forecast.Outlook(b)
		x, alive = append(x, b.X), append(alive, min(max(o.Alive, 0), 1))
		spends, more = append(spends, max(o.Spends, 0)), append(more, max(o.More, 0))
	}
	_, err := c.tx.Exec(ctx, expectSQL, c.store, r.Currency, c.now, c.zone, x, h.last, h.watched, alive, spends, more)
	return err
}
