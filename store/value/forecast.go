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

// expected keeps what is expected of each buyer, once all models are fitted. Most of it is as it was, and not written
// again.
func (c *computing) expected(ctx context.Context) error {
	c.fitting.Wait()
	var o outlooks
	for currency, r := range c.reports {
		if r.Forecast.Again != nil {
			o.add(r, c.past[currency])
		}
	}
	made := table{"value_expected", expectedSQL, []any{c.now, c.zone, o.currency, o.x, o.last, o.watched, o.alive,
		o.spends, o.more}}
	if err := made.make(ctx, c.tx); err != nil {
		return err
	}
	for _, sql := range []string{goneSQL, changedSQL} {
		if _, err := c.tx.Exec(ctx, sql, c.store); err != nil {
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

// expectedSQL is what is expected of buyers: those with the same history differ by what they spent. It has two digits:
// no forecast is surer, and so it is the same on most days.
const expectedSQL = `
	CREATE TEMP TABLE value_expected ON COMMIT DROP AS
	SELECT
		b.customer_id,
		b.currency COLLATE "default" AS currency,
		CASE WHEN o.alive < 1 THEN LEAST(round(o.alive::numeric, 2), 0.99) ELSE 1 END::float8 AS alive,
		round(LEAST(e.spends, 9e18)::numeric, CASE WHEN e.spends >= 100 THEN 1 - floor(log(e.spends))::int ELSE 0 END)::bigint
			AS expected
	FROM value_buyers b
	JOIN unnest($3::text[], $4::bigint[], $5::int[], $6::int[], $7::float8[], $8::float8[], $9::float8[])
		AS o (currency, x, last, watched, alive, spends, more)
		ON o.currency COLLATE "C" = b.currency
			AND o.x = b.visits - 1
			AND o.last = b.last - b.bought
			AND o.watched = ($1::timestamptz AT TIME ZONE $2)::date - b.bought
	CROSS JOIN LATERAL (SELECT o.spends + o.more * coalesce(b.later_net, 0)::float8 AS spends) e
	WHERE b.visits > 0`

const goneSQL = `
	DELETE FROM value_people p
	WHERE p.store_id = $1
	  AND NOT EXISTS (SELECT FROM value_expected e WHERE (e.customer_id, e.currency) = (p.customer_id, p.currency))`

const changedSQL = `
	INSERT INTO value_people (store_id, currency, customer_id, alive, expected)
	SELECT $1, e.currency, e.customer_id, e.alive, e.expected
	FROM value_expected e
	LEFT JOIN value_people p ON p.store_id = $1 AND (p.customer_id, p.currency) = (e.customer_id, e.currency)
	WHERE (p.alive, p.expected) IS DISTINCT FROM (e.alive, e.expected)
	ORDER BY e.customer_id -- as the key has them
	ON CONFLICT (store_id, customer_id, currency) DO UPDATE SET
		alive = EXCLUDED.alive,
		expected = EXCLUDED.expected`

// outlooks are what is expected of buyers with the same history, a list for each column.
type outlooks struct {
	currency            []string
	x                   []int64
	last, watched       []int32
	alive, spends, more []float64
}

func (o *outlooks) add(r *Report, h *past) {
	for _, b := range h.Now {
		of := r.Forecast.Outlook(b)
		o.currency, o.x = append(o.currency, r.Currency), append(o.x, b.X)
		o.alive, o.spends = append(o.alive, min(max(of.Alive, 0), 1)), append(o.spends, max(of.Spends, 0))
		o.more = append(o.more, max(of.More, 0))
	}
	o.last, o.watched = append(o.last, h.last...), append(o.watched, h.watched...)
}
