package mail

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Click is a request for a link of a mail. Of who sent it nothing is kept, neither address nor
// program.
type Click struct {
	Link  int64
	Mail  int64 // 0: the link names none
	At    time.Time
	Probe bool // it asked for headers alone, as programs do
}

// trackIdentified is how a store tracks who follows links, if they agree; "counted" sums up by day.
const trackIdentified = "identified"

// What programs that check mails do, and people do not.
const (
	soonAfterDelivery = 3 * time.Second
	manyLinksWithin   = 2 * time.Second
)

// followed is what is known when a link is followed.
type followed struct {
	url, tracking  string
	known, machine bool // the recipient agreed to be known; they did so too soon
}

// Click returns where a link leads, and keeps what the store's tracking and the recipient's consent
// allow at that time. Without such a link it is pg.ErrNotFound.
func (r *Recipients) Click(ctx context.Context, c Click) (url string, err error) {
	defer pg.Wrap(&err, "mail.Click(%d, %d)", c.Link, c.Mail)
	var f followed
	if err := pg.NotFound(r.Pool.QueryRow(ctx, followSQL, c.Link, c.Mail, c.At, c.At.Add(-soonAfterDelivery)).
		Scan(&f.url, &f.tracking, &f.known, &f.machine)); err != nil || c.Probe {
		return f.url, err
	}
	if f.tracking == "off" {
		return f.url, nil
	}
	return f.url, r.InTx(ctx, func(tx pgx.Tx) error {
		if f.tracking == trackIdentified && f.known {
			if err := f.keep(ctx, tx, c); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, countSQL, c.Link, c.At, f.machine)
		return err
	})
}

// keep keeps who followed the link.
func (f *followed) keep(ctx context.Context, tx pgx.Tx, c Click) error {
	var many bool
	if err := tx.QueryRow(ctx, manySQL, c.Link, c.Mail, c.At, c.At.Add(-manyLinksWithin)).Scan(&many); err != nil {
		return err
	}
	f.machine = f.machine || many
	_, err := tx.Exec(ctx, clickedSQL, rand.Text(), c.Mail, c.Link, c.At, f.machine)
	return err
}

// followSQL reads a link, how its store tracks, and of the mail whether its recipient agreed, and
// whether it was delivered after $4. Of tests, and of mails of other stores, nothing is kept.
var followSQL = `
	SELECT
		l.url,
		CASE WHEN m.class = 'test' THEN 'off' ELSE coalesce(s.tracking, 'off') END,
		coalesce(` + ConsentSQL("tracking", "m.store_id", "m.email") + ` = 'granted', false),
		coalesce((SELECT max(e.at) FROM mail_events e WHERE e.mail_id = m.id AND e.kind = 'delivered' AND e.at <= $3),
			m.sent_at) > $4 IS TRUE
	FROM mail_links l
	LEFT JOIN mail_settings s ON s.store_id = l.store_id
	LEFT JOIN mails m ON m.id = $2 AND m.store_id = l.store_id
	WHERE l.id = $1`

// manySQL tells whether another link of the mail was followed since $4; then that was a program, too.
const manySQL = `
	WITH others AS (
		UPDATE mail_events e
		SET machine = true
		WHERE e.mail_id = $2
		  AND e.kind = 'clicked'
		  AND e.link_id <> $1
		  AND e.at BETWEEN $4 AND $3
		RETURNING 1
	)
	SELECT EXISTS (SELECT FROM others)`

const clickedSQL = `
	INSERT INTO mail_events (source, event_id, mail_id, link_id, kind, at, machine, settled_at)
	VALUES ('link', $1, $2, $3, 'clicked', $4, $5, $4)`

const countSQL = `
	INSERT INTO mail_clicks AS c (link_id, day, people, machines)
	VALUES ($1, ($2::timestamptz AT TIME ZONE 'UTC')::date, CASE WHEN $3 THEN 0 ELSE 1 END, CASE WHEN $3 THEN 1 ELSE 0 END)
	ON CONFLICT (link_id, day) DO UPDATE SET
		people = c.people + EXCLUDED.people,
		machines = c.machines + EXCLUDED.machines`
