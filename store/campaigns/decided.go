package campaigns

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// decided is SQL, the beginning of a statement, for the mails of a campaign to some customers as of the first of args,
// and what becomes of each: theirs, with reason and until. What these customers get of other campaigns that are on
// counts too: there are only so many mails a day.
func (s *Campaigns) decided(ctx context.Context, tx pgx.Tx, c *Campaign, now time.Time, some sample,
	args *pg.Arguments) (string, error) {
	at, _ := (*args)[0].(time.Time)
	z, err := zone(ctx, tx, c.store)
	if err != nil {
		return "", err
	}
	parts, err := s.parts(ctx, tx, c, now, some.among(args), z, args)
	if err != nil {
		return "", err
	}
	twice, _, err := twice(ctx, tx, c.store, args)
	if err != nil {
		return "", err
	}
	mails := storemail.New(s.Store, func(context.Context, pgx.Tx, string, *pg.Arguments) (storemail.Said, error) {
		return storemail.Said{Skip: "coalesce(m.verdict, " + twice + ")"}, nil
	})
	decide, err := mails.Decide(ctx, tx, c.store, args)
	if err != nil {
		return "", err
	}
	settings, err := storemail.SettingsIn(ctx, tx, c.store)
	return `
		WITH ` + parts + `
		alone AS MATERIALIZED ( -- what is decided is computed once
			SELECT m.*, d.*
			FROM m
			CROSS JOIN LATERAL (` + decide + `) d
		),
		counted AS MATERIALIZED (
			SELECT m.*, CASE WHEN skip IS NULL AND until IS NULL AND class = 'marketing' THEN
				row_number() OVER (PARTITION BY email, class, skip IS NULL AND until IS NULL
					ORDER BY priority, ` + storemail.Order + `, id = 0, id) END AS nth
			FROM alone m
		),
		decided AS MATERIALIZED (
			SELECT *, coalesce(skip, CASE WHEN until IS NOT NULL THEN why END, CASE WHEN nth > ` + room(settings, at, z, args) +
		` THEN 'cap' END, '') AS reason
			FROM counted m
		),
		theirs AS (
			SELECT * FROM decided WHERE campaign_id = ` + args.Add(c.ID) + `
		)`, err
}

// parts is SQL for the first tables of decided, of which m has all that is to be decided about.
func (s *Campaigns) parts(ctx context.Context, tx pgx.Tx, c *Campaign, now time.Time, among condition, z string,
	args *pg.Arguments) (string, error) {
	at, _ := (*args)[0].(time.Time)
	table := func(c *Campaign, among condition) (string, error) {
		a := ask(c, at, z, args)
		a.among = among
		return s.candidates(ctx, tx, a, now)
	}
	mine, err := table(c, among)
	sql := `mine AS MATERIALIZED (` + mine + `
		),
		m AS MATERIALIZED (
			SELECT * FROM mine`
	if err == nil && c.Class == Marketing {
		rows := pg.Query(ctx, tx, selectCampaigns+`
			WHERE store_id = $1 AND state = 'on' AND class = 'marketing' AND id <> $2`,
			c.store, c.ID)
		others, err := pgx.CollectRows(rows, scan)
		if err != nil {
			return "", err
		}
		for i := range others {
			theirs, err := table(&others[i], func(email string) string {
				return ` AND ` + email + ` IN (SELECT email FROM mine)`
			})
			if err != nil {
				return "", err
			}
			sql += `
			UNION ALL` + theirs
		}
	}
	return sql + `
		),`, err
}

// room is SQL for how many more marketing mails the customer of m may get now.
func room(s storemail.Settings, at time.Time, z string, args *pg.Arguments) string {
	left := func(most *int, since time.Time) string {
		if most == nil {
			return "NULL::bigint"
		}
		return args.Add(*most) + `::bigint - (
			SELECT count(*)
			FROM mails o
			WHERE o.store_id = m.store_id
			  AND o.email = m.email
			  AND o.class = 'marketing'
			  AND o.status || '' IN ('sending', 'sent', 'unknown') -- they are found by the customer
			  AND o.claimed_at >= ` + args.Add(since) + `)`
	}
	begins, _ := mail.Day(at, mail.Zone(z))
	return `LEAST(` + left(s.CapDay, begins) + `, ` + left(s.CapWeek, at.Add(-7*day)) + `)`
}
