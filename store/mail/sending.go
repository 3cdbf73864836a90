package mail

import (
	"context"
	"errors"
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

// Next writes what became of one mail, and begins the next, in one transaction: so no more mails
// are in doubt than connections send, should this worker be killed. Either may be missing: done is
// nil, or next 0. send tells whether the next mail may go: whoever left since it was claimed does
// not get it.
func (m *Mails) Next(ctx context.Context, l Turn, done *Done, next int64, provider string) (send bool, err error) {
	defer pg.Wrap(&err, "mail.Next(%q)", l.Store)
	var batch pgx.Batch
	if done != nil {
		batch.Queue(doneSQL, done.Mail.ID, l.Worker, done.Status, nullable(done.Reason), done.At, done.Provider,
			nullable(done.ProviderID), nullable(done.Answer))
		if done.Status == mail.Failed && done.Reason == mail.ReasonHard {
			batch.Queue(hardSQL, done.Mail.ID, done.At)
		}
	}
	if next != 0 {
		batch.Queue(startSQL, next, l.Worker, provider).QueryRow(func(row pgx.Row) error {
			err := row.Scan(&send)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil // it is no longer this worker's
			}
			return err
		})
	}
	if err := m.Pool.SendBatch(ctx, &batch).Close(); err != nil {
		return false, err
	}
	return send, nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// doneSQL writes an outcome. A mail of which it was not known any more whether it was sent is known
// again. One that is to be tried again waits longer each time; if it would be too late then, it has
// failed.
const doneSQL = `
	UPDATE mails m
	SET
		status = CASE WHEN n.late THEN 'failed' ELSE $3 END,
		reason = CASE WHEN n.late THEN 'soft' ELSE $4 END,
		due_at = CASE WHEN $4 = 'later' THEN n.due_at ELSE m.due_at END,
		sent_at = CASE WHEN $3 = 'sent' THEN $5::timestamptz END,
		started_at = CASE WHEN $3 <> 'due' THEN m.started_at END,
		claimed_by = CASE WHEN $3 <> 'due' THEN m.claimed_by END,
		provider = $6,
		provider_id = $7,
		answer = $8
	FROM (
		SELECT
			id,
			$5::timestamptz + LEAST(interval '4 hours', interval '1 minute' * 2 ^ LEAST(tries, 10)) AS due_at,
			$4 = 'later' AND $5::timestamptz + LEAST(interval '4 hours', interval '1 minute' * 2 ^ LEAST(tries, 10)) > not_after
				AS late
		FROM mails
		WHERE id = $1
	) n
	WHERE m.id = n.id
	  AND m.claimed_by = $2
	  AND m.status IN ('sending', 'unknown')`

// hardSQL stops an address that does not exist, for all stores.
var hardSQL = `
	INSERT INTO mail_stops (store_id, hash, reason, since, mail_id)
	SELECT '', ` + store.AddressHash("m.email") + `, 'hard', $2, m.id
	FROM mails m
	WHERE m.id = $1
	ON CONFLICT DO NOTHING`

// startSQL begins to send a mail, unless its recipient left meanwhile.
var startSQL = `
	UPDATE mails m
	SET
		status = CASE WHEN NOT s.stopped THEN m.status WHEN m.reason = 'again' THEN 'unknown' ELSE 'skipped' END,
		reason = CASE WHEN s.stopped AND m.reason IS DISTINCT FROM 'again' THEN 'stopped' ELSE m.reason END,
		provider = $3,
		started_at = clock_timestamp(),
		tries = m.tries + 1
	FROM (SELECT n.id, ` + stopped("n") + ` AS stopped FROM mails n WHERE n.id = $1) s
	WHERE m.id = s.id
	  AND m.claimed_by = $2
	  AND m.status = 'sending'
	  AND m.started_at IS NULL
	RETURNING m.status = 'sending'`

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

// Rates counts what came back of the last mails of a store, since it was last resumed.
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
			WHERE m.store_id = $1
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
