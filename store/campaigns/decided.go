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
// counts too: there are only so many mails a day, and of one recipe for one occurrence only those of one campaign.
func (s *Campaigns) decided(ctx context.Context, tx pgx.Tx, c *Campaign, now time.Time, some sample,
	args *pg.Arguments) (string, error) {
	at, _ := (*args)[0].(time.Time)
	z, err := zone(ctx, tx, c.store)
	if err != nil {
		return "", err
	}
	alike, err := kinOf(ctx, tx, c.store, c.ID)
	if err != nil {
		return "", err
	}
	a, k := ask(c, at, z, args), alike.in(args)
	a.among = some.among(args)
	parts, err := s.parts(ctx, tx, a, k, now)
	if err != nil {
		return "", err
	}
	mails := storemail.New(s.Store, func(context.Context, pgx.Tx, string, *pg.Arguments) (storemail.Said, error) {
		return storemail.Said{Skip: "coalesce(m.verdict, " + k.skip() + ")"}, nil
	})
	decide, err := mails.Decide(ctx, tx, c.store, args)
	if err != nil {
		return "", err
	}
	settings, err := storemail.SettingsIn(ctx, tx, c.store)
	begins, _ := mail.Day(at, mail.Zone(z))
	ofStore, ofAll := mails.Room(settings, begins, at, args)
	return `
		WITH ` + parts + `
		alone AS MATERIALIZED ( -- what is decided is computed once
			SELECT m.*, d.*, skip IS NULL AND until IS NULL AS goes, ` + k.shared() + ` AS shared
			FROM m
			CROSS JOIN LATERAL (` + decide + `) d
		),
		first AS (
			SELECT m.*, shared IS NULL OR campaign_id = first_value(campaign_id) OVER recipe AS is_first
			FROM alone m
			WINDOW recipe AS (PARTITION BY email, goes, shared ORDER BY ` + inTurn + `)
		),
		counted AS (
			SELECT m.*, CASE WHEN goes AND class = 'marketing' THEN count(*) FILTER (WHERE is_first) OVER (
				PARTITION BY email, goes, class ORDER BY ` + inTurn + ` ROWS UNBOUNDED PRECEDING) END AS nth
			FROM first m
		),
		capped AS MATERIALIZED (
			SELECT m.*, CASE WHEN nth > 0 THEN
				CASE WHEN nth > ` + ofStore + ` THEN 'cap' WHEN nth > ` + ofAll + ` THEN 'cap_all' END END AS capped
			FROM counted m
		),
		decided AS MATERIALIZED (
			SELECT m.*, coalesce(skip, CASE WHEN until IS NOT NULL THEN why END, CASE
				WHEN campaign_id <> first_value(campaign_id) OVER sent AND bool_or(capped IS NULL) OVER recipe AND shared <> ''
					THEN 'twice'
				ELSE capped END, '') AS reason
			FROM capped m
			WINDOW recipe AS (PARTITION BY email, goes, shared ORDER BY ` + inTurn + `),
				sent AS (PARTITION BY email, goes, shared ORDER BY capped IS NOT NULL, ` + inTurn + `)
		),
		theirs AS (
			SELECT * FROM decided WHERE campaign_id = ` + args.Add(c.ID) + `
		)`, err
}

// inTurn is SQL for the order in which mails m to a customer go.
const inTurn = `priority, ` + storemail.Order + `, id = 0, id`

// parts is SQL for the first tables of decided, of which m has all that is to be decided about.
func (s *Campaigns) parts(ctx context.Context, tx pgx.Tx, a *asking, k kinSQL, now time.Time) (string, error) {
	mine, err := s.candidates(ctx, tx, a, now)
	sql := `mine AS MATERIALIZED (` + mine + `
		),
		m AS MATERIALIZED (
			SELECT * FROM mine`
	if err == nil && (a.c.Class == Marketing || k.has(a.c.Recipe)) {
		rows := pg.Query(ctx, tx, selectCampaigns+`
			WHERE store_id = $1 AND state = 'on' AND id <> $2 AND (class = 'marketing' OR recipe = ANY($3))`,
			a.c.store, a.c.ID, append([]string{}, k.recipes...))
		others, err := pgx.CollectRows(rows, scan)
		if err != nil {
			return "", err
		}
		for i := range others {
			other := ask(&others[i], a.now, a.zone, a.args)
			other.among = func(email string) string { return ` AND ` + email + ` IN (SELECT email FROM mine)` }
			theirs, err := s.candidates(ctx, tx, other, now)
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
