package value

import (
	"context"

	model "rollcall/value"
)

// againSQL is how long it took people to buy a second time, in days, up to the day of $1 in the zone $2.
const againSQL = `
	SELECT currency, coalesce(second, ($1::timestamptz AT TIME ZONE $2)::date) - bought, second IS NOT NULL, count(*)
	FROM value_buyers
	WHERE bought IS NOT NULL
	GROUP BY 1, 2, 3
	ORDER BY 1, 2, 3`

// withinSQL counts those whose first purchase is at least so many days ago, and those of them who bought again in time.
const withinSQL = `
	SELECT currency, days, count(*), count(*) FILTER (WHERE second - bought <= days)
	FROM value_buyers
	CROSS JOIN unnest($3::int[]) days
	WHERE bought + days <= ($1::timestamptz AT TIME ZONE $2)::date
	GROUP BY currency, days
	ORDER BY currency, days`

// repeatDays are the times in which people may have bought again.
var repeatDays = []int{30, 90, 365}

func (c *computing) again(ctx context.Context) error {
	lives, err := c.lives(ctx, againSQL)
	if err != nil {
		return err
	}
	within := map[string]map[int]model.Share{}
	var days int
	var of, did int64
	if err := c.each(ctx, withinSQL, []any{c.now, c.zone, repeatDays}, []any{&days, &of, &did}, func(r *Report) {
		if within[r.Currency] == nil {
			within[r.Currency] = map[int]model.Share{}
		}
		within[r.Currency][days] = model.Proportion(did, of, "")
	}); err != nil {
		return err
	}
	for currency, r := range c.reports {
		curve := model.Survive(lives[currency])
		r.Again.Curve, r.Again.Median = curve.Thin(), curve.Median()
		for _, days := range repeatDays {
			share, known := within[currency][days]
			if !known {
				share = model.Proportion(0, 0, "no first purchase is that long ago")
			}
			r.Again.Within = append(r.Again.Within, Within{days, share})
		}
	}
	return nil
}
