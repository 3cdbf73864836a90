package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store/pg"
)

// asked is SQL for a mail m, due at $1, as a person has it sent again: it has a day for that.
const asked = `
	SELECT m.*
	FROM (
		SELECT
			id, store_id, email, class, campaign_id, step, occurrence, twin, variant, version, priority, claimed_at,
			'asked' AS reason,
			$1::timestamptz AS due_at,
			GREATEST(not_after, $1::timestamptz + interval '1 day') AS not_after
		FROM mails
		WHERE id = `

// SendAgain has a mail sent again of which it is not known whether it was: a person decided that it was not. The error
// is ErrNotFound, also for another store's, or a *pg.Conflict if it is known, or if it may not be sent now: then it
// stays unknown.
func (m *Mails) SendAgain(ctx context.Context, storeID string, id int64, at time.Time) (err error) {
	defer pg.Wrap(&err, "mail.SendAgain(%d)", id)
	if !pg.Storable(storeID) {
		return pg.ErrNotFound
	}
	return m.InTx(ctx, func(tx pgx.Tx) error {
		var status string
		if err := pg.NotFound(tx.QueryRow(ctx, `SELECT status FROM mails WHERE id = $1 AND store_id = $2 FOR UPDATE`, id,
			storeID).Scan(&status)); err != nil {
			return err
		}
		if status != mail.Unknown {
			return pg.Conflicts("wrong_status", "This mail is %s already. Only one whose end is unknown can be sent again.",
				status)
		}
		skip, err := m.skip(ctx, tx, storeID, id, at)
		if err != nil {
			return err
		}
		if skip != "" {
			return pg.Conflicts("wrong_status", "This mail cannot be sent again: “%s”. It stays unknown.",
				mail.ReasonText(skip))
		}
		_, err = tx.Exec(ctx, `
			UPDATE mails m
			SET
				status = 'due',
				reason = a.reason,
				due_at = a.due_at,
				not_after = a.not_after,
				claimed_by = NULL,
				started_at = NULL
			FROM (`+asked+`$2) m) a
			WHERE m.id = a.id`, at, id)
		return err
	})
}

// skip is why a mail would not be sent if a person had it sent again; empty: it would.
func (m *Mails) skip(ctx context.Context, tx pgx.Tx, storeID string, id int64, at time.Time) (skip string, err error) {
	args := pg.Arguments{at}
	decide, said, err := m.decide(ctx, tx, storeID, &args)
	if err != nil {
		return "", err
	}
	err = tx.QueryRow(ctx, `
		SELECT coalesce(d.skip, '')
		FROM (SELECT `+today(said)+` FROM (`+asked+args.Add(id)+`) m) m) m
		CROSS JOIN LATERAL (`+decide+`) d`, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...).Scan(&skip)
	return skip, err
}
