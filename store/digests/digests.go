// Package digests mails the members of each store on Mondays what happened among its customers in the week before.
// docs/value.md.
package digests

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

const (
	hour       = 9                  // of Monday, from which digests are sent
	stale      = 2 * 24 * time.Hour // later than that a week is not told about any more
	tried      = 24 * time.Hour     // how much longer sending is tried
	retryAfter = 10 * time.Minute   // when a store is looked at again that failed
)

// Digests writes the digests of all stores. Safe for concurrent use.
type Digests struct {
	*pg.DB
	url string
}

// New returns the digests of all stores. url is the public address of the site, to which they lead.
func New(s *store.Store, url string) *Digests { return &Digests{s.DB, url} }

// digest is what a store's members are told.
type digest struct {
	store, name string
	zone        string
	week        // before the Monday
	Counts
}

// week is from one Monday to the next, in the zone of a store.
type week struct{ from, to time.Time }

// Counts are what happened in a week.
type Counts struct {
	New      int // customers who came
	Lost     int // customers whose last subscription ended
	Failing  int // customers whose payments fail now
	Finished int // courses that were finished
	Stuck    int // courses in which a customer has made no progress for two weeks now
}

// Step writes the digest of a store that is due at a moment, and reports whether there was one. The rows say what is
// due. A digest has a key for each week and member, so no one gets it twice; a week of which nothing is to be told has
// none.
func (d *Digests) Step(ctx context.Context, at time.Time) (worked bool, err error) {
	defer pg.Wrap(&err, "digests.Step")
	var one digest
	err = d.InTx(ctx, func(tx pgx.Tx) error {
		if one, err = next(ctx, tx, at); err != nil {
			return err
		}
		zone := mail.Zone(one.zone)
		begins := monday(at, zone)
		one.week = week{day(begins, -7), day(begins, 0)}
		if at.Sub(begins) < stale {
			err = d.write(ctx, tx, one, begins)
		}
		if err == nil {
			_, err = tx.Exec(ctx, `UPDATE digests SET due_at = $2 WHERE store_id = $1`, one.store, monday(day(begins, 8), zone))
		}
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil && one.store != "" && !pg.Transient(err) { // it is not in the way of the others
		_, later := d.Pool.Exec(context.WithoutCancel(ctx), `UPDATE digests SET due_at = $2 WHERE store_id = $1`, one.store,
			at.Add(retryAfter))
		err = errors.Join(err, later)
	}
	return err == nil, err
}

// monday is the last Monday morning before a moment.
func monday(at time.Time, zone *time.Location) time.Time {
	local := at.In(zone)
	y, m, d := local.Date()
	since := (int(local.Weekday()) + 6) % 7
	begins := time.Date(y, m, d-since, hour, 0, 0, 0, zone)
	if begins.After(at) {
		begins = time.Date(y, m, d-since-7, hour, 0, 0, 0, zone)
	}
	return begins
}

// day is the midnight some days after that of a moment.
func day(at time.Time, days int) time.Time {
	y, m, d := at.Date()
	return time.Date(y, m, d+days, 0, 0, 0, 0, at.Location())
}

// next takes the store that is due for longest.
func next(ctx context.Context, tx pgx.Tx, at time.Time) (one digest, err error) {
	err = tx.QueryRow(ctx, `
		SELECT
			g.store_id,
			coalesce(nullif(s.name, ''), g.store_id),
			`+store.ZoneOf("g.store_id")+`
		FROM digests g
		LEFT JOIN stores s ON s.id = g.store_id
		WHERE g.due_at <= $1
		ORDER BY g.due_at
		LIMIT 1
		FOR NO KEY UPDATE OF g SKIP LOCKED`, at).Scan(&one.store, &one.name, &one.zone)
	return one, err
}

// write counts the week, and makes a mail for each member who has an address.
func (d *Digests) write(ctx context.Context, tx pgx.Tx, one digest, begins time.Time) error {
	var err error
	if one.Counts, err = count(ctx, tx, one.store, one.week); err != nil || one.Counts == (Counts{}) {
		return err
	}
	version, err := storemail.SaveBody(ctx, tx, one.store, storemail.Digest, one.store, one.subject(), one.text(d.url))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, mailsSQL, one.store, storemail.Digest, begins.Format(time.DateOnly), version, begins,
		begins.Add(stale+tried))
	if err == nil {
		_, err = tx.Exec(ctx, forgetSQL, one.store, storemail.Digest)
	}
	return err
}

// mailsSQL makes the mails. Members are told by the address that the store's list would have them under.
const mailsSQL = `
	INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after, priority)
	SELECT DISTINCT $1, u.email, 'service', $2, $1, $3, $4::int, $5::timestamptz, $6::timestamptz, 9
	FROM stores s
	JOIN users u ON u.id = s.owner_user_id OR u.id = ANY(s.member_user_ids)
	WHERE s.id = $1
	  AND u.email IS NOT NULL
	  AND u.version > u.deleted_version
	ON CONFLICT DO NOTHING`

// forgetSQL deletes the texts of weeks whose mails are gone.
const forgetSQL = `
	DELETE FROM mail_bodies b
	WHERE b.campaign_id = $2
	  AND b.step = $1
	  AND b.version < (SELECT max(version) FROM mail_bodies WHERE campaign_id = $2 AND step = $1)
	  AND NOT EXISTS (
		SELECT FROM mails m WHERE m.campaign_id = $2 AND m.step = $1 AND m.version = b.version
	  )`
