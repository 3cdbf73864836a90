package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

const (
	settleAtOnce = 500
	// settleWithin is how long an event waits for the mail that it is about: the outcome of sending
	// it may be written later. Those of other programs that use the same provider never have one.
	settleWithin = 7 * 24 * time.Hour
	// softLimit is how many mails in a row may bounce softly before the address is stopped.
	softLimit = 5
)

// Settle writes what follows from the events of providers that were not settled yet, as of now: a
// mail of unknown fate was sent, and an address is not mailed any more. It reports whether there may
// be more. The same events, in any order and any number of times, lead to the same rows.
func (r *Recipients) Settle(ctx context.Context, now time.Time) (more bool, err error) {
	defer pg.Wrap(&err, "mail.Settle")
	err = r.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, strangersSQL); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, settleErasedSQL, now, settleAtOnce); err != nil {
			return err
		}
		settled, err := settle(ctx, tx, now)
		if more = settled == settleAtOnce; err != nil || settled > 0 {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE mail_events
			SET settled_at = $1
			WHERE settled_at IS NULL
			  AND at < $2`, now, now.Add(-settleWithin))
		return err
	})
	return more, err
}

// settle settles some events in a transaction, and returns how many.
func settle(ctx context.Context, tx pgx.Tx, now time.Time) (n int, err error) {
	var sources, ids []string
	rows := pg.Query(ctx, tx, findEventsSQL, settleAtOnce)
	var source, id string
	if _, err = pgx.ForEachRow(rows, []any{&source, &id}, func() error {
		sources, ids = append(sources, source), append(ids, id)
		return nil
	}); err != nil || len(ids) == 0 {
		return 0, err
	}
	var batch pgx.Batch
	batch.Queue(nameMailsSQL, sources, ids)
	batch.Queue(dropOpensSQL, sources, ids)
	batch.Queue(settleMailsSQL, sources, ids, now)
	batch.Queue(stopSQL, sources, ids)
	batch.Queue(softStopSQL, sources, ids, softLimit)
	batch.Queue(softLiftSQL, sources, ids, softLimit)
	batch.Queue(`
		UPDATE mail_events e
		SET settled_at = $3
		FROM `+theEvents+`
		WHERE (e.source, e.event_id) = (k.source, k.event_id)`, sources, ids, now)
	return len(ids), tx.SendBatch(ctx, &batch).Close()
}

// fits is SQL for whether an event that names the mail m can be about it. A copy of this database that sends by the
// same account has other mails of the same ids: one that did not go by the provider that reports, or has another id
// there, or was begun after what is reported, is not meant. What a server of SMTP answers is the provider's id at SES;
// others report another one. Of a mail that was tried again the id and the time are those of the last try alone. Clocks
// may be minutes apart.
const fits = `(
		m.provider IN (e.source, 'smtp')
		AND m.status <> 'skipped'
		AND (m.provider_id = e.message OR m.provider_id IS NULL OR e.message IS NULL OR m.tries > 1
			OR m.provider = 'smtp' AND e.source <> 'ses')
		AND (m.provider_id = e.message
			OR e.at >= CASE WHEN m.tries > 1 THEN m.made_at ELSE coalesce(m.claimed_at, m.made_at) END - interval '5 minutes'
				AND NOT EXISTS (SELECT FROM webhook_events w WHERE w.source = e.source
					AND w.event_id = coalesce(e.inbox_id, e.event_id) COLLATE "default" -- as the index has it
					AND ` + toOthers + `))
	)`

// toOthers is SQL for whether a report in the inbox says who got the mail, and does not name who gets the mail m. It is
// read as text, as not all that is JSON can be read by Postgres, and that of SES is JSON in a text. Addresses that JSON
// may write otherwise are not looked for.
const toOthers = `(
		w.payload::text ~ '\\?"(to|Recipient|Email|recipient|destination)\\?"'
		AND m.email ~ '^[a-z0-9._@-]+$'
		AND lower(w.payload::text) !~ ('([^a-z0-9._+-]|\\u003c)' || replace(m.email, '.', '[.]') || '[^a-z0-9.-]')
	)`

// strangersSQL takes their mails from events that cannot be about them.
const strangersSQL = `
	UPDATE mail_events e
	SET mail_id = NULL
	FROM mails m
	WHERE e.settled_at IS NULL
	  AND m.id = e.mail_id
	  AND m.status NOT IN ('due', 'sending')
	  AND ` + fits + ` IS NOT TRUE`

// settleErasedSQL settles events of mails whose recipients were erased since: what stops an address stops its hash.
const settleErasedSQL = `
	WITH found AS (
		SELECT e.source, e.event_id, m.id, m.store_id, m.hash, e.kind, coalesce(e.verdict, '') AS verdict, e.at
		FROM mail_events e
		JOIN (
			SELECT *, mail_id AS id, 'sent' AS status, NULL::text AS email
			FROM erased_mails
		) m ON m.id = e.mail_id AND ` + fits + ` OR e.mail_id IS NULL AND m.provider_id = e.message
			AND m.provider IN (e.source, 'smtp')
		WHERE e.settled_at IS NULL
		  AND NOT EXISTS (SELECT FROM mails o WHERE o.id = e.mail_id) -- of a backup
		LIMIT $2
		FOR UPDATE OF e SKIP LOCKED
	), stopped AS (
		INSERT INTO mail_stops (store_id, hash, reason, since)
		SELECT DISTINCT ON (x.store_id, hash, x.reason) x.store_id, hash, x.reason, at
		FROM found
		CROSS JOIN LATERAL (
			SELECT CASE WHEN verdict = 'hard' THEN '' ELSE found.store_id END AS store_id,
				CASE WHEN verdict = 'hard' THEN 'hard' ELSE kind END AS reason
		) x
		WHERE verdict = 'hard' OR kind IN ('complained', 'unsubscribed')
		ORDER BY x.store_id, hash, x.reason, at
		ON CONFLICT DO NOTHING
	)
	UPDATE mail_events e
	SET settled_at = $1
	FROM found
	WHERE (e.source, e.event_id) = (found.source, found.event_id)`

// theMail is SQL for the mail that an event is about: by our own id, or the provider's.
const theMail = `(
		SELECT m.id, m.status FROM mails m WHERE m.id = e.mail_id AND ` + fits + `
		UNION ALL
		SELECT m.id, m.status
		FROM mails m
		WHERE e.mail_id IS NULL
		  AND m.provider_id = e.message
		  AND m.provider IN (e.source, 'smtp')
		LIMIT 1
	)`

// findEventsSQL locks events whose mail is known. While a mail is being sent, its outcome is still
// to be written.
const findEventsSQL = `
	SELECT e.source, e.event_id
	FROM mail_events e
	CROSS JOIN LATERAL ` + theMail + ` m
	WHERE e.settled_at IS NULL
	  AND m.status <> 'sending'
	ORDER BY e.at
	LIMIT $1
	FOR UPDATE OF e SKIP LOCKED`

const theEvents = `unnest($1::text[], $2::text[]) AS k(source, event_id)`

// eventMails joins the events of a batch with their mails.
const eventMails = `
	FROM ` + theEvents + `
	JOIN mail_events e USING (source, event_id)
	JOIN mails m ON m.id = e.mail_id AND m.class <> 'test'`

// dropOpensSQL deletes who opened mails, but of those who agreed to be tracked by a store that tracks them.
var dropOpensSQL = `
	DELETE FROM mail_events e
	USING ` + theEvents + `, mails m
	LEFT JOIN mail_settings s ON s.store_id = m.store_id
	WHERE (e.source, e.event_id) = (k.source, k.event_id)
	  AND e.kind = 'opened'
	  AND m.id = e.mail_id
	  AND (m.class = 'test'
		OR s.tracking IS DISTINCT FROM 'identified'
		OR ` + ConsentSQL("tracking", "m.store_id", "m.email") + ` IS DISTINCT FROM 'granted')`

const nameMailsSQL = `
	UPDATE mail_events e
	SET mail_id = (SELECT id FROM ` + theMail + ` m)
	FROM ` + theEvents + `
	WHERE (e.source, e.event_id) = (k.source, k.event_id)
	  AND e.mail_id IS NULL`

// settleMailsSQL settles mails: of whatever a provider reports, it had it. One that is due was
// tried before.
const settleMailsSQL = `
	UPDATE mails m
	SET
		status = 'sent',
		reason = NULL,
		sent_at = least(e.at, $3),
		claimed_at = coalesce(m.claimed_at, e.at)
	FROM (
		SELECT DISTINCT ON (m.id) m.id, e.at` + eventMails + `
		WHERE m.status IN ('unknown', 'due')
		ORDER BY m.id, e.at
	) e
	WHERE m.id = e.id`

// stopSQL writes stops. No store mails an address that does not exist.
var stopSQL = `
	INSERT INTO mail_stops AS s (store_id, hash, reason, since, mail_id)
	SELECT DISTINCT ON (x.store_id, x.hash, x.reason) x.store_id, x.hash, x.reason, x.at, x.mail_id
	FROM (
		SELECT
			CASE WHEN e.verdict = 'hard' THEN '' ELSE m.store_id END AS store_id,
			` + store.AddressHash("m.email") + ` AS hash,
			CASE WHEN e.verdict = 'hard' THEN 'hard' ELSE e.kind END AS reason,
			e.at,
			e.mail_id` + eventMails + `
		WHERE e.verdict = 'hard' OR e.kind IN ('complained', 'unsubscribed')
	) x
	ORDER BY x.store_id, x.hash, x.reason, x.at, x.mail_id
	ON CONFLICT (hash, store_id, campaign_id, reason) DO UPDATE SET
		since = EXCLUDED.since,
		mail_id = EXCLUDED.mail_id
		WHERE (EXCLUDED.since, EXCLUDED.mail_id) < (s.since, s.mail_id)`

// softRuns are the softLimit-th soft bounces in a row of addresses that events of a batch are
// about.
const softRuns = `
	SELECT store_id, email, min(at) AS since
	FROM (
		SELECT
			store_id,
			email,
			at,
			row_number() OVER (PARTITION BY store_id, email, run ORDER BY at) AS nth
		FROM (
			SELECT DISTINCT ON (store_id, email, run, mail_id) store_id, email, run, mail_id, at
			FROM (
				SELECT
					o.store_id,
					o.email,
					e.mail_id,
					e.at,
					e.kind,
					count(*) FILTER (WHERE e.kind = 'delivered') OVER (PARTITION BY o.store_id, o.email
						ORDER BY e.at, e.kind DESC, e.event_id) AS run
				FROM (SELECT DISTINCT m.store_id, m.email` + eventMails + `) t
				JOIN mails o ON o.store_id = t.store_id AND o.email = t.email AND o.class <> 'test'
				JOIN mail_events e ON e.mail_id = o.id
				WHERE e.kind = 'delivered' OR e.verdict = 'soft'
			) each
			WHERE kind <> 'delivered'
			ORDER BY store_id, email, run, mail_id, at
		) mails
	) rows
	WHERE nth = $3
	GROUP BY store_id, email`

var softStopSQL = `
	INSERT INTO mail_stops AS s (store_id, hash, reason, since)
	SELECT store_id, ` + store.AddressHash("email") + `, 'soft', since
	FROM (` + softRuns + `) r
	ON CONFLICT (hash, store_id, campaign_id, reason) DO UPDATE SET since = EXCLUDED.since
		WHERE EXCLUDED.since <> s.since`

// softLiftSQL lifts a soft stop that an event which came late disproves.
var softLiftSQL = `
	DELETE FROM mail_stops s
	USING (
		SELECT DISTINCT m.store_id, m.email` + eventMails + `
		WHERE e.kind = 'delivered'
	) t
	WHERE s.hash = ` + store.AddressHash("t.email") + `
	  AND s.store_id = t.store_id
	  AND s.reason = 'soft'
	  AND NOT EXISTS (SELECT FROM (` + softRuns + `) r WHERE r.store_id = t.store_id AND r.email = t.email)`
