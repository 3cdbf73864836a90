package campaigns

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/mail"
	"rollcall/store/pg"
)

// Preview is who would get a mail of a campaign at a time, and who not, if nothing happens until then.
type Preview struct {
	At       time.Time     `json:"at"`
	TimeZone string        `json:"time_zone"`
	Counts   []Count       `json:"counts"`  // of all people
	Partial  bool          `json:"partial"` // of some of them: they are too many to decide about each
	People   []Previewed   `json:"people"`  // some of them
	Forecast []ForecastDay `json:"forecast"`

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
	Reason     string     `json:"reason"` // why it would not be sent then; empty: it would
	Until      *time.Time `json:"until"`  // when it would be asked about again; null: never
}

// ForecastDay is how many mails become due on a day, if nothing happens that reaches the goal or ends a run.
type ForecastDay struct {
	Day   string `json:"day"` // 2026-03-31, in the store's time zone
	Mails int64  `json:"mails"`
}

// PreviewOf says what to preview.
type PreviewOf struct {
	At     time.Time
	Reason *string // only people of this one; nil: all
	Cursor string
	Limit  int
}

// mostDecided is how many mails of a campaign a preview decides about: more would take too long to wait for.
const mostDecided = 20_000

// forecastDays is how far a forecast looks.
const forecastDays = 14

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
		c.started(now)
		if p, err = s.preview(ctx, tx, &c, of, now); err != nil {
			return err
		}
		p.Forecast, err = s.forecast(ctx, tx, &c, p.TimeZone, now)
		return err
	})
	return p, err
}

// started has a draft start at a time, for a preview.
func (c *Campaign) started(now time.Time) {
	if c.StartsFrom == nil {
		c.StartsFrom, c.SwitchedAt = &now, &now
	}
}

func (s *Campaigns) preview(ctx context.Context, tx pgx.Tx, c *Campaign, of PreviewOf, now time.Time) (
	p Preview, err error) {
	p = Preview{At: of.At.UTC(), People: []Previewed{}, Counts: []Count{}}
	if p.TimeZone, err = zone(ctx, tx, c.store); err != nil {
		return p, err
	}
	args := pg.Arguments{of.At}
	decided, err := s.decided(ctx, tx, c, now, &args)
	if err != nil {
		return p, err
	}
	email, occurrence, _ := strings.Cut(of.Cursor, "\n")
	var counts, people []byte
	err = tx.QueryRow(ctx, decided+`,
		theirs AS (
			SELECT * FROM decided WHERE campaign_id = `+args.Add(c.ID)+`
		)
		SELECT
			(SELECT jsonb_agg(g) FROM (SELECT reason, count(*) AS mails FROM theirs GROUP BY reason ORDER BY 2 DESC, 1) g),
			(SELECT jsonb_agg(g) FROM (
				SELECT coalesce(c.id::text, '') AS customer, coalesce(c.name, '') AS name, t.email, t.step, t.occurrence, t.variant,
					t.reason, t.until
				FROM theirs t
				LEFT JOIN customers c ON c.store_id = t.store_id AND c.email = t.email
				WHERE t.reason = coalesce(`+args.Add(of.Reason)+`, t.reason)
				  AND (t.email, t.occurrence) > (`+args.Add(email)+`, `+args.Add(occurrence)+`)
				ORDER BY t.email, t.occurrence
				LIMIT `+args.Add(of.Limit+1)+`
			) g)`, planned(args)...).Scan(&counts, &people)
	if err == nil && counts != nil {
		err = json.Unmarshal(counts, &p.Counts)
	}
	if err == nil && people != nil {
		err = json.Unmarshal(people, &p.People)
	}
	var all int64
	for _, n := range p.Counts {
		all += n.Mails
	}
	p.Partial = all >= mostDecided
	if len(p.People) > of.Limit {
		p.People = p.People[:of.Limit]
		last := p.People[of.Limit-1]
		p.Next = last.Email + "\n" + last.Occurrence
	}
	return p, err
}

// decided is SQL, the beginning of a statement, for all mails of a campaign as of the first of args, with what becomes
// of each: reason and until. Other campaigns that are on count too: a customer gets only so many mails a day.
func (s *Campaigns) decided(ctx context.Context, tx pgx.Tx, c *Campaign, now time.Time, args *pg.Arguments) (
	string, error) {
	at, _ := (*args)[0].(time.Time)
	z, err := zone(ctx, tx, c.store)
	if err != nil {
		return "", err
	}
	all := []Campaign{*c}
	if c.Class == Marketing {
		rows, err := tx.Query(ctx, selectCampaigns+`
			WHERE store_id = $1 AND state = 'on' AND class = 'marketing' AND id <> $2`,
			c.store, c.ID)
		if err != nil {
			return "", err
		}
		others, err := pgx.CollectRows(rows, scan)
		if err != nil {
			return "", err
		}
		all = append(all, others...)
	}
	var parts []string
	for i := range all {
		part, err := s.candidates(ctx, tx, ask(&all[i], at, z, args), now)
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
	}
	mails := mail.New(s.Store, func(context.Context, pgx.Tx, string, *pg.Arguments) (string, error) {
		return "m.verdict", nil
	})
	decide, err := mails.Decide(ctx, tx, c.store, args)
	if err != nil {
		return "", err
	}
	settings, err := mail.SettingsIn(ctx, tx, c.store)
	return `
		WITH m AS MATERIALIZED (` + strings.Join(parts, `
			UNION ALL`) + `
		),
		alone AS MATERIALIZED ( -- what is decided is computed once
			SELECT m.*, d.*
			FROM m
			CROSS JOIN LATERAL (` + decide + `) d
		),
		counted AS MATERIALIZED (
			SELECT m.*, CASE WHEN skip IS NULL AND until IS NULL AND class = 'marketing' THEN
				row_number() OVER (PARTITION BY email, class, skip IS NULL AND until IS NULL
					-- those that are still to be made come behind those that wait
					ORDER BY priority, CASE WHEN id = 0 THEN GREATEST(due_at, ` + args.Add(now) + `) ELSE due_at END, id = 0,
						due_at, id, campaign_id, occurrence) END AS nth
			FROM alone m
		),
		decided AS MATERIALIZED (
			SELECT *, coalesce(skip, CASE WHEN until IS NOT NULL THEN why END, CASE WHEN nth > ` + room(settings, at, z, args) +
		` THEN 'cap' END, '') AS reason
			FROM counted m
		)`, err
}
