package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store/pg"
)

// forecastDays is how far a forecast looks.
const forecastDays = 14

// ForecastDay is how many mails become due on a day, if nothing happens that reaches the goal or ends a run.
type ForecastDay struct {
	Day   string `json:"day"` // 2026-03-31, in the store's time zone
	Mails int64  `json:"mails"`
}

// forecast counts the mails to some customers that become due on each of the next days, and returns how many they are.
func (s *Campaigns) forecast(ctx context.Context, tx pgx.Tx, c *Campaign, now time.Time, some sample, p *Preview) (
	mails int64, err error) {
	var args pg.Arguments
	begins, _ := mail.Day(now, mail.Zone(p.TimeZone))
	end := begins.AddDate(0, 0, forecastDays)
	a := ask(c, end.Add(-time.Microsecond), p.TimeZone, &args)
	a.among = some.among(&args)
	a.entersFrom(now)
	entering, err := s.entering(ctx, tx, a)
	if err != nil {
		return 0, err
	}
	from, to, at, nth := c.chains()
	today := args.Add(now) + "::timestamptz"
	rows := pg.Query(ctx, tx, `
		WITH due AS (
			SELECT x.at + w.wait AS at
			FROM (
				SELECT n.step, GREATEST(r.next_at, `+today+`) AS at, `+a.conditions()+` AS met`+a.theRuns()+`
				  AND `+a.ofRun()+` IS NULL
				UNION ALL
				SELECT `+args.Add(c.Steps[0].Key)+`, GREATEST(became_due_at + `+a.wait(0)+`, `+today+`), met
				FROM (`+entering+`) e
				WHERE arm <> 'held'
			) x
			JOIN unnest(`+args.Add(from)+`::text[], `+args.Add(to)+`::text[], `+args.Add(at)+`::interval[],
				`+args.Add(nth)+`::integer[]) AS w(step, mail, wait, nth) ON w.step = x.step AND x.met[w.nth]
			UNION ALL
			SELECT GREATEST(m.due_at, `+today+`)
			FROM mails m
			WHERE m.store_id = `+a.fill("@store", nil)+`
			  AND m.status = 'due'
			  AND m.class <> 'test'
			  AND `+a.hasStep()+`
			  AND m.campaign_id = `+a.fill("@campaign", nil)+a.among("m.email")+`
		)
		SELECT to_char(d.day, 'YYYY-MM-DD'), count(due.at)
		FROM generate_series(`+args.Add(begins.Format(time.DateOnly))+`::date::timestamp, `+
		args.Add(begins.AddDate(0, 0, forecastDays-1).Format(time.DateOnly))+`::date, '1 day') AS d(day)
		LEFT JOIN due ON (due.at AT TIME ZONE `+a.fill("@zone", nil)+`)::date = d.day
		GROUP BY 1
		ORDER BY 1`, planned(args)...)
	p.ForecastEvery = some.every()
	p.Forecast, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ForecastDay])
	for i := range p.Forecast {
		mails += p.Forecast[i].Mails
		p.Forecast[i].Mails = some.ofAll(p.Forecast[i].Mails)
	}
	return mails, err
}

// chains are, for each step, the mails that follow from it on, each with how long after it comes, and with its place
// from 1.
func (c *Campaign) chains() (from, to []string, at []time.Duration, nth []int) {
	for i, st := range c.Steps {
		var after time.Duration
		for j := i; j < len(c.Steps); j++ {
			if j > i {
				after += time.Duration(c.Steps[j].Wait)
			}
			if c.Steps[j].Do == DoMail {
				from, to = append(from, st.Key), append(to, c.Steps[j].Key)
				at, nth = append(at, after), append(nth, j+1)
			}
		}
	}
	return from, to, at, nth
}
