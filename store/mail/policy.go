package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store/pg"
)

// Decide is SQL for what becomes of a mail m at the moment that is the first of args: it selects
// skip (why it is not sent, in one word; NULL: it is), until (until when it waits; NULL: it does
// not), why (what it waits for: postal, cap, cap_all or quiet), and whose zone the quiet hours are of (theirs: a name;
// NULL: the store's). m is a row of mails, or another with the same columns. It writes nothing: the claim asks it, and
// previews do for other days.
func (m *Mails) Decide(ctx context.Context, tx pgx.Tx, storeID string, args *pg.Arguments) (sql string, err error) {
	sql, _, err = m.decide(ctx, tx, storeID, args)
	return sql, err
}

// decide is Decide, and what campaigns say of the mail.
func (m *Mails) decide(ctx context.Context, tx pgx.Tx, storeID string, args *pg.Arguments) (
	sql string, said Said, err error) {
	defer pg.Wrap(&err, "mail.Decide(%q)", storeID)
	said = Said{Skip: `NULL::text`, Class: `m.class`, Version: `m.version`}
	at, _ := (*args)[0].(time.Time)
	s, _, err := settings(ctx, tx, storeID)
	if err != nil {
		return "", said, err
	}
	zone, err := zoneOf(ctx, tx, storeID)
	if err != nil {
		return "", said, err
	}
	if m.skips != nil {
		if said, err = m.skips(ctx, tx, storeID, args); err != nil {
			return "", said, err
		}
	}
	theirs, err := zonesOfUsers(ctx, tx, s.Hours(), at)
	if err != nil {
		return "", said, err
	}
	return decideSQL(barred(s), waits(s, m.cap, at, zone, theirs, args), said.Skip), said, nil
}

// decideSQL is the policy: the first reason counts.
func decideSQL(barred string, w wait, campaigns string) string {
	return `
		SELECT
			coalesce(
				CASE WHEN $1 > m.not_after THEN 'late' END,
				` + barred + `,
				CASE WHEN ` + twin + ` THEN 'merged' END,
				CASE WHEN m.campaign_id NOT IN ('', '` + Digest + `') THEN (` + campaigns + `) END,
				CASE WHEN w.until > m.not_after THEN CASE w.why WHEN 'quiet' THEN 'late' ELSE w.why END END) AS skip,
			CASE
				WHEN w.until > $1 THEN GREATEST(w.until, LEAST(m.not_after,
					w.until + abs(hashtext(m.email) % 1800) * interval '1 second'))
			END AS until,
			w.why,
			CASE WHEN w.why = 'quiet' AND w.until > $1 THEN (` + w.zones + `)[w.nth] END AS theirs
		FROM (
			SELECT
				x.nth,
				GREATEST(x.postal, x.day, x.week, x.stores, x.quiet) AS until,
				CASE
					WHEN x.postal IS NOT NULL THEN 'postal'
					WHEN coalesce(x.day, x.week) IS NOT NULL THEN 'cap'
					WHEN x.stores IS NOT NULL THEN 'cap_all'
					ELSE 'quiet'
				END AS why
			FROM (
				SELECT z.nth, ` + w.postal + ` AS postal, ` + w.day + ` AS day, ` + w.week + ` AS week,
					` + w.stores + ` AS stores, ` + w.quiet + ` AS quiet
				FROM (SELECT ` + w.zone + ` AS nth OFFSET 0) z
				OFFSET 0
			) x
			OFFSET 0
		) w`
}

// twin is SQL for whether another mail has the key of m, since two customers were merged, and comes
// or came before it.
const twin = `EXISTS (
	SELECT
	FROM mails o
	WHERE o.campaign_id = m.campaign_id
	  AND o.step = m.step
	  AND o.email = m.email
	  AND o.occurrence = m.occurrence
	  AND o.store_id = m.store_id
	  AND o.id <> m.id
	  AND (o.status IN ('sending', 'sent', 'unknown') OR o.status = 'due' AND (o.twin <> 0, o.id) < (m.twin <> 0, m.id))
)`

// barred is SQL for why nothing like m may go to its address now, or NULL.
func barred(s Settings) string {
	return `CASE
		WHEN ` + stopped("m") + ` THEN 'stopped'
		WHEN NOT ` + consented(s) + ` THEN 'consent'
		WHEN m.class <> 'test' AND m.campaign_id <> '` + Digest + `' AND NOT EXISTS (
			SELECT FROM customers c WHERE c.store_id = m.store_id AND c.email = m.email
		) OR ` + erasedSQL("m") + ` THEN 'gone'
		WHEN ` + oddSQL("m") + ` THEN 'address'
	END`
}

// erasedSQL is SQL for whether an address stands for an erased person, and oddSQL for whether mail
// servers do not take it.
func erasedSQL(of string) string { return of + `.email LIKE '%@erased.invalid'` }
func oddSQL(of string) string    { return `split_part(` + of + `.email, '@', 1) ~ '[^!-~]'` }

// CanMail is SQL for whether marketing may go to customers c of a store: whether nothing bars a
// mail that is of no campaign. storeID is SQL. With OFFSET 0 as how Postgres looks up what each
// customer said; with nothing it may read what all of them did.
func CanMail(storeID, how string) string {
	return `CASE
		WHEN ` + erasedSQL("c") + ` OR ` + oddSQL("c") + ` THEN false
		WHEN ` + stops(storeID, "c.email", "'marketing'", "''") + ` THEN false
		WHEN ` + said("granted", storeID, how) + ` THEN true
		ELSE coalesce((SELECT soft_opt_in FROM mail_settings WHERE store_id = ` + storeID + `), false)
			AND c.type <> 'lead' AND NOT ` + said("denied", storeID, how) + `
	END`
}

// consented is SQL for whether there is the consent that the class of m needs.
func consented(s Settings) string {
	said := ConsentSQL("marketing", "m.store_id", "m.email")
	enough := said + ` = 'granted'`
	if s.SoftOptIn {
		enough = `CASE ` + said + ` WHEN 'granted' THEN true WHEN 'denied' THEN false ELSE EXISTS (
				SELECT FROM customers c WHERE c.store_id = m.store_id AND c.email = m.email AND c.type <> 'lead'
			) END`
	}
	return `coalesce(m.class <> 'marketing' OR ` + enough + `, false)`
}

// wait is SQL for until when m waits for each reason; NULL: not at all. zone is the place of the recipient's among
// zones.
type wait struct{ postal, day, week, stores, quiet, zone, zones string }

// askAgain is when marketing is asked about again that waits for the postal address of its store.
const askAgain = 15 * time.Minute

// waits counts on the days of the store's zone. What waits for the next day waits for the end of
// its quiet hours too.
func waits(s Settings, ofAll int, at time.Time, zone *time.Location, theirs theirZones, args *pg.Arguments) wait {
	none := `NULL::timestamptz`
	w := wait{postal: none, day: none, week: none, stores: none}
	if s.PostalAddress == "" {
		w.postal = `CASE WHEN m.class = 'marketing' THEN ` + args.Add(at.Add(askAgain)) + `::timestamptz END`
	}
	begins, next := mail.Day(at, zone)
	if s.CapDay != nil {
		w.day = nth(*s.CapDay, got(begins, args), args.Add(s.Hours().Next(next, zone))+`::timestamptz`, args)
	}
	if s.CapWeek != nil {
		w.week = nth(*s.CapWeek, got(at.Add(-week), args), weekLater, args)
	}
	if ofAll > 0 {
		w.stores = nth(ofAll, gotOfAll(at.Add(-week), args), weekLater, args)
	}
	theirs.quiet(&w, after(s.Hours().Next(at, zone), at), args)
	return w
}

// week is how long a mail counts for the limits of a week, and weekLater SQL for when a mail o counts no more.
const (
	week      = 7 * 24 * time.Hour
	weekLater = `o.claimed_at + interval '168 hours'`
)

// nth is SQL for a value of the mail with which a customer has got as many of some marketing mails as are allowed.
func nth(most int, of, value string, args *pg.Arguments) string {
	return `CASE WHEN m.class = 'marketing' THEN (
				SELECT ` + value + `
				` + of + `
				  AND o.id <> m.id
				ORDER BY o.claimed_at DESC
				OFFSET ` + args.Add(most-1) + `
				LIMIT 1
			) END`
}

// got is SQL, FROM and WHERE, for the marketing mails o that the customer of m has got from the store since a moment.
// Status is hidden as in doneSQL: they are found by the customer.
func got(since time.Time, args *pg.Arguments) string {
	return `FROM mails o
				WHERE o.store_id = m.store_id
				  AND o.email = m.email` + areMarketing(since, args)
}

// gotOfAll is got of all stores that have a customer with the address of m. So it needs no index of its own, into which
// each mail would be written.
func gotOfAll(since time.Time, args *pg.Arguments) string {
	return `FROM customers c
				JOIN mails o ON o.store_id = c.store_id AND o.email = c.email
				WHERE c.email = m.email` + areMarketing(since, args)
}

func areMarketing(since time.Time, args *pg.Arguments) string {
	return `
				  AND o.class = 'marketing'
				  AND o.status || '' IN ('sending', 'sent', 'unknown')
				  AND o.claimed_at >= ` + args.Add(since)
}

// Room is SQL for how many more marketing mails the customer of m may get at a time, whose day has begun at begins: by
// the limits of the store, and by that of all stores. NULL: any number.
func (m *Mails) Room(s Settings, begins, at time.Time, args *pg.Arguments) (store, all string) {
	left := func(most *int, of func(time.Time, *pg.Arguments) string, since time.Time) string {
		if most == nil || *most == 0 {
			return "NULL::bigint"
		}
		return args.Add(*most) + `::bigint - (SELECT count(*) ` + of(since, args) + `)`
	}
	return `LEAST(` + left(s.CapDay, got, begins) + `, ` + left(s.CapWeek, got, at.Add(-week)) + `)`,
		left(&m.cap, gotOfAll, at.Add(-week))
}
