package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/pg"
)

// Done is what became of a mail that a worker had begun to send.
type Done struct {
	Mail     Claimed
	Provider string
	At       time.Time
	mail.Outcome
}

// Move is what a line of a worker does next: it writes what became of one mail, and begins another. Either may be nil.
type Move struct {
	Done  *Done
	Begin *Claimed
}

// Next does the moves of several lines in one transaction, so that many mails cost one write to the disk. No more mails
// are in doubt than there are lines, should this worker be killed. It returns which of the mails may go: whoever left
// since theirs was claimed does not get it.
func (m *Mails) Next(ctx context.Context, l Turn, moves []Move, provider string) (send map[int64]bool, err error) {
	defer pg.Wrap(&err, "mail.Next(%q)", l.Store)
	var batch pgx.Batch
	var begin starts
	var done outcomes
	for _, move := range moves {
		if move.Done != nil {
			done.add(move.Done)
		}
		if move.Begin != nil {
			begin.add(move.Begin)
		}
	}
	batch.Queue(lookUps)
	done.queue(&batch, l)
	send = map[int64]bool{}
	if begin.ids != nil {
		batch.Queue(startSQL, begin.ids, begin.emails, begin.hashes, l.Worker, provider).Query(func(rows pgx.Rows) error {
			var id int64
			var may bool
			return pg.Each(rows, []any{&id, &may}, func() { send[id] = may })
		})
	}
	return send, m.Pool.SendBatch(ctx, &batch).Close()
}

// starts are columns of mails that begin to be sent.
type starts struct {
	ids    []int64
	emails []string
	hashes [][]byte
}

func (s *starts) add(c *Claimed) {
	s.ids, s.emails, s.hashes = append(s.ids, c.ID), append(s.emails, c.Email), append(s.hashes, c.hash)
}

// outcomes are columns of what became of mails.
type outcomes struct {
	ids, hard                                          []int64
	statuses, reasons, providers, providerIDs, answers []string
	at, hardAt                                         []time.Time
}

func (o *outcomes) add(d *Done) {
	o.ids, o.statuses, o.reasons = append(o.ids, d.Mail.ID), append(o.statuses, d.Status), append(o.reasons, d.Reason)
	o.at, o.providers = append(o.at, d.At), append(o.providers, d.Provider)
	o.providerIDs, o.answers = append(o.providerIDs, d.ProviderID), append(o.answers, d.Answer)
	if d.Status == mail.Failed && d.Reason == mail.ReasonHard {
		o.hard, o.hardAt = append(o.hard, d.Mail.ID), append(o.hardAt, d.At)
	}
}

func (o *outcomes) queue(batch *pgx.Batch, l Turn) {
	if o.ids != nil {
		batch.Queue(doneSQL, l.Worker, o.ids, o.statuses, o.reasons, o.at, o.providers, o.providerIDs, o.answers)
	}
	if o.hard != nil {
		batch.Queue(hardSQL, o.hard, o.hardAt)
	}
}

// again is SQL for when a mail m is tried again: it waits longer each time.
const again = `(o.at + LEAST(interval '4 hours', interval '1 minute' * 2 ^ LEAST(m.tries, 10)))`

// doneSQL writes outcomes. A mail of which it was not known any more whether it was sent is known
// again. One that would be too late when it is to be tried again has failed. One that may have been
// taken before stays in doubt, and with the provider that may have it, until it is sent: what is said
// of the repeat says nothing of what was before.
//
// Mails are found by their ids. Of an index for mails of one status Postgres believes, while many
// begin to be sent, that it has next to none, and would read all of it: so status is hidden from it
// here and in startSQL.
const doneSQL = `
	UPDATE mails m
	SET
		status = CASE
			WHEN m.reason = 'again' AND (o.status NOT IN ('sent', 'due') OR o.reason = 'later' AND ` + again + ` > m.not_after)
				THEN 'unknown'
			WHEN o.reason = 'later' AND ` + again + ` > m.not_after THEN 'failed'
			ELSE o.status
		END,
		reason = CASE
			WHEN m.reason = 'again' AND o.status <> 'sent' THEN 'again'
			WHEN o.reason = 'later' AND ` + again + ` > m.not_after THEN 'soft'
			WHEN m.reason = 'asked' AND o.reason IN ('later', 'trouble') THEN 'asked'
			ELSE nullif(o.reason, '')
		END,
		due_at = CASE WHEN o.reason = 'later' THEN ` + again + ` ELSE m.due_at END,
		sent_at = CASE WHEN o.status = 'sent' THEN o.at END,
		started_at = CASE WHEN o.status <> 'due' THEN m.started_at END,
		claimed_by = CASE WHEN o.status <> 'due' THEN m.claimed_by END,
		provider = CASE WHEN m.reason = 'again' THEN m.provider ELSE o.provider END,
		provider_id = nullif(o.provider_id, ''),
		answer = nullif(o.answer, '')
	FROM unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[])
		AS o(id, status, reason, at, provider, provider_id, answer)
	WHERE m.id = o.id
	  AND m.claimed_by = $1
	  AND m.status || '' IN ('sending', 'unknown')`

// hardSQL stops addresses that do not exist, for all stores.
var hardSQL = `
	INSERT INTO mail_stops (store_id, hash, reason, since, mail_id)
	SELECT '', ` + store.AddressHash("m.email") + `, 'hard', o.at, m.id
	FROM unnest($1::bigint[], $2::timestamptz[]) AS o(id, at)
	JOIN mails m USING (id)
	ON CONFLICT DO NOTHING`

// startSQL begins to send mails, but those whose recipients left meanwhile, and those that another provider may have
// taken: this one does not know their keys. One that got another address, as customers were merged, is claimed anew for
// that.
var startSQL = `
	UPDATE mails m
	SET
		status = CASE
			WHEN s.elsewhere OR s.stopped AND m.reason IN ('again', 'asked') THEN 'unknown'
			WHEN s.stopped THEN 'skipped'
			ELSE m.status
		END,
		reason = CASE WHEN s.stopped AND m.reason IS DISTINCT FROM 'again' THEN 'stopped' ELSE m.reason END,
		provider = CASE WHEN m.reason = 'again' THEN m.provider ELSE $5 END,
		started_at = clock_timestamp(),
		tries = m.tries + 1
	FROM (
		SELECT n.id, n.email, ` + stopsOf("n.hash", "o.store_id", "o.class", "o.campaign_id") + ` AS stopped,
			o.reason IS NOT DISTINCT FROM 'again' AND o.provider IS DISTINCT FROM $5 AS elsewhere
		FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS n(id, email, hash)
		JOIN mails o USING (id)
		OFFSET 0
	) s
	WHERE m.id = s.id
	  AND m.email = s.email
	  AND m.claimed_by = $4
	  AND m.status || '' = 'sending'
	  AND m.started_at IS NULL
	RETURNING m.id, m.status = 'sending'`

// Keep keeps a message in the mailbox. A mail that is repeated is kept once.
func (m *Mails) Keep(ctx context.Context, id int64, raw []byte) (err error) {
	defer pg.Wrap(&err, "mail.Keep(%d)", id)
	_, err = m.Pool.Exec(ctx, `
		INSERT INTO mailbox (mail_id, raw, at)
		SELECT id, $2, now()
		FROM mails
		WHERE id = $1
		ON CONFLICT DO NOTHING`, id, raw)
	return err
}

// What pauses a store: of its last mails, so many of a hundred that did not exist, or about which
// people complained.
const (
	countedMails    = 1000
	leastMails      = 50
	mostBounces     = 5.0
	mostComplaints  = 0.3
	warnComplaints  = 0.1
	leastBounces    = 3
	leastComplaints = 2
)

// Rates are what came back of the last mails of a store.
type Rates struct {
	Mails      int `json:"mails"`      // tried
	Bounces    int `json:"bounces"`    // there was no such mailbox
	Refused    int `json:"refused"`    // for the text or the sender
	Complaints int `json:"complaints"` // called spam by who got them
}

// tooMany tells whether n of all are more than a share, in percent, and not by chance.
func tooMany(n, all int, percent float64, least int) bool {
	return all >= leastMails && n >= least && float64(n)*100 > percent*float64(all)
}

// Brake is why the store must not go on; empty: it may.
func (r Rates) Brake() string {
	switch {
	case tooMany(r.Complaints, r.Mails, mostComplaints, leastComplaints):
		return "complaints"
	case tooMany(r.Bounces, r.Mails, mostBounces, leastBounces):
		return "bounces"
	case tooMany(r.Refused, r.Mails, mostBounces, leastBounces):
		return "refused"
	}
	return ""
}

// Warning is what the store should look into before the brake stops it; empty: nothing. Gmail asks for less than
// 0.1% of complaints.
func (r Rates) Warning() string {
	if tooMany(r.Complaints, r.Mails, warnComplaints, 1) {
		return "complaints"
	}
	return ""
}

// Rates counts what came back of the last mails of a store, since it last went on after they paused it.
func (m *Mails) Rates(ctx context.Context, storeID string) (r Rates, err error) {
	defer pg.Wrap(&err, "mail.Rates(%q)", storeID)
	err = m.Pool.QueryRow(ctx, `
		SELECT
			count(*),
			count(*) FILTER (WHERE reason IS NOT DISTINCT FROM 'hard' OR hard),
			count(*) FILTER (WHERE reason IS NOT DISTINCT FROM 'ours' OR ours),
			count(*) FILTER (WHERE complained)
		FROM (
			SELECT m.reason, e.*
			FROM mails m
			CROSS JOIN LATERAL (
				SELECT
					coalesce(bool_or(kind = 'bounced' AND verdict = 'hard'), false) AS hard,
					coalesce(bool_or(kind = 'bounced' AND verdict = 'ours'), false) AS ours,
					coalesce(bool_or(kind = 'complained'), false) AS complained
				FROM mail_events e
				WHERE e.mail_id = m.id
			) e
			WHERE m.store_id || '' = $1 -- as mails_tried_by has it
			  AND m.status IN ('sending', 'sent', 'unknown', 'failed')
			  AND m.claimed_at >= coalesce((SELECT counted_from FROM mail_settings WHERE store_id = $1), '-infinity')
			ORDER BY m.claimed_at DESC
			LIMIT $2
		) r`, storeID, countedMails).Scan(&r.Mails, &r.Bounces, &r.Refused, &r.Complaints)
	return r, err
}

// Brake pauses a store from whose last mails too much came back.
func (m *Mails) Brake(ctx context.Context, storeID string) error {
	r, err := m.Rates(ctx, storeID)
	if reason := r.Brake(); err == nil && reason != "" {
		err = m.Pause(ctx, storeID, reason)
	}
	return err
}
