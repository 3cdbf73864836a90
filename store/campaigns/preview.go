package campaigns

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/mail"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// Preview is who would get a mail of a campaign at a time, and who not, if nothing happens until then.
type Preview struct {
	State    string        `json:"state"` // of the campaign; one that has ended sends nothing
	At       time.Time     `json:"at"`
	TimeZone string        `json:"time_zone"`
	Every    int           `json:"every"` // one customer in so many was asked about, see mostDecided; 1: all
	Counts   []Count       `json:"counts"`
	People   []Previewed   `json:"people"` // some of those who were asked about
	Forecast []ForecastDay `json:"forecast"`
	Lacks    string        `json:"lacks"` // why it could not be switched on; empty: it can

	ForecastEvery int `json:"forecast_every"` // as Every

	Next string `json:"-"` // cursor of the next page of people; empty: there is none
}

// Count is how many mails one reason is about.
type Count struct {
	Reason string `json:"reason"` // empty: they would be sent
	Mails  int64  `json:"mails"`
}

// Previewed is one mail in a preview.
type Previewed struct {
	Customer   string     `json:"customer"` // id; empty: there is none any more
	Name       string     `json:"name"`     // may be empty
	Email      string     `json:"email"`
	Step       string     `json:"step"`
	Occurrence string     `json:"occurrence"`
	Variant    string     `json:"variant"`
	Reason     string     `json:"reason"`    // why it would not be sent then; empty: it would
	Until      *time.Time `json:"until"`     // when it would be asked about again; null: never
	TimeZone   string     `json:"time_zone"` // of the quiet hours, if they are not the store's; else empty
}

// Why is the reason in words.
func (p Previewed) Why() string { return storemail.Why(p.Reason, p.TimeZone, p.Until) }

// PreviewOf says what to preview.
type PreviewOf struct {
	At     time.Time
	Reason *string // only people of this one; nil: all
	Cursor string
	Limit  int
}

// Preview shows whom a campaign would mail at a time. It asks what entering, steps and the claim of mails ask, all
// as of that time, and writes nothing. A draft starts now.
func (s *Campaigns) Preview(ctx context.Context, storeID, id string, of PreviewOf, now time.Time) (
	p Preview, err error) {
	defer pg.Wrap(&err, "campaigns.Preview(%q, %q)", storeID, id)
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		c, err := one(ctx, tx, storeID, id, "")
		if err != nil {
			return err
		}
		p.State, p.At = c.State, of.At.UTC()
		if p.TimeZone, err = zone(ctx, tx, c.store); err != nil {
			return err
		}
		if p.Lacks, err = c.leadsNowhere(ctx, tx); err != nil {
			return err
		}
		if c.State == Ended { // it sends nothing more
			p.none(now)
			return nil
		}
		c.started(now)
		from, err := s.sampler(ctx, tx, c.store)
		if err != nil {
			return err
		}
		if err = from.try(ctx, func(some sample) (int64, error) {
			return s.look(ctx, tx, &c, of, now, some, &p)
		}); err != nil {
			return err
		}
		return from.try(ctx, func(some sample) (int64, error) {
			return s.forecast(ctx, tx, &c, now, some, &p)
		})
	})
	return p, err
}

// unmailed says how many of those whom a campaign reaches at once would get no mail then, and why; empty: none, or not
// yet.
func (s *Campaigns) unmailed(ctx context.Context, tx pgx.Tx, c Campaign, from, now time.Time) (text string, err error) {
	var p Preview
	c.StartsFrom, c.SwitchedAt, c.EnteredAt = &from, &now, nil
	of, err := s.sampler(ctx, tx, c.store)
	if err == nil {
		err = of.try(ctx, func(some sample) (int64, error) {
			return s.look(ctx, tx, &c, PreviewOf{At: maxTime(from, now), Limit: 1}, now, some, &p)
		})
	}
	var sum int64
	var reasons []string
	for _, n := range p.Counts {
		if n.Reason != "" {
			sum += n.Mails
			reasons = append(reasons, fmt.Sprintf("%s (%s)", mail.ReasonText(n.Reason), show.Number(int(n.Mails))))
		}
	}
	if sum == 0 || err != nil {
		return "", err
	}
	about := ""
	if p.Every > 1 {
		about = "About "
	}
	return fmt.Sprintf(". %s%s of them would get no mail then: %s", about, show.Number(int(sum)),
		strings.Join(reasons, "; ")), nil
}

// none says that there is no mail.
func (p *Preview) none(now time.Time) {
	p.Every, p.ForecastEvery, p.Counts, p.People = 1, 1, []Count{}, []Previewed{}
	begins, _ := mail.Day(now, mail.Zone(p.TimeZone))
	for i := range forecastDays {
		p.Forecast = append(p.Forecast, ForecastDay{Day: begins.AddDate(0, 0, i).Format(time.DateOnly)})
	}
}

// started has a draft start at a time, for a preview.
func (c *Campaign) started(now time.Time) {
	if c.StartsFrom == nil {
		c.StartsFrom, c.SwitchedAt = &now, &now
	}
}

// look decides about the mails to some customers, and fills in what a preview says of them. It returns how many they
// are.
func (s *Campaigns) look(ctx context.Context, tx pgx.Tx, c *Campaign, of PreviewOf, now time.Time, some sample,
	p *Preview) (mails int64, err error) {
	args := pg.Arguments{of.At}
	decided, err := s.decided(ctx, tx, c, now, some, &args)
	if err != nil {
		return 0, err
	}
	behind := append(strings.Split(of.Cursor, "\n"), "", "")
	var counts, people []byte
	err = tx.QueryRow(ctx, decided+`
		SELECT
			(SELECT jsonb_agg(g) FROM (SELECT reason, count(*) AS mails FROM theirs GROUP BY reason ORDER BY 2 DESC, 1) g),
			(SELECT jsonb_agg(g) FROM (
				SELECT coalesce(c.id::text, '') AS customer, coalesce(c.name, '') AS name, t.email, t.step, t.occurrence, t.variant,
					t.reason, t.until,
					CASE WHEN t.reason = 'quiet' THEN coalesce(t.theirs, '') ELSE '' END AS time_zone
				FROM theirs t
				LEFT JOIN customers c ON c.store_id = t.store_id AND c.email = t.email
				WHERE t.reason = coalesce(`+args.Add(of.Reason)+`, t.reason)
				  AND (t.email, t.occurrence, t.step) > (`+args.Add(behind[0])+`, `+args.Add(behind[1])+`, `+
		args.Add(behind[2])+`)
				ORDER BY t.email, t.occurrence, t.step
				LIMIT `+args.Add(of.Limit+1)+`
			) g)`, planned(args)...).Scan(&counts, &people)
	p.Every, p.Counts, p.People, p.Next = some.every(), []Count{}, []Previewed{}, ""
	if err == nil && counts != nil {
		err = json.Unmarshal(counts, &p.Counts)
	}
	if err == nil && people != nil {
		err = json.Unmarshal(people, &p.People)
	}
	for i := range p.Counts {
		mails += p.Counts[i].Mails
		p.Counts[i].Mails = some.ofAll(p.Counts[i].Mails)
	}
	if len(p.People) > of.Limit {
		p.People = p.People[:of.Limit]
		last := p.People[of.Limit-1]
		p.Next = last.Email + "\n" + last.Occurrence + "\n" + last.Step
	}
	return mails, err
}
